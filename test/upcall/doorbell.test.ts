// The handler's sleep and the workers' ringing between real threads: no wake-up is lost. The sleeps have a
// limit far beyond any scheduling delay, so a sleep that runs into it with a record in a ring is a lost wake-
// up and nothing else.
import t from "tap";
import { DoorbellListener, DoorbellRinger } from "../../src/ring/doorbell.ts";
import { RingConsumer } from "../../src/ring/spsc-ring.ts";
import { createTestArena } from "../support/dataplane.ts";
import { SEED } from "../support/seed.ts";
import { Threads } from "../support/threads.ts";
import type { RingingOptions } from "./doorbell.thread.ts";

const THREAD = new URL("doorbell.thread.js", import.meta.url);
const WORKERS = 2;
const RECORDS = 3000;
const ENTRIES = 8;
/** Distance of the rings: control words on cache lines of their own, and the entries. */
const RING_BYTES = 4096;
const SLEEP_MILLIS_MAX = 60_000;

t.test("each record wakes the handler or is seen before it sleeps", async (t) => {
  const { arena } = createTestArena();
  const base = arena.region("kernelRings").offset;
  const threads = new Threads(t, arena);
  const rings = Array.from({ length: WORKERS }, (_, worker) => {
    const offset = base + worker * RING_BYTES;
    const options: RingingOptions = { offset, entries: ENTRIES, count: RECORDS, seed: SEED + worker };
    threads.add(THREAD, options);
    return new RingConsumer(arena, offset, ENTRIES, 1);
  });
  const listener = new DoorbellListener(arena);
  const taken = rings.map(() => 0);
  const isEmpty = (): boolean => rings.every((ring) => ring.available() === 0);
  let sleeps = 0;
  let lost = 0;
  await threads.go();
  while (taken.some((count) => count < RECORDS) && lost === 0) {
    let moved = 0;
    for (const [worker, ring] of rings.entries()) {
      for (let left = ring.available(); left > 0; left -= 1) {
        if (ring.take() !== taken[worker]!)
          throw new Error(`worker ${worker}: record ${taken[worker]} is wrong`);
        taken[worker]! += 1;
        moved += 1;
      }
      ring.release();
    }
    if (moved > 0) continue;
    const before = performance.now();
    await listener.sleep(isEmpty, SLEEP_MILLIS_MAX);
    sleeps += 1;
    if (performance.now() - before >= SLEEP_MILLIS_MAX) lost += 1;
  }
  t.equal(lost, 0, "no wake-up was lost");
  t.strictSame(taken, [RECORDS, RECORDS]);
  const woken = await threads.results<number>();
  t.ok(sleeps > 0);
  t.comment(`${sleeps} sleeps, woken ${woken.join(" and ")} times`);
});

t.test("nobody rings at a handler that is awake; a record in time prevents the sleep", async (t) => {
  const { arena } = createTestArena();
  const ringer = new DoorbellRinger(arena);
  const listener = new DoorbellListener(arena);
  t.equal(ringer.ring(), false);
  await listener.sleep(() => false, SLEEP_MILLIS_MAX);
  t.equal(ringer.ring(), false, "awake again");
  await listener.sleep(() => {
    t.equal(ringer.ring(), true, "between the look and the wait");
    return true;
  }, SLEEP_MILLIS_MAX);
  const asleep = listener.sleep(() => true, SLEEP_MILLIS_MAX);
  t.equal(ringer.ring(), true);
  await asleep;
  t.equal(ringer.ring(), false);
});
