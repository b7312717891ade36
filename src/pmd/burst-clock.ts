// The time of a burst. Reading it must not allocate: performance.now() makes a heap number a call, which a worker that
// never rests turns into garbage collections. So the addon writes nanoseconds into the thread's block, and everybody
// reads the time from one typed array.
//
// Per read: one call into the addon, about 0.1 us. Memory: THREAD.nanos of the thread's block.
import type { Arena } from "../memory/arena.ts";
import { type Clock, MonotonicClock } from "../memory/clock.ts";
import { THREAD_BLOCK_BYTES } from "../memory/region-plan.ts";
import { THREAD } from "../memory/thread-block.ts";
import { type Native, native, nativeUnavailable } from "../native.ts";

const NANOS_PER_MILLI = 1e6;
const HIGH_WORD = 2 ** 32;

export class BurstClock {
  /** [0] milliseconds of the last read, on the scale of MonotonicClock. */
  readonly now = new Float64Array(1);
  readonly #arena: Arena;
  readonly #nanosAt: number;
  readonly #native: Native | null;
  readonly #clock: Clock;

  /** @param clock time that somebody else makes (replay, tests); absent: the machine's */
  constructor(arena: Arena, threadIndex: number, clock?: Clock) {
    this.#arena = arena;
    this.#nanosAt = arena.region("threads").offset + threadIndex * THREAD_BLOCK_BYTES + THREAD.nanos;
    this.#native = clock === undefined && nativeUnavailable() === undefined ? native() : null;
    this.#clock = clock ?? new MonotonicClock();
    this.read();
  }

  read(): void {
    if (this.#native === null) {
      this.now[0] = this.#clock.millis();
      return;
    }
    this.#native.clockStore(this.#arena.u8, this.#nanosAt);
    const word = this.#nanosAt >>> 2;
    this.now[0] = (this.#arena.u32[word + 1]! * HIGH_WORD + this.#arena.u32[word]!) / NANOS_PER_MILLI;
  }
}
