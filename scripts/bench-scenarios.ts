// The scenarios that millrace and its peers are compared on, as data (docs/performance.md has their figures).
import { SeededRandom } from "../test/support/random.ts";
import {
  anyHost,
  anyTuple,
  anyTuples,
  DST_MAC,
  type FlowText,
  type Scenario,
  SRC_MAC,
  shuffled,
  TUNNEL,
  TUNNEL_PORT_NO,
  type Tuple,
  tcpFrame,
  udpFrame,
  vxlanFrame,
} from "./bench-scenario.ts";

const SEED = 20240607;
const OUT = "2";
const VID = 100;
/** OpenFlow's vlan_vid with the bit that says that there is a tag. */
const OPENFLOW_VID = VID | 0x1000;
const ANY_IPV4 = "eth(),eth_type(0x0800),ipv4(frag=no)";

const inWords = (count: number): string => count.toLocaleString("en");
const hex = (byte: number): string => byte.toString(16).padStart(2, "0");
const udpFrames = (count: number) => () =>
  shuffled(
    anyTuples(count, SEED).map((tuple) => udpFrame(tuple)),
    SEED,
  );

const exactFlow = ({ src, dst, srcPort, dstPort }: Tuple): FlowText => ({
  match: `eth(),eth_type(0x0800),ipv4(src=${src},dst=${dst},proto=17,frag=no),udp(src=${srcPort},dst=${dstPort})`,
  actions: OUT,
});

const exact = (named: number, count: number): Scenario => ({
  name: `exact-${named}`,
  title: `exact 5-tuples, ${inWords(count)} flows`,
  frames: udpFrames(count),
  flows: () => anyTuples(count, SEED).map(exactFlow),
  ovs: { kind: "flows" },
});

/** 20.x.y.0/24 is where l3fwd of the peers' kit has its routes. */
const prefixOf = (index: number): string => `20.${index >>> 8}.${index & 255}`;

function prefixFrames(prefixCount: number, frameCount: number): Uint8Array[] {
  const random = new SeededRandom(SEED + prefixCount);
  const frames = Array.from({ length: frameCount }, (_, index) =>
    udpFrame(anyTuple(random, `${prefixOf(index % prefixCount)}.${1 + random.below(254)}`)),
  );
  return shuffled(frames, SEED + 1);
}

const prefixes = (prefixCount: number, frameCount: number): Scenario => ({
  name: "prefixes-256",
  title: `${prefixCount} IPv4 prefixes in one mask, ${inWords(frameCount)} different frames`,
  frames: () => prefixFrames(prefixCount, frameCount),
  flows: () =>
    Array.from({ length: prefixCount }, (_, index) => ({
      match: `eth(),eth_type(0x0800),ipv4(dst=${prefixOf(index)}.0/255.255.255.0,frag=no)`,
      actions: OUT,
    })),
  ovs: { kind: "flows" },
  isRouted: true,
});

/** As a gateway whose next hops have their own MAC each. */
const gateway = (named: number, prefixCount: number, frameCount: number): Scenario => ({
  name: `gateway-${named}`,
  title: `gateway: ${inWords(prefixCount)} prefixes, set MACs, TTL, ${inWords(frameCount)} different frames`,
  frames: () => prefixFrames(prefixCount, frameCount),
  flows: () =>
    Array.from({ length: prefixCount }, (_, index) => ({
      match: `eth(src=${SRC_MAC},dst=${DST_MAC}),eth_type(0x0800),ipv4(dst=${prefixOf(index)}.0/255.255.255.0,ttl=64,frag=no)`,
      actions: `set(eth(src=${DST_MAC},dst=02:aa:00:00:${hex(index >>> 8)}:${hex(index & 255)})),set(ipv4(ttl=63)),${OUT}`,
    })),
  ovs: { kind: "flows" },
  isRouted: true,
});

/** 128 masks: addresses of 24 to 31 bits each, without and with the destination port. */
const PREFIX_BITS = [31, 30, 29, 28, 27, 26, 25, 24];
const MASKS = [false, true].flatMap((hasPort) =>
  PREFIX_BITS.flatMap((dstBits) => PREFIX_BITS.map((srcBits) => ({ srcBits, dstBits, hasPort }))),
);

/** The mask of so many bits, and the address under it. Masks of 24 bits or more differ in the last octet only. */
function masked(address: string, bits: number): string {
  const lastOctet = (0xff00 >>> (bits - 24)) & 0xff;
  const [a, b, c, d] = address.split(".").map(Number);
  return `${a}.${b}.${c}.${d! & lastOctet}/255.255.255.${lastOctet}`;
}

/** Frames of mask m go to 30.m/16, so that none fits a flow of another mask. */
function masks(count: number, flowCount: number): Scenario {
  const tuples = (): Tuple[] => {
    const random = new SeededRandom(SEED + 4);
    return Array.from({ length: flowCount }, (_, index) =>
      anyTuple(random, anyHost(random, `30.${index % count}`)),
    );
  };
  const flow = ({ src, dst, dstPort }: Tuple, index: number): FlowText => {
    const { srcBits, dstBits, hasPort } = MASKS[index % count]!;
    const addresses = `src=${masked(src, srcBits)},dst=${masked(dst, dstBits)}`;
    return {
      match: `eth(),eth_type(0x0800),ipv4(${addresses},proto=17,frag=no),udp(${hasPort ? `dst=${dstPort}` : ""})`,
      actions: OUT,
    };
  };
  return {
    name: `masks-${count}`,
    title: `${count} masks hit evenly, ${inWords(flowCount)} flows`,
    frames: () =>
      shuffled(
        tuples().map((tuple) => udpFrame(tuple)),
        SEED + 4,
      ),
    // Frames under one masked address have one flow.
    flows: () => [
      ...new Map(
        tuples()
          .map(flow)
          .map((text) => [text.match, text]),
      ).values(),
    ],
    ovs: { kind: "flows" },
  };
}

