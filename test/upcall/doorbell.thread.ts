// A worker of doorbell.test.ts: publishes one record, rings, and publishes no other until that one was taken.
// So each record's wake-up matters: if it is lost nobody rings again.
import { DoorbellRinger } from "../../src/ring/doorbell.ts";
import { RingProducer } from "../../src/ring/spsc-ring.ts";
import { SeededRandom } from "../support/random.ts";
import { runThread } from "../support/threads.ts";

export interface RingingOptions {
  readonly offset: number;
  readonly entries: number;
  readonly count: number;
  readonly seed: number;
}

/** Loops between two records: from none to about as long as the handler takes to fall asleep. */
const PAUSE_LOOPS_MAX = 20_000;

runThread<RingingOptions>(({ arena, options: { offset, entries, count, seed }, stopping }) => {
  const ring = new RingProducer(arena, offset, entries, 1);
  const doorbell = new DoorbellRinger(arena);
  const random = new SeededRandom(seed);
  let woken = 0;
  for (let sent = 0; sent < count; sent += 1) {
    for (let loops = random.below(PAUSE_LOOPS_MAX); loops > 0; loops -= 1) if (stopping()) return woken;
    arena.u32[ring.slot()] = sent;
    ring.advance();
    ring.publish();
    if (doorbell.ring()) woken += 1;
    while (ring.free(entries) < entries) if (stopping()) return woken;
  }
  return woken;
});
