// The table against a linear scan: random puts, modifies, removals, flushes, sortings and background steps over a small
// world of keys and masks, with a worker that is now online, now not. Every answer, every look-up and the whole content
// are compared; at the end nothing is left in any heap.
import fc from "fast-check";
import t from "tap";
import { newKey } from "../../src/flow/key.ts";
import { BATCH, BATCH_SIZE } from "../../src/memory/batch-layout.ts";
import { EpochReader } from "../../src/memory/epoch.ts";
import { FlowCursor } from "../../src/table/flow-cursor.ts";
import { TableReader } from "../../src/table/table-reader.ts";
import { tableStats } from "../../src/table/table-stats.ts";
import { runs } from "../support/seed.ts";
import {
  createTable,
  fiveTuple,
  fiveTupleMask,
  keyBits,
  keyOfBits,
  LinearTable,
  maskBits,
  maskOfBits,
  outputTo,
  settle,
  type TestTable,
  ufidOf,
} from "./model.ts";

const operation = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("put" as const),
      key: keyBits,
      mask: maskBits,
      ufid: fc.option(fc.nat(20), { nil: undefined }),
      port: fc.nat(5),
      flags: fc.constantFrom("create" as const, "modify" as const, "both" as const, "neither" as const),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("remove" as const), pick: fc.nat(1000) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("step" as const, "sort" as const, "flush" as const) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("quiesce" as const, "offline" as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("lookup" as const), keys: fc.array(keyBits, { maxLength: 64 }) }),
  },
);
type Operation = typeof operation extends fc.Arbitrary<infer Item> ? Item : never;

/** A table, its model and a worker that looks up. */
class Run {
  readonly test: TestTable = createTable();
  readonly model = new LinearTable();
  readonly #reader = new TableReader(this.test.arena, 0);
  readonly #epochs = new EpochReader(this.test.arena, 0);

  do(step: Operation): void {
    if (step.do === "put") this.#put(step);
    else if (step.do === "remove") this.#remove(step.pick);
    else if (step.do === "step") this.test.table.step();
    else if (step.do === "sort") this.test.table.sortSubtables();
    else if (step.do === "flush") this.#flush();
    else if (step.do === "quiesce") this.#epochs.quiesce();
    else if (step.do === "offline") this.#epochs.goOffline();
    else if (step.do === "lookup") this.#lookup(step.keys);
  }

