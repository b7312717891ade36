// Meters: what passes over ten seconds is one burst and the rate, however many workers share the meter, in one thread by
// turns on a clock of the test's own, and in real threads at once.
import t, { type Test } from "tap";
import { MeterTable } from "../../src/action/meter-table.ts";
import { Meters } from "../../src/action/meters.ts";
import { METER_COUNT_MAX } from "../../src/memory/region-plan.ts";
import { createTestArena } from "../support/dataplane.ts";
import { SeededRandom } from "../support/random.ts";
import { SEED } from "../support/seed.ts";
import { Threads } from "../support/threads.ts";
import type { MeterThreadOptions, MeterThreadResult } from "./meters.thread.ts";

const SECONDS = 10;
const PACKET_BYTES = 500;
const METER_ID = METER_COUNT_MAX - 1;

/** Offers `load` times the rate in random bursts to workers in turn; returns packets that passed and were offered. */
function run(
  t: Test,
  workers: number,
  unit: "pktps" | "kbps",
  rate: number,
  burst: number,
  load: number,
): void {
  const { arena } = createTestArena();
  const table = new MeterTable(arena);
  table.set(METER_ID, { unit, bands: [{ rate, burst }] });
  const now = new Float64Array([1000]);
  const meters = Array.from({ length: workers }, () => new Meters(arena, now));
  const random = new SeededRandom(SEED);
  const perPacket = unit === "pktps" ? 1 : (PACKET_BYTES * 8) / 1000;
  const packetsPerMilli = (rate / perPacket / 1000) * load;
  let passed = 0;
  let offered = 0;
  let due = 0;
  for (let milli = 0; milli < SECONDS * 1000; milli += 1) {
    now[0] = 1000 + milli;
    for (due += packetsPerMilli; due >= 1; ) {
      const worker = meters[random.below(workers)]!;
      const count = Math.min(1 + random.below(64), Math.floor(due));
      due -= count;
      offered += count;
      for (let packet = 0; packet < count; packet += 1)
        if (worker.admits(METER_ID, PACKET_BYTES)) passed += 1;
      worker.settle();
    }
  }
  const allowed = (rate * SECONDS) / perPacket;
  const most = allowed * 1.01 + burst / perPacket;
  const least = Math.min(offered, allowed * 0.99);
  t.ok(
    passed <= most && passed >= least,
    `${passed} of ${offered}, ${least} to ${most}, ${unit} ${workers} workers`,
  );
  const view = table.view(METER_ID)!;
  t.equal(view.packets, offered);
  t.equal(view.bands[0]!.packets, offered - passed);
  t.equal(view.bands[0]!.bytes, (offered - passed) * PACKET_BYTES);
}

for (const workers of [1, 2, 4]) {
  t.test(`exact with ${workers} workers`, async (t) => {
    run(t, workers, "pktps", 10_000, 100, 3);
    run(t, workers, "pktps", 1_000, 1_000, 1.5);
    run(t, workers, "kbps", 20_000, 500, 4);
    run(t, workers, "kbps", 100_000, 100_000, 1.1);
    run(t, workers, "pktps", 5_000, 5_000, 0.5);
  });
}

t.test("a burst at once, then nothing until tokens come", async (t) => {
  const { arena } = createTestArena();
  const table = new MeterTable(arena);
  const now = new Float64Array([5000]);
  const meters = new Meters(arena, now);
  const burst = (): number => {
    let passed = 0;
    for (let packet = 0; packet < 100; packet += 1) if (meters.admits(3, 100)) passed += 1;
    meters.settle();
    return passed;
  };
  table.set(3, { unit: "pktps", bands: [{ rate: 1000, burst: 40 }] });
  t.equal(burst(), 40);
  t.equal(burst(), 0);
  now[0] = 5007;
  t.equal(burst(), 7);
  now[0] = 9000;
  t.equal(burst(), 40, "no more than one burst gathers");
  table.set(3, { unit: "pktps", bands: [{ rate: 50 }] });
  t.equal(burst(), 50, "without a burst it is the rate");
});

t.test("of several bands the one with the highest rate is blamed", async (t) => {
  const { arena } = createTestArena();
  const table = new MeterTable(arena);
  const meters = new Meters(arena, new Float64Array([5000]));
  table.set(0, {
    unit: "pktps",
    bands: [
      { rate: 10, burst: 10 },
      { rate: 20, burst: 20 },
    ],
  });
  let passed = 0;
  for (let packet = 0; packet < 30; packet += 1) if (meters.admits(0, 64)) passed += 1;
  meters.settle();
  t.equal(passed, 10);
  t.strictSame(
    table.view(0)!.bands.map(({ packets }) => packets),
    [10, 10],
  );
});

t.test("more meters in a burst than are held open, and meters that do not exist", async (t) => {
  const { arena } = createTestArena();
  const table = new MeterTable(arena);
  const meters = new Meters(arena, new Float64Array([5000]));
  for (let id = 0; id < 50; id += 1) table.set(id, { unit: "pktps", bands: [{ rate: 4 }] });
  let passed = 0;
  for (let turn = 0; turn < 10; turn += 1)
    for (let id = 0; id < 50; id += 1) if (meters.admits(id, 64)) passed += 1;
  meters.settle();
  t.equal(passed, 50 * 4);
  t.ok(meters.admits(77, 64) && meters.admits(METER_COUNT_MAX, 64) && meters.admits(0xffffffff, 64));
  t.equal(meters.unknown, 3);
  t.ok(table.remove(5));
  t.notOk(table.remove(5));
  t.ok(meters.admits(5, 64));
  t.throws(() => table.set(METER_COUNT_MAX, { unit: "kbps", bands: [{ rate: 1 }] }), /0 to 262143/);
  t.throws(() => table.set(1, { unit: "kbps", bands: [] }), /1 to 8/);
  t.throws(() => table.set(1, { unit: "kbps", bands: [{ rate: 0 }] }), /rate 0/);
});

for (const workers of [2, 4]) {
  t.test(`exact in ${workers} threads at once`, async (t) => {
    const { arena } = createTestArena();
    const table = new MeterTable(arena);
    const [rate, burst] = [100_000, 1_000];
    table.set(9, { unit: "pktps", bands: [{ rate, burst }] });
    const threads = new Threads(t, arena);
    const file = new URL("./meters.thread.js", import.meta.url);
    const packetCount = 2_000_000;
    // Every thread takes the meter through the same ten seconds, each at its own pace: time is the packets' own.
    for (let thread = 0; thread < workers; thread += 1)
      threads.add<MeterThreadOptions>(file, { meter: 9, packetCount, seconds: SECONDS });
    await threads.go();
    const results = await threads.results<MeterThreadResult>();
    const passed = results.reduce((sum, result) => sum + result.passed, 0);
    t.ok(passed <= rate * SECONDS * 1.01 + burst, `${passed} passed`);
    t.ok(passed >= rate * SECONDS * 0.9, `${passed} passed`);
    t.equal(table.view(9)!.packets, workers * packetCount);
    t.equal(table.view(9)!.bands[0]!.packets, workers * packetCount - passed);
  });
}
