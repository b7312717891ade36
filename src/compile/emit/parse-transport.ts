// Transport headers, as flow/extract-transport.ts parses them: TCP, UDP, SCTP, ICMP, IGMP, ICMPv6 with neighbour discovery.
import { LINE_1, LINE_2 } from "../../flow/extract-cursor.ts";
import { K } from "../../flow/fields.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import { IP_PROTOCOL } from "../../packet/network-headers.ts";
import { ICMP, ICMPV6, ICMPV6_TYPE, ND, ND_OPTION, SCTP, TCP, UDP } from "../../packet/transport-headers.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { br, ifElse, loop } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import type { LocalI32, Locals } from "../ops/function.ts";
import { i32Memory, v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { v128 } from "../ops/vector.ts";
import { emitHeader, type HeaderReader, raw16 } from "./parse-header.ts";
import { swap16 } from "./parse-slot.ts";
import type { EmitScope } from "./scope.ts";

const PORTS_BYTES = 4;
/** Same layout of type and code, and the same least length, as ICMP (RFC 2236). */
const IGMP_HEADER_BYTES = ICMP.headerBytes;
const ND_TARGET_BYTES = 16;
const LINK_ADDRESS_BYTES = 6;

/** parse_transport(protocol, ...): the protocol number decides alone, under IPv4 as under IPv6. */
export function emitTransport(scope: EmitScope): FunctionEntry {
  const neighbor = emitNeighborDiscovery(scope);
  return emitHeader(scope, "parse_transport", (header, proto, locals) => {
    const when = (value: number, then: readonly Statement[]): Statement =>
      ifElse(i32.eq(proto.get, i32.const(value)), [...then, header.end()]);
    return [
      when(IP_PROTOCOL.tcp, parseTcp(header, locals)),
      when(IP_PROTOCOL.udp, parsePorts(header, UDP.headerBytes)),
      when(IP_PROTOCOL.icmpv6, parseIcmpv6(header, neighbor, locals)),
      when(IP_PROTOCOL.icmp, parseTypeAndCode(header, ICMP.headerBytes)),
      when(IP_PROTOCOL.sctp, parsePorts(header, SCTP.headerBytes)),
      when(IP_PROTOCOL.igmp, parseTypeAndCode(header, IGMP_HEADER_BYTES)),
    ];
  });
}

function parseTcp(header: HeaderReader, locals: Locals): Statement[] {
  const control = locals.i32("rawControl");
  const headerBytes = locals.i32("tcpBytes");
  return [
    ...header.need(TCP.headerBytes),
    control.set(header.raw16(TCP.dataOffsetFlags)),
    // The four bits of the data offset count words.
    headerBytes.set(i32.shr_u(i32.and(control.get, i32.const(0xf0)), i32.const(2))),
    header.endIf(i32.lt_u(headerBytes.get, i32.const(TCP.headerBytes))),
    header.endIf(i32.gt_u(headerBytes.get, header.size.get)),
    control.set(i32.and(control.get, i32.const(raw16(TCP.flagsMask)))),
    header.put16(K.tcp_flags, control.get),
    header.notesValue(BATCH.tcpFlags, swap16(control.get)),
    ...header.copy(TCP.src, K.tp_src, PORTS_BYTES),
  ];
}

const parsePorts = (header: HeaderReader, headerBytes: number): Statement[] => [
  ...header.need(headerBytes),
  ...header.copy(0, K.tp_src, PORTS_BYTES),
];

/** They are the low bytes of two fields in network order. */
const parseTypeAndCode = (header: HeaderReader, headerBytes: number): Statement[] => [
  ...header.need(headerBytes),
  header.put8(K.tp_src + 1, header.byte(ICMP.type)),
  header.put8(K.tp_dst + 1, header.byte(ICMP.code)),
];

function parseIcmpv6(header: HeaderReader, neighbor: FunctionEntry, locals: Locals): Statement[] {
  const type = locals.i32("icmpv6Type");
  const isType = (value: number): I32 => i32.eq(type.get, i32.const(value));
  return [
    ...parseTypeAndCode(header, ICMPV6.echoBytes),
    header.endIf(header.byte(ICMPV6.code)),
    type.set(header.byte(ICMPV6.type)),
    ifElse(i32.or(isType(ICMPV6_TYPE.neighborSolicitation), isType(ICMPV6_TYPE.neighborAdvertisement)), [
      header.handOn(neighbor, type.get),
    ]),
  ];
}

/**
 * parse_neighbor(type, ...): RFC 4861 4.3, 4.4, from the ICMPv6 header on, whose eight bytes are there. Options up to the first
 * that does not hold together; one of an address that was given already voids target and both addresses, but neither the
 * reserved word nor the type of the first such option.
 */
function emitNeighborDiscovery(scope: EmitScope): FunctionEntry {
  return emitHeader(scope, "parse_neighbor", (header, _type, locals) => {
    const type = locals.i32("optionType");
    const units = locals.i32("optionUnits");
    const first = locals.i32("firstOption");
    const optionBytes = i32.mul(units.get, i32.const(ND_OPTION.unitBytes));
    const isLinkAddress = i32.and(
      i32.eq(units.get, i32.const(ND_OPTION.linkAddressUnits)),
      i32.lt_u(i32.sub(type.get, i32.const(ND_OPTION.sourceLinkAddress)), i32.const(2)),
    );
    return [
      ...header.copy(ND.reserved, K.nd_reserved, 4),
      header.marks(LINE_2),
      ...header.pull(ND.target),
      ...header.need(ND_TARGET_BYTES),
      ...header.copy(0, K.nd_target, ND_TARGET_BYTES),
      ...header.pull(ND_TARGET_BYTES),
      loop("options", (next) => [
        ...header.need(ND_OPTION.unitBytes),
        type.set(header.byte(ND_OPTION.type)),
        units.set(header.byte(ND_OPTION.length)),
        header.endIf(i32.eqz(units.get)),
        header.endIf(i32.gt_u(optionBytes, header.size.get)),
        ifElse(isLinkAddress, takeLinkAddress(scope, header, type, first, locals)),
        ...header.pull(optionBytes),
        br(next),
      ]),
    ];
  });
}

/** An option whose address is zero leaves the slot free, as in OVS. */
function takeLinkAddress(
  scope: EmitScope,
  header: HeaderReader,
  type: LocalI32,
  first: LocalI32,
  locals: Locals,
): Statement[] {
  const address = locals.i32("address");
  const from = scope.region("frames") + ND_OPTION.address;
  const to = BATCH.keys + K.arp_sha;
  return [
    // The target's field follows the source's, as the types do.
    address.set(
      header.keyAt(
        i32.mul(i32.sub(type.get, i32.const(ND_OPTION.sourceLinkAddress)), i32.const(LINK_ADDRESS_BYTES)),
      ),
    ),
    ifElse(i32.or(i32Memory.load(address.get, to), i32Memory.load16_u(address.get, to + 4)), [
      ...voidTarget(header),
      header.end(),
    ]),
    i32Memory.store(address.get, i32Memory.load(header.here, from), to),
    i32Memory.store16(address.get, i32Memory.load16_u(header.here, from + 4), to + 4),
    ifElse(i32.eqz(first.get), [
      first.set(type.get),
      header.put8(K.nd_options_type, type.get),
      header.marks(LINE_1),
    ]),
  ];
}

function voidTarget(header: HeaderReader): Statement[] {
  const key = header.keyAt(i32.const(0));
  const zeroWord = (field: number): Statement => header.put32(field, i32.const(0));
  return [
    v128Memory.store(key, v128.const(new Uint8Array(ND_TARGET_BYTES)), BATCH.keys + K.nd_target),
    ...[0, 4, 8].map((at) => zeroWord(K.arp_sha + at)),
  ];
}
