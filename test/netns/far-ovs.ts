// The real Open vSwitch in a namespace of a lab, as the far end of a tunnel: userspace datapath, one bridge with the
// wire and the outer address, one with the tunnel port and the inner address.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ProgramAnswer, runProgram } from "../support/daemon.ts";
import type { Lab, Teardown } from "../support/netns.ts";

const SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema";
const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
const POLLS_MAX = 400;

export interface FarTunnel {
  readonly wire: string;
  readonly outer: string;
  readonly inner: string;
  readonly type: string;
  readonly options: readonly string[];
}

export class FarOvs {
  readonly #lab: Lab;
  readonly #namespace: string;
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(t: Teardown, lab: Lab, namespace: string) {
    this.#lab = lab;
    this.#namespace = namespace;
    this.#folder = mkdtempSync(join(tmpdir(), "millrace-far-"));
    t.teardown(() => rmSync(this.#folder, { recursive: true, force: true }));
    mkdirSync(join(this.#folder, "run"));
    this.#env = { ...process.env, PATH, OVS_RUNDIR: join(this.#folder, "run"), OVS_LOGDIR: this.#folder };
  }

  async start({ wire, outer, inner, type, options }: FarTunnel): Promise<void> {
    const database = join(this.#folder, "conf.db");
    const socket = join(this.#folder, "run", "db.sock");
    execFileSync("ovsdb-tool", ["create", database, SCHEMA], { env: this.#env });
    this.#daemon("ovsdb-server", [`--remote=punix:${socket}`, database]);
    await until("ovsdb-server listens", () => existsSync(socket));
    this.vsctl("--no-wait", "init");
    this.#daemon("ovs-vswitchd", [`unix:${socket}`]);
    for (const bridge of ["phy", "int"])
      this.vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev");
    this.vsctl("add-port", "phy", wire);
    this.vsctl(
      "add-port",
      "int",
      "tun",
      "--",
      "set",
      "interface",
      "tun",
      `type=${type}`,
      ...options.map((o) => `options:${o}`),
    );
    for (const [bridge, address] of [
      ["phy", outer],
      ["int", inner],
    ] as const) {
      this.#lab.run(this.#namespace, "sysctl", "-q", "-w", `net.ipv6.conf.${bridge}.disable_ipv6=0`);
      this.#lab.ip(
        this.#namespace,
        "addr",
        "add",
        address,
        "dev",
        bridge,
        ...(address.includes(":") ? ["nodad"] : []),
      );
      this.#lab.ip(this.#namespace, "link", "set", bridge, "mtu", bridge === "int" ? "1400" : "1500", "up");
    }
  }

  vsctl(...args: string[]): string {
    const database = `--db=unix:${join(this.#folder, "run", "db.sock")}`;
    return execFileSync("ovs-vsctl", ["--timeout=30", database, ...args], {
      env: this.#env,
      encoding: "utf8",
    });
  }

  /** A command's answer. @throws Error when it fails */
  appctl(command: string, ...args: string[]): string {
    const { out, err, code } = this.appctlAnswer(command, ...args);
    if (code !== 0) throw new Error(`${command}: ${err}`);
    return out;
  }

  appctlAnswer(command: string, ...args: string[]): ProgramAnswer {
    const socket = readdirSync(join(this.#folder, "run")).find((name) => /^ovs-vswitchd\..*ctl$/.test(name));
    if (socket === undefined) throw new Error("ovs-vswitchd has no control socket");
    return runProgram("ovs-appctl", "-t", join(this.#folder, "run", socket), command, ...args);
  }

  #daemon(program: string, args: readonly string[]): void {
    const common = ["-vconsole:off", "-vsyslog:off", `--log-file=${join(this.#folder, `${program}.log`)}`];
    this.#lab.spawn(this.#namespace, program, [...common, ...args], { env: this.#env, stdio: "ignore" });
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let poll = 0; poll < POLLS_MAX; poll += 1) {
    if (condition()) return;
    await sleep(25);
  }
  throw new Error(`waited in vain until ${what}`);
}
