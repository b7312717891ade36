// Two hosts in namespaces of their own, the switch in a third, veth pairs between them. All of it goes away at the
// end, on Ctrl-C too: the namespaces take their interfaces with them, and the temporary folder is removed.
import { type ChildProcess, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { formatTable } from "../src/control/commands/table.ts";
import { callUnixctl } from "../src/control/unixctl/client.ts";
import { Lab } from "../test/support/netns.ts";
import { LiveTable } from "./live-table.ts";

const CLI = resolve(import.meta.dirname, "../src/cli/millrace.js");
const TCP_PEER = resolve(import.meta.dirname, "demo-tcp.js");
/** Seconds of TCP traffic, with a picture of the switch after each. */
const TRAFFIC_SECONDS = 5;
const READY_SECONDS_MAX = 20;
const TCP_PORT = 5201;
const STOP_SIGNALS = ["SIGINT", "SIGTERM"] as const;

interface Demo {
  readonly lab: Lab;
  readonly socket: string;
  readonly left: string;
  readonly right: string;
  readonly daemon: ChildProcess;
  /** The switch's exit code, once it ended. */
  readonly ended: Promise<number | null>;
}

/** @throws Error naming the step that failed */
export async function runNamespaceDemo(keep: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-demo-"));
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  // Before the lab's own listeners: they send the signal again, which ends the process without an exit event.
  for (const event of ["exit", ...STOP_SIGNALS]) process.once(event, removeFolder);
  const lab = new Lab({ teardown: () => undefined });
  try {
    const demo = await startSwitch(lab, folder);
    await ping(demo);
    await runTraffic(demo);
    explain(demo);
    if (keep) await interrupted();
    await stopSwitch(demo);
  } finally {
    lab.close();
    for (const event of ["exit", ...STOP_SIGNALS]) process.off(event, removeFolder);
    removeFolder();
  }
  console.log("\nRemoved: namespaces, interfaces, processes, files.");
}

async function startSwitch(lab: Lab, folder: string): Promise<Demo> {
  const [left, right, middle] = [lab.namespace("left"), lab.namespace("right"), lab.namespace("switch")];
  const ports = [left, right].map((host, index) => {
    const [hostEnd, switchEnd] = lab.veth(host, middle);
    lab.ip(host, "addr", "add", `10.9.0.${index + 1}/24`, "dev", hostEnd.name);
    // A veth leaves checksums to a device that is not there; AF_XDP would carry them unfinished.
    lab.run(host, "ethtool", "-K", hostEnd.name, "tx", "off", "tso", "off", "gso", "off");
    return switchEnd.name;
  });
  const config = join(folder, "millrace.yaml");
  const socket = join(folder, "millrace.ctl");
  const portLines = ports.map((name, index) => `  - { name: ${name}, type: afxdp, port-no: ${index + 1} }`);
  writeFileSync(config, ["policy: { type: learn }", "log: warn", "ports:", ...portLines, ""].join("\n"));
  console.log(`Switch between two namespaces, AF_XDP ports ${ports.join(" and ")}, learning policy.`);
  const daemon = lab.spawn(middle, process.execPath, [CLI, "run", "--config", config, "--socket", socket], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = new Promise<number | null>((done) => daemon.once("exit", done));
  await ready(socket, daemon);
  return { lab, socket, left, right, daemon, ended };
}

async function ready(socket: string, daemon: ChildProcess): Promise<void> {
  for (let tries = 0; tries < READY_SECONDS_MAX * 10; tries += 1) {
    if (daemon.exitCode !== null)
      throw new Error(`the switch ended with code ${daemon.exitCode} before it was ready`);
    const answer = await callUnixctl(socket, "version", []).catch(() => undefined);
    if (answer !== undefined) return;
    await sleep(100);
  }
  throw new Error(`the switch was not ready after ${READY_SECONDS_MAX} seconds`);
}

async function ping({ lab, left }: Demo): Promise<void> {
  console.log("\nPing across:");
  const output = lab.run(left, "ping", "-c", "3", "-i", "0.2", "-W", "2", "10.9.0.2");
  console.log(
    indent(
      output
        .split("\n")
        .filter((line) => /bytes from|rtt|loss/.test(line))
        .join("\n"),
    ),
  );
}

async function runTraffic(demo: Demo): Promise<void> {
  const iperf = spawnSync("iperf3", ["--version"]).status === 0;
  console.log(
    `\nTCP across for ${TRAFFIC_SECONDS} s (${iperf ? "iperf3" : "a small Node client and server"}):`,
  );
  const [server, client] = iperf
    ? [
        ["iperf3", "-s", "-1", "-p", `${TCP_PORT}`],
        ["iperf3", "-c", "10.9.0.2", "-p", `${TCP_PORT}`, "-t", `${TRAFFIC_SECONDS}`, "-f", "m"],
      ]
    : [
        [process.execPath, TCP_PEER, "server", `${TCP_PORT}`],
        [process.execPath, TCP_PEER, "client", "10.9.0.2", `${TCP_PORT}`, `${TRAFFIC_SECONDS}`],
      ];
  demo.lab.spawn(demo.right, server[0]!, server.slice(1), { stdio: "ignore" });
  await sleep(500);
  const sender = demo.lab.spawn(demo.left, client[0]!, client.slice(1), {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  sender.stdout?.on("data", (chunk: Buffer) => (output += chunk));
  sender.stderr?.on("data", (chunk: Buffer) => (output += chunk));
  const ended = new Promise<number | null>((done) => sender.once("exit", done));
  const table = new LiveTable();
  for (let second = 1; second <= TRAFFIC_SECONDS; second += 1) {
    await sleep(1000);
    table.draw((await picture(demo, second)).map((line) => `  ${line}`));
  }
  const code = await ended;
  console.log(
    indent(
      output
        .split("\n")
        .filter((line) => /sender|receiver|Mbit|error/i.test(line))
        .slice(-2)
        .join("\n"),
    ),
  );
  if (code !== 0) throw new Error(`TCP across failed: ${output.trim().split("\n").at(-1)}`);
}

interface PortRow {
  readonly name: string;
  readonly statistics: Readonly<Record<string, number>>;
}

interface WorkerRow {
  readonly index: number;
  readonly state: string;
  readonly busy: number;
  readonly counters: Readonly<Record<string, number>>;
}

/** The switch as it is now: its ports, its workers, and what became of packets. */
async function picture({ socket }: Demo, second: number): Promise<string[]> {
  const ask = (method: string): Promise<unknown> => callUnixctl(socket, method, [], "json");
  const { flows, ports } = (await ask("dpctl/show")) as { flows: number; ports: readonly PortRow[] };
  const { drops } = (await ask("millrace/drops-show")) as { drops: Record<string, number> };
  const { workers } = (await ask("millrace/workers-show")) as { workers: readonly WorkerRow[] };
  const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0);
  return [
    ...formatTable(
      ["port", "received", "transmitted"],
      ports.map(({ name, statistics: s }) => [name, s["rx_packets"]!, s["tx_packets"]!]),
    ),
    "",
    ...formatTable(
      ["worker", "state", "busy %", "hits", "upcalls"],
      workers.map(({ index, state, busy, counters: c }) => [
        index,
        state,
        Math.round(busy * 100),
        c["lookup_hit"]!,
        c["lookup_miss"]!,
      ]),
    ),
    "",
    `after ${second} s: ${flows} flows, ${dropped} drops`,
  ];
}

function explain({ socket, daemon }: Demo): void {
  console.log(
    [
      "",
      "Look around (npm start -- --keep leaves the switch running):",
      `  npx millrace dpctl --socket ${socket} dump-flows`,
      `  npx millrace ports show --socket ${socket} --watch`,
      `  npx millrace drops show --socket ${socket}`,
      `  npx millrace fdb show --socket ${socket}`,
      `  ovs-appctl -t ${socket} dpif-netdev/pmd-perf-show`,
      `  (the switch is process ${daemon.pid})`,
    ].join("\n"),
  );
}

function interrupted(): Promise<void> {
  console.log("\nRunning; Ctrl-C stops it and removes everything.");
  return new Promise((done) => {
    for (const signal of STOP_SIGNALS) {
      process.removeAllListeners(signal);
      process.once(signal, () => done());
    }
  });
}

async function stopSwitch({ daemon, ended }: Demo): Promise<void> {
  // Ctrl-C went to the switch too, which may be gone by now.
  daemon.kill("SIGTERM");
  const code = await ended;
  if (code !== 0) throw new Error(`the switch ended with code ${code}`);
}

const indent = (text: string): string =>
  text
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n");
