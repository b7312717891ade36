// Actions that hold action lists (sample, clone, check_pkt_len, dec_ttl) and psample: text to attributes and
// back. Control path.

import { OdpSyntaxError } from "../../flow/odp/text-cursor.ts";
import { ACTION, CHECK_PKT_LEN, DEC_TTL, PSAMPLE, PSAMPLE_COOKIE_BYTES_MAX, SAMPLE } from "../attributes.ts";
import { readU16, readU32 } from "../host-words.ts";
import { type ActionParse, parseHexBytes, U16_MAX, U32_MAX } from "./action-parse.ts";
import { type ListPrinter, nestedByType, printHexBytes } from "./action-print.ts";

/** A list in parentheses, from behind "(", as a nested attribute. */
function parseListInto({ writer, parseList }: ActionParse, type: number): void {
  const list = writer.begin(type);
  parseList();
  writer.end(list);
}

export function parseSample(parse: ActionParse): void {
  const { cursor, writer } = parse;
  cursor.expect("(sample=");
  const from = cursor.at;
  const percent = Number(cursor.take(/[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?/y) ?? "none");
  if (!(percent >= 0 && percent <= 100)) {
    throw new OdpSyntaxError(cursor.text, from, "a percentage from 0 to 100");
  }
  cursor.expect("%,actions(");
  const sample = writer.begin(ACTION.sample);
  writer.putU32(SAMPLE.probability, Math.min(U32_MAX, Math.floor(U32_MAX * (percent / 100) + 0.5)));
  parseListInto(parse, SAMPLE.actions);
  writer.end(sample);
  cursor.expect(")");
}

/** One decimal is all that OVS prints, so other percentages come back rounded. */
export function printSample(bytes: Uint8Array, start: number, end: number, printList: ListPrinter): string {
  const parts = nestedByType(bytes, start, end, { [SAMPLE.probability]: 4 }, Object.values(SAMPLE));
  if (parts === undefined) return "sample(error)";
  const probability = readU32(bytes, parts.get(SAMPLE.probability)!.start);
  const list = parts.get(SAMPLE.actions)!;
  const percent = ((100 * probability) / U32_MAX).toFixed(1);
  return `sample(sample=${percent}%,actions(${printList(bytes, list.start, list.end)}))`;
}

export function parseClone(parse: ActionParse): void {
  parse.cursor.expect("(");
  parseListInto(parse, ACTION.clone);
}

export function parseCheckPktLen(parse: ActionParse): void {
  const { cursor, writer } = parse;
  cursor.expect("(size=");
  const check = writer.begin(ACTION.checkPktLen);
  writer.putU16(CHECK_PKT_LEN.pktLen, cursor.integer("size", U16_MAX));
  cursor.expect(",gt(");
  parseListInto(parse, CHECK_PKT_LEN.actionsIfGreater);
  cursor.expect(",le(");
  parseListInto(parse, CHECK_PKT_LEN.actionsIfLessEqual);
  writer.end(check);
  cursor.expect(")");
}

export function printCheckPktLen(
  bytes: Uint8Array,
  start: number,
  end: number,
  printList: ListPrinter,
): string {
  const { pktLen, actionsIfGreater, actionsIfLessEqual } = CHECK_PKT_LEN;
  const parts = nestedByType(bytes, start, end, { [pktLen]: 2 }, Object.values(CHECK_PKT_LEN));
  if (parts === undefined) return "check_pkt_len(error)";
  const greater = parts.get(actionsIfGreater)!;
  const lessEqual = parts.get(actionsIfLessEqual)!;
  const size = readU16(bytes, parts.get(pktLen)!.start);
  const greaterText = printList(bytes, greater.start, greater.end);
  const lessEqualText = printList(bytes, lessEqual.start, lessEqual.end);
  return `check_pkt_len(size=${size},gt(${greaterText}),le(${lessEqualText}))`;
}

export function parseDecTtl(parse: ActionParse): void {
  const { cursor, writer } = parse;
  cursor.expect("(le_1(");
  const decTtl = writer.begin(ACTION.decTtl);
  parseListInto(parse, DEC_TTL.action);
  writer.end(decTtl);
  cursor.expect(")");
}

export function printDecTtl(bytes: Uint8Array, start: number, end: number, printList: ListPrinter): string {
  const list = nestedByType(bytes, start, end)?.get(DEC_TTL.action);
  return `dec_ttl(le_1(${list === undefined ? "" : printList(bytes, list.start, list.end)}))`;
}

export function parsePsample({ cursor, writer }: ActionParse): void {
  cursor.expect("(");
  let group: number | undefined;
  let cookie: Uint8Array | undefined;
  for (cursor.skipDelimiters(); cursor.peek() !== ")"; cursor.skipDelimiters()) {
    if (group === undefined && cursor.skip("group=")) {
      group = cursor.integer("group", U32_MAX);
    } else if (cookie === undefined && cursor.skip("cookie=0x")) {
      cookie = parseHexBytes(cursor, PSAMPLE_COOKIE_BYTES_MAX);
    } else {
      cursor.fail('"group=", "cookie=0x" (each once) or ")"');
    }
  }
  const groupId = group ?? cursor.fail('"group="');
  cursor.expect(")");
  const psample = writer.begin(ACTION.psample);
  writer.putU32(PSAMPLE.group, groupId);
  if (cookie !== undefined) writer.put(PSAMPLE.cookie, cookie);
  writer.end(psample);
}

/** OVS leaves leading zeros of the cookie out and then reads another one; we print them. */
export function printPsample(bytes: Uint8Array, start: number, end: number): string {
  const parts = nestedByType(bytes, start, end, { [PSAMPLE.group]: 4 });
  if (parts === undefined) return "psample(error)";
  const group = parts.get(PSAMPLE.group);
  const cookie = parts.get(PSAMPLE.cookie);
  const shown: string[] = [];
  if (group !== undefined) shown.push(`group=${readU32(bytes, group.start)}`);
  if (cookie !== undefined) shown.push(`cookie=0x${printHexBytes(bytes, cookie.start, cookie.end)}`);
  return `psample(${shown.join(",")})`;
}
