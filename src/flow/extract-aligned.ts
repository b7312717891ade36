// The fast path of extraction behind the link layer: IPv4 without options and fragments, IPv6 without extension
// headers, and TCP, UDP, ICMP or ICMPv6 (but for neighbour discovery) in good order above them. The header starts at
// a word of the arena, so every field is cut out of whole words; a little-endian load puts the first byte lowest.
//
// Each function answers the TCP flags as they lie in the key (0 when there are none), or REFUSED and has then written
// nothing that the general parse of the same packet does not write again. It must give the same key as
// extract-network.ts for every packet that it takes.
//
// Per packet; reads the packet and writes the key slot through one view.

import { IP_PROTOCOL, IPV4, IPV6 } from "../packet/network-headers.ts";
import { ICMP, ICMPV6_TYPE, TCP, UDP } from "../packet/transport-headers.ts";
import { IP_PADDING_BYTES_MAX } from "./extract-network.ts";
import { K } from "./fields.ts";

export const REFUSED = -1;

// Module constants, because V8 folds them and loads an imported table anew each time.
const NOT_TAKEN = REFUSED;
const IPV4_HEADER_BYTES = IPV4.headerBytes;
const IPV6_HEADER_BYTES = IPV6.headerBytes;
const IPV4_HEADER_WORDS = IPV4_HEADER_BYTES / 4;
const IPV6_HEADER_WORDS = IPV6_HEADER_BYTES / 4;
const IPV6_ADDRESS_WORDS = IPV6.addressBytes / 2;
const TCP_HEADER_BYTES = TCP.headerBytes;
const UDP_HEADER_BYTES = UDP.headerBytes;
const ICMP_HEADER_BYTES = ICMP.headerBytes;
const PADDING_BYTES_MAX = IP_PADDING_BYTES_MAX;
const { tcp: PROTO_TCP, udp: PROTO_UDP, icmp: PROTO_ICMP, icmpv6: PROTO_ICMPV6 } = IP_PROTOCOL;
const { neighborSolicitation: ND_SOLICITATION, neighborAdvertisement: ND_ADVERTISEMENT } = ICMPV6_TYPE;

const ETH_TYPE_WORD = K.eth_type >>> 2;
const TOS_WORD = K.nw_tos >>> 2;
const NW_SRC_WORD = K.nw_src >>> 2;
const NW_DST_WORD = K.nw_dst >>> 2;
const TP_WORD = K.tp_src >>> 2;
const IPV6_SRC_WORD = K.ipv6_src >>> 2;
const IPV6_LABEL_WORD = K.ipv6_label >>> 2;

/** Network-order values as a little-endian load sees them. */
export const RAW_ETH_TYPE_IPV4 = 0x0008;
export const RAW_ETH_TYPE_IPV6 = 0xdd86;
const RAW_IPV4 = RAW_ETH_TYPE_IPV4;
const RAW_IPV6 = RAW_ETH_TYPE_IPV6;
/** More-fragments and the offset, in the upper half of an IPv4 header's second word. */
const RAW_FRAGMENT_BITS = 0xff3f0000;
/** The flow label in an IPv6 header's first word. */
const RAW_LABEL = 0xffff0f00;
/** Reserved bits and flags in the lower half of a TCP header's fourth word. */
const RAW_TCP_FLAGS = 0xff0f;
/** The data offset there: four bits that count words. */
const RAW_TCP_DATA_OFFSET = 0xf0;

/**
 * @param ip word index of the header
 * @param packetBytes bytes of the packet from the header on
 * @param linearBytes how many of them lie in one piece
 */
