// Memory of a daemon that takes a million flows with ufids from a file, dumps them, and removes them again: the resident
// memory of the whole process, control structures included, before and after each. Prints, asserts nothing but that every
// flow came and went.
//   node build/scripts/bench-flows-daemon.js [--flows 1000000]
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { finished } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { callUnixctl, UnixctlError } from "../src/control/unixctl/client.ts";

const { values } = parseArgs({ options: { flows: { type: "string", default: "1000000" } } });
const FLOW_COUNT = Number(values.flows);
const CLI = resolve(import.meta.dirname, "../src/cli/millrace.js");
const POLL_MILLIS = 50;
/** The peak is looked for as often. */
const SAMPLE_MILLIS = 100;

const folder = mkdtempSync(join(tmpdir(), "millrace-bench-flows-"));
const socket = join(folder, "ctl");
const config = join(folder, "millrace.yaml");
const flowFile = join(folder, "flows");

/** An exact IPv4/UDP flow and a ufid for each number. */
async function writeFlows(): Promise<void> {
  const file = createWriteStream(flowFile);
  for (let n = 0; n < FLOW_COUNT; n += 1) {
    const hex = n.toString(16).padStart(8, "0");
    const src = `10.${n >>> 16}.${(n >>> 8) & 0xff}.${n & 0xff}`;
    const line =
      `ufid:${hex}-0000-0000-0000-000000000001,in_port(1),eth(),eth_type(0x0800),` +
      `ipv4(src=${src},dst=192.168.0.1,proto=17,frag=no),udp(src=${1024 + (n % 50000)},dst=53) ${2 + (n % 2)}\n`;
    if (!file.write(line)) await once(file, "drain");
  }
  file.end();
  await finished(file);
}

function startDaemon() {
  const ports = [1, 2, 3].map((n) => `  - { name: d${n}, type: dummy, port-no: ${n} }`);
  const settings = [
    "log: warn",
    "policy: { type: flows }",
    `memory: { flows: ${Math.max(FLOW_COUNT, 1024)} }`,
    "workers: { sleep-micros-max: 1000 }",
    "ports:",
    ...ports,
    "",
  ];
  writeFileSync(config, settings.join("\n"));
  return spawn(process.execPath, [CLI, "run", "--config", config, "--socket", socket], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}

const daemon = startDaemon();
const ended = new Promise<number | null>((done) => daemon.once("exit", done));

/** MiB; VmRSS counts what the threads of the process hold. */
function residentMebibytes(): number {
  const status = readFileSync(`/proc/${daemon.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) / 1024;
}

async function answering(): Promise<void> {
  for (;;) {
    try {
      await callUnixctl(socket, "version", []);
      return;
    } catch (error) {
      if (!(error instanceof UnixctlError) || daemon.exitCode !== null) throw error;
      await sleep(POLL_MILLIS);
    }
  }
}

const flowCount = async (): Promise<number> =>
  ((await callUnixctl(socket, "dpctl/show", [], "json")) as { flows: number }).flows;

/** Runs one command and prints what it took. */
async function measured(what: string, start: number, run: () => Promise<unknown>): Promise<void> {
  let most = residentMebibytes();
  const timer = setInterval(() => {
    most = Math.max(most, residentMebibytes());
  }, SAMPLE_MILLIS);
  const begun = performance.now();
  try {
    await run();
  } finally {
    clearInterval(timer);
  }
  const seconds = (performance.now() - begun) / 1e3;
  const now = residentMebibytes();
  most = Math.max(most, now);
  console.log(
    `${what.padEnd(28)} ${seconds.toFixed(1).padStart(6)} s   resident ${(now - start).toFixed(1).padStart(6)} MiB more, ` +
      `at most ${(most - start).toFixed(1).padStart(6)}`,
  );
}

try {
  await writeFlows();
  await answering();
  const start = residentMebibytes();
  console.log(`daemon without flows: ${start.toFixed(1)} MiB resident`);
  await measured(`add ${FLOW_COUNT} flows`, start, () => callUnixctl(socket, "dpctl/add-flows", [flowFile]));
  if ((await flowCount()) !== FLOW_COUNT) throw new Error(`${await flowCount()} flows of ${FLOW_COUNT}`);
  await measured("dump them", start, async () => {
    const dump = (await callUnixctl(socket, "dpctl/dump-flows", [])) as string;
    // The heading, and nothing behind the last line end.
    const lines = dump.split("\n").length - 2;
    if (lines !== FLOW_COUNT) throw new Error(`a dump of ${lines} flows, ${FLOW_COUNT} are there`);
  });
  await measured("remove them", start, () => callUnixctl(socket, "dpctl/del-flows", []));
  if ((await flowCount()) !== 0) throw new Error("flows stayed behind");
  await callUnixctl(socket, "exit", []);
  if ((await ended) !== 0) throw new Error("the daemon ended with an error");
} finally {
  daemon.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
