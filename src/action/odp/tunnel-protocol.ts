// The last part of a tnl_push header from text: what stands in the parentheses behind each protocol's name.
// Control path. Every function writes at the header's end and moves it.

import { OdpSyntaxError, type TextCursor } from "../../flow/odp/text-cursor.ts";
import { writeBe16, writeBe32 } from "../../packet/bytes.ts";
import { ETH, ETH_TYPE } from "../../packet/link-headers.ts";
import { IP_PROTOCOL, IPV6 } from "../../packet/network-headers.ts";
import {
  ERSPAN,
  GENEVE,
  GENEVE_OPTION,
  GENEVE_OPTIONS_BYTES_MAX,
  GRE,
  GTPU,
  SRV6,
  TUNNEL_TYPE,
  VXLAN,
} from "../../packet/tunnel-headers.ts";
import { U16_MAX, U32_MAX } from "./action-parse.ts";
import { parseIpv6Address, type TunnelHeader } from "./tunnel-header.ts";

const VNI_MAX = 0xffffff;

export function parseVxlan(cursor: TextCursor, header: TunnelHeader): void {
  const { bytes, length: at } = header;
  cursor.expect("flags=");
  writeBe32(bytes, at + VXLAN.flags, cursor.hexadecimal("flags", U32_MAX));
  cursor.expect(",vni=");
  writeBe32(bytes, at + VXLAN.vni, (cursor.hexadecimal("vni", VNI_MAX) << 8) >>> 0);
  header.type = TUNNEL_TYPE.vxlan;
  header.length += VXLAN.headerBytes;
}

export function parseGeneve(cursor: TextCursor, header: TunnelHeader): void {
  const { bytes, length: at } = header;
  if (cursor.skip("oam,")) bytes[at + GENEVE.flags]! |= GENEVE.oam;
  if (cursor.skip("crit,")) bytes[at + GENEVE.flags]! |= GENEVE.critical;
  cursor.expect("vni=");
  writeBe32(bytes, at + GENEVE.vni, (cursor.integer("vni", VNI_MAX) << 8) >>> 0);
  writeBe16(bytes, at + GENEVE.protocol, ETH_TYPE.trans);
  header.type = TUNNEL_TYPE.geneve;
  header.length += GENEVE.headerBytes;
  if (!cursor.skip(",options(")) return;
  const options = header.length;
  while (cursor.peek() === "{") parseGeneveOption(cursor, header, options);
  cursor.expect(")");
  bytes[at + GENEVE.optionWords] = (header.length - options) / 4;
}

/** {class=,type=,len=[,DATA]}: members may be left out; DATA is one number, `len` bytes wide. */
function parseGeneveOption(cursor: TextCursor, header: TunnelHeader, options: number): void {
  const { bytes, length: at } = header;
  const room = options + GENEVE_OPTIONS_BYTES_MAX - at - GENEVE_OPTION.headerBytes;
  if (room < 0) cursor.fail(`at most ${GENEVE_OPTIONS_BYTES_MAX} bytes of options`);
  cursor.expect("{");
  if (cursor.skip("class=")) writeBe16(bytes, at + GENEVE_OPTION.class, cursor.integer("class", U16_MAX));
  cursor.skip(",");
  if (cursor.skip("type=")) bytes[at + GENEVE_OPTION.type] = cursor.integer("type", 255);
  cursor.skip(",");
  let dataBytes = 0;
  if (cursor.skip("len=")) {
    const from = cursor.at;
    dataBytes = cursor.integer("len", Math.min(room, GENEVE_OPTION.wordsMask * 4));
    if (dataBytes % 4 !== 0) throw new OdpSyntaxError(cursor.text, from, "len, a multiple of 4");
  }
  bytes[at + GENEVE_OPTION.words] = dataBytes / 4;
  if (cursor.skip(",")) {
    let data = cursor.bigInteger("data", (1n << BigInt(dataBytes * 8)) - 1n);
    for (let index = at + GENEVE_OPTION.headerBytes + dataBytes - 1; data > 0n; index -= 1, data >>= 8n) {
      bytes[index] = Number(data & 0xffn);
    }
  }
  cursor.expect("}");
  header.length += GENEVE_OPTION.headerBytes + dataBytes;
}

export function parseGtpu(cursor: TextCursor, header: TunnelHeader): void {
  const { bytes, length: at } = header;
  cursor.expect("flags=");
  bytes[at + GTPU.flags] = cursor.integer("flags", 255);
  cursor.expect(",msgtype=");
  bytes[at + GTPU.messageType] = cursor.unsigned("msgtype", 255);
  cursor.expect(",teid=");
  writeBe32(bytes, at + GTPU.teid, cursor.hexadecimal("teid", U32_MAX));
  header.type = TUNNEL_TYPE.gtpu;
  header.length += GTPU.headerBytes;
}