export function alignedIpv4(
  u32: Uint32Array,
  ip: number,
  packetBytes: number,
  linearBytes: number,
  keyWord: number,
): number {
  const first = u32[ip]!;
  const totalBytes = ((first >>> 8) & 0xff00) | (first >>> 24);
  const paddingBytes = packetBytes - totalBytes;
  if ((first & 0x0f) !== IPV4_HEADER_WORDS || paddingBytes < 0 || paddingBytes > PADDING_BYTES_MAX)
    return NOT_TAKEN;
  if ((u32[ip + 1]! & RAW_FRAGMENT_BITS) !== 0) return NOT_TAKEN;
  const third = u32[ip + 2]!;
  const proto = (third >>> 8) & 0xff;
  const flags = alignedTransport(
    u32,
    ip + IPV4_HEADER_WORDS,
    proto,
    totalBytes - IPV4_HEADER_BYTES,
    linearBytes - IPV4_HEADER_BYTES,
    keyWord,
  );
  if (flags < 0) return NOT_TAKEN;
  u32[keyWord + ETH_TYPE_WORD] = RAW_IPV4 | (proto << 24);
  u32[keyWord + TOS_WORD] = ((first >>> 8) & 0xff) | ((third & 0xff) << 8) | (flags << 16);
  u32[keyWord + NW_SRC_WORD] = u32[ip + 3]!;
  u32[keyWord + NW_DST_WORD] = u32[ip + 4]!;
  return flags;
}

/** As alignedIpv4. Besides line 0 it writes addresses and label in line 1. */
export function alignedIpv6(
  u32: Uint32Array,
  ip: number,
  packetBytes: number,
  linearBytes: number,
  keyWord: number,
): number {
  const first = u32[ip]!;
  const second = u32[ip + 1]!;
  const payloadBytes = ((second & 0xff) << 8) | ((second >>> 8) & 0xff);
  const paddingBytes = packetBytes - IPV6_HEADER_BYTES - payloadBytes;
  if (paddingBytes < 0 || paddingBytes > PADDING_BYTES_MAX) return NOT_TAKEN;
  const proto = (second >>> 16) & 0xff;
  const flags = alignedTransport(
    u32,
    ip + IPV6_HEADER_WORDS,
    proto,
    payloadBytes,
    linearBytes - IPV6_HEADER_BYTES,
    keyWord,
  );
  if (flags < 0) return NOT_TAKEN;
  const trafficClass = ((first & 0x0f) << 4) | ((first >>> 12) & 0x0f);
  u32[keyWord + ETH_TYPE_WORD] = RAW_IPV6 | (proto << 24);
  u32[keyWord + TOS_WORD] = trafficClass | ((second >>> 24) << 8) | (flags << 16);
  u32[keyWord + NW_SRC_WORD] = 0;
  u32[keyWord + NW_DST_WORD] = 0;
  for (let word = 0; word < IPV6_ADDRESS_WORDS; word++)
    u32[keyWord + IPV6_SRC_WORD + word] = u32[ip + 2 + word]!;
  u32[keyWord + IPV6_LABEL_WORD] = first & RAW_LABEL;
  return flags;
}

/** @param payloadBytes bytes behind the IP header by its own length field; the packet has at least so many. */
function alignedTransport(
  u32: Uint32Array,
  l4: number,
  proto: number,
  payloadBytes: number,
  linearBytes: number,
  keyWord: number,
): number {
  if (payloadBytes < UDP_HEADER_BYTES || linearBytes < UDP_HEADER_BYTES) return NOT_TAKEN;
  const first = u32[l4]!;
  if (proto === PROTO_TCP) {
    if (payloadBytes < TCP_HEADER_BYTES || linearBytes < TCP_HEADER_BYTES) return NOT_TAKEN;
    const control = u32[l4 + 3]!;
    const headerBytes = (control & RAW_TCP_DATA_OFFSET) >>> 2;
    if (headerBytes < TCP_HEADER_BYTES || headerBytes > payloadBytes) return NOT_TAKEN;
    u32[keyWord + TP_WORD] = first;
    return control & RAW_TCP_FLAGS;
  }
  if (proto === PROTO_UDP) {
    u32[keyWord + TP_WORD] = first;
    return 0;
  }
  if (proto === PROTO_ICMP || (proto === PROTO_ICMPV6 && !isNeighborDiscovery(first & 0xff))) {
    if (payloadBytes < ICMP_HEADER_BYTES || linearBytes < ICMP_HEADER_BYTES) return NOT_TAKEN;
    // Type and code become the low bytes of two 16-bit fields in network order.
    u32[keyWord + TP_WORD] = ((first & 0xff) << 8) | ((first & 0xff00) << 16);
    return 0;
  }
  return NOT_TAKEN;
}

const isNeighborDiscovery = (icmpv6Type: number): boolean =>
  icmpv6Type === ND_SOLICITATION || icmpv6Type === ND_ADVERTISEMENT;
