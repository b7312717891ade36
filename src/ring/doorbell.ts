// The handler's doorbell. A worker that published records rings only when the handler sleeps, at most once a burst.
//
// No wake-up is lost, because each side stores before it looks (both ordered, so neither passes the other):
//   worker:  publish records        then load `handlerSleeping`, and add to the doorbell and notify when it is set
//   handler: set `handlerSleeping`  then look into every ring, and sleep only when all are empty
// Either the worker sees the flag, or the handler sees the record. The handler read the doorbell word before it looked
// at the rings and waits on that value, so a ring in between ends the wait at once.
import { setImmediate } from "node:timers/promises";
import type { Arena } from "../memory/arena.ts";
import { GLOBAL } from "../memory/thread-block.ts";

/** For whoever wakes the handler: workers after publish(), control after posting a command. */
export class DoorbellRinger {
  readonly #arena: Arena;
  readonly #sleepingAt: number;
  readonly #word: number;

  constructor(arena: Arena) {
    const globals = arena.region("globals").offset;
    this.#arena = arena;
    this.#sleepingAt = globals + GLOBAL.handlerSleeping;
    this.#word = (globals + GLOBAL.doorbell) >>> 2;
  }

  /** True when the handler slept and was woken. The wake-up itself is rare, so JavaScript's Atomics will do. */
  ring(): boolean {
    // Pairs with the handler's setSleeping.
    if (this.#arena.intrinsics.load(this.#sleepingAt) === 0) return false;
    Atomics.add(this.#arena.i32, this.#word, 1);
    Atomics.notify(this.#arena.i32, this.#word, 1);
    return true;
  }
}

/** For the handler thread alone. */
export class DoorbellListener {
  readonly #arena: Arena;
  readonly #sleepingAt: number;
  readonly #word: number;

  constructor(arena: Arena) {
    const globals = arena.region("globals").offset;
    this.#arena = arena;
    this.#sleepingAt = globals + GLOBAL.handlerSleeping;
    this.#word = (globals + GLOBAL.doorbell) >>> 2;
  }

  /**
   * Sleeps until somebody rings or the time is over; the thread's event loop runs meanwhile.
   * @param idle looks into every ring again; called after the sleeping word is set
   */
  async sleep(idle: () => boolean, millisMax: number): Promise<void> {
    const { i32, intrinsics } = this.#arena;
    const seen = Atomics.load(i32, this.#word);
    // Pairs with the load in DoorbellRinger.ring().
    intrinsics.store(this.#sleepingAt, 1);
    // Either way the event loop gets its turn: work that cannot go on now must not keep requests out.
    if (idle()) {
      const wait = Atomics.waitAsync(i32, this.#word, seen, millisMax);
      if (wait.async) await wait.value;
    } else {
      await setImmediate();
    }
    intrinsics.store(this.#sleepingAt, 0);
  }
}
