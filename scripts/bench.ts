// Runs every benchmark, one after the other, each in a process of its own. `--smoke` runs each in its smallest size: it shows
// that the benchmark still works and measures nothing. `--peers` runs the comparison with other switches alone
// (bench-peers.ts, which takes the other arguments). Figures and what they mean: docs/performance.md.
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";

const args = process.argv.slice(2);
const isSmoke = args.includes("--smoke");
const isComparison = args.includes("--peers");

const BENCHES: readonly (readonly [title: string, script: string, args: readonly string[]])[] = [
  ["extraction", "scripts/bench-extract.js", ["--seconds", isSmoke ? "0" : "1"]],
  [
    "flow table",
    "scripts/bench-table.js",
    isSmoke ? ["--flows", "1000", "--lookup-flows", "100", "--seconds", "0.1"] : [],
  ],
  ["memory of a daemon with many flows", "scripts/bench-flows-daemon.js", isSmoke ? ["--flows", "1000"] : []],
  [
    "upcalls",
    "scripts/bench-upcalls.js",
    isSmoke ? ["--flows", "1000", "--seconds", "0.3", "--rate", "200"] : [],
  ],
  ["ports without a look-up", "scripts/bench-ports.js", isSmoke ? ["--millis", "1", "--rounds", "1"] : []],
  [
    "flow puts with full validation",
    "scripts/bench-flow-put.js",
    isSmoke ? ["--flows", "1000", "--rounds", "1"] : [],
  ],
  [
    "pipeline",
    "scripts/bench-pipeline.js",
    isSmoke ? ["--flows", "100", "--seconds", "0.1", "--rounds", "1"] : [],
  ],
  [
    "workers",
    "scripts/bench-workers.js",
    isSmoke ? ["--flows", "100", "--seconds", "0.1", "--rounds", "1"] : [],
  ],
  [
    "packets lost while flows are put",
    "scripts/bench-put-loss.js",
    isSmoke ? ["--flows", "100", "--seconds", "0.1", "--rounds", "1"] : [],
  ],
  [
    "scenarios of the comparison, millrace alone",
    "scripts/bench-peers.js",
    isSmoke ? ["--smoke"] : ["--rounds", "1"],
  ],
  ["AF_XDP from veth to veth", "scripts/bench-afxdp.js", isSmoke ? ["--smoke"] : []],
];

/** True when it succeeded. */
function run(script: string, scriptArgs: readonly string[]): boolean {
  const path = resolve(import.meta.dirname, "..", script);
  return spawnSync(process.execPath, [path, ...scriptArgs], { stdio: "inherit" }).status === 0;
}

if (isComparison) {
  const others = args.filter((arg) => arg !== "--peers");
  if (!run("scripts/bench-peers.js", others)) process.exitCode = 1;
} else {
  for (const [title, script, scriptArgs] of BENCHES) {
    console.log(`== ${title}`);
    if (run(script, scriptArgs)) continue;
    console.error(`bench: ${title} failed`);
    process.exitCode = 1;
  }
}
