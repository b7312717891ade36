// tunnel(...): outer addresses and one block of options, as nested attributes. An attribute is written for every member
// that the text names, and none for the others: that is how the mask says what it looks at.

import { TUNNEL_OPTIONS_BYTES_MAX } from "../fields.ts";
import { KEY_ATTR, TUNNEL_ATTR, VXLAN_EXT } from "./attributes.ts";
import { type MaskedNumber, parseFlags, TUNNEL_FLAG, TUNNEL_FLAGS } from "./flags.ts";
import type { KeyParse } from "./key-parse.ts";
import type { ValueForm } from "./members.ts";
import type { TextCursor } from "./text-cursor.ts";
import { ERSPAN_HWID_MAX, type ErspanOptions, GENEVE_OPTION, GTPU, writeErspan } from "./tunnel-options.ts";
import { bigToBytes, bytesToBig, ones, scanValue } from "./values.ts";

interface TunnelMember {
  readonly attr: number;
  readonly bytes: number;
  readonly form: ValueForm;
}

/** Members of one value; the printer goes over them too. */
export const TUNNEL_MEMBERS: ReadonlyMap<string, TunnelMember> = new Map<string, TunnelMember>([
  ["tun_id", { attr: TUNNEL_ATTR.id, bytes: 8, form: "word" }],
  ["src", { attr: TUNNEL_ATTR.ipv4Src, bytes: 4, form: "ipv4" }],
  ["dst", { attr: TUNNEL_ATTR.ipv4Dst, bytes: 4, form: "ipv4" }],
  ["ipv6_src", { attr: TUNNEL_ATTR.ipv6Src, bytes: 16, form: "ipv6" }],
  ["ipv6_dst", { attr: TUNNEL_ATTR.ipv6Dst, bytes: 16, form: "ipv6" }],
  ["tos", { attr: TUNNEL_ATTR.tos, bytes: 1, form: "hex" }],
  ["ttl", { attr: TUNNEL_ATTR.ttl, bytes: 1, form: "decimal" }],
  ["tp_src", { attr: TUNNEL_ATTR.tpSrc, bytes: 2, form: "decimal" }],
  ["tp_dst", { attr: TUNNEL_ATTR.tpDst, bytes: 2, form: "decimal" }],
]);

const OPTION_FORMS: ReadonlyMap<string, (parse: KeyParse) => void> = new Map([
  ["geneve(", parseGeneve],
  ["vxlan(gbp(", parseGbp],
  ["erspan(", parseErspan],
  ["gtpu(", parseGtpu],
]);

const EXPECTED = `${[...TUNNEL_MEMBERS.keys()].join("=, ")}=, ${[...OPTION_FORMS.keys()].join(", ")}, flags( or ")"`;

export function parseTunnel(parse: KeyParse): void {
  const { cursor, key, mask } = parse;
  const keyMark = key.begin(KEY_ATTR.tunnel);
  const maskMark = mask.begin(KEY_ATTR.tunnel);
  let flags: MaskedNumber | undefined;
  let hasId = false;
  while (!cursor.skip(")")) {
    if (cursor.skip("flags(")) {
      flags = parseTunnelFlags(parse);
    } else {
      hasId ||= cursor.startsWith("tun_id=");
      parseMember(parse);
    }
    if (!cursor.skip(",") && cursor.peek() !== ")") cursor.fail('"," or ")"');
  }
  if (flags !== undefined && !hasId) addTunnelId(parse, flags);
  key.end(keyMark);
  mask.end(maskMark);
}

function parseMember(parse: KeyParse): void {
  const { key, mask, rules } = parse;
  const cursor: TextCursor = parse.cursor;
  for (const [start, form] of OPTION_FORMS) {
    if (!cursor.skip(start)) continue;
    form(parse);
    return;
  }
  const from = cursor.at;
  const name = cursor.take(/[a-z_0-9]+(?==)/y) ?? "";
  const member = TUNNEL_MEMBERS.get(name);
  if (member === undefined) {
    cursor.at = from;
    cursor.fail(EXPECTED);
  }
  cursor.expect("=");
  const scanned = scanValue(cursor, name, member.form, member.bytes, rules);
  key.put(member.attr, scanned.value);
  mask.put(member.attr, scanned.mask);
}

function parseTunnelFlags({ cursor, key, mask }: KeyParse): MaskedNumber {
  const flags = parseFlags(cursor, TUNNEL_FLAGS, "tunnel flags");
  cursor.expect(")");
  for (const [writer, bits] of [
    [key, flags.value],
    [mask, flags.mask],
  ] as const) {
    if ((bits & TUNNEL_FLAG.df) !== 0) writer.putFlag(TUNNEL_ATTR.dontFragment);
    if ((bits & TUNNEL_FLAG.csum) !== 0) writer.putFlag(TUNNEL_ATTR.csum);
    if ((bits & TUNNEL_FLAG.oam) !== 0) writer.putFlag(TUNNEL_ATTR.oam);
  }
  return flags;
}

/** The key flag has no attribute of its own, a tunnel id stands for it: one of zero where the text gives none. */
function addTunnelId({ key, mask }: KeyParse, flags: MaskedNumber): void {
  if ((flags.value & TUNNEL_FLAG.key) !== 0) key.put(TUNNEL_ATTR.id, NO_TUNNEL_ID);
  if ((flags.mask & TUNNEL_FLAG.key) !== 0) mask.put(TUNNEL_ATTR.id, NO_TUNNEL_ID);
}
const NO_TUNNEL_ID = new Uint8Array(8);

interface Pair {
  readonly value: number;
  readonly mask: number;
}
const ABSENT: Pair = { value: 0, mask: 0 };

