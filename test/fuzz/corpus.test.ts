// Every parser with what fuzzing found before, and with some fresh inputs (npm run fuzz makes many more).
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";
import { Mutator } from "../../scripts/fuzz/mutator.ts";
import { findingOf } from "../../scripts/fuzz/runner.ts";
import { TARGETS } from "../../scripts/fuzz/targets.ts";
import { SEED } from "../support/seed.ts";

const CORPUS = resolve(import.meta.dirname, "../../../test/fuzz-corpus");
const FRESH_INPUTS = 300;

for (const target of TARGETS) {
  t.test(target.name, async (t) => {
    const folder = join(CORPUS, target.name);
    const found = existsSync(folder) ? readdirSync(folder) : [];
    for (const name of found) t.equal(findingOf(target, readFileSync(join(folder, name))), undefined, name);
    for (const [index, seed] of target.seeds.entries())
      t.equal(findingOf(target, Uint8Array.from(seed)), undefined, `seed ${index}`);
    const mutator = new Mutator(SEED);
    for (let count = 0; count < FRESH_INPUTS; count += 1) {
      const input = mutator.input(target.seeds);
      const finding = findingOf(target, input);
      if (finding !== undefined) t.fail(`${Buffer.from(input).toString("hex")}: ${finding}`);
    }
    t.pass(`${FRESH_INPUTS} fresh inputs`);
  });
}

t.test("a finding is one: a target that breaks its word is told", async (t) => {
  const broken = { name: "broken", seeds: [], refusals: [RangeError], run: () => undefined };
  t.equal(findingOf(broken, new Uint8Array(0)), undefined);
  const refuses = {
    ...broken,
    run: () => {
      throw new RangeError("no");
    },
  };
  t.equal(findingOf(refuses, new Uint8Array(0)), undefined);
  const breaks = {
    ...broken,
    run: () => {
      throw new TypeError("undefined is not a function");
    },
  };
  t.match(findingOf(breaks, new Uint8Array(0)), /threw TypeError/);
});
