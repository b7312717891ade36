// Flows and action lists that fit a packet, for comparisons with the real Open vSwitch: made from the
// packet's own key text, so that the flow matches and every action has the header that it needs. Left out is
// what Open vSwitch leaves undefined or is known to do wrong: setting fields of a header that is cut off,
// transport fields of later fragments, and IPv4 addresses of later fragments (it changes two bytes of their
// payload).

import type { SeededRandom } from "./random.ts";

/** What of a key's text decides about flow and actions. */
interface KeyParts {
  readonly vlan: string | undefined;
  readonly etherType: string | undefined;
  /** Text of ipv4(...) or ipv6(...) by field. */
  readonly version: 4 | 6 | undefined;
  readonly network: ReadonlyMap<string, string>;
  readonly transport: "tcp" | "udp" | "sctp" | undefined;
  readonly isArp: boolean;
  readonly isIcmp: boolean;
  readonly isMpls: boolean;
  /** A whole neighbour solicitation or advertisement. */
  readonly isNeighborDiscovery: boolean;
  /** Ports are zero when the header is cut off (or says so). */
  readonly hasPorts: boolean;
}

function partsOf(key: string): KeyParts {
  const version = key.includes("ipv4(") ? 4 : key.includes("ipv6(") ? 6 : undefined;
  const network = new Map<string, string>();
  if (version !== undefined) {
    const [, fields] = /ipv[46]\(([^)]*)\)/.exec(key)!;
    for (const field of fields!.split(",")) {
      const [name, value] = field.split("=");
      network.set(name!, value!);
    }
  }
  const ports = /(tcp|udp|sctp)\(src=(\d+),dst=(\d+)\)/.exec(key);
  // The type of the packet itself; with a tag, the one inside encap().
  const types = Array.from(key.matchAll(/eth_type\((0x[0-9a-f]+)\)/g), (match) => match[1]!);
  return {
    vlan: /eth_type\(0x[0-9a-f]+\),vlan\([^)]*\)/.exec(key)?.[0],
    etherType: types.at(-1),
    version,
    network,
    transport: ports?.[1] as "tcp" | "udp" | "sctp" | undefined,
    isArp: /arp\(sip=[^)]*,op=[1-9]/.test(key),
    isIcmp: /icmp\(type=[1-9]/.test(key),
    isMpls: /mpls\(label=/.test(key),
    isNeighborDiscovery: /nd\(target=/.test(key),
    hasPorts: ports !== null && (ports[2] !== "0" || ports[3] !== "0"),
  };
}

/**
 * A flow that matches the packet with this key: exact in types, tags, protocol and fragment, any other value.
 * None where Open vSwitch does not read what it prints: 802.2 frames, empty tags, NSH, cut MPLS stacks.
 */
export function flowFor(key: string): string | undefined {
  const parts = partsOf(key);
  if (parts.etherType === undefined || /encap\(\)|nsh\(|bad key length/.test(key)) return undefined;
  const inner = [`eth_type(${parts.etherType})`];
  if (parts.version !== undefined) {
    const proto = parts.network.get("proto");
    inner.push(`ipv${parts.version}(proto=${proto},frag=${parts.network.get("frag")})`);
  }
  // A key must be complete for its types; these parts are there with everything wildcarded.
  const complete = /(?<=,)(tcp|udp|sctp|icmp|icmpv6|arp)(?=\()/.exec(key)?.[0];
  if (complete !== undefined) inner.push(`${complete}()`);
  const exact = /(?<=,)mpls\([^)]*\)/.exec(key)?.[0];
  if (exact !== undefined) inner.push(exact);
  const rest = inner.join(",");
  const tagged = parts.vlan === undefined ? rest : `${parts.vlan},encap(${rest})`;
  return `in_port(1),eth(),${tagged}`;
}

const MACS = ["aa:bb:cc:dd:ee:ff", "00:00:00:00:00:01", "01:00:5e:00:00:01"] as const;
const MAC_MASKS = ["ff:ff:ff:ff:ff:ff", "ff:00:00:00:00:00", "00:00:00:00:00:01"] as const;

/** `value/mask` with the bits of the value outside the mask cleared, as validation wants it. */
function maskedMac(random: SeededRandom): string {
  const mask = random.pick(MAC_MASKS).split(":");
  const value = random.pick(MACS).split(":");
  const kept = value.map((byte, index) => {
    const bits = Number.parseInt(byte, 16) & Number.parseInt(mask[index]!, 16);
    return bits.toString(16).padStart(2, "0");
  });
  return `${kept.join(":")}/${mask.join(":")}`;
}

function maskedNumber(random: SeededRandom, bits: number): string {
  const all = 2 ** bits - 1;
  if (random.chance(0.5)) return `0x${random.below(all + 1).toString(16)}`;
  const mask = 1 + random.below(all);
  const value = (random.below(all + 1) & mask) >>> 0;
  return `0x${value.toString(16)}/0x${mask.toString(16)}`;
}

function setEth(random: SeededRandom): string {
  const fields = ["src", "dst"].filter(() => random.chance(0.7));
  if (fields.length === 0) fields.push("dst");
  return `set(eth(${fields.map((field) => `${field}=${maskedMac(random)}`).join(",")}))`;
}

const IPV4S = [
  "1.2.3.4",
  "0.0.3.4/0.0.255.255",
  "10.0.0.1",
  "255.255.255.255",
  "10.0.0.0/255.0.0.0",
] as const;
const IPV6S = ["2001:db8::77", "::7/::ffff", "fe80::/ffff::", "::", "ff02::1"] as const;

function chooseFields(random: SeededRandom, makers: Readonly<Record<string, () => string>>): string {
  const names = Object.keys(makers);
  const chosen = names.filter(() => random.chance(0.5));
  if (chosen.length === 0) chosen.push(random.pick(names));
  return chosen.map((name) => `${name}=${makers[name]!()}`).join(",");
}

function setNetwork(random: SeededRandom, parts: KeyParts): string {
  if (parts.version === 6) {
    const fields = {
      src: () => random.pick(IPV6S),
      dst: () => random.pick(IPV6S),
      label: () => maskedNumber(random, 20),
      tclass: () => maskedNumber(random, 8),
      hlimit: () => maskedNumber(random, 8),
    };
    return `set(ipv6(${chooseFields(random, fields)}))`;
  }
  const addresses = { src: () => random.pick(IPV4S), dst: () => random.pick(IPV4S) };
  const fields = { tos: () => maskedNumber(random, 8), ttl: () => maskedNumber(random, 8) };
  const isLater = parts.network.get("frag") === "later";
  return `set(ipv4(${chooseFields(random, isLater ? fields : { ...addresses, ...fields })}))`;
}

function setTransport(random: SeededRandom, transport: string): string {
  const port = (): string => maskedNumber(random, 16);
  return `set(${transport}(${chooseFields(random, { src: port, dst: port })}))`;
}

function pushVlan(random: SeededRandom): string {
  const tpid = random.chance(0.3) ? "tpid=0x88a8," : "";
  return `push_vlan(${tpid}vid=${random.below(4096)},pcp=${random.below(8)})`;
}

function output(random: SeededRandom, portCount: number): string {
  const trunc = random.chance(0.15) ? `trunc(${14 + random.below(80)}),` : "";
  return `${trunc}${1 + random.below(portCount)}`;
}

function userspace(random: SeededRandom): string {
  const trunc = random.chance(0.3) ? `trunc(${60 + random.below(40)}),` : "";
  const userdata = Array.from(random.bytes(8 + random.below(9)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  );
  return `${trunc}userspace(pid=${1 + random.below(9)},userdata(${userdata.join("")}))`;
}

/** Masks of ARP are left out: Open vSwitch writes bits outside of them. */
function setArp(random: SeededRandom): string {
  const fields = {
    sip: () => random.pick(["1.2.3.4", "255.255.255.255"]),
    tip: () => random.pick(["1.2.3.4", "10.0.0.1"]),
    op: () => String(random.below(256)),
    sha: () => random.pick(MACS),
    tha: () => random.pick(MACS),
  };
  return `set(arp(${chooseFields(random, fields)}))`;
}

function setMpls(random: SeededRandom): string {
  const fields = {
    label: () => maskedNumber(random, 20),
    tc: () => maskedNumber(random, 3),
    ttl: () => maskedNumber(random, 8),
  };
  return `set(mpls(${chooseFields(random, fields)}))`;
}

function setNd(random: SeededRandom): string {
  const fields = {
    target: () => random.pick(["fe80::99", "2001:db8::1"]),
    sll: () => random.pick(MACS),
    tll: () => random.pick(MACS),
  };
  return `set(nd(${chooseFields(random, fields)}))`;
}

/** NSH put on and taken off again; nothing behind it may look at headers before a recirculation. */
function throughNsh(random: SeededRandom, portCount: number): string {
  const push = random.pick([
    "push_nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x1234,si=255,c1=0x1,c2=0x2,c3=0x3,c4=0x4)",
    "push_nsh(flags=0,ttl=1,mdtype=2,np=3,spi=0x1,si=1,md2=0x10000a041234567820001408fedcba9876543210)",
  ]);
  return `clone(${push},pop_nsh(),${output(random, portCount)})`;
}

/** How deep random lists nest. */
const DEPTH_MAX = 2;

function nested(random: SeededRandom, list: () => string): string {
  const kind = random.below(3);
  if (kind === 0) return `clone(${list()})`;
  if (kind === 1) return `sample(sample=${random.chance(0.7) ? 100 : 0}.0%,actions(${list()}))`;
  return `check_pkt_len(size=${20 + random.below(80)},gt(${list()}),le(${random.chance(0.3) ? "drop" : list()}))`;
}

/** One to six actions that fit the packet with this key; the last one is mostly an output. */
export function actionsFor(key: string, random: SeededRandom, portCount: number): string {
  if (random.chance(0.02)) return "drop";
  // An upcall has Open vSwitch extract the packet anew; with more tags than the vlan-limit the offsets that later
  // actions go by are lost.
  for (;;) {
    const list = actionList(key, random, portCount, 0);
    if (!/push_vlan.*userspace/.test(list)) return list;
  }
}

function actionList(key: string, random: SeededRandom, portCount: number, depth: number): string {
  const parts = partsOf(key);
  // All fields of a cut-off header read as zero; Open vSwitch would write past the packet's end, and crashes.
  const hops = parts.network.get("ttl") ?? parts.network.get("hlimit") ?? "0";
  const isWhole = hops !== "0";
  const makers: (() => string)[] = [
    () => setEth(random),
    () => pushVlan(random),
    () => "pop_vlan",
    () => output(random, portCount),
    () => userspace(random),
  ];
  if (isWhole) makers.push(...new Array<() => string>(4).fill(() => setNetwork(random, parts)));
  const { transport } = parts;
  if (isWhole && transport !== undefined && parts.hasPorts && parts.network.get("frag") !== "later") {
    makers.push(...new Array<() => string>(6).fill(() => setTransport(random, transport)));
  }
  if (parts.isArp)
    makers.push(
      () => setArp(random),
      () => setArp(random),
    );
  if (parts.isMpls)
    makers.push(
      () => setMpls(random),
      () => setMpls(random),
    );
  if (parts.isIcmp && parts.version === 4) {
    makers.push(() => `set(icmp(type=${random.below(256)},code=${random.below(256)}))`);
  }
  if (parts.isNeighborDiscovery)
    makers.push(
      () => setNd(random),
      () => setNd(random),
    );
  if (random.chance(0.3)) makers.push(() => throughNsh(random, portCount));
  if (depth < DEPTH_MAX) {
    const list = (): string => actionList(key, random, portCount, depth + 1);
    makers.push(
      () => nested(random, list),
      () => nested(random, list),
    );
  }
  const actions = Array.from({ length: random.below(5) }, () => random.pick(makers)());
  if (actions.length === 0 || random.chance(0.9)) actions.push(output(random, portCount));
  return actions.join(",");
}
