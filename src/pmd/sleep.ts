// Adaptive sleep, off unless asked for: each loop without packets makes the next sleep a microsecond longer, up to a
// limit; a loop with packets ends it. The thread is offline meanwhile, so it holds back nothing that waits for readers.
// A command ends a sleep. What the kernel's timers add comes on top, some 60 us.
import type { Arena } from "../memory/arena.ts";
import { THREAD_BLOCK_BYTES } from "../memory/region-plan.ts";
import { THREAD } from "../memory/thread-block.ts";
import type { Pmd } from "./pmd.ts";

const MICROS_PER_MILLI = 1000;

export class SleepPolicy {
  readonly #arena: Arena;
  readonly #pmd: Pmd;
  readonly #commandEpoch: number;
  #microsMax: number;
  #micros = 0;

  /** @param microsMax longest sleep, 0 for none */
  constructor(arena: Arena, pmd: Pmd, microsMax: number) {
    this.#arena = arena;
    this.#pmd = pmd;
    this.#microsMax = microsMax;
    this.#commandEpoch =
      (arena.region("threads").offset + pmd.threadIndex * THREAD_BLOCK_BYTES + THREAD.commandEpoch) >>> 2;
  }

  setLimit(microsMax: number): void {
    this.#microsMax = microsMax;
    this.#micros = 0;
  }

  /** After each loop. @param commandDone the last command epoch that was carried out */
  afterLoop(packets: number, commandDone: number): void {
    if (this.#microsMax === 0) return;
    if (packets > 0) {
      this.#micros = 0;
      return;
    }
    this.#micros = Math.min(this.#microsMax, this.#micros + 1);
    this.#pmd.goOffline();
    Atomics.wait(this.#arena.i32, this.#commandEpoch, commandDone, this.#micros / MICROS_PER_MILLI);
    this.#pmd.countSleep();
  }
}
