// The word ring against an array: random puts, publishes, takes and releases on rings of any size, from any start, so
// that indices wrap at 2^32; then a million words between two threads.
import fc from "fast-check";
import t from "tap";
import { RingConsumer, RingProducer } from "../../src/ring/spsc-ring.ts";
import { runs } from "../support/seed.ts";
import { Threads } from "../support/threads.ts";
import { createRingArena, RING_STARTS, startAt } from "./model.ts";
import type { RingThreadOptions } from "./ring.thread.ts";

const arena = createRingArena();
const offset = arena.region("kernelRings").offset;
const THREAD = new URL("./ring.thread.js", import.meta.url);
const WORDS = 1_000_000;

const step = fc.record({
  do: fc.constantFrom(
    "put" as const,
    "publish" as const,
    "take" as const,
    "release" as const,
    "reopen" as const,
  ),
  count: fc.integer({ min: 1, max: 20 }),
});

t.test("against an array", async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 6 }),
      fc.constantFrom(...RING_STARTS),
      fc.integer({ min: 1, max: 3 }),
      fc.array(step, { maxLength: 120 }),
      (sizeLog2, start, words, steps) => {
        const size = 1 << sizeLog2;
        startAt(arena, offset, start);
        let producer = new RingProducer(arena, offset, size, words);
        let consumer = new RingConsumer(arena, offset, size, words);
        let staged: number[] = [];
        let published: number[] = [];
        let taken = 0;
        let next = 1;
        for (const { do: what, count } of steps) {
          for (let n = 0; n < count && what === "put"; n += 1) {
            const room = staged.length + published.length + taken < size;
            if (producer.free(1) > 0 !== room) return false;
            if (!room) break;
            const slot = producer.slot();
            for (let word = 0; word < words; word += 1) arena.u32[slot + word] = next + word;
            producer.advance();
            staged.push(next);
            next += 1;
          }
          if (what === "publish") {
            producer.publish();
            published = published.concat(staged);
            staged = [];
          }
          for (let n = 0; n < count && what === "take"; n += 1) {
            const available = consumer.available();
            // The consumer may know less than there is until it runs dry, but never more.
            if (available > published.length || (available === 0) !== (published.length === 0)) return false;
            if (available === 0) break;
            const slot = consumer.slot();
            const value = published.shift()!;
            for (let word = 0; word < words; word += 1) {
              if (arena.u32[slot + word] !== value + word) return false;
            }
            consumer.advance();
            taken += 1;
          }
          if (what === "release") {
            consumer.release();
            taken = 0;
          }
          if (what === "reopen" && taken === 0) {
            // Another thread adopts the ring: what was staged is still there, for it to publish.
            producer = new RingProducer(arena, offset, size, words);
            consumer = new RingConsumer(arena, offset, size, words);
            if (producer.stagedCount !== staged.length) return false;
          }
        }
        return true;
      },
    ),
    runs(1500),
  );
  t.pass("every schedule");
});

t.test("put and take of single words, full and empty", async (t) => {
  startAt(arena, offset, 0xffff_ffff);
  const producer = new RingProducer(arena, offset, 4);
  const consumer = new RingConsumer(arena, offset, 4);
  t.strictSame(
    [1, 2, 3, 4, 5].map((word) => producer.put(word)),
    [true, true, true, true, false],
  );
  t.equal(consumer.available(), 0, "nothing is seen before publish");
  producer.publish();
  t.equal(consumer.available(), 4);
  t.strictSame(
    [0, 0, 0, 0].map(() => consumer.take()),
    [1, 2, 3, 4],
  );
  t.notOk(producer.put(5), "no room before release");
  consumer.release();
  t.ok(producer.put(5));
});

t.test("a size that is no power of two is refused", async (t) => {
  t.throws(() => new RingProducer(arena, offset, 3), {
    message: "ring: 3 entries, a power of two is needed",
  });
  t.throws(() => new RingConsumer(arena, offset, 0), RangeError);
});

for (const words of [1, 4]) {
  t.test(`a million entries of ${words} words between two threads, in order and whole`, async (t) => {
    startAt(arena, offset, 0xfff0_0000);
    const threads = new Threads(t, arena);
    for (const role of ["produce", "consume"] as const) {
      const options: RingThreadOptions = { kind: "words", role, offset, entries: 1024, words, count: WORDS };
      threads.add(THREAD, options);
    }
    await threads.go();
    t.strictSame(await threads.results(), [WORDS, WORDS]);
  });
}
