// millrace and its peers on the same frames and flows: one worker, one CPU, 64-byte frames from memory, each copied into
// a fresh buffer. All take turns, round by round, on every scenario (bench-scenarios.ts); each starts afresh each time.
//
//   node build/scripts/bench-peers.js [--rounds 3] [--seconds 2] [--scenario NAME ...] [--json] [--list]
//                                     [--peers-from DIR] [--ovs PATH] [--l3fwd PATH] [--engine NAME] [--smoke]
//
// Peers are driven by a kit outside this repository, in the folder that --peers-from names; without it they are passed
// over, and millrace alone is measured. --smoke shows in some seconds that every scenario works, without peers.
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { endCurrent, hasProgram } from "./bench-child.ts";
import {
  type Contestant,
  cleanUp,
  contestants,
  type Measurement,
  SETUP_SCENARIO,
  type Site,
  setupContestants,
} from "./bench-contestants.ts";
import { findPeers, type Peers } from "./bench-peers-available.ts";
import { describeMachine, formatMachine, formatTable, type ScenarioResult, toJson } from "./bench-report.ts";
import { writeScenario } from "./bench-scenario.ts";
import { scenarios, setupFrames } from "./bench-scenarios.ts";

/** What --smoke makes of each scenario. */
const SMOKE = { count: 64, seconds: 0.1, rounds: 1 } as const;
const SETUP_FLOWS = 200_000;
const OTHER_CPU = 0;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    scenario: { type: "string", multiple: true },
    json: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
    "peers-from": { type: "string" },
    ovs: { type: "string" },
    l3fwd: { type: "string" },
    engine: { type: "string" },
  },
});
const rounds = values.smoke ? SMOKE.rounds : Number(values.rounds);
const seconds = values.smoke ? SMOKE.seconds : Number(values.seconds);
if (!(rounds >= 1 && seconds > 0)) throw new RangeError("--rounds takes 1 or more, --seconds more than 0");
/** What is not the result, while --json has standard output for itself. */
const tell = values.json ? console.error : console.log;

let isEnding = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    isEnding = true;
    endCurrent();
  });
}

interface Entry {
  readonly name: string;
  readonly title: string;
  readonly unit: ScenarioResult["unit"];
  readonly besideOwn?: string | undefined;
  /** Writes the scenario's files. */
  readonly contestants: (site: Site, peers: Peers | undefined) => Contestant[];
}

function entries(): Entry[] {
  const countMax = values.smoke ? SMOKE.count : Number.POSITIVE_INFINITY;
  const packets = scenarios(countMax).map((scenario): Entry => {
    const { name, title, besideOwn } = scenario;
    return {
      ...{ name, title, besideOwn, unit: "packet" },
      contestants: (site, peers) => contestants(scenario, writeScenario(scenario, site.folder), site, peers),
    };
  });
  const flowCount = Math.min(SETUP_FLOWS, countMax);
  const setup = {
    name: SETUP_SCENARIO,
    title: `set-up of ${flowCount.toLocaleString("en")} megaflows by misses`,
    frames: () => setupFrames(flowCount),
    flows: () => [],
    ovs: null,
  };
  const flows: Entry = {
    ...{ name: setup.name, title: setup.title, unit: "flow" },
    contestants: (site, peers) => setupContestants(writeScenario(setup, site.folder), site, peers),
  };
  return [...packets, flows];
}

function chosen(): Entry[] {
  const all = entries();
  const names = values.scenario;
  if (names === undefined) return all;
  const unknown = names.filter((name) => !all.some((entry) => entry.name === name));
  if (unknown.length > 0) throw new Error(`no scenario is called ${unknown.join(", ")}; --list prints them`);
  return all.filter(({ name }) => names.includes(name));
}

/** Rounds of one scenario: who goes first takes turns too. */
async function compare(entry: Entry, site: Site, peers: Peers | undefined): Promise<ScenarioResult> {
  const list = entry.contestants(site, peers).map((one) => ({ ...one, samples: [] as Measurement[] }));
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < list.length; turn += 1) {
      const one = list[(round + turn) % list.length]!;
      const sample = await one.measure();
      one.samples.push(sample);
      const share = sample.cpuShare < 0.995 ? `, ${(100 * sample.cpuShare).toFixed(0)} % of its CPU` : "";
      tell(`${entry.name}, round ${round + 1}: ${one.name} ${sample.nsPerPacket.toFixed(1)} ns${share}`);
    }
  }
  const { name, title, unit, besideOwn } = entry;
  return {
    ...{ name, title, unit, besideOwn },
    contestants: list.map(({ name, kind, samples }) => ({ name, kind, samples })),
  };
}

async function run(folder: string): Promise<void> {
  const list = chosen();
  const cpuCount = availableParallelism();
  const isPinned = process.platform === "linux" && hasProgram("taskset", "--version");
  const forwardingCpu = isPinned ? cpuCount - 1 : undefined;
  const otherCpu = isPinned ? OTHER_CPU : undefined;
  const found = values.smoke
    ? "a smoke run takes none"
    : findPeers({ from: values["peers-from"], ovs: values.ovs, l3fwd: values.l3fwd }, cpuCount);
  const peers = typeof found === "string" ? undefined : found;
  const missing = typeof found === "string" ? [`all peers: ${found}`] : found.missing;
  for (const line of missing) tell(`not measured: ${line}`);
  const site: Site = { folder, forwardingCpu, otherCpu, seconds, engine: values.engine };
  const loadBefore = loadavg()[0]!;
  const results: ScenarioResult[] = [];
  try {
    for (const entry of list) results.push(await compare(entry, site, peers));
  } finally {
    await cleanUp(site, peers);
  }
  const given = { forwardingCpu, otherCpu, versions: peers?.versions ?? {} };
  const machine = describeMachine(given, loadBefore);
  if (values.json) console.log(toJson(results, machine, missing));
  else console.log(`\n${formatTable(results)}${formatMachine(machine)}`);
}

if (values.list) {
  for (const { name, title } of entries()) console.log(`${name.padEnd(16)} ${title}`);
} else {
  const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  try {
    await run(folder);
  } catch (error) {
    console.error(isEnding ? "bench-peers: ended" : `bench-peers: ${(error as Error).message}`);
    process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
