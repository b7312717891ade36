// What a scenario of the comparison is made of: frames, and flows for them, from one description for every switch. The
// same seed gives the same files on every machine. Addresses and tunnel are those of the kit that drives the peers
// (bench-peers.ts), so that its own configuration of Open vSwitch fits them.
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { buildFrame, padFrame } from "../src/packet/builder.ts";
import { type EthernetFields, ethernet, vlan } from "../src/packet/builder-link.ts";
import { ipv4 } from "../src/packet/builder-network.ts";
import { tcp, udp } from "../src/packet/builder-transport.ts";
import { writeBe32 } from "../src/packet/bytes.ts";
import { PcapWriter } from "../src/packet/pcap-writer.ts";
import { VXLAN } from "../src/packet/tunnel-headers.ts";
import { SeededRandom } from "../test/support/random.ts";

/** 64 bytes on the wire, with the checksum that no capture holds. */
export const FRAME_BYTES = 60;
export const SRC_MAC = "02:00:00:00:00:01";
export const DST_MAC = "02:00:00:00:00:02";
/** The port of the tunnel in `millrace bench`. */
export const TUNNEL_PORT_NO = 9;
export const TUNNEL = {
  vni: 42,
  local: "192.0.2.1",
  localMac: "02:00:00:00:00:99",
  remote: "192.0.2.2",
  remoteMac: "02:00:00:00:00:98",
  udpPort: 4789,
} as const;

/** One megaflow; `match` is all of it but in_port. */
export interface FlowText {
  readonly match: string;
  readonly actions: string;
  /** Absent: the port that frames come from. */
  readonly inPort?: number;
}

/** What Open vSwitch is given in place of the flows, where it makes better megaflows itself. */
export type OvsSetup =
  | { readonly kind: "flows" }
  | { readonly kind: "rules"; readonly rules: readonly string[] }
  | { readonly kind: "vxlan"; readonly direction: "encap" | "decap" };

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly frames: () => Uint8Array[];
  readonly flows: () => FlowText[];
  /** No look-up: every frame goes to port 2, whatever the flows say. */
  readonly isFloor?: boolean;
  readonly hasTunnel?: boolean;
  /** Null: Open vSwitch has nothing like it. */
  readonly ovs: OvsSetup | null;
  /** Frames go to prefixes that l3fwd has routes for. */
  readonly isRouted?: boolean;
  /** No peer is measured. */
  readonly isAlone?: boolean;
  /** The scenario that millrace's own figure is compared with. */
  readonly besideOwn?: string;
}

export interface Tuple {
  readonly src: string;
  readonly dst: string;
  readonly srcPort: number;
  readonly dstPort: number;
}

export const anyHost = (random: SeededRandom, net: string): string =>
  `${net}.${random.below(256)}.${1 + random.below(254)}`;

const anyPort = (random: SeededRandom): number => 1024 + random.below(65536 - 1024);

export const anyTuple = (random: SeededRandom, dst: string): Tuple => ({
  src: anyHost(random, `10.${random.below(256)}`),
  dst,
  srcPort: anyPort(random),
  dstPort: anyPort(random),
});

/** Different 5-tuples, from 10/8 to 172.16/12. */
export function anyTuples(count: number, seed: number): Tuple[] {
  const random = new SeededRandom(seed);
  const tuples = new Map<string, Tuple>();
  while (tuples.size < count) {
    const tuple = anyTuple(random, anyHost(random, `172.${16 + random.below(16)}`));
    tuples.set(Object.values(tuple).join(), tuple);
  }
  return [...tuples.values()];
}

const network = ({ src, dst }: Tuple) => ipv4({ src, dst, dontFragment: true });

export const udpFrame = (tuple: Tuple, addresses: EthernetFields = {}): Uint8Array =>
  padFrame(
    buildFrame([ethernet(addresses), network(tuple), udp({ src: tuple.srcPort, dst: tuple.dstPort })]),
    FRAME_BYTES,
  );

export function tcpFrame(tuple: Tuple, vid?: number): Uint8Array {
  const tags = vid === undefined ? [] : [vlan({ vid })];
  return padFrame(
    buildFrame([ethernet(), ...tags, network(tuple), tcp({ src: tuple.srcPort, dst: tuple.dstPort })]),
    FRAME_BYTES,
  );
}

/** A UDP frame in VXLAN from the tunnel's far end; the nth tunnel packet has a source port of its own. */
export function vxlanFrame(tuple: Tuple, index: number): Uint8Array {
  const header = new Uint8Array(VXLAN.headerBytes);
  writeBe32(header, VXLAN.flags, VXLAN.hasVni);
  writeBe32(header, VXLAN.vni, TUNNEL.vni << 8);
  return buildFrame(
    [
      ethernet({ src: TUNNEL.remoteMac, dst: TUNNEL.localMac }),
      ipv4({ src: TUNNEL.remote, dst: TUNNEL.local, dontFragment: true }),
      udp({ src: 49152 + (index % 16384), dst: TUNNEL.udpPort, checksum: 0 }),
    ],
    Buffer.concat([header, udpFrame(tuple)]),
  );
}

/** The frames in another order: flows stand in tables in the order of their making, packets must not come in that order. */
export function shuffled(frames: Uint8Array[], seed: number): Uint8Array[] {
  const random = new SeededRandom(seed);
  for (let last = frames.length - 1; last > 0; last -= 1) {
    const other = random.below(last + 1);
    [frames[last], frames[other]] = [frames[other]!, frames[last]!];
  }
  return frames;
}

/** The scenario's frames and flows as the files that `millrace bench` and the peers read. */
export interface ScenarioFiles {
  readonly capture: string;
  readonly flows: string;
  readonly frameCount: number;
  readonly flowTexts: readonly FlowText[];
}

/** Frames come in here, in `millrace bench`. */
const IN_PORT_NO = 1;

export const flowLine = ({ inPort = IN_PORT_NO, match, actions }: FlowText): string =>
  `in_port(${inPort}),${match} ${actions}`;

export function writeScenario({ name, frames, flows }: Scenario, folder: string): ScenarioFiles {
  const capture = join(folder, `${name}.pcap`);
  const file = openSync(capture, "w");
  const writer = new PcapWriter((bytes) => void writeSync(file, bytes));
  const all = frames();
  for (const frame of all) writer.write(0, 0, 0, frame.length, frame, 0, frame.length);
  writer.flush();
  closeSync(file);
  const flowTexts = flows();
  const flowFile = join(folder, `${name}.flows`);
  writeFileSync(flowFile, `${flowTexts.map(flowLine).join("\n")}\n`);
  return { capture, flows: flowFile, frameCount: all.length, flowTexts };
}