/** `name=value[/mask]` and a "," behind it, or nothing when another member stands here. */
function readMember({ cursor, rules }: KeyParse, name: string, form: ValueForm, bytes: number): Pair {
  if (!cursor.skip(`${name}=`)) return ABSENT;
  const scanned = scanValue(cursor, name, form, bytes, rules);
  cursor.skip(",");
  return { value: Number(bytesToBig(scanned.value)), mask: Number(bytesToBig(scanned.mask)) };
}

/** VXLAN's group based policy: flags in the third byte, id in the lower two. */
function parseGbp(parse: KeyParse): void {
  const id = readMember(parse, "id", "decimal", 2);
  const flags = readMember(parse, "flags", "hex", 1);
  parse.cursor.expect("))");
  for (const [writer, part] of [
    [parse.key, "value"],
    [parse.mask, "mask"],
  ] as const) {
    const mark = writer.begin(TUNNEL_ATTR.vxlanOpts);
    writer.putU32(VXLAN_EXT.gbp, (flags[part] << 16) | id[part]);
    writer.end(mark);
  }
}

function parseGtpu(parse: KeyParse): void {
  const flags = readMember(parse, "flags", "hex", 1);
  const messageType = readMember(parse, "msgtype", "decimal", 1);
  parse.cursor.expect(")");
  const payload = (part: keyof Pair): Uint8Array => {
    const bytes = new Uint8Array(GTPU.bytes);
    bytes[GTPU.flags] = flags[part];
    bytes[GTPU.messageType] = messageType[part];
    return bytes;
  };
  parse.key.put(TUNNEL_ATTR.gtpuOpts, payload("value"));
  parse.mask.put(TUNNEL_ATTR.gtpuOpts, payload("mask"));
}

/** Without ver, as a mask that leaves it out is printed, the other members tell the version. */
function parseErspan(parse: KeyParse): void {
  const { cursor } = parse;
  const from = cursor.at;
  const ver = readMember(parse, "ver", "decimal", 1);
  const hasVersion = cursor.at > from;
  const version = hasVersion ? ver.value : cursor.startsWith("idx=") ? 1 : 2;
  if (version !== 1 && version !== 2) {
    cursor.at = from;
    cursor.fail('"ver=1" or "ver=2"');
  }
  const index = version === 1 ? readMember(parse, "idx", "hex", 4) : ABSENT;
  const direction = version === 2 ? readMember(parse, "dir", "decimal", 1) : ABSENT;
  const hwid = version === 2 ? readMember(parse, "hwid", "hex", 1) : ABSENT;
  if (direction.value > 1) cursor.fail("before this dir=0 or dir=1");
  if (hwid.value > ERSPAN_HWID_MAX)
    cursor.fail(`before this hwid of at most 0x${ERSPAN_HWID_MAX.toString(16)}`);
  cursor.expect(")");
  const key: ErspanOptions = { version, index: index.value, direction: direction.value, hwid: hwid.value };
  const mask: ErspanOptions = {
    version: ver.mask,
    index: index.mask,
    direction: direction.mask & 1,
    hwid: hwidMask(hwid.mask),
  };
  parse.key.put(TUNNEL_ATTR.erspanOpts, writeErspan(key));
  parse.mask.put(TUNNEL_ATTR.erspanOpts, writeErspan(mask, version));
}

/** OVS's text has four of the six bits; a mask of them alone looks at the upper two as well. */
function hwidMask(mask: number): number {
  if (mask === 0) return 0;
  return mask <= 0xf ? mask | 0x30 : mask & ERSPAN_HWID_MAX;
}

function parseGeneve(parse: KeyParse): void {
  const { cursor, key, mask } = parse;
  const values: number[] = [];
  const masks: number[] = [];
  while (!cursor.skip(")")) {
    cursor.expect("{");
    parseGeneveOption(parse, values, masks);
    if (values.length > TUNNEL_OPTIONS_BYTES_MAX) {
      cursor.fail(`before this at most ${TUNNEL_OPTIONS_BYTES_MAX} bytes of options`);
    }
  }
  key.put(TUNNEL_ATTR.geneveOpts, Uint8Array.from(values));
  mask.put(TUNNEL_ATTR.geneveOpts, Uint8Array.from(masks));
}

function parseGeneveOption(parse: KeyParse, values: number[], masks: number[]): void {
  const { cursor, rules } = parse;
  const optionClass = readMember(parse, "class", "hex", 2);
  const type = readMember(parse, "type", "hex", 1);
  const length = readMember(parse, "len", "decimal", 1);
  if (length.value % 4 !== 0 || length.value > GENEVE_OPTION.dataBytesMax) {
    cursor.fail(`before this len as a multiple of 4 up to ${GENEVE_OPTION.dataBytesMax}`);
  }
  let data = new Uint8Array(length.value);
  // A mask that looks at no data is printed without them; so data that are not named are not looked at.
  let dataMask = new Uint8Array(length.value);
  if (cursor.peek() !== "}") {
    const most = (1n << BigInt(length.value * 8)) - 1n;
    data = Uint8Array.from(bigToBytes(cursor.bigInteger("option data", most), length.value));
    dataMask = Uint8Array.from(ones(length.value));
    if (rules.allowMask && cursor.skip("/")) {
      dataMask = Uint8Array.from(bigToBytes(cursor.bigInteger("mask of option data", most), length.value));
    }
  }
  cursor.expect("}");
  const lengthMask = length.mask & GENEVE_OPTION.lengthMask;
  values.push(optionClass.value >>> 8, optionClass.value & 0xff, type.value, length.value / 4, ...data);
  masks.push(optionClass.mask >>> 8, optionClass.mask & 0xff, type.mask, lengthMask, ...dataMask);
}
