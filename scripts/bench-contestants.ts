// Who takes part in the comparison, and how one measurement of each is made. Each starts afresh for each measurement,
// alone on the CPU that forwards.
import { resolve } from "node:path";
import { outputOf } from "./bench-child.ts";
import type { Peers } from "./bench-peers-available.ts";
import { type Scenario, type ScenarioFiles, TUNNEL_PORT_NO } from "./bench-scenario.ts";

const CLI = resolve(import.meta.dirname, "../src/cli/millrace.js");
const SETUP = resolve(import.meta.dirname, "bench-setup.js");
const PEER = resolve(import.meta.dirname, "../../scripts/bench-peers.py");
/** What the peers' kit gives a switch before it counts. */
const PEER_WARM_UP_SECONDS = 1;
/** Open vSwitch's look-up caches, as the kit calls their settings. */
const CACHES = ["emc", "smc", "noemc"] as const;
const NAMESPACE = "millrace-bench";

export interface Site {
  readonly folder: string;
  readonly forwardingCpu: number | undefined;
  readonly otherCpu: number | undefined;
  readonly seconds: number;
  /** As `millrace bench --engine` takes it; undefined: its own choice. */
  readonly engine: string | undefined;
}

export interface Measurement {
  /** Of CPU time that the forwarding thread got: others on its CPU count for nobody. */
  readonly nsPerPacket: number;
  /** How much of the CPU it got. */
  readonly cpuShare: number;
  /** What it tells beside. */
  readonly detail: unknown;
}

export type ContestantKind = "millrace" | "ovs" | "testpmd" | "l3fwd";

export interface Contestant {
  readonly name: string;
  readonly kind: ContestantKind;
  readonly measure: () => Promise<Measurement>;
}

/** Flows that are set up by misses, in place of packets that hit. */
export const SETUP_SCENARIO = "flow-set-up";

export function contestants(
  scenario: Scenario,
  files: ScenarioFiles,
  site: Site,
  peers: Peers | undefined,
): Contestant[] {
  const millrace = {
    name: "millrace",
    kind: "millrace",
    measure: () => runMillrace(scenario, files, site),
  } as const;
  return peers === undefined ? [millrace] : [millrace, ...peersOf(scenario, files, site, peers)];
}

async function runMillrace(scenario: Scenario, files: ScenarioFiles, site: Site): Promise<Measurement> {
  const args = [CLI, "bench", "--rx", files.capture];
  args.push("--seconds", String(site.seconds), "--json", "--no-progress");
  args.push(...(scenario.isFloor ? ["--floor"] : ["--flows", files.flows]));
  if (scenario.hasTunnel) args.push("--tunnel-port", String(TUNNEL_PORT_NO));
  if (site.engine !== undefined) args.push("--engine", site.engine);
  const detail = JSON.parse(await outputOf(process.execPath, args, { cpu: site.forwardingCpu })) as {
    nsPerPacket: number;
    cpuShare: number | null;
  };
  const cpuShare = detail.cpuShare ?? 1;
  return { nsPerPacket: detail.nsPerPacket * cpuShare, cpuShare, detail };
}

/** One job for bench-peers.py. */
interface PeerJob {
  readonly what: "testpmd" | "l3fwd" | "ovs" | "clean";
  readonly name: string;
  readonly cache?: string;
  readonly setup?: string;
  readonly rules?: readonly string[] | "vxlan" | "miss";
  readonly flows?: ScenarioFiles["flowTexts"];
}

/** What the kit tells of one measurement. */
interface PeerResult {
  readonly error?: string;
  readonly mpps_norm: number;
  readonly rx_mpps: number;
  readonly tx_mpps: number;
  readonly upcalls_per_s?: number;
  readonly noise: { readonly fwd_thread_cpu_pct?: number };
}

async function runPeer(
  job: PeerJob,
  site: Site,
  peers: Peers,
  env: Record<string, string> = {},
): Promise<PeerResult> {
  const out = await outputOf("python3", [PEER, peers.kit], {
    cpu: site.otherCpu,
    input: JSON.stringify({ ...job, traffic: job.name, folder: site.folder, namespace: NAMESPACE }),
    env: {
      SECS: String(site.seconds),
      WARM: String(PEER_WARM_UP_SECONDS),
      REPS: "1",
      PMD_CORE: String(site.forwardingCpu),
      AUX_CORE: String(site.otherCpu),
      ...env,
    },
  });
  const result = JSON.parse(out.trim().split("\n").at(-1)!) as PeerResult;
  if (result.error !== undefined) throw new Error(`${job.what} on ${job.name}: ${result.error}`);
  return result;
}