const vlanPush = (frameCount: number): Scenario => ({
  name: "vlan-push",
  title: "push of a VLAN tag",
  frames: () => anyTuples(frameCount, SEED).map((tuple) => tcpFrame(tuple)),
  flows: () => [{ match: ANY_IPV4, actions: `push_vlan(vid=${VID},pcp=0),${OUT}` }],
  ovs: {
    kind: "rules",
    rules: [`in_port=1,ip,actions=push_vlan:0x8100,set_field:${OPENFLOW_VID}->vlan_vid,output:2`],
  },
});

const vlanPop = (frameCount: number): Scenario => ({
  name: "vlan-pop",
  title: "pop of a VLAN tag",
  frames: () => anyTuples(frameCount, SEED).map((tuple) => tcpFrame(tuple, VID)),
  flows: () => [
    {
      match: `eth(),eth_type(0x8100),vlan(vid=${VID},pcp=0),encap(eth_type(0x0800),ipv4(frag=no))`,
      actions: `pop_vlan,${OUT}`,
    },
  ],
  ovs: { kind: "rules", rules: [`in_port=1,dl_vlan=${VID},actions=pop_vlan,output:2`] },
});

const HEADER =
  `header(size=50,type=4,eth(dst=${TUNNEL.remoteMac},src=${TUNNEL.localMac},dl_type=0x0800),` +
  `ipv4(src=${TUNNEL.local},dst=${TUNNEL.remote},proto=17,tos=0,ttl=64,frag=0x4000),` +
  `udp(src=0,dst=${TUNNEL.udpPort},csum=0x0),vxlan(flags=0x8000000,vni=0x${TUNNEL.vni.toString(16)}))`;

const vxlanEncap = (frameCount: number): Scenario => ({
  name: "vxlan-encap",
  title: "VXLAN encapsulation",
  frames: udpFrames(frameCount),
  flows: () => [
    { match: ANY_IPV4, actions: `tnl_push(tnl_port(${TUNNEL_PORT_NO}),${HEADER},out_port(${OUT})),${OUT}` },
  ],
  hasTunnel: true,
  ovs: { kind: "vxlan", direction: "encap" },
});

const vxlanDecap = (frameCount: number): Scenario => ({
  name: "vxlan-decap",
  title: "VXLAN decapsulation and second look-up",
  frames: () => anyTuples(frameCount, SEED).map(vxlanFrame),
  flows: () => [
    {
      match:
        `eth(dst=${TUNNEL.localMac}),eth_type(0x0800),ipv4(dst=${TUNNEL.local},proto=17,frag=no),` +
        `udp(dst=${TUNNEL.udpPort})`,
      actions: `tnl_pop(${TUNNEL_PORT_NO})`,
    },
    {
      inPort: TUNNEL_PORT_NO,
      match: `tunnel(tun_id=${TUNNEL.vni},src=${TUNNEL.remote},dst=${TUNNEL.local},flags(-df-csum+key)),${ANY_IPV4}`,
      actions: OUT,
    },
  ],
  hasTunnel: true,
  ovs: { kind: "vxlan", direction: "decap" },
});

/** Every packet to one port; the floor does it without the look-up. */
const portToPort = (name: string, title: string, frameCount: number): Scenario => ({
  name,
  title,
  frames: udpFrames(frameCount),
  flows: () => [{ match: "eth()", actions: OUT }],
  ovs: { kind: "rules", rules: ["in_port=1,actions=output:2"] },
});

/** @param countMax no scenario has more frames or flows than that: small ones only show that it works */
export function scenarios(countMax = Number.POSITIVE_INFINITY): Scenario[] {
  const upTo = (count: number): number => Math.min(count, countMax);
  const plain = upTo(1000);
  return [
    { ...portToPort("floor", "memory to memory, no look-up", plain), isFloor: true, ovs: null },
    portToPort("port", "port to port, in_port alone matched", plain),
    ...[1000, 10_000, 100_000].map((count) => exact(count, upTo(count))),
    // Peers that send from memory hold every frame in a packet buffer, and have 262,144 of them.
    { ...exact(1_000_000, upTo(1_000_000)), isAlone: true, besideOwn: "exact-1000" },
    prefixes(upTo(256), upTo(10_000)),
    ...[1000, 10_000].map((count) => gateway(count, upTo(1000), upTo(count))),
    { ...masks(1, upTo(1024)), isAlone: true },
    ...[16, 64, 128].map((count) => ({ ...masks(count, Math.max(count, upTo(1024))), besideOwn: "masks-1" })),
    vlanPush(plain),
    vlanPop(plain),
    vxlanEncap(plain),
    vxlanDecap(plain),
  ];
}

/** Stations beside each other that send to as many others; each pair has one packet. */
const pairSide = (flowCount: number): number => Math.ceil(Math.sqrt(flowCount));

/**
 * Packets of which each makes a megaflow: no two have the same pair of MAC addresses, for a switch that learns, nor the
 * same 5-tuple, for one that matches it. Nothing is ever sent from where they go to.
 */
export function setupFrames(flowCount: number): Uint8Array[] {
  const side = pairSide(flowCount);
  const frames = anyTuples(flowCount, SEED).map((tuple, index) =>
    udpFrame(tuple, { src: station(0x0a, index % side), dst: station(0x0b, Math.floor(index / side)) }),
  );
  return shuffled(frames, SEED + 8);
}

const station = (side: number, index: number): string =>
  `02:${hex(side)}:00:00:${hex(index >>> 8)}:${hex(index & 255)}`;
