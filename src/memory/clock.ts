// Time for everything that ages: flows, MAC entries, upcalls. One origin for all threads of the process, since a
// worker's time stamp is compared with the handler's.
import { performance } from "node:perf_hooks";

export interface Clock {
  /** Milliseconds since an origin that all threads share; never goes back. */
  millis(): number;
}

/** Readings of both clocks, of which the quickest counts: a thread may lose its processor in the middle of one. */
const ORIGIN_READINGS = 8;

/** What performance.now() of this thread is behind the monotonic clock. */
function originMillis(): number {
  let shortest = Number.POSITIVE_INFINITY;
  let origin = 0;
  for (let reading = 0; reading < ORIGIN_READINGS; reading += 1) {
    const before = performance.now();
    const monotonic = Number(process.hrtime.bigint()) / 1e6;
    const after = performance.now();
    if (after - before >= shortest) continue;
    shortest = after - before;
    origin = monotonic - (before + after) / 2;
  }
  return origin;
}

/**
 * The machine's monotonic clock. performance.now() counts from each thread's own start, so the difference to the
 * monotonic clock is taken once; a call costs what performance.now() costs (some 50 ns): once a burst at most.
 */
export class MonotonicClock implements Clock {
  readonly #originMillis = originMillis();

  millis(): number {
    return this.#originMillis + performance.now();
  }
}

/** Time that its owner sets: replay and tests. */
export class VirtualClock implements Clock {
  #millis: number;

  constructor(millis = 0) {
    this.#millis = millis;
  }

  millis(): number {
    return this.#millis;
  }

  /** Moves to a later time; an earlier one leaves the clock where it is. */
  advanceTo(millis: number): void {
    this.#millis = Math.max(this.#millis, millis);
  }

  advance(millis: number): void {
    this.#millis += millis;
  }
}
