// What stands behind a network header: the transport protocol and how many bytes belong to it. Hot, per
// packet; reads packet bytes only. `l4` is where extraction found the transport header.
import { readBe16 } from "../packet/bytes.ts";
import { IP_PROTOCOL, IPV4, IPV6, IPV6_EXTENSION } from "../packet/network-headers.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const NO_PROTOCOL = IP_PROTOCOL.none;
const HOP_BY_HOP = IP_PROTOCOL.hopByHop;
const ROUTING = IP_PROTOCOL.routing;
const DESTINATION = IP_PROTOCOL.destination;
const AUTHENTICATION = IP_PROTOCOL.authentication;
const FRAGMENT = IP_PROTOCOL.fragment;
const V4_OFFSET_MASK = IPV4.fragmentOffsetMask;
const V4_FRAGMENT = IPV4.fragment;
const V4_PROTOCOL = IPV4.protocol;
const V4_TOTAL_LENGTH = IPV4.totalLength;
const V6_NEXT_HEADER = IPV6.nextHeader;
const V6_BYTES = IPV6.headerBytes;
const V6_PAYLOAD_LENGTH = IPV6.payloadLength;
const EXTENSION_LENGTH = IPV6_EXTENSION.length;
const EXTENSION_UNIT_BYTES = IPV6_EXTENSION.unitBytes;
const EXTENSION_NEXT_HEADER = IPV6_EXTENSION.nextHeader;

/**
 * Set in transportV6's answer while a routing header has segments left: its last address is the destination.
 */
export const ROUTING_UNFINISHED = 0x100;

/** Any extension header at least, and a fragment header exactly. */
const EXTENSION_BYTES_MIN = 8;
const ROUTING_SEGMENTS_LEFT = 3;
const FRAGMENT_OFFSET_WORD = 2;
const FRAGMENT_OFFSET_MASK = 0xfff8;

/** The protocol, NO_PROTOCOL in a later fragment. */
export function transportV4(u8: Uint8Array, ip: number): number {
  const isLater = (readBe16(u8, ip + V4_FRAGMENT) & V4_OFFSET_MASK) !== 0;
  return isLater ? NO_PROTOCOL : u8[ip + V4_PROTOCOL]!;
}

/** The protocol behind the extension headers, with ROUTING_UNFINISHED; NO_PROTOCOL in a later fragment. */
export function transportV6(u8: Uint8Array, ip: number, l4: number): number {
  let next = u8[ip + V6_NEXT_HEADER]!;
  let at = ip + V6_BYTES;
  let routing = 0;
  while (isExtension(next)) {
    if (l4 - at < EXTENSION_BYTES_MIN) return NO_PROTOCOL;
    let bytes = (u8[at + EXTENSION_LENGTH]! + 1) * EXTENSION_UNIT_BYTES;
    if (next === AUTHENTICATION) {
      // RFC 4302: the length counts 4-byte units less two.
      bytes = (u8[at + EXTENSION_LENGTH]! + 2) * 4;
    } else if (next === FRAGMENT) {
      if ((readBe16(u8, at + FRAGMENT_OFFSET_WORD) & FRAGMENT_OFFSET_MASK) !== 0) return NO_PROTOCOL;
      bytes = EXTENSION_BYTES_MIN;
    } else if (next === ROUTING && u8[at + ROUTING_SEGMENTS_LEFT] !== 0) {
      routing = ROUTING_UNFINISHED;
    }
    next = u8[at + EXTENSION_NEXT_HEADER]!;
    at += bytes;
  }
  return at === l4 ? next | routing : NO_PROTOCOL;
}

function isExtension(protocol: number): boolean {
  return (
    protocol === HOP_BY_HOP ||
    protocol === ROUTING ||
    protocol === DESTINATION ||
    protocol === AUTHENTICATION ||
    protocol === FRAGMENT
  );
}

/**
 * Bytes of transport header and payload: to the end that the IPv4 header states, link padding not counted.
 */
export function transportBytesV4(u8: Uint8Array, ip: number, l4: number, packetEnd: number): number {
  return Math.max(0, Math.min(ip + readBe16(u8, ip + V4_TOTAL_LENGTH), packetEnd) - l4);
}

/** As transportBytesV4 for IPv6. */
export function transportBytesV6(u8: Uint8Array, ip: number, l4: number, packetEnd: number): number {
  const stated = ip + V6_BYTES + readBe16(u8, ip + V6_PAYLOAD_LENGTH);
  return Math.max(0, Math.min(stated, packetEnd) - l4);
}
