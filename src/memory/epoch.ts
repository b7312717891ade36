// RCU by epochs. What a reader sees is immutable once published; what a change replaced is freed after every thread
// that could have seen it has passed a quiescent point.
//
// The rule. At burst start a reader loads the global epoch (ordered) and stores that value in its own word. A writer
// that unpublished something at epoch E (the value after raising it) may free it when every online reader's word is
// at least E: such a reader loaded the epoch after the raise, hence after the unpublishing store, hence cannot find
// what was unpublished. A thread sets OFFLINE before it sleeps, blocks or stops, and loads all roots anew after.
// A word that each reader bumps by itself would not do: on x86 its store may pass its later loads.
//
// Epochs are 32-bit and wrap: at a thousand changes a second after some weeks. They are therefore compared by their
// difference, and the epoch that would equal OFFLINE is left out.
import type { Arena } from "./arena.ts";
import { THREAD_BLOCK_BYTES, threadCount } from "./region-plan.ts";
import { GLOBAL, OFFLINE, THREAD } from "./thread-block.ts";

/** True when epoch `a` is not before epoch `b`: right while they are less than 2^31 changes apart. */
const reached = (a: number, b: number): boolean => ((a - b) | 0) >= 0;

/** A reader's side: one instance in the thread that reads. */
export class EpochReader {
  readonly #arena: Arena;
  readonly #global: number;
  readonly #own: number;

  constructor(arena: Arena, threadIndex: number) {
    this.#arena = arena;
    this.#global = arena.region("globals").offset + GLOBAL.epoch;
    this.#own = arena.region("threads").offset + threadIndex * THREAD_BLOCK_BYTES + THREAD.epoch;
  }

  /** Once a burst, when no reference from the burst before is held. The store pairs with the writer's `load` in safeEpoch. */
  quiesce(): void {
    const { intrinsics } = this.#arena;
    const epoch = intrinsics.load(this.#global);
    if (this.#arena.i32[this.#own >>> 2] !== epoch) intrinsics.store(this.#own, epoch);
  }

  /** Before sleeping, blocking or stopping. */
  goOffline(): void {
    this.#arena.intrinsics.store(this.#own, OFFLINE);
  }
}

interface Retired {
  readonly epoch: number;
  readonly free: () => void;
}

/** The writer's side: one instance in each thread that unpublishes. */
export class EpochWriter {
  readonly #arena: Arena;
  readonly #global: number;
  readonly #words: readonly number[];
  #retired: Retired[] = [];

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#global = arena.region("globals").offset + GLOBAL.epoch;
    const threads = arena.region("threads").offset;
    this.#words = Array.from(
      { length: threadCount(arena.plan.sizes) },
      (_, index) => threads + index * THREAD_BLOCK_BYTES + THREAD.epoch,
    );
  }

  /** Sets every thread offline; the creator of the arena calls it before any other thread starts. */
  initialise(): void {
    for (const word of this.#words) this.#arena.intrinsics.store(word, OFFLINE);
    this.#arena.intrinsics.store(this.#global, 1);
  }

  /** Control sets a dead thread offline, so that it holds nothing back. */
  setOffline(threadIndex: number): void {
    this.#arena.intrinsics.store(this.#words[threadIndex]!, OFFLINE);
  }

  /** Raises the epoch; what was unpublished before the call is safe to free once `isSafe(result)`. */
  advance(): number {
    const { i32 } = this.#arena;
    const index = this.#global >>> 2;
    for (;;) {
      const old = Atomics.load(i32, index);
      const next = ((old + 1) | 0) === OFFLINE ? (OFFLINE + 1) | 0 : (old + 1) | 0;
      if (Atomics.compareExchange(i32, index, old, next) === old) return next;
    }
  }

  /** The oldest epoch that an online thread still stands at; the newest when none is online. */
  safeEpoch(): number {
    // Loaded before the words: a reader that comes online in between stands at this epoch or a later one.
    let oldest = this.#arena.intrinsics.load(this.#global);
    for (const word of this.#words) {
      const epoch = this.#arena.intrinsics.load(word);
      if (epoch !== OFFLINE && !reached(epoch, oldest)) oldest = epoch;
    }
    return oldest;
  }

  /** True when no reader can still see what was unpublished before `advance()` returned this epoch. */
  isSafe(epoch: number): boolean {
    return reached(this.safeEpoch(), epoch);
  }

  /** Calls `free` once every reader has left what was unpublished before this call. */
  retire(free: () => void): void {
    this.#retired.push({ epoch: this.advance(), free });
  }

  /** Frees what is safe by now, oldest first. Returns how many are left waiting. */
  reclaim(): number {
    const safe = this.safeEpoch();
    let done = 0;
    while (done < this.#retired.length && reached(safe, this.#retired[done]!.epoch)) {
      this.#retired[done]!.free();
      done += 1;
    }
    if (done > 0) this.#retired = this.#retired.slice(done);
    return this.#retired.length;
  }

  /** Things that wait to be freed. */
  get retiredCount(): number {
    return this.#retired.length;
  }

  /** Thread indices that hold the oldest retired thing back: a stuck reader shows here. */
  laggards(): number[] {
    const oldest = this.#retired[0];
    if (oldest === undefined) return [];
    return this.#words.flatMap((word, index) => {
      const epoch = this.#arena.intrinsics.load(word);
      return epoch !== OFFLINE && !reached(epoch, oldest.epoch) ? [index] : [];
    });
  }
}
