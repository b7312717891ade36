// Which peers there are here, and why the others are missing.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { hasProgram } from "./bench-child.ts";

/** Where Debian puts the Open vSwitch that is built with DPDK. */
const OVS_DPDK = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk";
/** Open vSwitch's pool of 262,144 packet buffers, and what EAL takes. */
const HUGE_PAGES_MIB = 900;

export interface PeerOptions {
  /** The kit's folder. */
  readonly from: string | undefined;
  /** Another ovs-vswitchd with DPDK, beside the installed one. */
  readonly ovs: string | undefined;
  /** DPDK's example program. */
  readonly l3fwd: string | undefined;
}

export interface Peers {
  readonly kit: string;
  readonly hasTestpmd: boolean;
  /** Paths of ovs-vswitchd by the name that the table calls it. */
  readonly ovs: ReadonlyMap<string, string>;
  readonly l3fwd: string | undefined;
  readonly versions: Readonly<Record<string, string>>;
  /** Peers that are not measured, and why. */
  readonly missing: readonly string[];
}

/** A text says why no peer can be run. */
export function findPeers({ from, ovs, l3fwd }: PeerOptions, cpuCount: number): Peers | string {
  const reason = kitUnavailable(from, cpuCount);
  if (reason !== undefined) return reason;
  const missing: string[] = [];
  const versions: Record<string, string> = {};
  const switches = new Map<string, string>();
  const candidates = [
    ["OVS", OVS_DPDK],
    ["other OVS", ovs],
  ] as const;
  for (const [name, path] of candidates) {
    if (path === undefined) continue;
    if (existsSync(path)) {
      switches.set(name, path);
      versions[name] = `${printed(path, "--version").replaceAll("\n", ", ")} (${path})`;
    } else missing.push(`${name}: there is no ${path}`);
  }
  const hasTestpmd = hasProgram("dpdk-testpmd", "--help");
  if (hasTestpmd) versions["testpmd"] = testpmdVersion();
  else missing.push("testpmd: dpdk-testpmd is not installed (Debian: dpdk)");
  if (l3fwd === undefined) missing.push("l3fwd: no path is given (--l3fwd)");
  else if (!existsSync(l3fwd)) missing.push(`l3fwd: there is no ${l3fwd}`);
  else versions["l3fwd"] = l3fwd;
  return {
    kit: from!,
    hasTestpmd,
    ovs: switches,
    l3fwd: l3fwd !== undefined && existsSync(l3fwd) ? l3fwd : undefined,
    versions,
    missing,
  };
}

function kitUnavailable(from: string | undefined, cpuCount: number): string | undefined {
  if (from === undefined) return "no kit that drives them is named (--peers-from DIR)";
  if (!existsSync(join(from, "ovsbench.py"))) return `there is no ovsbench.py in ${from}`;
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "they run on Linux, as root";
  if (cpuCount < 2) return "it takes two CPUs: one forwards, the other has everything else";
  for (const name of ["python3", "taskset", "ip"]) {
    if (!hasProgram(name, "--help")) return `${name} is not installed`;
  }
  const freeMib = freeHugePagesMib();
  if (freeMib >= HUGE_PAGES_MIB) return undefined;
  return (
    `${freeMib} MiB of huge pages are free and ${HUGE_PAGES_MIB} are needed: ` +
    `sysctl vm.nr_hugepages=${Math.ceil(HUGE_PAGES_MIB / hugePageMib())}`
  );
}

const memoryInfo = (name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync("/proc/meminfo", "utf8"))?.[1] ?? 0);
const hugePageMib = (): number => memoryInfo("Hugepagesize") / 1024;
const freeHugePagesMib = (): number => memoryInfo("HugePages_Free") * hugePageMib();

const printed = (command: string, ...args: string[]): string =>
  spawnSync(command, args, { encoding: "utf8" }).stdout?.trim() ?? "";

/** Only its EAL tells a version, and only when it starts. */
function testpmdVersion(): string {
  const args = ["-v", "--no-huge", "--no-pci", "-m", "16", "--no-shconf", "--", "--help"];
  const { stdout, stderr } = spawnSync("dpdk-testpmd", args, { encoding: "utf8" });
  return /RTE Version: '([^']+)'/.exec(`${stdout}${stderr}`)?.[1] ?? "version unknown";
}
