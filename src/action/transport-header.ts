// What stands behind a network header: the transport protocol and how many bytes belong to it. Hot, per packet;
// reads packet bytes only. `l4` is where extraction found the transport header.
import { readBe16 } from "../packet/bytes.ts";
import { IP_PROTOCOL, IPV4, IPV6, IPV6_EXTENSION } from "../packet/network-headers.ts";

/** Set in transportV6's answer while a routing header has segments left: its last address is the destination. */
export const ROUTING_UNFINISHED = 0x100;

/** Any extension header at least, and a fragment header exactly. */
const EXTENSION_BYTES_MIN = 8;
const ROUTING_SEGMENTS_LEFT = 3;
const FRAGMENT_OFFSET_WORD = 2;
const FRAGMENT_OFFSET_MASK = 0xfff8;

/** The protocol, IP_PROTOCOL.none in a later fragment. */
export function transportV4(u8: Uint8Array, ip: number): number {
  const isLater = (readBe16(u8, ip + IPV4.fragment) & IPV4.fragmentOffsetMask) !== 0;
  return isLater ? IP_PROTOCOL.none : u8[ip + IPV4.protocol]!;
}

/** The protocol behind the extension headers, with ROUTING_UNFINISHED; IP_PROTOCOL.none in a later fragment. */
export function transportV6(u8: Uint8Array, ip: number, l4: number): number {
  let next = u8[ip + IPV6.nextHeader]!;
  let at = ip + IPV6.headerBytes;
  let routing = 0;
  while (isExtension(next)) {
    if (l4 - at < EXTENSION_BYTES_MIN) return IP_PROTOCOL.none;
    let bytes = (u8[at + IPV6_EXTENSION.length]! + 1) * IPV6_EXTENSION.unitBytes;
    if (next === IP_PROTOCOL.authentication) {
      // RFC 4302: the length counts 4-byte units less two.
      bytes = (u8[at + IPV6_EXTENSION.length]! + 2) * 4;
    } else if (next === IP_PROTOCOL.fragment) {
      if ((readBe16(u8, at + FRAGMENT_OFFSET_WORD) & FRAGMENT_OFFSET_MASK) !== 0) return IP_PROTOCOL.none;
      bytes = EXTENSION_BYTES_MIN;
    } else if (next === IP_PROTOCOL.routing && u8[at + ROUTING_SEGMENTS_LEFT] !== 0) {
      routing = ROUTING_UNFINISHED;
    }
    next = u8[at + IPV6_EXTENSION.nextHeader]!;
    at += bytes;
  }
  return at === l4 ? next | routing : IP_PROTOCOL.none;
}

function isExtension(protocol: number): boolean {
  return (
    protocol === IP_PROTOCOL.hopByHop ||
    protocol === IP_PROTOCOL.routing ||
    protocol === IP_PROTOCOL.destination ||
    protocol === IP_PROTOCOL.authentication ||
    protocol === IP_PROTOCOL.fragment
  );
}

/** Bytes of transport header and payload: to the end that the IPv4 header states, link padding not counted. */
export function transportBytesV4(u8: Uint8Array, ip: number, l4: number, packetEnd: number): number {
  return Math.max(0, Math.min(ip + readBe16(u8, ip + IPV4.totalLength), packetEnd) - l4);
}

/** As transportBytesV4 for IPv6. */
export function transportBytesV6(u8: Uint8Array, ip: number, l4: number, packetEnd: number): number {
  const stated = ip + IPV6.headerBytes + readBe16(u8, ip + IPV6.payloadLength);
  return Math.max(0, Math.min(stated, packetEnd) - l4);
}
