// What a changed address or port does to the checksum of the transport header behind it. Hot, per packet;
// writes the checksum field only.
//
// A partial checksum (PACKET_CSUM_PARTIAL) is the sum of the pseudo header, not complemented; whoever
// finishes it adds header and payload. A changed address therefore updates it by the complement's rule turned
// round, a changed port not at all.
import { readBe16, writeBe16 } from "../packet/bytes.ts";
import { patchChecksum32, patchUdpChecksum32, updateChecksum32 } from "../packet/checksum.ts";
import { IP_PROTOCOL } from "../packet/network-headers.ts";
import { ICMPV6, TCP, UDP } from "../packet/transport-headers.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const PROTOCOL_TCP = IP_PROTOCOL.tcp;
const PROTOCOL_UDP = IP_PROTOCOL.udp;
const PROTOCOL_ICMPV6 = IP_PROTOCOL.icmpv6;
const TCP_BYTES = TCP.headerBytes;
const TCP_CHECKSUM = TCP.checksum;
const UDP_BYTES = UDP.headerBytes;
const UDP_CHECKSUM = UDP.checksum;
const ICMPV6_BYTES = ICMPV6.headerBytes;
const ICMPV6_CHECKSUM = ICMPV6.checksum;

/** For 4 bytes of an IPv4 address; ICMP and SCTP sum no pseudo header. */
export function patchAddressV4(
  u8: Uint8Array,
  l4: number,
  l4Bytes: number,
  protocol: number,
  before: number,
  after: number,
  partial: boolean,
): void {
  if (protocol === PROTOCOL_TCP && l4Bytes >= TCP_BYTES) {
    if (partial) patchPseudoSum32(u8, l4 + TCP_CHECKSUM, before, after);
    else patchChecksum32(u8, l4 + TCP_CHECKSUM, before, after);
  } else if (protocol === PROTOCOL_UDP && l4Bytes >= UDP_BYTES) {
    if (partial) patchPseudoSum32(u8, l4 + UDP_CHECKSUM, before, after);
    else patchUdpChecksum32(u8, l4 + UDP_CHECKSUM, before, after);
  }
}

/** For 4 bytes of an IPv6 address: as in IPv4, and ICMPv6. */
export function patchAddressV6(
  u8: Uint8Array,
  l4: number,
  l4Bytes: number,
  protocol: number,
  before: number,
  after: number,
  partial: boolean,
): void {
  if (protocol === PROTOCOL_ICMPV6 && l4Bytes >= ICMPV6_BYTES) {
    if (partial) patchPseudoSum32(u8, l4 + ICMPV6_CHECKSUM, before, after);
    else patchChecksum32(u8, l4 + ICMPV6_CHECKSUM, before, after);
  } else {
    patchAddressV4(u8, l4, l4Bytes, protocol, before, after, partial);
  }
}

function patchPseudoSum32(u8: Uint8Array, at: number, before: number, after: number): void {
  writeBe16(u8, at, ~updateChecksum32(~readBe16(u8, at) & 0xffff, before, after) & 0xffff);
}
