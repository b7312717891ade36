// The hash of a packet's conversation, from the packet itself: it becomes the UDP source port of tunnels, so that
// routers on the way spread conversations over their paths and keep each in order. A packet without addresses of a
// network layer is told by its MAC addresses.
//
// Hot: once for each packet encapsulated; reads packet bytes, allocates nothing.
import { readBe16, readBe32 } from "../packet/bytes.ts";
import { ETH, ETH_TYPE, VLAN } from "../packet/link-headers.ts";
import { IP_PROTOCOL, IPV4, IPV6 } from "../packet/network-headers.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const ETH_BYTES: number = ETH.headerBytes;
const TYPE_AT: number = ETH.type;
const TAG_BYTES: number = VLAN.headerBytes;
const TYPE_VLAN: number = ETH_TYPE.vlan;
const TYPE_QINQ: number = ETH_TYPE.qinq;
const TYPE_IPV4: number = ETH_TYPE.ipv4;
const TYPE_IPV6: number = ETH_TYPE.ipv6;
const IPV4_BYTES: number = IPV4.headerBytes;
const IPV6_BYTES: number = IPV6.headerBytes;
const FRAGMENTED = IPV4.moreFragments | IPV4.fragmentOffsetMask;
const { tcp: PROTO_TCP, udp: PROTO_UDP, sctp: PROTO_SCTP } = IP_PROTOCOL;
/** Tags in front of the network header that are looked behind. */
const TAGS_MAX = 2;

const mix = (hash: number, word: number): number => {
  hash = Math.imul(hash ^ word, 0x9e3779b1);
  return hash ^ (hash >>> 15);
};

/**
 * Where the network header of an Ethernet frame stands and of what type it is: type << 16 | offset; 0 when there is
 * none within `bytes` bytes.
 */
export function findNetwork(u8: Uint8Array, head: number, bytes: number): number {
  if (bytes < ETH_BYTES) return 0;
  let offset = TYPE_AT;
  let type = readBe16(u8, head + offset);
  for (let tags = 0; tags < TAGS_MAX && (type === TYPE_VLAN || type === TYPE_QINQ); tags += 1) {
    offset += TAG_BYTES;
    if (offset + 2 > bytes) return 0;
    type = readBe16(u8, head + offset);
  }
  return ((type << 16) | (offset + 2)) >>> 0;
}

/** A 32-bit hash of the frame at `head`, of which `bytes` bytes lie in one piece. */
export function frameHash(u8: Uint8Array, head: number, bytes: number): number {
  const network = findNetwork(u8, head, bytes);
  const hash = networkHash(u8, head + (network & 0xffff), bytes - (network & 0xffff), network >>> 16);
  if (hash !== 0 || bytes < ETH_BYTES) return hash;
  return mix(mix(mix(TYPE_AT, readBe32(u8, head)), readBe32(u8, head + 4)), readBe32(u8, head + 8)) >>> 0;
}

/** The same of a packet that begins with its network header; 0 when that is of another type or cut off. */
export function networkHash(u8: Uint8Array, ip: number, bytes: number, type: number): number {
  if (type === TYPE_IPV4 && bytes >= IPV4_BYTES) {
    const protocol = u8[ip + IPV4.protocol]!;
    let hash = mix(mix(mix(0, readBe32(u8, ip + IPV4.src)), readBe32(u8, ip + IPV4.dst)), protocol);
    const headerBytes = (u8[ip]! & 0x0f) << 2;
    const isWhole = (readBe16(u8, ip + IPV4.fragment) & FRAGMENTED) === 0;
    if (isWhole && hasPorts(protocol) && headerBytes + 4 <= bytes)
      hash = mix(hash, readBe32(u8, ip + headerBytes));
    return (hash | 1) >>> 0;
  }
  if (type === TYPE_IPV6 && bytes >= IPV6_BYTES) {
    const protocol = u8[ip + IPV6.nextHeader]!;
    let hash = protocol;
    for (let at = ip + IPV6.src; at < ip + IPV6_BYTES; at += 4) hash = mix(hash, readBe32(u8, at));
    if (hasPorts(protocol) && IPV6_BYTES + 4 <= bytes) hash = mix(hash, readBe32(u8, ip + IPV6_BYTES));
    return (hash | 1) >>> 0;
  }
  return 0;
}

const hasPorts = (protocol: number): boolean =>
  protocol === PROTO_TCP || protocol === PROTO_UDP || protocol === PROTO_SCTP;