  /** What the look-up order says is hit: the flow of the first mask in force that has a match. */
  #expected(key: Uint8Array): number {
    const matching = this.model.matching(key);
    for (const { mask } of tableStats(this.test.arena).masks) {
      const flowNo = matching.find((no) => Buffer.compare(this.model.flows.get(no)!.mask, mask) === 0);
      if (flowNo !== undefined) return flowNo;
    }
    same(matching, [], "matches are under a listed mask");
    return 0;
  }

  #put(step: Extract<Operation, { do: "put" }>): void {
    const key = keyOfBits(step.key);
    const mask = maskOfBits(step.mask);
    const actions = outputTo(step.port);
    const ufid = step.ufid === undefined ? undefined : ufidOf(step.ufid);
    const create = step.flags === "create" || step.flags === "both";
    const modify = step.flags === "modify" || step.flags === "both";
    const hit = this.#expected(key);
    const result = this.test.table.put({
      key,
      mask,
      ufid,
      actions,
      create,
      modify,
      operator: true,
      nowMillis: 5,
    });
    if (hit !== 0) {
      if (modify) {
        same(result, { error: null, flowNo: hit, created: false }, "modify");
        this.model.flows.get(hit)!.actions = actions;
      } else if (create) same(result, { error: "EEXIST", flowNo: hit, reason: "key" }, "create over a match");
      else same(result, { error: "EINVAL", flowNo: hit }, "neither create nor modify");
      return;
    }
    const named = ufid === undefined ? 0 : this.model.byUfid(ufid);
    if (!create) {
      same(result, { error: "ENOENT" }, "modify of nothing");
      return;
    }
    if (named !== 0) {
      same(result, { error: "EEXIST", flowNo: named, reason: "ufid" }, "ufid in use");
      return;
    }
    if (result.error !== null) throw new Error(`put: ${JSON.stringify(result)}`);
    same([result.created, this.model.flows.has(result.flowNo)], [true, false], "a number of its own");
    const given = this.test.table.flows.read(result.flowNo)!.ufid;
    if (ufid !== undefined) same(given, ufid, "the ufid as given");
    else same(this.test.table.findByKey(key), result.flowNo, "found by key");
    this.model.flows.set(result.flowNo, { key, mask, actions, ufid: given });
  }

  #remove(pick: number): void {
    const flowNos = [...this.model.flows.keys()];
    if (flowNos.length === 0) return;
    const flowNo = flowNos[pick % flowNos.length]!;
    const { ufid } = this.model.flows.get(flowNo)!;
    same(this.test.table.findByUfid(ufid), flowNo, "found by ufid");
    this.test.table.remove(flowNo);
    same(this.test.table.findByUfid(ufid), 0, "gone");
    this.model.flows.delete(flowNo);
  }

  #flush(): void {
    this.test.table.flush();
    while (this.test.table.flushing) this.test.table.step();
    this.model.flows.clear();
  }

  #lookup(keys: readonly number[]): void {
    const { arena } = this.test;
    const batch = arena.region("batches").offset;
    this.#epochs.quiesce();
    for (const [packet, bits] of keys.entries())
      arena.u8.set(keyOfBits(bits), batch + BATCH.keys + packet * 640);
    const expected = keys.map((bits) => this.#expected(keyOfBits(bits)));
    const column = (batch + BATCH.flow) >>> 2;
    arena.u32.fill(0xdeadbeef, column, column + BATCH_SIZE);
    const hits = this.#reader.lookupBatch(batch, keys.length);
    same([...arena.u32.subarray(column, column + keys.length)], expected, "the batch");
    same(hits, expected.filter((flowNo) => flowNo !== 0).length, "the number of hits");
    for (const [packet, flowNo] of expected.entries()) {
      same(this.#reader.lookup(batch + BATCH.keys + packet * 640), flowNo, "one key");
      if (flowNo === 0) continue;
      const list = this.#reader.actionList(flowNo);
      const from = this.#reader.actionsOffset(list);
      const actions = arena.u8.slice(from, from + this.#reader.actionsBytes(list));
      same(actions, this.model.flows.get(flowNo)!.actions, "the actions");
    }
  }

  /** Compares the whole content, then empties the table and asks for everything back. */
  end(): void {
    const { arena, table } = this.test;
    this.#epochs.goOffline();
    const dumped = new Map(new FlowCursor(arena, null).next().map((view) => [view.flowNo, view]));
    same([...dumped.keys()].sort(), [...this.model.flows.keys()].sort(), "the dump's flows");
    for (const [flowNo, flow] of this.model.flows) {
      const { key, mask, ufid, actions } = dumped.get(flowNo)!;
      same([key, mask, ufid, actions], [flow.key, flow.mask, flow.ufid, flow.actions], "a dumped flow");
    }
    same(table.flowCount, this.model.flows.size, "the number of flows");
    this.#flush();
    settle(this.test);
    table.sortSubtables();
    settle(this.test);
    same(tableStats(arena).masks, [], "no mask left");
    const { buckets, keys, actions, deadFlows, actionLists } = table.memory;
    same({ keys, actions, deadFlows, actionLists, buckets }, ALL_GIVEN_BACK, "all given back");
  }
}

const ALL_GIVEN_BACK = { keys: 0, actions: 0, deadFlows: 0, actionLists: 0, buckets: 0 };

/** Cheaper than a tap assertion, of which there would be hundreds of thousands. */
function same(found: unknown, wanted: unknown, what: string): void {
  const text = (value: unknown): string =>
    JSON.stringify(value, (_, item) =>
      ArrayBuffer.isView(item)
        ? Buffer.from(item.buffer, item.byteOffset, item.byteLength).toString("hex")
        : item,
    );
  if (text(found) !== text(wanted)) throw new Error(`${what}: found ${text(found)}, wanted ${text(wanted)}`);
}

t.test("against a linear scan", async (t) => {
  fc.assert(
    fc.property(fc.array(operation, { minLength: 1, maxLength: 150 }), (steps) => {
      const run = new Run();
      for (const step of steps) run.do(step);
      run.end();
    }),
    runs(150),
  );
  t.pass("every sequence");
});

t.test("bucket arrays grow and shrink under look-ups", async (t) => {
  const { arena, table } = createTable({ flowCountMax: 20_000 });
  const reader = new TableReader(arena, 0);
  const keyAt = arena.region("batches").offset + BATCH.spareKey;
  const mask = fiveTupleMask();
  const find = (n: number): number => {
    arena.u8.set(fiveTuple(n), keyAt);
    reader.refresh();
    return reader.lookup(keyAt);
  };
  const flowNos: number[] = [];
  for (let n = 0; n < 20_000; n += 1) {
    const key = fiveTuple(n);
    const result = table.put({
      key,
      mask,
      actions: outputTo(n % 7),
      create: true,
      modify: false,
      operator: false,
      nowMillis: n,
    });
    if (result.error !== null) return t.fail(`put ${n}: ${result.error}`);
    flowNos.push(result.flowNo);
    const other = (n * 7919) % (n + 1);
    if (find(n) !== flowNos[n] || find(other) !== flowNos[other])
      return t.fail(`flow ${n} or ${other} is not found`);
    if (find(n + 1) !== 0) return t.fail(`flow ${n + 1} is found before its time`);
  }
  const [grown] = tableStats(arena).masks;
  t.ok(grown!.bucketCount >= 40_000, `${grown!.bucketCount} buckets for 20,000 flows: at most half full`);
  t.ok(grown!.bucketCount <= 160_000, "and not wasteful");
  for (let n = 0; n < 20_000 - 5; n += 1) {
    table.remove(flowNos[n]!);
    if (n % 64 === 0) table.step();
    const other = n + 1 + ((n * 7919) % (19_999 - n));
    if (find(n) !== 0 || find(other) !== flowNos[other]) return t.fail(`after removing ${n}`);
  }
  settle({ arena, table } as TestTable);
  t.ok(tableStats(arena).masks[0]!.bucketCount <= 64, "shrunk again");
});

t.test("limits are refused by name, and the table stays as it was", async (t) => {
  const test = createTable({ flowCountMax: 4, maskCountMax: 2 });
  const { table } = test;
  const put = (keyBit: number, maskBit: number) =>
    table.put({
      key: keyOfBits(keyBit),
      mask: maskOfBits(maskBit),
      actions: new Uint8Array(),
      create: true,
      modify: false,
      operator: false,
      nowMillis: 0,
    });
  t.equal(put(0x01, 0x0f).error, null);
  t.equal(put(0x10, 0x1f).error, null);
  t.match(put(0x23, 0x3f), {
    error: "ENOSPC",
    limit: "masks",
    message: /has 2 of 2 masks; raise memory\.masks/,
  });
  t.equal(put(0x02, 0x0f).error, null);
  t.equal(put(0x04, 0x0f).error, null);
  t.match(put(0x08, 0x0f), { error: "ENOSPC", limit: "flows", message: /4 of 4 flows; raise memory\.flows/ });
  t.equal(table.flowCount, 4);
  t.equal(new FlowCursor(test.arena, null).next().length, 4);
  // With a reader online that has not moved on, a removed flow's number is not free yet.
  const worker = new EpochReader(test.arena, 0);
  worker.quiesce();
  table.remove(table.findByKey(keyOfBits(0x10)));
  t.match(put(0x08, 0x0f), { error: "ENOSPC", limit: "flows", message: /3 of 4 flows, 1 removed ones wait/ });
  worker.quiesce();
  t.equal(put(0x08, 0x0f).error, null);
  table.remove(table.findByKey(keyOfBits(0x08)));
  worker.goOffline();
  t.equal(put(0x23, 0x3f).error, null, "the mask without flows made room");
});

t.test("a put of wrong lengths is a mistake of the caller", async (t) => {
  const { table } = createTable();
  const put = { actions: new Uint8Array(), create: true, modify: false, operator: false, nowMillis: 0 };
  t.throws(() => table.put({ ...put, key: new Uint8Array(10), mask: newKey() }), RangeError);
  t.throws(() => table.put({ ...put, key: newKey(), mask: newKey(), ufid: new Uint8Array(4) }), RangeError);
  t.equal(table.flowCount, 0);
});

t.test("the same seed gives the same derived ufids, another seed others", async (t) => {
  const ufid = (): string => {
    const { table } = createTable();
    table.put({
      key: keyOfBits(3),
      mask: maskOfBits(1),
      actions: outputTo(1),
      create: true,
      modify: false,
      operator: false,
      nowMillis: 0,
    });
    return Buffer.from(table.flows.read(table.findByKey(keyOfBits(3)))!.ufid).toString("hex");
  };
  t.equal(ufid(), ufid());
  t.match(ufid(), /^.{12}4.{3}[89ab]/, "it has the marks of a random UUID");
});
