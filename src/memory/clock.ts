// Time for everything that ages: flows, MAC entries, upcalls. One origin for all threads of the process, since a
// worker's time stamp is compared with the handler's.
import { performance } from "node:perf_hooks";

export interface Clock {
  /** Milliseconds since an origin that all threads share; never goes back. */
  millis(): number;
}

/**
 * The machine's monotonic clock. performance.now() counts from each thread's own start, so the difference to the
 * monotonic clock is taken once; a call costs what performance.now() costs (some 50 ns): once a burst at most.
 */
export class MonotonicClock implements Clock {
  readonly #originMillis = Number(process.hrtime.bigint()) / 1e6 - performance.now();

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