/** gre((flags=,proto=)[,csum=][,key=][,seq=]): the flags say which of the optional words follow. */
export function parseGre(cursor: TextCursor, header: TunnelHeader): void {
  const { bytes, length: at } = header;
  cursor.expect("(flags=");
  const flags = cursor.hexadecimal("flags", U16_MAX);
  cursor.expect(",proto=");
  writeBe16(bytes, at + GRE.flags, flags);
  writeBe16(bytes, at + GRE.protocol, cursor.hexadecimal("proto", U16_MAX));
  cursor.expect(")");
  header.type = header.isIpv6 ? TUNNEL_TYPE.ip6gre : TUNNEL_TYPE.gre;
  header.length += GRE.headerBytes;
  if ((flags & GRE.checksum) !== 0) {
    cursor.expect(",csum=");
    writeBe16(bytes, header.length, cursor.hexadecimal("csum", U16_MAX));
    header.length += 4;
  }
  if ((flags & GRE.key) !== 0) {
    cursor.expect(",key=");
    writeBe32(bytes, header.length, cursor.hexadecimal("key", U32_MAX));
    header.length += 4;
  }
  if ((flags & GRE.sequence) !== 0) {
    cursor.expect(",seq=");
    writeBe32(bytes, header.length, cursor.hexadecimal("seq", U32_MAX));
    header.length += 4;
  }
}

export function parseErspan(cursor: TextCursor, header: TunnelHeader): void {
  const { bytes, length: gre } = header;
  const at = gre + ERSPAN.greBytes;
  cursor.expect("ver=");
  const from = cursor.at;
  const version = cursor.unsigned("ver", 2);
  if (version === 0) throw new OdpSyntaxError(cursor.text, from, "ver=1 or ver=2");
  cursor.expect(",sid=");
  const session = cursor.hexadecimal("sid", ERSPAN.sessionMask);
  writeBe16(bytes, gre + GRE.flags, GRE.sequence);
  writeBe16(bytes, gre + GRE.protocol, version === 1 ? ERSPAN.protocolV1 : ERSPAN.protocolV2);
  bytes[at + ERSPAN.version] = version << 4;
  writeBe16(bytes, at + ERSPAN.session, session);
  if (version === 1) {
    cursor.expect(",idx=");
    writeBe32(bytes, at + ERSPAN.index, cursor.hexadecimal("idx", U32_MAX));
  } else {
    cursor.expect(",dir=");
    const direction = cursor.unsigned("dir", 1);
    cursor.expect(",hwid=");
    const hardware = cursor.hexadecimal("hwid", 0x3f);
    bytes[at + ERSPAN.hardwareUpper] = hardware >>> 4;
    bytes[at + ERSPAN.hardwareLower] = ((hardware & 0xf) << 4) | (direction * ERSPAN.directionBit);
  }
  header.type = header.isIpv6 ? TUNNEL_TYPE.ip6erspan : TUNNEL_TYPE.erspan;
  const metadataBytes = version === 1 ? ERSPAN.metadataV1Bytes : ERSPAN.metadataV2Bytes;
  header.length = at + ERSPAN.headerBytes + metadataBytes;
}

/**
 * srv6(segments_left=,segs(A,B,...)): the path in travelling order; the IPv6 header's next header becomes
 * routing.
 */
export function parseSrv6(cursor: TextCursor, header: TunnelHeader): void {
  const { bytes, length: at } = header;
  if (!header.isIpv6) cursor.fail("dl_type=0x86dd before srv6()");
  cursor.expect("segments_left=");
  const segmentsLeft = cursor.unsigned("segments_left", SRV6.segmentsMax - 1);
  bytes[ETH.headerBytes + IPV6.nextHeader] = IP_PROTOCOL.routing;
  bytes[at + SRV6.length] = 2 * (segmentsLeft + 1);
  bytes[at + SRV6.type] = SRV6.routingType;
  bytes[at + SRV6.segmentsLeft] = segmentsLeft;
  bytes[at + SRV6.lastEntry] = segmentsLeft;
  cursor.expect(",segs(");
  for (let segment = segmentsLeft; segment >= 0; segment -= 1) {
    bytes.set(parseIpv6Address(cursor), at + SRV6.headerBytes + segment * IPV6.addressBytes);
    cursor.expect(segment === 0 ? ")" : ",");
  }
  header.type = TUNNEL_TYPE.srv6;
  header.length += SRV6.headerBytes + (segmentsLeft + 1) * IPV6.addressBytes;
}
