// Feeds every parser with damaged input, and keeps what it finds for the tests.
//
//   npm run fuzz -- [--target NAME] [--count N | --seconds N] [--seed N]
//
// A finding is written to test/fuzz-corpus/TARGET/, where npm test replays it from then on; the exit code is 1.
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Mutator } from "./fuzz/mutator.ts";
import { findingOf } from "./fuzz/runner.ts";
import { type FuzzTarget, TARGETS } from "./fuzz/targets.ts";

const CORPUS = resolve(import.meta.dirname, "../../test/fuzz-corpus");
/** Of one target: what breaks once breaks often. */
const FINDINGS_MAX = 10;
const SEED_MAX = 0x7fffffff;

const { values: options } = parseArgs({
  options: {
    target: { type: "string" },
    count: { type: "string" },
    seconds: { type: "string" },
    seed: { type: "string" },
  },
});
const seed = options.seed === undefined ? Math.floor(Math.random() * SEED_MAX) : Number(options.seed);
const targets = TARGETS.filter(({ name }) => options.target === undefined || name === options.target);
if (targets.length === 0) {
  console.error(`no target ${options.target}; there are ${TARGETS.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
const count = options.seconds === undefined ? Number(options.count ?? 20_000) : Number.POSITIVE_INFINITY;
const millis = options.seconds === undefined ? Number.POSITIVE_INFINITY : Number(options.seconds) * 1000;
console.log(`seed ${seed}`);
const findings = targets.reduce((sum, target) => sum + fuzz(target), 0);
process.exitCode = findings === 0 ? 0 : 1;

function fuzz(target: FuzzTarget): number {
  const mutator = new Mutator(seed);
  const begun = performance.now();
  let found = 0;
  let inputs = 0;
  for (; inputs < count && performance.now() - begun < millis && found < FINDINGS_MAX; inputs += 1) {
    const input = mutator.input(target.seeds);
    const finding = findingOf(target, input);
    if (finding === undefined) continue;
    found += 1;
    const folder = join(CORPUS, target.name);
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${seed}-${inputs}`);
    writeFileSync(file, input);
    console.log(`${target.name}: ${file}\n  ${finding}`);
  }
  console.log(`${target.name}: ${inputs} inputs, ${found} findings`);
  return found;
}
