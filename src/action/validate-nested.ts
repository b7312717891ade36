// Rules for actions that hold lists: the parts must be there, and the lists must be valid. Control path.
import { type Attribute, attributes } from "../flow/nlattr.ts";
import { ETH_TYPE } from "../packet/link-headers.ts";
import { CHECK_PKT_LEN, DEC_TTL, PSAMPLE, PSAMPLE_COOKIE_BYTES_MAX, SAMPLE } from "./attributes.ts";
import { refuse } from "./refusal.ts";
import type { ActionCase } from "./validate.ts";

/**
 * A nested attribute that an action may have: its name, and the bytes of its payload or -1 for any number.
 */
export type PartRow = readonly [name: string, payloadBytes: number];

/** The nested attributes by type. Refuses malformed, unknown and doubled ones and wrong lengths. */
export function partsOf(
  { bytes, action, path }: ActionCase,
  rows: ReadonlyMap<number, PartRow>,
): ReadonlyMap<number, Attribute> {
  const parts = new Map<number, Attribute>();
  let next = action.start;
  for (const part of attributes(bytes, action.start, action.end)) {
    const row = rows.get(part.type);
    if (row === undefined) {
      refuse(path, part.at, `unknown attribute ${part.type}`, [...rows.keys()].join(", "));
    }
    const [name, payloadBytes] = row;
    const found = part.end - part.start;
    if (payloadBytes >= 0 && found !== payloadBytes) {
      refuse(`${path}.${name}`, part.at, `${found} bytes`, `${payloadBytes} bytes`);
    }
    if (parts.has(part.type)) refuse(`${path}.${name}`, part.at, `${name} stands twice`, "once");
    parts.set(part.type, part);
    next = part.next;
  }
  if (next < action.end) {
    refuse(path, next, "the attribute does not fit in its action", `a length from 4 to ${action.end - next}`);
  }
  return parts;
}

/** The part of that type. Refuses when it is missing. */
export function requirePart(
  { action, path }: ActionCase,
  parts: ReadonlyMap<number, Attribute>,
  rows: ReadonlyMap<number, PartRow>,
  type: number,
): Attribute {
  const name = rows.get(type)![0];
  return parts.get(type) ?? refuse(path, action.at, `${name} is missing`, `an attribute ${type} (${name})`);
}

const SAMPLE_PARTS: ReadonlyMap<number, PartRow> = new Map<number, PartRow>([
  [SAMPLE.probability, ["probability", 4]],
  [SAMPLE.actions, ["actions", -1]],
]);

export function validateSample(sample: ActionCase): void {
  const parts = partsOf(sample, SAMPLE_PARTS);
  requirePart(sample, parts, SAMPLE_PARTS, SAMPLE.probability);
  const list = requirePart(sample, parts, SAMPLE_PARTS, SAMPLE.actions);
  sample.list(list.start, list.end, `${sample.path}.actions`);
}

export function validateClone({ action, path, list }: ActionCase): void {
  list(action.start, action.end, path);
}

const CHECK_PKT_LEN_PARTS: ReadonlyMap<number, PartRow> = new Map<number, PartRow>([
  [CHECK_PKT_LEN.pktLen, ["size", 2]],
  [CHECK_PKT_LEN.actionsIfGreater, ["gt", -1]],
  [CHECK_PKT_LEN.actionsIfLessEqual, ["le", -1]],
]);

export function validateCheckPktLen(check: ActionCase): void {
  const parts = partsOf(check, CHECK_PKT_LEN_PARTS);
  const size = requirePart(check, parts, CHECK_PKT_LEN_PARTS, CHECK_PKT_LEN.pktLen);
  if (check.bytes[size.start] === 0 && check.bytes[size.start + 1] === 0) {
    refuse(`${check.path}.size`, size.at, "size 0", "1 to 65535");
  }
  for (const type of [CHECK_PKT_LEN.actionsIfGreater, CHECK_PKT_LEN.actionsIfLessEqual]) {
    const branch = requirePart(check, parts, CHECK_PKT_LEN_PARTS, type);
    check.list(branch.start, branch.end, `${check.path}.${CHECK_PKT_LEN_PARTS.get(type)![0]}`);
  }
}

const DEC_TTL_PARTS: ReadonlyMap<number, PartRow> = new Map<number, PartRow>([
  [DEC_TTL.action, ["le_1", -1]],
]);

export function validateDecTtl(decTtl: ActionCase): void {
  const { ethType } = decTtl.facts;
  if (ethType !== ETH_TYPE.ipv4 && ethType !== ETH_TYPE.ipv6) {
    refuse(
      decTtl.path,
      decTtl.action.at,
      "the flow does not match IP",
      "eth_type(0x0800) or eth_type(0x86dd)",
    );
  }
  const parts = partsOf(decTtl, DEC_TTL_PARTS);
  const list = requirePart(decTtl, parts, DEC_TTL_PARTS, DEC_TTL.action);
  decTtl.list(list.start, list.end, `${decTtl.path}.le_1`);
}

const PSAMPLE_PARTS: ReadonlyMap<number, PartRow> = new Map<number, PartRow>([
  [PSAMPLE.group, ["group", 4]],
  [PSAMPLE.cookie, ["cookie", -1]],
]);

export function validatePsample(psample: ActionCase): void {
  const parts = partsOf(psample, PSAMPLE_PARTS);
  requirePart(psample, parts, PSAMPLE_PARTS, PSAMPLE.group);
  const cookie = parts.get(PSAMPLE.cookie);
  if (cookie !== undefined && cookie.end - cookie.start > PSAMPLE_COOKIE_BYTES_MAX) {
    refuse(
      `${psample.path}.cookie`,
      cookie.at,
      `${cookie.end - cookie.start} bytes`,
      `at most ${PSAMPLE_COOKIE_BYTES_MAX} bytes`,
    );
  }
}
