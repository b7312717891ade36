// One seed for every random choice of a test file. `SEED=123 node build/test/x.test.js` repeats a run;
// without SEED each run draws its own. The seed is printed as a TAP comment, so that a failure always names
// it.

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
