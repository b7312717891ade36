// What an outer header takes over from the packet inside: congestion marks always, DSCP and TTL where the port says so,
// as in OVS. Hot, per packet of ports with a remote end of their own; one read of the inner network header before the
// header goes in front, stores into the outer one behind it.
import { readBe16, readBe32, writeBe16, writeBe32 } from "../packet/bytes.ts";
import { patchChecksum16 } from "../packet/checksum.ts";
import { ETH, ETH_TYPE } from "../packet/link-headers.ts";
import { IPV4, IPV6 } from "../packet/network-headers.ts";
import { findNetwork } from "./entropy.ts";

const TYPE_IPV4: number = ETH_TYPE.ipv4;
const TYPE_IPV6: number = ETH_TYPE.ipv6;
const DSCP_MASK = 0xfc;
const ECN_MASK = 3;
const ECN_CE = 3;
/** Congestion experienced goes no further than the hop that marked it: outside, the packet can be marked again. */
const ECN_ECT_0 = 2;
const IP_AT: number = ETH.headerBytes;

export const INHERIT_ECN = 1;
export const INHERIT_DSCP = 2;
export const INHERIT_TTL = 4;
/** There is no IP header inside. */
export const NOTHING_TO_INHERIT = -1;

/** Traffic class and TTL of the packet: class << 8 | ttl. @param innerType as TunnelPush.push has it */
export function innerMarks(u8: Uint8Array, head: number, bytes: number, innerType: number): number {
  const found = innerType === 0 ? findNetwork(u8, head, bytes) : (innerType << 16) >>> 0;
  const ip = head + (found & 0xffff);
  const left = bytes - (found & 0xffff);
  const type = found >>> 16;
  if (type === TYPE_IPV4 && left >= IPV4.headerBytes) return (u8[ip + IPV4.tos]! << 8) | u8[ip + IPV4.ttl]!;
  if (type !== TYPE_IPV6 || left < IPV6.headerBytes) return NOTHING_TO_INHERIT;
  return (((readBe32(u8, ip) >>> IPV6.classShift) & 0xff) << 8) | u8[ip + IPV6.hopLimit]!;
}

/** The outer traffic class of a packet with these marks. @param outer what the tunnel's settings say */
export function inheritedTos(outer: number, marks: number, what: number): number {
  if (marks === NOTHING_TO_INHERIT) return outer;
  const tos = marks >>> 8;
  const ecn = (tos & ECN_MASK) === ECN_CE ? ECN_ECT_0 : tos & ECN_MASK;
  const dscp = (what & INHERIT_DSCP) === 0 ? outer & DSCP_MASK : tos & DSCP_MASK;
  return dscp | ecn | (outer & ECN_MASK);
}

/** Traffic class and TTL of the outer header, as marks. @param outer those of the tunnel's settings */
export function inheritedMarks(outer: number, marks: number, what: number): number {
  const ttl = marks === NOTHING_TO_INHERIT || (what & INHERIT_TTL) === 0 ? outer & 0xff : marks & 0xff;
  return (inheritedTos(outer >>> 8, marks, what) << 8) | ttl;
}

/** Writes the marks into the outer header of the frame at `head`. @param what INHERIT_* bits */
export function inherit(u8: Uint8Array, head: number, marks: number, what: number): void {
  if (marks === NOTHING_TO_INHERIT) return;
  const ip = head + IP_AT;
  const isV4 = u8[ip]! >>> 4 === 4;
  const outer = isV4 ? u8[ip + IPV4.tos]! : (readBe32(u8, ip) >>> IPV6.classShift) & 0xff;
  const tosAfter = inheritedTos(outer, marks, what);
  if (isV4) {
    setWord(u8, ip, IPV4.versionIhl, (u8[ip]! << 8) | tosAfter);
    if ((what & INHERIT_TTL) !== 0)
      setWord(u8, ip, IPV4.ttl, ((marks & 0xff) << 8) | u8[ip + IPV4.protocol]!);
    return;
  }
  writeBe32(u8, ip, ((readBe32(u8, ip) & ~(0xff << IPV6.classShift)) | (tosAfter << IPV6.classShift)) >>> 0);
  if ((what & INHERIT_TTL) !== 0) u8[ip + IPV6.hopLimit] = marks;
}

/** A 16-bit word of an IPv4 header, checksum included. */
function setWord(u8: Uint8Array, ip: number, offset: number, value: number): void {
  const before = readBe16(u8, ip + offset);
  if (before === value) return;
  writeBe16(u8, ip + offset, value);
  patchChecksum16(u8, ip + IPV4.checksum, before, value);
}
