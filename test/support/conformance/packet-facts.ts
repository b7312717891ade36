// What of a packet's key decides about the actions that may be tried on it.
import { getNumber } from "../../../src/flow/key.ts";

export interface PacketFacts {
  readonly etherType: number;
  readonly version: 4 | 6 | undefined;
  readonly protocol: number;
  /** The IP header is there: all fields of one that is cut off read as zero. */
  readonly hasNetwork: boolean;
  readonly isLater: boolean;
  /** TCP, UDP or SCTP header that is there. */
  readonly transport: "tcp" | "udp" | "sctp" | undefined;
  readonly control: "icmp" | "icmpv6" | undefined;
  readonly isNd: boolean;
  readonly isArp: boolean;
  readonly isMpls: boolean;
  readonly isNsh: boolean;
  readonly isTagged: boolean;
}

const FRAG_LATER = 2;
const TRANSPORTS = new Map([
  [6, "tcp"],
  [17, "udp"],
  [132, "sctp"],
] as const);

export function packetFacts(key: Uint8Array): PacketFacts {
  const etherType = getNumber(key, "eth_type");
  const version = etherType === 0x0800 ? 4 : etherType === 0x86dd ? 6 : undefined;
  const hasNetwork = version !== undefined && getNumber(key, "nw_ttl") !== 0;
  const isLater = getNumber(key, "nw_frag") === FRAG_LATER;
  const protocol = version === undefined ? 0 : getNumber(key, "nw_proto");
  const hasTransport =
    hasNetwork && !isLater && (getNumber(key, "tp_src") !== 0 || getNumber(key, "tp_dst") !== 0);
  const isControl = hasTransport && protocol === (version === 4 ? 1 : 58);
  const type = getNumber(key, "tp_src");
  const isArpType = etherType === 0x0806 || etherType === 0x8035;
  return {
    etherType,
    version,
    protocol,
    hasNetwork,
    isLater,
    transport: hasTransport ? TRANSPORTS.get(protocol as 6 | 17 | 132) : undefined,
    control: isControl ? (version === 4 ? "icmp" : "icmpv6") : undefined,
    isNd: isControl && (type === 135 || type === 136) && getNumber(key, "tp_dst") === 0,
    isArp: isArpType && getNumber(key, "nw_proto") !== 0,
    isMpls: (etherType === 0x8847 || etherType === 0x8848) && getNumber(key, "mpls_lse0") !== 0,
    isNsh: etherType === 0x894f && getNumber(key, "nsh_mdtype") !== 0,
    isTagged: getNumber(key, "vlan_tpid") !== 0,
  };
}

/** An action that writes a header, and whether the packet has it. */
const NEEDS: readonly (readonly [writes: RegExp, name: string, has: (facts: PacketFacts) => boolean])[] = [
  [/set\(ipv[46]\(/, "IP header", (facts) => facts.hasNetwork],
  [/set\(tcp\(/, "TCP header", (facts) => facts.transport === "tcp"],
  [/set\(udp\(/, "UDP header", (facts) => facts.transport === "udp"],
  [/set\(sctp\(/, "SCTP header", (facts) => facts.transport === "sctp"],
  [/set\(icmp\(/, "ICMP header", (facts) => facts.control === "icmp"],
  [/set\(icmpv6\(/, "ICMPv6 header", (facts) => facts.control === "icmpv6"],
  [/set\(nd/, "ND message", (facts) => facts.isNd],
  [/set\(arp\(/, "ARP packet", (facts) => facts.isArp],
];

/**
 * The header that the actions write and the packet does not have. Open vSwitch writes there all the same, behind the
 * packet if need be, and 3.1.0 may crash: it cannot be asked about such packets. Here nothing is written
 * (docs/conformance.md).
 */
export function missingHeader(actions: string, facts: PacketFacts): string | undefined {
  return NEEDS.find(([writes, , has]) => writes.test(actions) && !has(facts))?.[1];
}
