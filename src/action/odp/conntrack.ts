// ct(): text to attributes and back. Control path.
//
// Mark and label are in host order in the attributes, as OVS keeps them: a label's 16 bytes stand in reverse
// of how its digits are written.

import { OdpSyntaxError, type TextCursor } from "../../flow/odp/text-cursor.ts";
import { ACTION, CT } from "../attributes.ts";
import { readU16, readU32 } from "../host-words.ts";
import { type ActionParse, U16_MAX, U32_MAX } from "./action-parse.ts";
import { nestedByType, type PayloadLengths, printHex } from "./action-print.ts";
import { type NatMembers, parseNat, printNat, writeNat } from "./nat.ts";

const LABEL_BYTES = 16;
const LABEL_ONES = (1n << 128n) - 1n;
/**
 * Longest names with the NUL that ends them: the kernel's NF_CT_HELPER_NAME_LEN and CTNL_TIMEOUT_NAME_MAX.
 */
const HELPER_BYTES_MAX = 16;
const TIMEOUT_BYTES_MAX = 32;

interface CtMembers {
  commit: number | undefined;
  zone: number;
  mark: Uint8Array | undefined;
  label: Uint8Array | undefined;
  helper: string | undefined;
  timeout: string | undefined;
  nat: NatMembers | undefined;
}

export function parseConntrack({ cursor, writer }: ActionParse): void {
  const ct: CtMembers = {
    commit: undefined,
    zone: 0,
    mark: undefined,
    label: undefined,
    helper: undefined,
    timeout: undefined,
    nat: undefined,
  };
  if (cursor.skip("(")) {
    for (cursor.skipDelimiters(); !cursor.skip(")"); cursor.skipDelimiters()) parseMember(cursor, ct);
  }
  // The order is that in which OVS writes them.
  const mark = writer.begin(ACTION.ct);
  if (ct.commit !== undefined) writer.putFlag(ct.commit);
  if (ct.zone !== 0) writer.putU16(CT.zone, ct.zone);
  if (ct.mark !== undefined) writer.put(CT.mark, ct.mark);
  if (ct.label !== undefined) writer.put(CT.labels, ct.label);
  if (ct.helper !== undefined) writer.put(CT.helper, Buffer.from(`${ct.helper}\0`));
  if (ct.timeout !== undefined) writer.put(CT.timeout, Buffer.from(`${ct.timeout}\0`));
  if (ct.nat !== undefined) writeNat(writer, ct.nat);
  writer.end(mark);
}

function parseMember(cursor: TextCursor, ct: CtMembers): void {
  const from = cursor.at;
  const word = cursor.take(/(?:commit|force_commit|nat)(?![a-z_=])|(?:zone|mark|label|helper|timeout)=/y);
  switch (word) {
    case "commit":
    case "force_commit":
      if (ct.commit !== undefined) throw new OdpSyntaxError(cursor.text, from, "commit or force_commit once");
      ct.commit = word === "commit" ? CT.commit : CT.forceCommit;
      break;
    case "zone=":
      ct.zone = cursor.unsigned("zone", U16_MAX);
      break;
    case "mark=":
      ct.mark = parseMark(cursor);
      break;
    case "label=":
      ct.label = parseLabel(cursor);
      break;
    case "helper=":
      ct.helper = parseName(cursor, "helper", HELPER_BYTES_MAX);
      break;
    case "timeout=":
      ct.timeout = parseName(cursor, "timeout", TIMEOUT_BYTES_MAX);
      break;
    case "nat":
      ct.nat = parseNat(cursor);
      break;
    default:
      cursor.fail("a member of ct: commit, force_commit, zone=, mark=, label=, helper=, timeout=, nat");
  }
}

/** Value and mask; a mask of 0 changes nothing and leaves the attribute out, as in OVS. */
function parseMark(cursor: TextCursor): Uint8Array | undefined {
  const value = cursor.hexadecimal("mark", U32_MAX);
  const mask = cursor.skip("/") ? cursor.hexadecimal("mask", U32_MAX) : U32_MAX;
  if (mask === 0) return undefined;
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setUint32(0, value, true);
  bytes.setUint32(4, mask, true);
  return new Uint8Array(bytes.buffer);
}

function parseLabel(cursor: TextCursor): Uint8Array | undefined {
  const value = cursor.bigInteger("label", LABEL_ONES);
  const mask = cursor.skip("/") ? cursor.bigInteger("mask", LABEL_ONES) : LABEL_ONES;
  if (mask === 0n) return undefined;
  return Uint8Array.from([...labelBytes(value), ...labelBytes(mask)]);
}

function labelBytes(label: bigint): Uint8Array {
  return Uint8Array.from({ length: LABEL_BYTES }, (_, index) => Number((label >> BigInt(index * 8)) & 0xffn));
}

function readLabel(bytes: Uint8Array, at: number): bigint {
  let label = 0n;
  for (let index = LABEL_BYTES - 1; index >= 0; index -= 1)
    label = (label << 8n) | BigInt(bytes[at + index]!);
  return label;
}

function parseName(cursor: TextCursor, what: string, bytesMax: number): string {
  const from = cursor.at;
  const name = cursor.take(/[^, \t\r\n)]+/y) ?? "";
  if (name === "" || Buffer.byteLength(name) >= bytesMax) {
    throw new OdpSyntaxError(cursor.text, from, `${what}, a name of 1 to ${bytesMax - 1} bytes`);
  }
  return name;
}

const PART_BYTES: PayloadLengths = { [CT.zone]: 2, [CT.mark]: 8, [CT.labels]: 2 * LABEL_BYTES };

export function printConntrack(bytes: Uint8Array, start: number, end: number): string {
  const parts = nestedByType(bytes, start, end, PART_BYTES);
  if (parts === undefined) return "ct(error)";
  const shown: string[] = [];
  if (parts.has(CT.commit)) shown.push("commit");
  if (parts.has(CT.forceCommit)) shown.push("force_commit");
  const zone = parts.get(CT.zone);
  if (zone !== undefined && readU16(bytes, zone.start) !== 0)
    shown.push(`zone=${readU16(bytes, zone.start)}`);
  const mark = parts.get(CT.mark);
  if (mark !== undefined) {
    const [value, mask] = [readU32(bytes, mark.start), readU32(bytes, mark.start + 4)];
    shown.push(`mark=${printHex(value)}/${printHex(mask)}`);
  }
  const label = parts.get(CT.labels);
  if (label !== undefined) shown.push(printLabel(bytes, label.start));
  for (const [name, type] of [
    ["helper", CT.helper],
    ["timeout", CT.timeout],
  ] as const) {
    const part = parts.get(type);
    if (part === undefined) continue;
    shown.push(
      `${name}=${Buffer.from(bytes.subarray(part.start, part.end)).toString().replace(/\0.*$/s, "")}`,
    );
  }
  const nat = parts.get(CT.nat);
  if (nat !== undefined) shown.push(printNat(bytes, nat.start, nat.end));
  return shown.length === 0 ? "ct" : `ct(${shown.join(",")})`;
}

function printLabel(bytes: Uint8Array, at: number): string {
  const value = `label=${printHex(readLabel(bytes, at))}`;
  const mask = readLabel(bytes, at + LABEL_BYTES);
  return mask === LABEL_ONES ? value : `${value}/${printHex(mask)}`;
}
