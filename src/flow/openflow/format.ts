// A flow key in OpenFlow syntax: the line that `ovs-ofctl parse-pcap` prints for a packet, that is, an exact match on
// all that OVS looks at in a packet of its kind.
//
// Which fields appear follows from the packet alone: a field that cannot be there for its Ethertype, protocol or
// fragment is left out, one that can be there but is zero (a header that is cut off) is printed as zero. Metadata that
// is zero is left out. Control path.

import { formatIpv4, formatIpv6, formatMac } from "../../packet/address.ts";
import { readBe16, readBe32 } from "../../packet/bytes.ts";
import { ETH_TYPE, MPLS, VLAN } from "../../packet/link-headers.ts";
import { IP_PROTOCOL } from "../../packet/network-headers.ts";
import { ICMPV6_TYPE } from "../../packet/transport-headers.ts";
import { type FieldName, FRAG_FIRST, FRAG_LATER, K, KEY_BYTES } from "../fields.ts";
import { formatFlags, TCP_FLAGS } from "../odp/flags.ts";

/** in_port of a packet that came from no port: OpenFlow's OFPP_ANY. */
export const IN_PORT_ANY = 0xffffffff;

const MPLS_LABELS_MAX = 3;
const DSCP_MASK = 0xfc;
const ECN_MASK = 0x03;

/** Words that open the line and stand for dl_type, or for dl_type and nw_proto. */
const IPV4_PROTOCOL_WORDS: ReadonlyMap<number, string> = new Map([
  [IP_PROTOCOL.icmp, "icmp"],
  [IP_PROTOCOL.tcp, "tcp"],
  [IP_PROTOCOL.udp, "udp"],
  [IP_PROTOCOL.sctp, "sctp"],
]);
const IPV6_PROTOCOL_WORDS: ReadonlyMap<number, string> = new Map([
  [IP_PROTOCOL.icmpv6, "icmp6"],
  [IP_PROTOCOL.tcp, "tcp6"],
  [IP_PROTOCOL.udp, "udp6"],
  [IP_PROTOCOL.sctp, "sctp6"],
]);
const ETH_TYPE_WORDS: ReadonlyMap<number, string> = new Map([
  [ETH_TYPE.ipv4, "ip"],
  [ETH_TYPE.ipv6, "ipv6"],
  [ETH_TYPE.arp, "arp"],
  [ETH_TYPE.rarp, "rarp"],
  [ETH_TYPE.mpls, "mpls"],
  [ETH_TYPE.mplsMulticast, "mplsm"],
]);
/** Protocols whose first two 16-bit slots the key holds, whichever IP carries them. */
const PROTOCOLS_WITH_PORTS: ReadonlySet<number> = new Set([
  IP_PROTOCOL.icmp,
  IP_PROTOCOL.igmp,
  IP_PROTOCOL.tcp,
  IP_PROTOCOL.udp,
  IP_PROTOCOL.icmpv6,
  IP_PROTOCOL.sctp,
]);

/** The fields of one key, read by name. */
class KeyReader {
  readonly #key: Uint8Array;
  readonly #view: DataView;
  readonly ethType: number;
  readonly proto: number;

  constructor(key: Uint8Array) {
    this.#key = key;
    this.#view = new DataView(key.buffer, key.byteOffset, KEY_BYTES);
    this.ethType = this.be16("eth_type");
    this.proto = this.u8("nw_proto");
  }

