// Runs every benchmark, one after the other, each in a process of its own. `--smoke` runs each in its smallest size: it shows
// that the benchmark still works and measures nothing. Figures and what they mean: docs/performance.md.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildFrame, padFrame } from "../src/packet/builder.ts";
import { ethernet } from "../src/packet/builder-link.ts";
import { ipv4 } from "../src/packet/builder-network.ts";
import { udp } from "../src/packet/builder-transport.ts";
import { PcapWriter } from "../src/packet/pcap-writer.ts";

const isSmoke = process.argv.includes("--smoke");
const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
const FLOW_COUNT = isSmoke ? 100 : 10_000;
const SECONDS = isSmoke ? "0.1" : "3";

/** Files for `millrace bench`: one packet and one exact flow for each 5-tuple. */
function writeExactFlows(): { rx: string; flows: string } {
  const chunks: Uint8Array[] = [];
  const writer = new PcapWriter((bytes) => chunks.push(bytes.slice()));
  const lines: string[] = [];
  for (let index = 0; index < FLOW_COUNT; index += 1) {
    const src = `10.0.${index >>> 8}.${index & 0xff}`;
    const frame = padFrame(
      buildFrame([ethernet(), ipv4({ src, dst: "192.168.0.1" }), udp({ src: 1024 + index, dst: 53 })]),
    );
    writer.write(0, index, 0, frame.length, frame, 0, frame.length);
    lines.push(
      `in_port(1),eth(),eth_type(0x0800),ipv4(src=${src},dst=192.168.0.1,proto=17,frag=no),udp(src=${1024 + index},dst=53) 2`,
    );
  }
  writer.flush();
  const rx = join(folder, "exact.pcap");
  const flows = join(folder, "exact.flows");
  writeFileSync(rx, Buffer.concat(chunks));
  writeFileSync(flows, `${lines.join("\n")}\n`);
  return { rx, flows };
}

const exact = writeExactFlows();
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
    `millrace bench, ${FLOW_COUNT} exact flows`,
    "src/cli/millrace.js",
    ["bench", "--rx", exact.rx, "--flows", exact.flows, "--seconds", SECONDS],
  ],
  ["AF_XDP from veth to veth", "scripts/bench-afxdp.js", isSmoke ? ["--smoke"] : []],
];

try {
  for (const [title, script, args] of BENCHES) {
    console.log(`== ${title}`);
    const { status } = spawnSync(process.execPath, [resolve(import.meta.dirname, "..", script), ...args], {
      stdio: "inherit",
    });
    if (status !== 0) {
      console.error(`bench: ${title} failed with code ${status}`);
      process.exitCode = 1;
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
