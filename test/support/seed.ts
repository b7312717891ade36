// One seed for every random choice of a test file. `SEED=123 node build/test/x.test.js` repeats a run; without SEED
// each run draws its own. The seed is printed as a TAP comment, so that a failure always names it.

import t from "tap";

const SEED_MAX = 0x7fffffff;

export const SEED = readSeed();
t.comment(`SEED=${SEED}`);

function readSeed(): number {
  const given = process.env["SEED"];
  if (given === undefined) return Math.floor(Math.random() * SEED_MAX);
  const seed = Number(given);
  if (!Number.isInteger(seed) || seed < 0 || seed > SEED_MAX) {
    throw new RangeError(`SEED=${given}: expected an integer between 0 and ${SEED_MAX}`);
  }
  return seed;
}

/** Parameters for fc.assert: the file's seed, and how many runs. */
export function runs(numRuns: number): { seed: number; numRuns: number } {
  return { seed: SEED, numRuns };
}

/** A small generator of 32-bit numbers (mulberry32) for loops that fast-check does not drive. */
export class SeededRandom {
  #state: number;

  constructor(seed: number = SEED) {
    this.#state = seed | 0;
  }

  next32(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** An integer from 0 up to `limit`, `limit` left out. */
  below(limit: number): number {
    return Math.floor((this.next32() / 0x1_0000_0000) * limit);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }

  chance(probability: number): boolean {
    return this.next32() < probability * 0x1_0000_0000;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.next32() & 0xff);
  }
}
