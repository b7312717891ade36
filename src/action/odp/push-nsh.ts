// push_nsh(): text to attributes and back. Control path.
//
// The attribute is PUSH_NSH{NSH{BASE, MD1 or MD2}}, everything in network order. Members may come in any
// order and may be left out; MD2 metadata is filled up to words.
import { KEY_ATTR, NSH_KEY_ATTR } from "../../flow/odp/attributes.ts";
import { OdpSyntaxError, type TextCursor } from "../../flow/odp/text-cursor.ts";
import { readBe32, writeBe32 } from "../../packet/bytes.ts";
import { ACTION } from "../attributes.ts";
import { type ActionParse, parseHexBytes, U32_MAX } from "./action-parse.ts";
import { nestedByType, type PayloadLengths, printHexBytes } from "./action-print.ts";

const MD_TYPE1 = 1;
const MD_TYPE2 = 2;
const NEXT_PROTOCOL_ETHERNET = 3;
const BASE_BYTES = 8;
const MD1_BYTES = 16;
/** The header's length has six bits of words: 252 bytes less base and path. */
const MD2_BYTES_MAX = 248;
/** Widths in the header: two flag bits, six of TTL. */
const FLAGS_MAX = 3;
const TTL_MAX = 63;
const SPI_MAX = 0xffffff;

interface NshMembers {
  flags: number;
  ttl: number;
  mdtype: number;
  np: number;
  spi: number;
  si: number;
  readonly contexts: number[];
  md2: Uint8Array;
}

export function parsePushNsh({ cursor, writer }: ActionParse): void {
  const nsh: NshMembers = {
    flags: 0,
    ttl: TTL_MAX,
    mdtype: MD_TYPE1,
    np: NEXT_PROTOCOL_ETHERNET,
    spi: 0,
    si: 255,
    contexts: [0, 0, 0, 0],
    md2: new Uint8Array(0),
  };
  cursor.expect("(");
  for (cursor.skipDelimiters(); !cursor.skip(")"); cursor.skipDelimiters()) parseMember(cursor, nsh);

  const base = Uint8Array.from([nsh.flags, nsh.ttl, nsh.mdtype, nsh.np, 0, 0, 0, 0]);
  writeBe32(base, 4, ((nsh.spi << 8) | nsh.si) >>> 0);
  const push = writer.begin(ACTION.pushNsh);
  const header = writer.begin(KEY_ATTR.nsh);
  writer.put(NSH_KEY_ATTR.base, base);
  if (nsh.mdtype === MD_TYPE1) {
    const md1 = new Uint8Array(MD1_BYTES);
    for (const [index, context] of nsh.contexts.entries()) writeBe32(md1, index * 4, context);
    writer.put(NSH_KEY_ATTR.md1, md1);
  } else if (nsh.md2.length > 0) {
    const md2 = new Uint8Array(Math.ceil(nsh.md2.length / 4) * 4);
    md2.set(nsh.md2);
    writer.put(NSH_KEY_ATTR.md2, md2);
  }
  writer.end(header);
  writer.end(push);
}

function parseMember(cursor: TextCursor, nsh: NshMembers): void {
  const from = cursor.at;
  const name = cursor.take(/(?:flags|ttl|mdtype|np|spi|si|c[1-4]|md2)=/y);
  switch (name) {
    case "flags=":
      nsh.flags = cursor.integer("flags", FLAGS_MAX);
      break;
    case "ttl=":
      nsh.ttl = cursor.integer("ttl", TTL_MAX);
      break;
    case "mdtype=":
      nsh.mdtype = cursor.integer("mdtype", MD_TYPE2);
      if (nsh.mdtype === 0) throw new OdpSyntaxError(cursor.text, from, "mdtype=1 or mdtype=2");
      break;
    case "np=":
      nsh.np = cursor.integer("np", 255);
      break;
    case "spi=":
      nsh.spi = cursor.hexadecimal("spi", SPI_MAX);
      break;
    case "si=":
      nsh.si = cursor.integer("si", 255);
      break;
    case "md2=":
      if (nsh.mdtype !== MD_TYPE2) throw new OdpSyntaxError(cursor.text, from, "mdtype=2 before md2");
      cursor.expect("0x");
      nsh.md2 = parseHexBytes(cursor, MD2_BYTES_MAX);
      break;
    case undefined:
      cursor.fail("a member of push_nsh: flags=, ttl=, mdtype=, np=, spi=, si=, c1= to c4=, md2=");
      break;
    default:
      if (nsh.mdtype !== MD_TYPE1) throw new OdpSyntaxError(cursor.text, from, "mdtype=1 with c1 to c4");
      nsh.contexts[Number(name.charAt(1)) - 1] = cursor.hexadecimal(name.slice(0, 2), U32_MAX);
  }
}

const PART_BYTES: PayloadLengths = { [NSH_KEY_ATTR.base]: BASE_BYTES, [NSH_KEY_ATTR.md1]: MD1_BYTES };

/** md2 keeps its leading zeros, which OVS leaves out and then reads as other bytes. */
export function printPushNsh(bytes: Uint8Array, start: number, end: number): string {
  const header = nestedByType(bytes, start, end)?.get(KEY_ATTR.nsh);
  const parts = header && nestedByType(bytes, header.start, header.end, PART_BYTES, [NSH_KEY_ATTR.base]);
  if (parts === undefined) return "push_nsh(error)";
  const base = parts.get(NSH_KEY_ATTR.base)!.start;
  const path = readBe32(bytes, base + 4);
  const mdtype = bytes[base + 2]!;
  let text =
    `push_nsh(flags=${bytes[base]! & FLAGS_MAX},ttl=${bytes[base + 1]! & TTL_MAX},mdtype=${mdtype}` +
    `,np=${bytes[base + 3]},spi=0x${(path >>> 8).toString(16)},si=${path & 0xff}`;
  const md1 = parts.get(NSH_KEY_ATTR.md1);
  const md2 = parts.get(NSH_KEY_ATTR.md2);
  if (mdtype === MD_TYPE1 && md1 !== undefined) {
    for (let index = 0; index < 4; index += 1) {
      text += `,c${index + 1}=0x${readBe32(bytes, md1.start + index * 4).toString(16)}`;
    }
  } else if (mdtype === MD_TYPE2) {
    if (md2 !== undefined) text += `,md2=0x${printHexBytes(bytes, md2.start, md2.end)}`;
  } else {
    text += ",<error: unknown mdtype>";
  }
  return `${text})`;
}
