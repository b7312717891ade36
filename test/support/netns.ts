// Network namespaces for tests: a lab that makes namespaces, veth pairs and processes with names of its own
// and removes them when the test ends, fails, is interrupted or exits. Traffic never leaves what the lab
// made.
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nativeUnavailable } from "../../src/native.ts";

/** Where iproute2 keeps the names of namespaces. */
const NETNS_FOLDER = "/var/run/netns";

let labCount = 0;

/** Removes what test processes that were killed outright left behind: a name says which process made it. */
function removeLeftovers(): void {
  for (const line of execFileSync("ip", ["netns", "list"], { encoding: "utf8" }).split("\n")) {
    const pid = /^mr(\d+)[a-z]/.exec(line)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    const name = line.split(" ")[0]!;
    try {
      execFileSync("ip", ["netns", "del", name], { stdio: "pipe" });
    } catch (error) {
      // Test files run side by side: another may have removed it first.
      if (existsSync(`${NETNS_FOLDER}/${name}`)) throw error;
    }
  }
}

/** Why namespaces can't be made here, or undefined: the text for `{ skip }`. */
export function labUnavailable(): string | undefined {
  if (process.platform !== "linux") return "network namespaces need Linux";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  const unavailable = nativeUnavailable();
  if (unavailable !== undefined) return unavailable;
  const probe = `mr${process.pid}probe`;
  try {
    execFileSync("ip", ["netns", "add", probe], { stdio: "pipe" });
    execFileSync("ip", ["netns", "del", probe], { stdio: "pipe" });
    return undefined;
  } catch (error) {
    return `no network namespace can be made: ${error instanceof Error ? error.message.trim() : error}`;
  }
}

/** One end of a veth pair. */
export interface VethEnd {
  readonly namespace: string;
  readonly name: string;
}

export interface VethOptions {
  readonly mtu?: number;
  readonly queues?: number;
  /** The ends stay down. */
  readonly down?: boolean;
}

/** What a lab needs of a tap test. */
export interface Teardown {
  teardown(handler: () => unknown): unknown;
}

export class Lab {
  readonly #prefix: string;
  readonly #namespaces: string[] = [];
  readonly #children = new Set<ChildProcess>();
  readonly #folders: string[] = [];
  readonly #onExit = (): void => this.close();
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.close();
    process.kill(process.pid, signal);
  };
  #interfaces = 0;
  #closed = false;

  constructor(t: Teardown) {
    if (labCount === 0) removeLeftovers();
    labCount += 1;
    this.#prefix = `mr${process.pid}${String.fromCharCode(96 + labCount)}`;
    process.once("exit", this.#onExit);
    process.once("SIGINT", this.#onSignal);
    process.once("SIGTERM", this.#onSignal);
    t.teardown(() => this.close());
  }

  /** Makes a namespace with its loopback up; returns its name. IPv6 is off: no packet but the test's own. */
  namespace(label: string): string {
    const name = `${this.#prefix}${label}`;
    execFileSync("ip", ["netns", "add", name]);
    this.#namespaces.push(name);
    this.run(name, "ip", "link", "set", "lo", "up");
    for (const scope of ["all", "default"]) {
      this.run(name, "sysctl", "-q", "-w", `net.ipv6.conf.${scope}.disable_ipv6=1`);
    }
    return name;
  }

  /** Makes a temporary folder. */
  folder(): string {
    const folder = mkdtempSync(join(tmpdir(), `millrace-${this.#prefix}-`));
    this.#folders.push(folder);
    return folder;
  }

  /** An interface name that nobody else has. */
  interfaceName(): string {
    this.#interfaces += 1;
    return `${this.#prefix}${this.#interfaces}`;
  }

  /** A veth pair between two namespaces, both ends up. */
  veth(first: string, second: string, options: VethOptions = {}): [VethEnd, VethEnd] {
    const names = [this.interfaceName(), this.interfaceName()] as const;
    const queues = String(options.queues ?? 1);
    const shape = ["numrxqueues", queues, "numtxqueues", queues, "mtu", String(options.mtu ?? 1500)];
    const peer = ["peer", "name", names[1], "netns", second, ...shape];
    this.run(first, "ip", "link", "add", names[0], ...shape, "type", "veth", ...peer);
    const ends: [VethEnd, VethEnd] = [
      { namespace: first, name: names[0] },
      { namespace: second, name: names[1] },
    ];
    for (const end of options.down === true ? [] : ends)
      this.ip(end.namespace, "link", "set", end.name, "up");
    return ends;
  }

  /** Runs a command inside a namespace and returns what it printed. */
  run(namespace: string, command: string, ...args: string[]): string {
    return execFileSync("ip", ["netns", "exec", namespace, command, ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  ip(namespace: string, ...args: string[]): string {
    return this.run(namespace, "ip", ...args);
  }

  /** Starts a process inside a namespace; it is killed when the lab closes. */
  spawn(
    namespace: string,
    command: string,
    args: readonly string[],
    options: SpawnOptions = {},
  ): ChildProcess {
    const child = spawn("ip", ["netns", "exec", namespace, command, ...args], options);
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }

  /** Kills the processes and deletes the namespaces, their interfaces with them, and the folders. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    process.off("exit", this.#onExit);
    process.off("SIGINT", this.#onSignal);
    process.off("SIGTERM", this.#onSignal);
    // `ip netns exec` replaces itself by the command, so the pid is the command's own.
    for (const child of this.#children) child.kill("SIGKILL");
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
    for (const namespace of this.#namespaces) {
      try {
        execFileSync("ip", ["netns", "del", namespace], { stdio: "pipe" });
      } catch (error) {
        console.error(`lab: namespace ${namespace} is left behind: ${error}`);
        process.exitCode = 1;
      }
    }
  }
}
