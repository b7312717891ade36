// A whole switch for namespace tests: hosts in namespaces of their own, the daemon in a third one, everything gone when
// the test ends. Ports of any type that has a host at its other end.
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { callUnixctl } from "../../src/control/unixctl/client.ts";
import { Lab, type Teardown } from "../support/netns.ts";

const CLI = resolve(import.meta.dirname, "../../src/cli/millrace.js");
/** Polls of a condition before a test gives up; each waits POLL_MILLIS. Generous: a loaded machine is no failure. */
const POLLS_MAX = 600;
const POLL_MILLIS = 50;

export type HostedPortType = "afxdp" | "af_packet" | "tap";

export interface Host {
  readonly namespace: string;
  /** The host's interface. */
  readonly device: string;
  /** The port's name in the switch. */
  readonly port: string;
  readonly portNo: number;
}

export interface PortStatistics {
  readonly rx_packets: number;
  readonly tx_packets: number;
  readonly rx_bytes: number;
  readonly tx_bytes: number;
}

export interface DatapathShow {
  readonly flows: number;
  readonly lookups: { readonly hit: number; readonly missed: number; readonly lost: number };
  readonly ports: readonly {
    readonly portNo: number;
    readonly name: string;
    readonly type: string;
    readonly up: boolean;
    readonly statistics: PortStatistics & Readonly<Record<string, number>>;
  }[];
}

export interface DaemonEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class SwitchRig {
  readonly lab: Lab;
  readonly namespace: string;
  readonly socket: string;
  readonly hosts: Host[] = [];
  readonly #folder: string;
  readonly #firstPortNo: number;
  readonly #portLines: string[] = [];
  #daemon: ChildProcess | undefined;
  #errors = "";

  /** @param firstPortNo of the first host: hosts of several switches that reach each other have addresses of their own */
  constructor(t: Teardown, firstPortNo = 1) {
    this.#firstPortNo = firstPortNo;
    this.lab = new Lab(t);
    this.#folder = this.lab.folder();
    this.namespace = this.lab.namespace("sw");
    this.socket = join(this.#folder, "ctl");
  }

  /** A host on a port of this type; its address is 10.8.0.N/24 and fd00:8::N/64 once the switch is started. */
  addHost(type: HostedPortType, portSettings = "", mtu = 1500): Host {
    const portNo = this.#firstPortNo + this.hosts.length;
    const namespace = this.lab.namespace(`h${portNo}`);
    let device: string;
    let port: string;
    if (type === "tap") {
      device = this.lab.interfaceName();
      port = device;
      this.#portLines.push(
        `  - { name: ${port}, type: tap, port-no: ${portNo}, options: { netns: ${namespace}, mtu: ${mtu} }${portSettings} }`,
      );
    } else {
      const [hostEnd, switchEnd] = this.lab.veth(namespace, this.namespace, { mtu });
      device = hostEnd.name;
      port = switchEnd.name;
      this.lab.run(namespace, "ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off");
      // The receiver has to look at checksums itself, or a wrong one would pass unseen.
      this.lab.run(namespace, "ethtool", "-K", device, "rx", "off");
      this.#portLines.push(`  - { name: ${port}, type: ${type}, port-no: ${portNo}${portSettings} }`);
    }
    const host = { namespace, device, port, portNo };
    this.hosts.push(host);
    return host;
  }

  /** A port without a host: a line of the configuration's `ports`. */
  addPort(settings: string): void {
    this.#portLines.push(`  - ${settings}`);
  }

  /** Starts the daemon, again after it has ended, and gives hosts their addresses. `settings` are further lines of the configuration. */
  async start(...settings: readonly string[]): Promise<void> {
    const config = join(this.#folder, "millrace.yaml");
    writeFileSync(
      config,
      [...settings, "debug: { ledger: true }", "log: warn", "ports:", ...this.#portLines, ""].join("\n"),
    );
    this.#daemon = this.lab.spawn(
      this.namespace,
      process.execPath,
      [CLI, "run", "--config", config, "--socket", this.socket],
      {
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    this.#daemon.stderr?.on("data", (chunk: Buffer) => (this.#errors += chunk));
    await this.until("the switch is ready", async () => {
      const end = this.#daemon!.exitCode ?? this.#daemon!.signalCode;
      if (end !== null) throw new Error(`the switch ended with ${end}: ${this.#errors}`);
      return (await callUnixctl(this.socket, "version", []).catch(() => undefined)) !== undefined;
    });
    for (const host of this.hosts) this.#address(host);
  }

  #address({ namespace, device, portNo }: Host): void {
    for (const scope of ["all", device])
      this.lab.run(namespace, "sysctl", "-q", "-w", `net.ipv6.conf.${scope}.disable_ipv6=0`);
    this.lab.ip(namespace, "link", "set", device, "up");
    this.lab.ip(namespace, "addr", "replace", `10.8.0.${portNo}/24`, "dev", device);
    this.lab.ip(namespace, "addr", "replace", `fd00:8::${portNo}/64`, "dev", device, "nodad");
  }

  /** What the daemon wrote to standard error. */
  get errors(): string {
    return this.#errors;
  }

  call(method: string, ...params: string[]): Promise<string> {
    return this.#ask(method, params, "text") as Promise<string>;
  }

  callJson<T>(method: string, ...params: string[]): Promise<T> {
    return this.#ask(method, params, "json") as Promise<T>;
  }

  /** @throws Error with what the daemon wrote, since a call that fails often means that the daemon has ended */
  async #ask(method: string, params: string[], format: "text" | "json"): Promise<unknown> {
    try {
      return await callUnixctl(this.socket, method, params, format);
    } catch (cause) {
      const end = this.#daemon?.exitCode ?? this.#daemon?.signalCode ?? "still running";
      throw new Error(`${method}: ${cause}; the switch (${end}) said: ${this.#errors}`, { cause });
    }
  }

  show(): Promise<DatapathShow> {
    return this.callJson<DatapathShow>("dpctl/show");
  }

  async statistics(host: Host): Promise<PortStatistics> {
    const { ports } = await this.show();
    return ports.find(({ portNo }) => portNo === host.portNo)!.statistics;
  }

  /** Waits for a condition. @throws Error naming it, with the daemon's log, when it never comes true */
  async until(what: string, condition: () => Promise<boolean>): Promise<void> {
    for (let poll = 0; poll < POLLS_MAX; poll += 1) {
      if (await condition()) return;
      await sleep(POLL_MILLIS);
    }
    throw new Error(`waited in vain until ${what}; the switch said: ${this.#errors}`);
  }

  /** Stops the daemon by command. Returns its exit code. */
  async stop(): Promise<number | null> {
    const ended = this.#ended();
    await this.call("exit");
    return (await ended).code;
  }

  /** Stops the daemon by a signal. Returns how it ended. */
  signal(signal: NodeJS.Signals): Promise<DaemonEnd> {
    const ended = this.#ended();
    this.#daemon!.kill(signal);
    return ended;
  }

  #ended(): Promise<DaemonEnd> {
    return new Promise((done) => this.#daemon!.once("exit", (code, signal) => done({ code, signal })));
  }
}
