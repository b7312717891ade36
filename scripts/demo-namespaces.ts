// Two hosts in namespaces of their own, the switch in a third, veth pairs between them. All of it goes away at the
// end, on Ctrl-C too: the namespaces take their interfaces with them, and the temporary folder is removed.
import { type ChildProcess, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { callUnixctl } from "../src/control/unixctl/client.ts";
import { Lab } from "../test/support/netns.ts";

const CLI = resolve(import.meta.dirname, "../src/cli/millrace.js");
const TCP_PEER = resolve(import.meta.dirname, "demo-tcp.js");
/** Seconds of TCP traffic, with a picture of the switch after each. */
const TRAFFIC_SECONDS = 5;
const READY_SECONDS_MAX = 20;
const TCP_PORT = 5201;

interface Demo {
  readonly lab: Lab;
  readonly socket: string;
  readonly left: string;
  readonly right: string;
}

/** @throws Error naming the step that failed */
export async function runNamespaceDemo(keep: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-demo-"));
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  process.once("exit", removeFolder);
  // A signal ends the process without `exit`: the lab, whose handler comes behind this one, sends it again.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, removeFolder);
  // Before the lab's own listeners, which end the process without an exit event.
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, removeFolder);
  const lab = new Lab({ teardown: () => undefined });
  try {
    const { demo, daemon } = await startSwitch(lab, folder);
    await ping(demo);
    await runTraffic(demo);
    explain(demo, daemon);
    if (keep) await interrupted();
    await stopSwitch(demo, daemon);
  } finally {
    lab.close();
    for (const event of ["exit", "SIGINT", "SIGTERM"]) process.off(event, removeFolder);
    removeFolder();
  }
  console.log("\nRemoved: namespaces, interfaces, processes, files.");
}

async function startSwitch(lab: Lab, folder: string): Promise<{ demo: Demo; daemon: ChildProcess }> {
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
  await ready(socket, daemon);
  return { demo: { lab, socket, left, right }, daemon };
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
  for (let second = 0; second < TRAFFIC_SECONDS; second += 1) {
    await sleep(1000);
    await showTable(demo);
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
  readonly statistics: Record<string, number>;
}

async function showTable({ socket }: Demo): Promise<void> {
  const ask = (method: string): Promise<unknown> => callUnixctl(socket, method, [], "json");
  const show = (await ask("dpctl/show")) as {
    lookups: { hit: number; missed: number };
    flows: number;
    ports: PortRow[];
  };
  const drops = (await ask("millrace/drops-show")) as { drops: Record<string, number> };
  const { workers } = (await ask("millrace/workers-show")) as { workers: readonly { state: string }[] };
  const running = workers.filter(({ state }) => state === "running").length;
  const dropped = Object.values(drops.drops).reduce((sum, count) => sum + count, 0);
  const ports = show.ports.map(
    ({ name, statistics: s }) => `${name} rx ${s["rx_packets"]} tx ${s["tx_packets"]}`,
  );
  console.log(
    `  ${ports.join("  |  ")}  |  workers ${running}  flows ${show.flows}  hits ${show.lookups.hit}  upcalls ${show.lookups.missed}  drops ${dropped}`,
  );
}

function explain({ socket }: Demo, daemon: ChildProcess): void {
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
    process.removeAllListeners("SIGINT");
    process.once("SIGINT", () => done());
    process.once("SIGTERM", () => done());
  });
}

async function stopSwitch({ socket }: Demo, daemon: ChildProcess): Promise<void> {
  const ended = new Promise<number | null>((done) => daemon.once("exit", done));
  await callUnixctl(socket, "exit", []);
  const code = await ended;
  if (code !== 0) throw new Error(`the switch ended with code ${code}`);
}

const indent = (text: string): string =>
  text
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n");