function perPacket(result: PeerResult): Measurement {
  const cpuShare = Math.min(100, result.noise.fwd_thread_cpu_pct ?? 100) / 100;
  return { nsPerPacket: 1e3 / result.mpps_norm, cpuShare, detail: result };
}

function peersOf(scenario: Scenario, { flowTexts }: ScenarioFiles, site: Site, peers: Peers): Contestant[] {
  const { name, ovs, isRouted, isAlone } = scenario;
  const list: Contestant[] = [];
  if (isAlone) return list;
  for (const [label, path] of ovs === null ? [] : peers.ovs) {
    // What in_port alone decides goes by no cache.
    for (const cache of name === "port" ? ["emc"] : CACHES) {
      const job = { what: "ovs", name, cache, ...ovsJob(ovs!, flowTexts) } as const;
      const measure = async () => perPacket(await runPeer(job, site, peers, { VSWITCHD: path }));
      list.push({ name: `${label} ${cache}`, kind: "ovs", measure });
    }
  }
  if (peers.hasTestpmd) {
    const measure = async () => perPacket(await runPeer({ what: "testpmd", name }, site, peers));
    list.push({ name: "testpmd io", kind: "testpmd", measure });
  }
  if (peers.l3fwd !== undefined && isRouted) {
    const env = { L3FWD: peers.l3fwd };
    const measure = async () => perPacket(await runPeer({ what: "l3fwd", name }, site, peers, env));
    list.push({ name: "l3fwd lpm", kind: "l3fwd", measure });
  }
  return list;
}

/** What Open vSwitch is set up by. */
function ovsJob(ovs: NonNullable<Scenario["ovs"]>, flowTexts: ScenarioFiles["flowTexts"]): Partial<PeerJob> {
  switch (ovs.kind) {
    case "flows":
      return { flows: flowTexts };
    case "rules":
      return { rules: ovs.rules };
    case "vxlan":
      return { rules: "vxlan", setup: `S7${ovs.direction}` };
  }
}

/** Misses of so many flows: nanoseconds a flow in place of nanoseconds a packet. */
export function setupContestants(capture: ScenarioFiles, site: Site, peers: Peers | undefined): Contestant[] {
  const measure = async (): Promise<Measurement> => {
    const args = [SETUP, "--flows", String(capture.frameCount), "--json"];
    if (site.engine !== undefined) args.push("--engine", site.engine);
    const detail = JSON.parse(await outputOf(process.execPath, args, { cpu: site.forwardingCpu })) as {
      nsPerFlow: number;
      cpuShare: number | null;
    };
    const cpuShare = detail.cpuShare ?? 1;
    return { nsPerPacket: detail.nsPerFlow * cpuShare, cpuShare, detail };
  };
  const list: Contestant[] = [{ name: "millrace", kind: "millrace", measure }];
  for (const [label, path] of peers?.ovs ?? []) {
    const job = { what: "ovs", name: SETUP_SCENARIO, cache: "install", rules: "miss" } as const;
    const measureOvs = async (): Promise<Measurement> => {
      const result = await runPeer(job, site, peers!, { VSWITCHD: path });
      const cpuShare = Math.min(100, result.noise.fwd_thread_cpu_pct ?? 100) / 100;
      return { nsPerPacket: (1e9 / result.upcalls_per_s!) * cpuShare, cpuShare, detail: result };
    };
    list.push({ name: label, kind: "ovs", measure: measureOvs });
  }
  return list;
}

/** Ends what a peer left and removes the namespace. */
export async function cleanUp(site: Site, peers: Peers | undefined): Promise<void> {
  if (peers === undefined) return;
  const input = JSON.stringify({
    what: "clean",
    name: "",
    traffic: "",
    folder: site.folder,
    namespace: NAMESPACE,
  });
  await outputOf("python3", [PEER, peers.kit], { cpu: site.otherCpu, input });
}
