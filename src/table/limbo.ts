// Things that were unpublished and wait for readers to leave them. Each is a number (an action list, a heap block, a
// flow) and they are handed to the epochs in bundles: one change of the epoch and one callback for many removals.
import type { EpochWriter } from "../memory/epoch.ts";

/** Removals that share an epoch: enough to make its cost vanish, few enough that memory comes back soon. */
const BUNDLE = 64;

export class Limbo {
  readonly #epochs: EpochWriter;
  readonly #free: (thing: number) => void;
  #things: number[] = [];
  #waiting = 0;
  readonly #graced: number[][] = [];

  /** @param free gets each thing when no reader can see it any more */
  constructor(epochs: EpochWriter, free: (thing: number) => void) {
    this.#epochs = epochs;
    this.#free = free;
  }

  /** Things not freed yet. */
  get count(): number {
    return this.#waiting;
  }

  /** Takes a thing that was just unpublished. */
  add(thing: number): void {
    this.#things.push(thing);
    this.#waiting += 1;
    if (this.#things.length >= BUNDLE) this.flush();
  }

  /** Starts the grace period of everything added so far. */
  flush(): void {
    if (this.#things.length === 0) return;
    const bundle = this.#things;
    this.#things = [];
    this.#epochs.retire(() => this.#graced.push(bundle));
  }

  /** Frees up to `limit` things whose grace period is over. Returns how many it freed. */
  collect(limit: number): number {
    let done = 0;
    while (done < limit) {
      const bundle = this.#graced.at(-1);
      if (bundle === undefined) break;
      this.#free(bundle.pop()!);
      if (bundle.length === 0) this.#graced.pop();
      done += 1;
    }
    this.#waiting -= done;
    return done;
  }
}
