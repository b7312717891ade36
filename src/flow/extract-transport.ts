// Transport headers: TCP, UDP, SCTP, ICMP, IGMP, ICMPv6 with neighbor discovery.
//
// Per packet, only those that the fast path of extract.ts leaves. The protocol number decides alone, under IPv4 as
// under IPv6; a header that is cut off leaves the ports zero.

import { IP_PROTOCOL } from "../packet/network-headers.ts";
import { ICMP, ICMPV6, ICMPV6_TYPE, ND, ND_OPTION, SCTP, TCP, UDP } from "../packet/transport-headers.ts";
import { type HeaderCursor, LINE_1, LINE_2 } from "./extract-cursor.ts";
import { K } from "./fields.ts";

const { tcp: PROTO_TCP, udp: PROTO_UDP, icmpv6: PROTO_ICMPV6, icmp: PROTO_ICMP } = IP_PROTOCOL;
const { tp_src: TP_SRC, tp_dst: TP_DST, tcp_flags: TCP_FLAGS } = K;
const TCP_HEADER_BYTES = TCP.headerBytes;
const TCP_FLAGS_MASK = TCP.flagsMask;
const PORTS_BYTES = 4;
/** Same layout of type and code, and the same least length, as ICMP (RFC 2236). */
const IGMP_HEADER_BYTES = ICMP.headerBytes;
const ND_TARGET_BYTES = 16;
const LINK_ADDRESS_BYTES = 6;

export function parseTransport(cursor: HeaderCursor, proto: number): void {
  if (proto === PROTO_TCP) parseTcp(cursor);
  else if (proto === PROTO_UDP) parsePorts(cursor, UDP.headerBytes);
  else if (proto === IP_PROTOCOL.sctp) parsePorts(cursor, SCTP.headerBytes);
  else if (proto === PROTO_ICMP) parseTypeAndCode(cursor, ICMP.headerBytes);
  else if (proto === IP_PROTOCOL.igmp) parseTypeAndCode(cursor, IGMP_HEADER_BYTES);
  else if (proto === PROTO_ICMPV6) parseIcmpv6(cursor);
}

/** The data offset must hold together too. */
function parseTcp(cursor: HeaderCursor): void {
  if (!cursor.has(TCP_HEADER_BYTES)) return;
  const control = cursor.be16(TCP.dataOffsetFlags);
  const headerBytes = (control >>> TCP.dataOffsetShift) * 4;
  if (headerBytes < TCP_HEADER_BYTES || headerBytes > cursor.sizeBytes) return;
  cursor.tcpFlags = control & TCP_FLAGS_MASK;
  cursor.putBe16(TCP_FLAGS, cursor.tcpFlags);
  cursor.copy(0, TP_SRC, PORTS_BYTES);
}

function parsePorts(cursor: HeaderCursor, headerBytes: number): void {
  if (cursor.has(headerBytes)) cursor.copy(0, TP_SRC, PORTS_BYTES);
}

function parseTypeAndCode(cursor: HeaderCursor, headerBytes: number): void {
  if (!cursor.has(headerBytes)) return;
  cursor.putBe16(TP_SRC, cursor.byte(ICMP.type));
  cursor.putBe16(TP_DST, cursor.byte(ICMP.code));
}

function parseIcmpv6(cursor: HeaderCursor): void {
  if (!cursor.has(ICMPV6.echoBytes)) return;
  const type = cursor.byte(ICMPV6.type);
  const code = cursor.byte(ICMPV6.code);
  cursor.putBe16(TP_SRC, type);
  cursor.putBe16(TP_DST, code);
  if (code !== 0) return;
  if (type === ICMPV6_TYPE.neighborSolicitation || type === ICMPV6_TYPE.neighborAdvertisement) {
    parseNeighborDiscovery(cursor);
  }
}

/**
 * RFC 4861 4.3, 4.4. The reserved word, the target, then options up to the first that does not hold together.
 * A link-layer address given twice voids target and both addresses, but neither the reserved word nor the type of
 * the first such option.
 */
function parseNeighborDiscovery(cursor: HeaderCursor): void {
  cursor.copy(ND.reserved, K.nd_reserved, 4);
  cursor.lines |= LINE_2;
  cursor.pull(ND.target);
  if (!cursor.has(ND_TARGET_BYTES)) return;
  cursor.copy(0, K.nd_target, ND_TARGET_BYTES);
  cursor.pull(ND_TARGET_BYTES);

  let firstOption = 0;
  while (cursor.has(ND_OPTION.unitBytes)) {
    const type = cursor.byte(ND_OPTION.type);
    const units = cursor.byte(ND_OPTION.length);
    if (units === 0 || units * ND_OPTION.unitBytes > cursor.sizeBytes) return;
    if (units === ND_OPTION.linkAddressUnits && isLinkAddressOption(type)) {
      const field = type === ND_OPTION.sourceLinkAddress ? K.arp_sha : K.arp_tha;
      if (!isZeroAddress(cursor, field)) {
        cursor.zero(K.nd_target, ND_TARGET_BYTES);
        cursor.zero(K.arp_sha, 2 * LINK_ADDRESS_BYTES);
        return;
      }
      cursor.copy(ND_OPTION.address, field, LINK_ADDRESS_BYTES);
      if (firstOption === 0) {
        firstOption = type;
        cursor.put8(K.nd_options_type, type);
        cursor.lines |= LINE_1;
      }
    }
    cursor.pull(units * ND_OPTION.unitBytes);
  }
}

const isLinkAddressOption = (type: number): boolean =>
  type === ND_OPTION.sourceLinkAddress || type === ND_OPTION.targetLinkAddress;

/** Whether the address slot is still free; an option whose address is zero leaves it so, as in OVS. */
function isZeroAddress(cursor: HeaderCursor, field: number): boolean {
  const at = (cursor.key + field) >>> 1;
  const { u16 } = cursor;
  return (u16[at]! | u16[at + 1]! | u16[at + 2]!) === 0;
}
