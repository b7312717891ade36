// Readers on threads of their own, pinned to different CPUs, while this thread writes a million times: puts, removals,
// replaced actions, rebuilds, sortings. Whatever a reader finds is whole, and what is always there is never missed.
// The same test with a writer that publishes a flow before it writes it must find that out.
import t, { type Test } from "tap";
import type { Arena } from "../../src/memory/arena.ts";
import type { EpochWriter } from "../../src/memory/epoch.ts";
import type { FlowRecord } from "../../src/table/flow-store.ts";
import { FLOW, flowWord } from "../../src/table/layout.ts";
import type { Subtable } from "../../src/table/subtables.ts";
import { TableWriter } from "../../src/table/table-writer.ts";
import { SeededRandom } from "../support/random.ts";
import { SEED } from "../support/seed.ts";
import { Threads } from "../support/threads.ts";
import { actionsFor, churnKey, churnMask } from "./churn.ts";
import { createTable } from "./model.ts";
import type { ReaderOptions, ReaderResult } from "./readers.thread.ts";

const WRITES = Number(process.env["WRITES"] ?? 1_000_000);
const FLOWS = 3000;
const FIXED = 300;
/** Writes between two turns of the event loop, in which a reader's failure would arrive. */
const SLICE = 20_000;
const THREAD = new URL("./readers.thread.js", import.meta.url);

/** Loads between the parts of a torn write: about a microsecond, as when the writer's cache misses. */
const TORN_PAUSE = 400;

/**
 * Publishes first, then writes the key, and the actions last: the fault that the readers must find. Only the hash is
 * written before, because the writer itself goes by it when it rebuilds a bucket array.
 */
class TornWriter extends TableWriter {
  readonly #arena: Arena;

  constructor(arena: Arena, epochs: EpochWriter) {
    super(arena, epochs);
    this.#arena = arena;
  }

  protected override publishFlow(subtable: Subtable, flowNo: number, record: FlowRecord): boolean {
    const { i32, u32, intrinsics } = this.#arena;
    const word = flowWord(this.#arena, flowNo);
    i32[word + FLOW.hash] = record.hash;
    subtable.buckets.insert(flowNo, record.hash);
    // The record's word of actions still says what the number's last flow did.
    if (!this.writeFlow(flowNo, { ...record, actions: u32[word + FLOW.actions]! })) return false;
    for (let load = 0; load < TORN_PAUSE; load += 1) intrinsics.load(word * 4);
    intrinsics.store((word + FLOW.actions) * 4, record.actions);
    return true;
  }
}

/** Tap's own limit is for tests that hang; how long a million writes take depends on the machine. */
t.setTimeout(280_000);

class Churn {
  readonly #table: TableWriter;
  readonly #random = new SeededRandom(SEED);
  /** Flow number of each key, 0 while it is not in the table. */
  readonly #flowNos = new Uint32Array(FLOWS);
  #turn = 0;

  constructor(table: TableWriter) {
    this.#table = table;
    for (let n = 0; n < FIXED; n += 1) this.#put(n);
  }

  /** One put, removal or replacement, and now and then what the handler does beside. */
  write(): void {
    this.#turn += 1;
    const n = this.#random.below(FLOWS);
    const flowNo = this.#flowNos[n]!;
    if (flowNo === 0) this.#put(n);
    else if (n < FIXED || this.#random.chance(0.3)) {
      if (!this.#table.modify(flowNo, actionsFor(n, this.#turn))) throw new Error("no room for actions");
    } else {
      this.#table.remove(flowNo);
      this.#flowNos[n] = 0;
    }
    if (this.#turn % 16 === 0) this.#table.step();
    if (this.#turn % 50_000 === 0) this.#table.sortSubtables();
  }

  #put(n: number): void {
    const put = {
      key: churnKey(n),
      mask: churnMask(n),
      actions: actionsFor(n, this.#turn),
      nowMillis: this.#turn,
    };
    for (;;) {
      const result = this.#table.put({ ...put, create: true, modify: false, operator: false });
      if (result.error === null) {
        this.#flowNos[n] = result.flowNo;
        return;
      }
      // A reader that the system has put to sleep holds everything back; the writer waits for it here.
      if (result.error !== "ENOSPC") throw new Error(`put of ${n}: ${result.error}`);
      this.#table.step();
    }
  }
}

async function churn(t: Test, Writer: typeof TableWriter, writes: number): Promise<ReaderResult[]> {
  const { arena, table } = createTable({ flowCountMax: FLOWS * 2, maskCountMax: 16 }, Writer);
  const work = new Churn(table);
  const threads = new Threads(t, arena);
  const options = { flowCount: FLOWS, fixedCount: FIXED };
  threads.add<ReaderOptions>(THREAD, { ...options, role: "lookup", threadIndex: 0, seed: SEED });
  threads.add<ReaderOptions>(THREAD, { ...options, role: "lookup", threadIndex: 1, seed: SEED ^ 1 });
  threads.add<ReaderOptions>(THREAD, { ...options, role: "dump", threadIndex: -1, seed: 0 });
  await threads.go();
  // A reader ends by itself only when it has seen enough that was wrong.
  let done = false;
  void threads.firstEnd().then(() => {
    done = true;
  });
  for (let count = 0; count < writes && !done; count += SLICE) {
    for (let write = 0; write < SLICE; write += 1) work.write();
    await new Promise(setImmediate);
  }
  threads.stop();
  return threads.results<ReaderResult>();
}

t.test(`readers see whole flows through ${WRITES} writes`, async (t) => {
  const results = await churn(t, TableWriter, WRITES);
  for (const [index, { checked, errors }] of results.entries()) {
    t.strictSame(errors, [], `reader ${index}`);
    t.ok(checked > 1000, `reader ${index} checked ${checked} flows`);
  }
});

t.test("a writer that publishes before it writes is found out", async (t) => {
  const results = await churn(t, TornWriter, WRITES);
  const errors = results.flatMap((result) => result.errors);
  t.ok(errors.length > 0, `found: ${errors[0]}`);
});
