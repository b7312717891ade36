// Flow text to netlink attributes of key and mask: the grammar that `ovs-dpctl` reads, and the forms that it prints
// and cannot read itself (nsh ttl, src_port and dst_port of ct_tuple6, eth_type(0/0xffff) of an 802.2 frame, mpls()).
//
// The parser knows forms and ranges of numbers; which attributes make a flow is to-key.ts's affair, so a key in the
// wrong order, or with an attribute twice, passes here as it does in OVS. Numbers that OVS lets wrap are refused.

import { NLA_PAYLOAD_BYTES_MAX, NlWriter } from "../nlattr.ts";
import { parseUfid, UFID_PREFIX } from "../ufid.ts";
import { KEY_ATTR, KEY_ATTR_ROWS, TEXT_DEPTH_MAX } from "./attributes.ts";
import { CT_STATE_FLAGS, parseFlags, TCP_FLAGS } from "./flags.ts";
import { type KeyParse, type PortNumbers, parseMembers } from "./key-parse.ts";
import { type Member, STRUCT_MEMBERS } from "./members.ts";
import { parseNsh } from "./parse-nsh.ts";
import { parseMpls, parseVlan } from "./parse-tags.ts";
import { parseTunnel } from "./parse-tunnel.ts";
import { OdpSyntaxError, TextCursor } from "./text-cursor.ts";
import { ones, type ScanRules, scanValue } from "./values.ts";

export interface FlowText {
  /** OVS_KEY_ATTR_* attributes. */
  readonly key: Uint8Array;
  readonly mask: Uint8Array;
  /** The sixteen bytes of a `ufid:` in the text, in the order of its digits. */
  readonly ufid: Uint8Array | undefined;
}

/** Reads an attribute's text behind its "(", the ")" included. */
type AttributeForm = (parse: KeyParse) => void;

