// The frame pool: every frame is in exactly one place whatever a thread, or several, do with it. The debug ledger checks
// each hand-over; a planted double free shows that it would notice.
import fc from "fast-check";
import t, { type Test } from "tap";
import { Arena } from "../../src/memory/arena.ts";
import { BUNDLE_FRAMES, FRAME_STACK_CAPACITY, NO_FRAME } from "../../src/memory/frame-layout.ts";
import { FrameLedger } from "../../src/memory/frame-ledger.ts";
import { FramePool, fillReserve, reserveCount } from "../../src/memory/frame-pool.ts";
import { Packets } from "../../src/memory/packets.ts";
import { DEFAULT_SIZES } from "../../src/memory/region-plan.ts";
import { runs } from "../support/seed.ts";
import { Threads } from "../support/threads.ts";
import type { PoolThreadOptions } from "./frame-pool.thread.ts";

const RING_ENTRIES = 256;
/** Frames that drift one way: each goes through the reserve some hundred times. */
const DRIFT_FRAMES = Number(process.env["DRIFT_FRAMES"] ?? 1_000_000);
const THREAD = new URL("./frame-pool.thread.js", import.meta.url);

function createArena(workerCount: number, frameCount: number): Arena {
  const arena = Arena.create({
    ...DEFAULT_SIZES,
    workerCount,
    frameCount,
    flowCountMax: 16,
    kernelRingBytes: 1 << 20,
  });
  fillReserve(arena);
  return arena;
}

t.test("alloc and free against a model", async (t) => {
  const operations = fc.array(fc.integer({ min: -900, max: 900 }), { maxLength: 20 });
  fc.assert(
    fc.property(fc.integer({ min: 64, max: 2000 }), operations, (frameCount, steps) => {
      const arena = createArena(1, frameCount);
      const pools = [new FramePool(arena, 0, true), new FramePool(arena, 1, true)] as const;
      const held: [number[], number[]] = [[], []];
      for (const [index, change] of steps.entries()) {
        const who = index & 1;
        for (let n = 0; n < change; n += 1) {
          const frame = pools[who]!.alloc();
          if (frame === NO_FRAME) break;
          held[who]!.push(frame);
        }
        for (let n = 0; n < -change && held[who]!.length > 0; n += 1) pools[who]!.free(held[who]!.pop()!);
        const all = held.flat();
        if (new Set(all).size !== all.length) return false;
        const stacks = pools[0].stackCount + pools[1].stackCount;
        if (all.length + stacks + reserveCount(arena) !== frameCount) return false;
      }
      return true;
    }),
    runs(30),
  );
  t.pass("every sequence");
});

t.test("an empty pool says so, and serves again", async (t) => {
  const arena = createArena(1, 100);
  const pool = new FramePool(arena, 0, true);
  const frames = Array.from({ length: 100 }, () => pool.alloc());
  t.equal(new Set(frames).size, 100);
  t.equal(pool.alloc(), NO_FRAME);
  for (const frame of frames) pool.free(frame);
  t.not(pool.alloc(), NO_FRAME);
});

t.test("a full stack spills its coldest bundle", async (t) => {
  const arena = createArena(1, 1024);
  const pool = new FramePool(arena, 0, true);
  const frames = Array.from({ length: FRAME_STACK_CAPACITY + 1 }, () => pool.alloc());
  for (const frame of frames) pool.free(frame);
  t.equal(reserveCount(arena) + pool.stackCount, 1024);
  t.ok(pool.stackCount <= FRAME_STACK_CAPACITY - BUNDLE_FRAMES + BUNDLE_FRAMES);
  pool.drain();
  t.equal(pool.stackCount, 0);
  t.equal(reserveCount(arena), 1024);
});

t.test("the ledger names a planted double free", async (t) => {
  const arena = createArena(2, 128);
  const pool = new FramePool(arena, 0, true);
  const frame = pool.alloc();
  pool.free(frame);
  t.throws(() => pool.free(frame), {
    message: `frame ledger: frame ${frame} goes from held 0 to stack 0, but stack 0 owns it`,
  });
  const other = new FramePool(arena, 1, true);
  const mine = pool.alloc();
  t.throws(() => other.free(mine), { message: /goes from held 1 to stack 1, but held 0 owns it/ });
  const counts = new FrameLedger(arena).audit();
  t.equal(
    [...counts.values()].reduce((sum, count) => sum + count, 0),
    128,
    "the audit counts every frame once",
  );
});

t.test("packets over frames keep their bytes and return every frame", async (t) => {
  const arena = createArena(1, 256);
  const pool = new FramePool(arena, 0, true);
  const packets = new Packets(arena, pool);
  const shape = fc.record({
    bytes: fc.uint8Array({ maxLength: 5000 }),
    segment: fc.integer({ min: 64, max: 1700 }),
    cut: fc.integer({ min: 0, max: 6000 }),
  });
  fc.assert(
    fc.property(shape, ({ bytes, segment, cut }) => {
      const frame = packets.fromBytes(bytes, 7, segment);
      const copy = packets.clone(frame, cut);
      packets.truncate(frame, Math.max(1, cut));
      const same =
        Buffer.compare(packets.toBytes(copy), bytes.subarray(0, cut)) === 0 &&
        Buffer.compare(packets.toBytes(frame), bytes.subarray(0, Math.max(1, cut))) === 0 &&
        packets.portNo(copy) === 7;
      pool.freePacket(frame);
      pool.freePacket(copy);
      return same && pool.stackCount + reserveCount(arena) === 256;
    }),
    runs(300),
  );
  t.pass("every packet");
});

/** Rings stand in the kernelRings region, a page each. */
async function drift(
  t: Test,
  hops: readonly (readonly [from: number | null, to: number | null])[],
): Promise<void> {
  const arena = createArena(hops.length, 4096);
  const ring = (index: number | null): number | null =>
    index === null ? null : arena.region("kernelRings").offset + index * 4096;
  const threads = new Threads(t, arena);
  for (const [threadIndex, [from, to]] of hops.entries()) {
    const options: PoolThreadOptions = {
      threadIndex,
      from: ring(from),
      to: ring(to),
      ringEntries: RING_ENTRIES,
      frameCount: Math.floor(DRIFT_FRAMES / hops.length),
    };
    threads.add(THREAD, options);
  }
  await threads.go();
  for (const { done } of await threads.results<{ done: number }>())
    t.equal(done, Math.floor(DRIFT_FRAMES / hops.length));
  t.equal(reserveCount(arena), 4096, "every frame came home");
  t.strictSame([...new FrameLedger(arena).audit()], [["reserve 0", 4096]]);
}

t.test("frames drift one way between two threads and none is lost", (t) =>
  drift(t, [
    [null, 0],
    [0, null],
  ]),
);
t.test("threads that share only the reserve", (t) =>
  drift(t, [
    [null, null],
    [null, null],
    [null, null],
  ]),
);
t.test("two one-way pairs at once", (t) =>
  drift(t, [
    [null, 0],
    [0, null],
    [null, 1],
    [1, null],
  ]),
);