  u8 = (name: FieldName): number => this.#key[K[name]]!;
  be16 = (name: FieldName): number => readBe16(this.#key, K[name]);
  be32 = (name: FieldName, index = 0): number => readBe32(this.#key, K[name] + 4 * index);
  host32 = (name: FieldName): number => this.#view.getUint32(K[name], true);
  mac = (name: FieldName): string => formatMac(this.#key, K[name]);
  ipv4 = (name: FieldName): string => formatIpv4(this.#key, K[name]);
  ipv6 = (name: FieldName): string => formatIpv6(this.#key, K[name]);

  isIpv4 = (): boolean => this.ethType === ETH_TYPE.ipv4;
  isIpv6 = (): boolean => this.ethType === ETH_TYPE.ipv6;
  isIp = (): boolean => this.isIpv4() || this.isIpv6();
  isArp = (): boolean => this.ethType === ETH_TYPE.arp || this.ethType === ETH_TYPE.rarp;
  isMpls = (): boolean => this.ethType === ETH_TYPE.mpls || this.ethType === ETH_TYPE.mplsMulticast;
}

const hex = (value: number, digits = 1): string => `0x${value.toString(16).padStart(digits, "0")}`;

/** The key as one line, without line end. */
export function formatOpenFlow(bytes: Uint8Array): string {
  const key = new KeyReader(bytes);
  const { word, coversProto } = typeWord(key);
  return [
    ...metadataFields(key),
    ...(word === undefined ? [] : [word]),
    ...inPortField(key),
    ...linkFields(key, word !== undefined),
    ...networkFields(key, coversProto),
    ...mplsFields(key),
    ...transportFields(key),
  ].join(",");
}

function typeWord(key: KeyReader): { word: string | undefined; coversProto: boolean } {
  const protocolWords = key.isIpv4() ? IPV4_PROTOCOL_WORDS : key.isIpv6() ? IPV6_PROTOCOL_WORDS : undefined;
  const protocolWord = protocolWords?.get(key.proto);
  return { word: protocolWord ?? ETH_TYPE_WORDS.get(key.ethType), coversProto: protocolWord !== undefined };
}

function metadataFields(key: KeyReader): string[] {
  const fields: string[] = [];
  const mark = key.host32("skb_mark");
  const recircId = key.host32("recirc_id");
  const dpHash = key.host32("dp_hash");
  const priority = key.host32("skb_priority");
  if (mark !== 0) fields.push(`pkt_mark=${hex(mark)}`);
  if (recircId !== 0) fields.push(`recirc_id=${hex(recircId)}`);
  if (dpHash !== 0) fields.push(`dp_hash=${hex(dpHash)}`);
  if (priority !== 0) fields.push(`skb_priority=${hex(priority)}`);
  return fields;
}

function inPortField(key: KeyReader): string[] {
  const inPort = key.host32("in_port");
  if (inPort === 0) return [];
  return [`in_port=${inPort === IN_PORT_ANY ? "ANY" : inPort}`];
}

function linkFields(key: KeyReader, typeIsNamed: boolean): string[] {
  const fields = [...vlanFields(key), `dl_src=${key.mac("eth_src")}`, `dl_dst=${key.mac("eth_dst")}`];
  if (!typeIsNamed) fields.push(`dl_type=${hex(key.ethType, 4)}`);
  return fields;
}

/** Tags up to the first that is not there, which is printed too: its absence is matched. */
function vlanFields(key: KeyReader): string[] {
  const fields: string[] = [];
  for (const [index, tci] of [key.be16("vlan_tci"), key.be16("vlan2_tci")].entries()) {
    const suffix = index === 0 ? "" : String(index);
    if ((tci & VLAN.cfi) === 0) {
      fields.push(`vlan_tci${suffix}=${hex(tci, 4)}`);
      break;
    }
    fields.push(`dl_vlan${suffix}=${tci & VLAN.vidMask}`, `dl_vlan_pcp${suffix}=${tci >>> VLAN.pcpShift}`);
  }
  return fields;
}

/** Behind NSH too OVS matches the IP header's fields, which are zero there, and prints them. */
function networkFields(key: KeyReader, protoIsNamed: boolean): string[] {
  if (key.isArp()) {
    return [
      `arp_spa=${key.ipv4("nw_src")}`,
      `arp_tpa=${key.ipv4("nw_dst")}`,
      `arp_op=${key.proto}`,
      `arp_sha=${key.mac("arp_sha")}`,
      `arp_tha=${key.mac("arp_tha")}`,
    ];
  }
  const isNsh = key.ethType === ETH_TYPE.nsh;
  if (!key.isIp() && !isNsh) return [];
  const fields = isNsh ? nshFields(key) : addressFields(key);
  if (!protoIsNamed) fields.push(`nw_proto=${key.proto}`);
  const tos = key.u8("nw_tos");
  fields.push(`nw_tos=${tos & DSCP_MASK}`, `nw_ecn=${tos & ECN_MASK}`, `nw_ttl=${key.u8("nw_ttl")}`);
  const frag = key.u8("nw_frag");
  fields.push(`nw_frag=${frag === FRAG_LATER ? "later" : frag === FRAG_FIRST ? "first" : "no"}`);
  return fields;
}

function addressFields(key: KeyReader): string[] {
  if (key.isIpv4()) return [`nw_src=${key.ipv4("nw_src")}`, `nw_dst=${key.ipv4("nw_dst")}`];
  return [
    `ipv6_src=${key.ipv6("ipv6_src")}`,
    `ipv6_dst=${key.ipv6("ipv6_dst")}`,
    `ipv6_label=${hex(key.be32("ipv6_label"), 5)}`,
  ];
}

function nshFields(key: KeyReader): string[] {
  const path = key.be32("nsh_path_hdr");
  const mdtype = key.u8("nsh_mdtype");
  const contexts = [0, 1, 2, 3].map((n) => `nsh_c${n + 1}=${hex(key.be32("nsh_context0", n))}`);
  return [
    `nsh_flags=${key.u8("nsh_flags")}`,
    `nsh_ttl=${key.u8("nsh_ttl")}`,
    `nsh_mdtype=${mdtype}`,
    `nsh_np=${key.u8("nsh_np")}`,
    `nsh_spi=${hex(path >>> 8)}`,
    `nsh_si=${path & 0xff}`,
    ...(mdtype === 1 ? contexts : []),
  ];
}

/** The outermost label by its parts, the two below it as words. */
function mplsFields(key: KeyReader): string[] {
  if (!key.isMpls()) return [];
  const fields: string[] = [];
  for (let depth = 0; depth < MPLS_LABELS_MAX; depth++) {
    const entry = key.be32("mpls_lse0", depth);
    const bottom = entry & MPLS.bottomMask;
    if (depth === 0) {
      fields.push(
        `mpls_label=${entry >>> MPLS.labelShift}`,
        `mpls_tc=${(entry & MPLS.tcMask) >>> MPLS.tcShift}`,
        `mpls_ttl=${entry & MPLS.ttlMask}`,
        `mpls_bos=${bottom === 0 ? 0 : 1}`,
      );
    } else {
      fields.push(`mpls_lse${depth}=${entry}`);
    }
    if (bottom !== 0) break;
  }
  return fields;
}

function transportFields(key: KeyReader): string[] {
  const { proto } = key;
  if (!key.isIp() || key.u8("nw_frag") === FRAG_LATER || !PROTOCOLS_WITH_PORTS.has(proto)) return [];
  const first = key.be16("tp_src");
  const second = key.be16("tp_dst");
  if (key.isIpv4() && proto === IP_PROTOCOL.icmp) return [`icmp_type=${first}`, `icmp_code=${second}`];
  if (key.isIpv6() && proto === IP_PROTOCOL.icmpv6) {
    return [`icmp_type=${first}`, `icmp_code=${second}`, ...neighborFields(key, first, second)];
  }
  const fields = [`tp_src=${first}`, `tp_dst=${second}`];
  if (proto === IP_PROTOCOL.tcp) fields.push(`tcp_flags=${formatFlags(TCP_FLAGS, key.be16("tcp_flags"))}`);
  return fields;
}

/** Not nd_reserved and nd_options_type: OVS parses them, but does not match them unless a flow asks for it. */
function neighborFields(key: KeyReader, type: number, code: number): string[] {
  const isNeighborType =
    type === ICMPV6_TYPE.neighborSolicitation || type === ICMPV6_TYPE.neighborAdvertisement;
  if (!isNeighborType || code !== 0) return [];
  return [
    `nd_target=${key.ipv6("nd_target")}`,
    `nd_sll=${key.mac("arp_sha")}`,
    `nd_tll=${key.mac("arp_tha")}`,
  ];
}
