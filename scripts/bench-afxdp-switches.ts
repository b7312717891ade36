// The two switches that bench-afxdp.ts compares, each between the same two interfaces of one namespace: frames that come
// in at the first leave at the second. Both have one forwarding thread on the same CPU, the rest on another.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { callUnixctl } from "../src/control/unixctl/client.ts";
import type { CounterName } from "../src/datapath/counters.ts";
import type { Lab } from "../test/support/netns.ts";

const CLI = resolve(import.meta.dirname, "../src/cli/millrace.js");
const READY_SECONDS_MAX = 30;
const STOP_SECONDS_MAX = 10;
const POLL_MILLIS = 50;
/** What testpmd takes: its packet buffers and EAL's own. */
const TESTPMD_HUGE_PAGES = 64;

export interface SwitchSite {
  readonly lab: Lab;
  readonly namespace: string;
  /** Interfaces: in, out. */
  readonly interfaces: readonly [string, string];
  readonly forwardingCpu: number;
  readonly otherCpu: number;
  /** For configuration, sockets, run-time files; removed with the site. */
  readonly folder: string;
}

export type WorkerCounters = Readonly<Record<CounterName, number>>;

export class Millrace {
  readonly #daemon: ChildProcess;
  readonly #socket: string;

  private constructor(daemon: ChildProcess, socket: string) {
    this.#daemon = daemon;
    this.#socket = socket;
  }

  /** `millrace run` with one flow and nothing else. @throws Error with what the daemon said */
  static async start(site: SwitchSite): Promise<Millrace> {
    const { lab, namespace, interfaces, forwardingCpu, otherCpu, folder } = site;
    const config = join(folder, "millrace.yaml");
    const socket = join(folder, "millrace.ctl");
    const ports = interfaces.map(
      (name, index) => `  - { name: ${name}, type: afxdp, port-no: ${index + 1} }`,
    );
    const lines = [
      `workers: { cpus: "${forwardingCpu}" }`,
      `control-cpus: "${otherCpu}"`,
      "policy: { type: flows }",
      'flows: ["in_port(1) 2"]',
      "log: warn",
      "ports:",
      ...ports,
    ];
    writeFileSync(config, `${lines.join("\n")}\n`);
    const daemon = lab.spawn(
      namespace,
      process.execPath,
      [CLI, "run", "--config", config, "--socket", socket],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    const started = new Millrace(daemon, socket);
    await until("millrace", daemon, async () => {
      const answer = await callUnixctl(socket, "version", []).catch(() => undefined);
      return answer !== undefined;
    });
    return started;
  }

  /** Everything that the worker counted since it was started. */
  async counters(): Promise<WorkerCounters> {
    const workers = await callUnixctl(this.#socket, "dpif-netdev/pmd-perf-show", [], "json");
    return (workers as readonly WorkerCounters[])[0]!;
  }

  async stop(): Promise<void> {
    await callUnixctl(this.#socket, "exit", []);
    await ended("millrace", this.#daemon);
  }
}

export class Testpmd {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  /** Where its buffers come from: huge pages where some are free, ordinary ones otherwise. */
  static memory(): "huge pages" | "ordinary pages" {
    const free = /^HugePages_Free:\s+(\d+)/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
    return Number(free) >= TESTPMD_HUGE_PAGES ? "huge pages" : "ordinary pages";
  }

  /**
   * `dpdk-testpmd` in forward mode io over two net_af_xdp devices.
   * @param tuned bursts of 64 instead of 32 and no busy polling: what suits this place better than its defaults
   * @throws Error with the end of what it printed
   */
  static async start(site: SwitchSite, tuned: boolean): Promise<Testpmd> {
    const { lab, namespace, interfaces, forwardingCpu, otherCpu, folder } = site;
    const memory =
      Testpmd.memory() === "huge pages" ? ["--in-memory"] : ["--no-huge", "--no-shconf", "-m", "256"];
    const eal = [
      ...["-l", `${otherCpu},${forwardingCpu}`, "--main-lcore", `${otherCpu}`],
      ...["--no-pci", ...memory, `--file-prefix=bench${process.pid}`],
      ...interfaces.map(
        (name, index) => `--vdev=net_af_xdp${index},iface=${name}${tuned ? ",busy_budget=0" : ""}`,
      ),
    ];
    const application = [
      "-i",
      "--nb-cores=1",
      "--forward-mode=io",
      "--total-num-mbufs=16384",
      "--mbcache=512",
      ...(tuned ? ["--burst=64"] : []),
    ];
    const child = lab.spawn(namespace, "dpdk-testpmd", [...eal, "--", ...application, "--no-lsc-interrupt"], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, RUNTIME_DIRECTORY: folder },
    });
    let printed = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => (printed = `${printed}${chunk}`.slice(-2000)));
    }
    const started = new Testpmd(child);
    await until(
      "dpdk-testpmd",
      child,
      () => printed.includes("testpmd>"),
      () => printed,
    );
    child.stdin?.write("start\n");
    await until(
      "dpdk-testpmd",
      child,
      () => /io packet forwarding/.test(printed),
      () => printed,
    );
    return started;
  }

  async stop(): Promise<void> {
    this.#process.stdin?.end("stop\nquit\n");
    await ended("dpdk-testpmd", this.#process);
  }
}

async function until(
  name: string,
  child: ChildProcess,
  isReady: () => boolean | Promise<boolean>,
  printed: () => string = () => "",
): Promise<void> {
  for (let polls = (READY_SECONDS_MAX * 1000) / POLL_MILLIS; polls > 0; polls -= 1) {
    if (await isReady()) return;
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${name} ended with ${child.exitCode ?? child.signalCode}: ${printed()}`);
    }
    await sleep(POLL_MILLIS);
  }
  throw new Error(`${name} was not ready after ${READY_SECONDS_MAX} seconds: ${printed()}`);
}

/** @throws Error when it does not end, or not with code 0 */
async function ended(name: string, child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const limit = AbortSignal.timeout(STOP_SECONDS_MAX * 1000);
    await once(child, "exit", { signal: limit }).catch((cause) => {
      throw new Error(`${name} did not end within ${STOP_SECONDS_MAX} seconds`, { cause });
    });
  }
  if (child.exitCode !== 0) throw new Error(`${name} ended with ${child.exitCode ?? child.signalCode}`);
}
