// Flow statistics: each worker counts for itself, a reader sums, 64-bit counters are never seen half carried, clearing
// starts from zero, and a number that is used again starts from zero in every thread.
import t from "tap";
import { FLOW_STATS_BYTES } from "../../src/memory/region-plan.ts";
import { FlowReader } from "../../src/table/flow-reader.ts";
import { TableReader } from "../../src/table/table-reader.ts";
import { tableStats } from "../../src/table/table-stats.ts";
import { Threads } from "../support/threads.ts";
import { createTable, keyOfBits, maskOfBits, outputTo, settle, type TestTable } from "./model.ts";
import type { CountOptions } from "./stats.thread.ts";

const THREAD = new URL("./stats.thread.js", import.meta.url);
const READS = 200_000;

function putOne({ table }: TestTable, bits = 1): number {
  const result = table.put({
    key: keyOfBits(bits),
    mask: maskOfBits(0xff),
    actions: outputTo(1),
    create: true,
    modify: false,
    operator: false,
    nowMillis: 0,
  });
  if (result.error !== null) throw new Error(result.error);
  return result.flowNo;
}

t.test("workers' counts are summed", async (t) => {
  const test = createTable({ workerCount: 4 });
  const flowNo = putOne(test);
  const { arena, table } = test;
  t.same(table.flows.stats(flowNo), { packets: 0, bytes: 0, usedMillis: 0, tcpFlags: 0 });
  for (const thread of [0, 1, 3]) {
    const at = new TableReader(arena, thread).statsOffset(flowNo);
    arena.intrinsics.countFlow(at, 10 + thread, 1000, 500 + thread, 1 << thread);
  }
  t.same(table.flows.stats(flowNo), { packets: 34, bytes: 3000, usedMillis: 503, tcpFlags: 0b1011 });
});

t.test("clearing starts from zero, again and again, while counting goes on", async (t) => {
  const test = createTable();
  const flowNo = putOne(test);
  const { arena, table } = test;
  const at = new TableReader(arena, 0).statsOffset(flowNo);
  for (let round = 1; round <= 3; round += 1) {
    arena.intrinsics.countFlow(at, 5, 500, 100 * round, 1 << round);
    t.match(table.flows.stats(flowNo), {
      packets: 5,
      bytes: 500,
      usedMillis: 100 * round,
      tcpFlags: 1 << round,
    });
    t.ok(table.modify(flowNo, outputTo(2), true));
    t.same(table.flows.stats(flowNo), { packets: 0, bytes: 0, usedMillis: 0, tcpFlags: 0 });
  }
  table.remove(flowNo);
  settle(test);
  t.equal(table.memory.keys, 0, "what clearing kept is given back");
});

t.test("a number that is used again has no counts of the flow before", async (t) => {
  const test = createTable({ flowCountMax: 1, workerCount: 4 });
  const { arena, table } = test;
  const first = putOne(test);
  for (const thread of [0, 1, 2, 3]) {
    arena.intrinsics.countFlow(new TableReader(arena, thread).statsOffset(first), 1, 60, 9, 0x10);
  }
  table.remove(first);
  settle(test);
  t.equal(putOne(test, 3), first, "the only number");
  t.same(table.flows.stats(first), { packets: 0, bytes: 0, usedMillis: 0, tcpFlags: 0 });
  const last = arena.region("flowStats");
  t.equal(
    new TableReader(arena, 3).statsOffset(first) + FLOW_STATS_BYTES,
    last.offset + last.bytes,
    "room for the workers' statistics and nobody else's: a dump reads it all, and what is read is resident",
  );
});

t.test("counters that pass 2^32 are read whole while a thread counts", async (t) => {
  const test = createTable();
  const flowNo = putOne(test);
  const { arena } = test;
  const at = new TableReader(arena, 0).statsOffset(flowNo);
  const BYTES = 0x0040_0001;
  const threads = new Threads(t, arena);
  threads.add<CountOptions>(THREAD, { threadIndex: 0, flowNo, bytes: BYTES });
  // Bytes carry at about every thousandth packet, packets soon after the start.
  arena.u64[at >>> 3] = 0xffff_fff0n;
  await threads.go();
  const flows = new FlowReader(arena);
  let before = 0;
  let wrong = "";
  for (let read = 0; read < READS && wrong === ""; read += 1) {
    const { packets, bytes } = flows.totals(flowNo);
    // A carry that is seen half is off by 2^32 at once; the reads of packets and bytes are a few counts apart.
    if (packets < before || packets < 0xffff_fff0) wrong = `packets went from ${before} to ${packets}`;
    if (bytes % BYTES !== 0) wrong = `${bytes} bytes is no multiple of a packet's ${BYTES}`;
    before = packets;
  }
  threads.stop();
  const [counted] = await threads.results<number>();
  t.equal(wrong, "");
  t.equal(flows.totals(flowNo).packets, 0xffff_fff0 + counted!, "nothing is lost");
  t.equal(flows.totals(flowNo).bytes, counted! * BYTES);
});

t.test("hits and probes of each mask", async (t) => {
  const test = createTable();
  const { arena, table } = test;
  putOne(test, 0x01);
  table.put({
    key: keyOfBits(0x06),
    mask: maskOfBits(0x07),
    actions: outputTo(2),
    create: true,
    modify: false,
    operator: false,
    nowMillis: 0,
  });
  const at = arena.region("batches").offset;
  for (const [thread, bits] of [
    [0, 0x01],
    [0, 0x46],
    [1, 0x46],
    [1, 0x18],
  ] as const) {
    const reader = new TableReader(arena, thread);
    reader.refresh();
    arena.u8.set(keyOfBits(bits), at);
    reader.lookup(at);
  }
  const stats = tableStats(arena);
  t.match(stats, { flowCount: 2, hits: 3, probes: 7 });
  t.match(stats.masks, [
    { hits: 1, probes: 4, flowCount: 1 },
    { hits: 2, probes: 3, flowCount: 1 },
  ]);
  for (let hit = 0; hit < 100; hit += 1) {
    const reader = new TableReader(arena, 0);
    reader.refresh();
    arena.u8.set(keyOfBits(0x46), at);
    reader.lookup(at);
  }
  table.sortSubtables();
  t.same(tableStats(arena).masks[0]!.mask, maskOfBits(0x07), "the mask with more hits is probed first");
});