const ATTRIBUTE_NAME = /[a-z_0-9]+(?=\()/y;
const DIGIT = /[0-9]/y;
/** Any text's attributes while it is read: files of 100,000 flows would make and drop as many buffers. */
const KEY_WRITER = new NlWriter();
const MASK_WRITER = new NlWriter();

const FORMS: ReadonlyMap<string, AttributeForm> = new Map<string, AttributeForm>([
  ["skb_priority", hostNumber(KEY_ATTR.priority, 4)],
  ["skb_mark", hostNumber(KEY_ATTR.skbMark, 4)],
  ["recirc_id", hostNumber(KEY_ATTR.recircId, 4)],
  ["dp_hash", hostNumber(KEY_ATTR.dpHash, 4)],
  ["ct_zone", hostNumber(KEY_ATTR.ctZone, 2)],
  ["ct_mark", hostNumber(KEY_ATTR.ctMark, 4)],
  // Little endian as a whole, so its bytes stand in reverse of the digits.
  ["ct_label", hostNumber(KEY_ATTR.ctLabels, 16)],
  ["ct_state", parseCtState],
  ["in_port", parseInPort],
  ["eth_type", parseEthType],
  ["tcp_flags", parseTcpFlags],
  ["vlan", parseVlan],
  ["mpls", parseMpls],
  ["nsh", parseNsh],
  ["tunnel", parseTunnel],
  ["encap", parseEncap],
  ...[...STRUCT_MEMBERS].map(([attr, members]): [string, AttributeForm] => [
    KEY_ATTR_ROWS[attr]!.name,
    struct(attr, members),
  ]),
]);

/** @throws OdpSyntaxError */
export function parseFlowText(text: string, ports?: PortNumbers): FlowText {
  const { key, mask, ufid } = scanFlowText(text, ports);
  return { key: key.slice(), mask: mask.slice(), ufid };
}

/** As parseFlowText; key and mask hold until the next text is read. */
export function scanFlowText(text: string, ports?: PortNumbers): FlowText {
  return parseText(text, ports, { allowMask: true });
}

/** The attributes of a key without masks, as for a packet given as text. @throws OdpSyntaxError also at a mask */
export function parseExactKeyText(text: string, ports?: PortNumbers): Uint8Array {
  return parseText(text, ports, { allowMask: false }).key.slice();
}

function parseText(text: string, ports: PortNumbers | undefined, rules: ScanRules): FlowText {
  const cursor = new TextCursor(text);
  KEY_WRITER.truncate(0);
  MASK_WRITER.truncate(0);
  const parse: KeyParse = { cursor, key: KEY_WRITER, mask: MASK_WRITER, rules, ports, depth: 0 };
  let ufid: Uint8Array | undefined;
  for (cursor.skipDelimiters(); !cursor.isAtEnd; cursor.skipDelimiters()) {
    const from = cursor.at;
    if (cursor.startsWith(UFID_PREFIX)) {
      ufid = readUfid(cursor);
      continue;
    }
    try {
      parseAttribute(parse);
    } catch (error) {
      if (!(error instanceof OdpSyntaxError)) throw error;
      throw new OdpSyntaxError(text, error.column - 1, error.expected, from);
    }
  }
  return { key: KEY_WRITER.view(), mask: MASK_WRITER.view(), ufid };
}

function readUfid(cursor: TextCursor): Uint8Array {
  const from = cursor.at;
  const ufid = parseUfid(cursor.take(/ufid:[0-9a-fA-F-]*/y) ?? "");
  if (ufid !== undefined) return ufid;
  cursor.at = from;
  return cursor.fail("ufid:xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
}

/** One attribute of a flow, or of the set() action. */
export function parseAttribute(parse: KeyParse): void {
  const cursor: TextCursor = parse.cursor;
  const from = cursor.at;
  const form = FORMS.get(cursor.take(ATTRIBUTE_NAME) ?? "");
  if (form === undefined) {
    cursor.at = from;
    cursor.fail("a key attribute such as in_port(1)");
  }
  cursor.expect("(");
  form(parse);
  if (parse.key.size > NLA_PAYLOAD_BYTES_MAX || parse.mask.size > NLA_PAYLOAD_BYTES_MAX) {
    throw new OdpSyntaxError(cursor.text, from, `at most ${NLA_PAYLOAD_BYTES_MAX} bytes of key attributes`);
  }
}

/** Members that the text leaves out are zero in key and mask. */
function struct(attr: number, members: readonly Member[]): AttributeForm {
  const payloadBytes = Number(KEY_ATTR_ROWS[attr]!.payload);
  const names = members.map((member) => `${member.name}=`).join(", ");
  const byName = new Map(members.map((member) => [member.name, member]));
  for (const member of members) if (member.alias !== undefined) byName.set(member.alias, member);
  return ({ cursor, key, mask, rules }) => {
    const valueBytes = new Uint8Array(payloadBytes);
    const maskBytes = new Uint8Array(payloadBytes);
    parseMembers(cursor, names, (name) => {
      const member = byName.get(name);
      if (member === undefined) return false;
      const scanned = scanValue(cursor, name, member.form, member.bytes, rules);
      valueBytes.set(scanned.value, member.at);
      maskBytes.set(scanned.mask, member.at);
      return true;
    });
    key.put(attr, valueBytes);
    mask.put(attr, maskBytes);
  };
}

/** A lone number in host order. */
function hostNumber(attr: number, bytes: number): AttributeForm {
  const { name } = KEY_ATTR_ROWS[attr]!;
  return ({ cursor, key, mask, rules }) => {
    const scanned = scanValue(cursor, name, "hex", bytes, rules);
    cursor.expect(")");
    key.put(attr, scanned.value.toReversed());
    mask.put(attr, scanned.mask.toReversed());
  };
}

function parseCtState({ cursor, key, mask }: KeyParse): void {
  const flags = parseFlags(cursor, CT_STATE_FLAGS, "ct_state");
  cursor.expect(")");
  key.putU32(KEY_ATTR.ctState, flags.value);
  mask.putU32(KEY_ATTR.ctState, flags.mask);
}

function parseTcpFlags({ cursor, key, mask }: KeyParse): void {
  const flags = parseFlags(cursor, TCP_FLAGS, "tcp_flags");
  cursor.expect(")");
  key.putBe16(KEY_ATTR.tcpFlags, flags.value);
  mask.putBe16(KEY_ATTR.tcpFlags, flags.mask);
}

const parsePortNumber = hostNumber(KEY_ATTR.inPort, 4);

function parseInPort(parse: KeyParse): void {
  const { key, mask, ports } = parse;
  const cursor: TextCursor = parse.cursor;
  DIGIT.lastIndex = cursor.at;
  if (DIGIT.test(cursor.text)) {
    parsePortNumber(parse);
    return;
  }
  const from = cursor.at;
  const name = cursor.take(/[^)]+/y) ?? "";
  const portNo = ports?.get(name);
  if (portNo === undefined) {
    cursor.at = from;
    cursor.fail(ports === undefined ? "a port number" : "the number or name of a port");
  }
  cursor.expect(")");
  key.putU32(KEY_ATTR.inPort, portNo);
  mask.put(KEY_ATTR.inPort, ones(4));
}

/** `0/MASK` is how a frame without Ethertype is printed: it has a mask and no key attribute. */
function parseEthType({ cursor, key, mask, rules }: KeyParse): void {
  const hasMask = /^0(?:x0*)?\//i.test(cursor.text.slice(cursor.at, cursor.at + 8));
  const scanned = scanValue(cursor, "eth_type", "hex", 2, rules);
  cursor.expect(")");
  if (!hasMask) key.put(KEY_ATTR.etherType, scanned.value);
  mask.put(KEY_ATTR.etherType, scanned.mask);
}

function parseEncap(parse: KeyParse): void {
  const { cursor, key, mask } = parse;
  parse.depth += 1;
  if (parse.depth >= TEXT_DEPTH_MAX) cursor.fail(`before this at most ${TEXT_DEPTH_MAX} levels of encap()`);
  const keyMark = key.begin(KEY_ATTR.encap);
  const maskMark = mask.begin(KEY_ATTR.encap);
  for (cursor.skipDelimiters(); !cursor.skip(")"); cursor.skipDelimiters()) {
    if (cursor.isAtEnd) cursor.fail('")"');
    parseAttribute(parse);
  }
  key.end(keyMark);
  mask.end(maskMark);
  parse.depth -= 1;
}
