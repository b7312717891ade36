// The shape of an action list: what two lists have in common that compiled code can carry out alike. It is the list
// itself with its values set to zero: types, lengths and nesting stay, and so does what decides which code it takes (masks of
// set_masked, which hash, what a pop of MPLS uncovers). Lists of one shape have everything at the same offsets.
//
// Lists with actions that no code is made for have no shape. Control path, once for each distinct list; nothing here
// trusts the list.
import { ACTION, CHECK_PKT_LEN, DEC_TTL, SAMPLE } from "../flow/action-numbers.ts";
import { NLA_HEADER_BYTES } from "../flow/nlattr.ts";

/** The longest list that has a shape. */
export const SHAPE_BYTES_MAX = 480;
/** As deep as validated lists nest. */
const SHAPE_DEPTH_MAX = 16;
const TYPE_MASK = 0x3fff;

/** What an action's payload holds: bytes at its start that stay in the shape, or attributes. */
type Payload = { readonly kept: number } | { readonly parts: Parts } | "list" | "field" | "maskedField";
/** Of an action with attributes inside: which of them are action lists. */
type Parts = readonly number[];

const NOTHING_KEPT: Payload = { kept: 0 };

const PAYLOADS: ReadonlyMap<number, Payload> = new Map<number, Payload>([
  [ACTION.output, NOTHING_KEPT],
  [ACTION.set, "field"],
  [ACTION.setMasked, "maskedField"],
  [ACTION.pushVlan, NOTHING_KEPT],
  [ACTION.popVlan, NOTHING_KEPT],
  [ACTION.sample, { parts: [SAMPLE.actions] }],
  [ACTION.recirc, NOTHING_KEPT],
  // The algorithm; the basis is a value.
  [ACTION.hash, { kept: 4 }],
  [ACTION.pushMpls, NOTHING_KEPT],
  [ACTION.popMpls, { kept: 2 }],
  [ACTION.trunc, NOTHING_KEPT],
  [ACTION.pushEth, NOTHING_KEPT],
  [ACTION.popEth, NOTHING_KEPT],
  [ACTION.meter, NOTHING_KEPT],
  [ACTION.clone, "list"],
  [ACTION.checkPktLen, { parts: [CHECK_PKT_LEN.actionsIfGreater, CHECK_PKT_LEN.actionsIfLessEqual] }],
  [ACTION.decTtl, { parts: [DEC_TTL.action] }],
  [ACTION.drop, NOTHING_KEPT],
  [ACTION.tunnelPush, NOTHING_KEPT],
  [ACTION.tunnelPop, NOTHING_KEPT],
  [ACTION.lbOutput, NOTHING_KEPT],
]);

/**
 * Writes the list's shape to the start of `target`, which has SHAPE_BYTES_MAX bytes; it is as long as the list.
 * Returns whether there is one.
 */
export function writeShape(list: Uint8Array, target: Uint8Array): boolean {
  if (list.length > SHAPE_BYTES_MAX) return false;
  target.fill(0, 0, list.length);
  return writeList({ list, target }, 0, list.length, 0);
}

interface Writing {
  readonly list: Uint8Array;
  readonly target: Uint8Array;
}

function writeList(writing: Writing, start: number, end: number, depth: number): boolean {
  if (depth > SHAPE_DEPTH_MAX) return false;
  for (let at = start; at < end; ) {
    const bytes = writeHeader(writing, at, end);
    const payload = PAYLOADS.get(typeAt(writing, at));
    if (bytes === 0 || payload === undefined) return false;
    if (!writePayload(writing, payload, at + NLA_HEADER_BYTES, at + bytes, depth)) return false;
    at += (bytes + 3) & ~3;
  }
  return true;
}

function writePayload(
  writing: Writing,
  payload: Payload,
  start: number,
  end: number,
  depth: number,
): boolean {
  if (payload === "list") return writeList(writing, start, end, depth + 1);
  if (payload === "field" || payload === "maskedField") {
    const bytes = writeHeader(writing, start, end);
    if (bytes === 0) return false;
    const value = start + NLA_HEADER_BYTES;
    if (payload === "maskedField") keep(writing, value + ((bytes - NLA_HEADER_BYTES) >>> 1), start + bytes);
    return true;
  }
  if ("kept" in payload) {
    keep(writing, start, Math.min(end, start + payload.kept));
    return true;
  }
  for (let at = start; at < end; ) {
    const bytes = writeHeader(writing, at, end);
    if (bytes === 0) return false;
    const isList = payload.parts.includes(typeAt(writing, at) & TYPE_MASK);
    if (isList && !writeList(writing, at + NLA_HEADER_BYTES, at + bytes, depth + 1)) return false;
    at += (bytes + 3) & ~3;
  }
  return true;
}

/** Returns the attribute's length, header counted; 0 when no whole one fits before `end`. */
function writeHeader(writing: Writing, at: number, end: number): number {
  const { list } = writing;
  if (end - at < NLA_HEADER_BYTES) return 0;
  const bytes = list[at]! | (list[at + 1]! << 8);
  if (bytes < NLA_HEADER_BYTES || bytes > end - at) return 0;
  keep(writing, at, at + NLA_HEADER_BYTES);
  return bytes;
}

const typeAt = ({ list }: Writing, at: number): number => (list[at + 2] ?? 0) | ((list[at + 3] ?? 0) << 8);

function keep({ list, target }: Writing, from: number, to: number): void {
  for (let at = from; at < to; at += 1) target[at] = list[at]!;
}
