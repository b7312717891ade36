// What a changed address or port does to the checksum of the transport header behind it. Hot, per packet; writes the
// checksum field only.
//
// A partial checksum (PACKET_CSUM_PARTIAL) is the sum of the pseudo header, not complemented; whoever finishes it adds
// header and payload. A changed address therefore updates it by the complement's rule turned round, a changed port
// not at all.
import { readBe16, writeBe16 } from "../packet/bytes.ts";
import { patchChecksum32, patchUdpChecksum32, updateChecksum32 } from "../packet/checksum.ts";
import { IP_PROTOCOL } from "../packet/network-headers.ts";
import { ICMPV6, TCP, UDP } from "../packet/transport-headers.ts";

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
  if (protocol === IP_PROTOCOL.tcp && l4Bytes >= TCP.headerBytes) {
    if (partial) patchPseudoSum32(u8, l4 + TCP.checksum, before, after);
    else patchChecksum32(u8, l4 + TCP.checksum, before, after);
  } else if (protocol === IP_PROTOCOL.udp && l4Bytes >= UDP.headerBytes) {
    if (partial) patchPseudoSum32(u8, l4 + UDP.checksum, before, after);
    else patchUdpChecksum32(u8, l4 + UDP.checksum, before, after);
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
  if (protocol === IP_PROTOCOL.icmpv6 && l4Bytes >= ICMPV6.headerBytes) {
    if (partial) patchPseudoSum32(u8, l4 + ICMPV6.checksum, before, after);
    else patchChecksum32(u8, l4 + ICMPV6.checksum, before, after);
  } else {
    patchAddressV4(u8, l4, l4Bytes, protocol, before, after, partial);
  }
}

function patchPseudoSum32(u8: Uint8Array, at: number, before: number, after: number): void {
  writeBe16(u8, at, ~updateChecksum32(~readBe16(u8, at) & 0xffff, before, after) & 0xffff);
}
