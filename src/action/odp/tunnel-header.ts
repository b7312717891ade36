// The outer headers of a tnl_push header from text: Ethernet, IPv4 or IPv6, UDP. Control path. Every function
// writes at the header's end and moves it.

import type { TextCursor } from "../../flow/odp/text-cursor.ts";
import { parseIpv4, parseIpv6 } from "../../packet/address.ts";
import { writeBe16, writeBe32 } from "../../packet/bytes.ts";
import { checksum } from "../../packet/checksum.ts";
import { ETH, ETH_TYPE } from "../../packet/link-headers.ts";
import { IPV4, IPV6 } from "../../packet/network-headers.ts";
import { UDP } from "../../packet/transport-headers.ts";
import { parseMacAddress, U16_MAX } from "./action-parse.ts";

const VERSION_IHL = 0x45;

/** The header being built, and how far. */
export interface TunnelHeader {
  readonly bytes: Uint8Array;
  length: number;
  isIpv6: boolean;
  /** The vport type that the text describes, known behind its last part. */
  type: number;
}

export function parseEthernet(cursor: TextCursor, header: TunnelHeader): void {
  cursor.expect("eth(dst=");
  header.bytes.set(parseMacAddress(cursor, "dst"), ETH.dst);
  cursor.expect(",src=");
  header.bytes.set(parseMacAddress(cursor, "src"), ETH.src);
  cursor.expect(",dl_type=");
  const type = cursor.hexadecimal("dl_type", U16_MAX);
  cursor.expect("),");
  writeBe16(header.bytes, ETH.type, type);
  header.isIpv6 = type !== ETH_TYPE.ipv4;
  header.length = ETH.headerBytes;
}

export function parseIpv4Header(cursor: TextCursor, header: TunnelHeader): void {
  const { bytes, length: at } = header;
  bytes[at + IPV4.versionIhl] = VERSION_IHL;
  cursor.expect("ipv4(src=");
  bytes.set(parseIpv4Address(cursor), at + IPV4.src);
  cursor.expect(",dst=");
  bytes.set(parseIpv4Address(cursor), at + IPV4.dst);
  cursor.expect(",proto=");
  bytes[at + IPV4.protocol] = cursor.integer("proto", 255);
  cursor.expect(",tos=");
  bytes[at + IPV4.tos] = cursor.integer("tos", 255);
  cursor.expect(",ttl=");
  bytes[at + IPV4.ttl] = cursor.integer("ttl", 255);
  cursor.expect(",frag=");
  writeBe16(bytes, at + IPV4.fragment, cursor.hexadecimal("frag", U16_MAX));
  cursor.expect("),");
  writeBe16(bytes, at + IPV4.checksum, checksum(bytes, at, IPV4.headerBytes));
  header.length += IPV4.headerBytes;
}

function parseIpv4Address(cursor: TextCursor): Uint8Array {
  return parseIpv4(cursor.take(/[0-9.]+/y) ?? "") ?? cursor.fail("an IPv4 address before this");
}

export function parseIpv6Address(cursor: TextCursor): Uint8Array {
  return parseIpv6(cursor.take(/[0-9a-fA-F:.]+/y) ?? "") ?? cursor.fail("an IPv6 address before this");
}

export function parseIpv6Header(cursor: TextCursor, header: TunnelHeader): void {
  const { bytes, length: at } = header;
  cursor.expect("ipv6(src=");
  bytes.set(parseIpv6Address(cursor), at + IPV6.src);
  cursor.expect(",dst=");
  bytes.set(parseIpv6Address(cursor), at + IPV6.dst);
  cursor.expect(",label=");
  const label = cursor.integer("label", IPV6.labelMask);
  cursor.expect(",proto=");
  bytes[at + IPV6.nextHeader] = cursor.integer("proto", 255);
  cursor.expect(",tclass=");
  const tclass = cursor.hexadecimal("tclass", 255);
  cursor.expect(",hlimit=");
  bytes[at + IPV6.hopLimit] = cursor.integer("hlimit", 255);
  cursor.expect("),");
  writeBe32(bytes, at, ((6 << 28) | (tclass << IPV6.classShift) | label) >>> 0);
  header.length += IPV6.headerBytes;
}

export function parseUdp(cursor: TextCursor, header: TunnelHeader): void {
  const { bytes, length: at } = header;
  cursor.expect("src=");
  writeBe16(bytes, at + UDP.src, cursor.integer("src", U16_MAX));
  cursor.expect(",dst=");
  writeBe16(bytes, at + UDP.dst, cursor.integer("dst", U16_MAX));
  cursor.expect(",csum=");
  writeBe16(bytes, at + UDP.checksum, cursor.hexadecimal("csum", U16_MAX));
  cursor.expect("),");
  header.length += UDP.headerBytes;
}
