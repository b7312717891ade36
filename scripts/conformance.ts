// Drives the installed Open vSwitch and Millrace with the same random flows and packets and holds together what they
// answer: who takes which flow, what leaves which port, upcalls, dumps with their counters. A difference is made small
// and printed so that it can be run again.
//
//   npm run conformance -- [--seed N] [--seconds N] [--cases N] [--case JSON]
import { program } from "commander";
import type { ConformanceCase, DumpLines } from "../test/support/conformance/case.ts";
import { CaseDrawer, drawPackets } from "../test/support/conformance/draw-case.ts";
import { isRuleCase, type RuleCase } from "../test/support/conformance/rule-case.ts";
import { RULES_PER_BATCH } from "../test/support/conformance/rule-oracle.ts";
import { RuleRunner } from "../test/support/conformance/rule-runner.ts";
import { ConformanceRunner, type Finding } from "../test/support/conformance/runner.ts";
import { oracleSkipReason, oracleVersion } from "../test/support/oracle.ts";
import { SeededRandom } from "../test/support/random.ts";

const SECONDS_DEFAULT = 60;
const POOL_PACKETS = 400;
const CASES_PER_POOL = 400;
const RULE_BATCHES_PER_POOL = 3;
/** After so many findings a run ends: more would say no more. */
const FINDINGS_MAX = 5;
const SEED_MAX = 0x7fffffff;

interface Options {
  readonly seed: number;
  readonly seconds: number;
  readonly cases: number;
  readonly case?: string;
}

function whole(name: string, least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least) return value;
    return program.error(`${name} ${text}: expected a whole number from ${least}`);
  };
}

/** What one side says; of dumps the lines that the other does not have. */
function told(side: unknown, other: unknown): string {
  if (!isDump(side) || !isDump(other)) return JSON.stringify(side);
  const alone = (lines: readonly string[], others: readonly string[]): string[] =>
    lines.filter((line) => !others.includes(line));
  return JSON.stringify([...alone(side.short, other.short), ...alone(side.verbose, other.verbose)]);
}

const isDump = (side: unknown): side is DumpLines =>
  typeof side === "object" && side !== null && "short" in side && "verbose" in side;

function printFinding({ given, rule, what, ours, theirs }: Finding, seed: number): void {
  const lines = [
    `found (seed ${seed}): ${what}`,
    ...(rule === undefined ? [] : [`  rule    ${rule.match} ${rule.rule}`]),
    ...given.flows.map(({ flow, actions }) => `  flow    ${flow} ${actions}`),
    ...given.packets.map((packet) => `  packet  ${packet}`),
    `  Millrace      ${told(ours, theirs)}`,
    `  Open vSwitch  ${told(theirs, ours)}`,
    `  again: npm run conformance -- --case '${JSON.stringify(rule ?? given)}'`,
    "",
  ];
  process.stdout.write(lines.join("\n"));
}

async function runRandom(
  runner: ConformanceRunner,
  rules: RuleRunner,
  { seed, seconds, cases }: Options,
): Promise<number> {
  const started = performance.now();
  const elapsed = (): number => (performance.now() - started) / 1000;
  let findings = 0;
  let drawn = 0;
  const isOver = (): boolean => elapsed() >= seconds || drawn >= cases || findings >= FINDINGS_MAX;
  const report = (finding: Finding): void => {
    findings += 1;
    printFinding(finding, seed);
  };
  for (let pool = 0; !isOver(); pool += 1) {
    const random = new SeededRandom(seed + pool);
    const packets = drawPackets(seed + pool, POOL_PACKETS);
    const drawer = new CaseDrawer(runner.side, packets, (reason) => runner.tally.leftOut(reason));
    for (let batch = 0; batch < RULE_BATCHES_PER_POOL && !isOver(); batch += 1) {
      const count = Math.min(RULES_PER_BATCH, cases - drawn);
      drawn += count;
      for (const finding of await rules.runBatch(random, packets, count)) report(finding);
    }
    for (let index = 0; index < CASES_PER_POOL && !isOver(); index += 1) {
      drawn += 1;
      const given = await drawer.draw(random);
      const finding = given === undefined ? undefined : await runner.run(given);
      if (finding !== undefined) report(finding);
    }
  }
  process.stdout.write(`${runner.tally.report(elapsed())}\n`);
  if (!runner.tally.isShareReached) process.stdout.write("too few flows were accepted by both\n");
  return findings === 0 && runner.tally.isShareReached ? 0 : 1;
}

async function runOne(runner: ConformanceRunner, rules: RuleRunner, text: string): Promise<number> {
  const given = JSON.parse(text) as ConformanceCase | RuleCase;
  const finding = await (isRuleCase(given) ? rules.run(given) : runner.run(given));
  if (finding === undefined) process.stdout.write("both answer the same, or as docs/conformance.md says\n");
  else printFinding(finding, 0);
  return finding === undefined ? 0 : 1;
}

program
  .option(
    "--seed <number>",
    "what flows and packets follow from",
    whole("--seed", 0),
    Math.floor(Math.random() * SEED_MAX),
  )
  .option("--seconds <number>", "how long to go on", whole("--seconds", 1), SECONDS_DEFAULT)
  .option("--cases <number>", "most cases", whole("--cases", 1), Number.MAX_SAFE_INTEGER)
  .option("--case <json>", "one case, as a finding prints it")
  .parse();
const options = program.opts<Options>();
const missing = oracleSkipReason();
if (missing !== false) program.error(`${missing}; install openvswitch-switch`);
process.stdout.write(`conformance with Open vSwitch ${oracleVersion()}, --seed ${options.seed}\n`);
const runner = await ConformanceRunner.start(options.seed);
const rules = await RuleRunner.start(runner.side, runner.tally);
try {
  process.exitCode = await (options.case === undefined
    ? runRandom(runner, rules, options)
    : runOne(runner, rules, options.case));
} finally {
  rules.stop();
  await runner.stop();
}
