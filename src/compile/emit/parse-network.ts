// Network headers but IPv6, as flow/extract-network.ts parses them: IPv4 with options and fragments, ARP and RARP, NSH. A header
// that does not hold together ends the parse: what came before stays in the key, the rest is zero.
import { LINE_2, LINE_3 } from "../../flow/extract-cursor.ts";
import { IP_PADDING_BYTES_MAX } from "../../flow/extract-network.ts";
import { FRAG_FIRST, FRAG_LATER, K } from "../../flow/fields.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import { ARP, ETH, ETH_TYPE, NSH, NSH_MD_TYPE } from "../../packet/link-headers.ts";
import { IPV4 } from "../../packet/network-headers.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { ifElse } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { i32 } from "../ops/numeric.ts";
import { emitHeader, type HeaderReader, isRaw16, raw16 } from "./parse-header.ts";
import type { EmitScope } from "./scope.ts";

/** Lengths of an Ethernet and an IPv4 address as ARP states them, in one word. */
const ARP_ADDRESS_LENGTHS = (ETH.addressBytes << 8) | IPV4.addressBytes;
/** The O bit and the unassigned bit behind the version are what the key calls nsh flags. */
const NSH_FLAGS_SHIFT = 12;
const NSH_FLAGS_MASK = 3;

/** Four fields that lie one behind the other in the key: nw_frag, nw_proto, nw_tos, nw_ttl. */
export function putNetworkFields(header: HeaderReader, frag: I32, proto: I32, tos: I32, ttl: I32): Statement {
  return header.put32(
    K.nw_frag,
    i32.or(
      i32.or(frag, i32.shl(proto, i32.const(8))),
      i32.or(i32.shl(tos, i32.const(16)), i32.shl(ttl, i32.const(24))),
    ),
  );
}

/** parse_ipv4(0, ...) */
export function emitIpv4(scope: EmitScope, transport: FunctionEntry): FunctionEntry {
  return emitHeader(scope, "parse_ipv4", (header, _kind, locals) => {
    const headerBytes = locals.i32("headerBytes");
    const totalBytes = locals.i32("totalBytes");
    const frag = locals.i32("frag");
    const proto = locals.i32("proto");
    const hasBits = (mask: number): I32 => i32.and(header.raw16(IPV4.fragment), i32.const(raw16(mask)));
    return [
      ...header.need(IPV4.headerBytes),
      headerBytes.set(i32.shl(i32.and(header.byte(IPV4.versionIhl), i32.const(IPV4.ihlMask)), i32.const(2))),
      totalBytes.set(header.be16(IPV4.totalLength)),
      header.endIf(i32.lt_u(headerBytes.get, i32.const(IPV4.headerBytes))),
      header.endIf(i32.gt_u(headerBytes.get, totalBytes.get)),
      // More than the packet has, or too many bytes behind it.
      header.endIf(i32.gt_u(i32.sub(header.size.get, totalBytes.get), i32.const(IP_PADDING_BYTES_MAX))),
      ifElse(
        hasBits(IPV4.fragmentOffsetMask),
        [frag.set(i32.const(FRAG_LATER))],
        [ifElse(hasBits(IPV4.moreFragments), [frag.set(i32.const(FRAG_FIRST))])],
      ),
      proto.set(header.byte(IPV4.protocol)),
      putNetworkFields(header, frag.get, proto.get, header.byte(IPV4.tos), header.byte(IPV4.ttl)),
      ...header.copy(IPV4.src, K.nw_src, 2 * IPV4.addressBytes),
      header.size.set(totalBytes.get),
      ...header.pull(headerBytes.get),
      header.notes(BATCH.l4Offset),
      ifElse(i32.ne(frag.get, i32.const(FRAG_LATER)), [header.handOn(transport, proto.get)]),
    ];
  });
}

/** parse_arp(0, ...): only IPv4 over Ethernet. An opcode above 255 does not fit the key and counts as 0. */
export function emitArp(scope: EmitScope): FunctionEntry {
  return emitHeader(scope, "parse_arp", (header) => [
    ...header.need(ARP.headerBytes),
    header.endIf(i32.eqz(isRaw16(header.raw16(ARP.hardwareType), ARP.hardwareEthernet))),
    header.endIf(i32.eqz(isRaw16(header.raw16(ARP.protocolType), ETH_TYPE.ipv4))),
    header.endIf(i32.eqz(isRaw16(header.raw16(ARP.hardwareBytes), ARP_ADDRESS_LENGTHS))),
    ifElse(i32.eqz(header.byte(ARP.operation)), [header.put8(K.nw_proto, header.byte(ARP.operation + 1))]),
    ...header.copy(ARP.senderHardware, K.arp_sha, ETH.addressBytes),
    ...header.copy(ARP.senderProtocol, K.nw_src, IPV4.addressBytes),
    ...header.copy(ARP.targetHardware, K.arp_tha, ETH.addressBytes),
    ...header.copy(ARP.targetProtocol, K.nw_dst, IPV4.addressBytes),
    header.marks(LINE_2),
  ]);
}

/** parse_nsh(0, ...): RFC 8300. Of the metadata only MD type 1 is kept; a wrong length leaves the whole of NSH zero. */
export function emitNsh(scope: EmitScope): FunctionEntry {
  return emitHeader(scope, "parse_nsh", (header, _kind, locals) => {
    const word = locals.i32("word");
    const headerBytes = locals.i32("headerBytes");
    const isMdType = (value: number): I32 => i32.eq(header.byte(NSH.mdType), i32.const(value));
    const part = (mask: number, shift: number): I32 =>
      i32.and(i32.shr_u(word.get, i32.const(shift)), i32.const(mask));
    return [
      ...header.need(NSH.baseBytes),
      word.set(header.be16(NSH.versionFlagsLength)),
      headerBytes.set(i32.shl(i32.and(word.get, i32.const(NSH.lengthMask)), i32.const(2))),
      header.endIf(i32.and(word.get, i32.const(NSH.versionMask))),
      header.endIf(i32.gt_u(headerBytes.get, header.size.get)),
      ifElse(isMdType(NSH_MD_TYPE.fixed), [
        header.endIf(i32.ne(headerBytes.get, i32.const(NSH.mdType1Bytes))),
        ...header.need(NSH.mdType1Bytes),
        ...header.copy(NSH.context, K.nsh_context0, NSH.mdType1Bytes - NSH.baseBytes),
      ]),
      ifElse(isMdType(NSH_MD_TYPE.variable), [
        header.endIf(i32.lt_u(headerBytes.get, i32.const(NSH.baseBytes))),
      ]),
      header.put8(K.nsh_flags, part(NSH_FLAGS_MASK, NSH_FLAGS_SHIFT)),
      header.put8(K.nsh_ttl, part(NSH.ttlMask >>> NSH.ttlShift, NSH.ttlShift)),
      ...header.copy(NSH.mdType, K.nsh_mdtype, 2),
      ...header.copy(NSH.pathHeader, K.nsh_path_hdr, 4),
      header.marks(LINE_3),
    ];
  });
}
