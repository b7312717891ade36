// Which meters an action list asks for, in nested lists too. Control path; the list has been validated.
import { attributes, findAttribute } from "../flow/nlattr.ts";
import { ACTION, CHECK_PKT_LEN, DEC_TTL, SAMPLE } from "./attributes.ts";
import { readU32 } from "./host-words.ts";

/** By action: the nested attributes that hold lists; none for clone, whose payload is the list. */
const LISTS: ReadonlyMap<number, readonly number[]> = new Map<number, readonly number[]>([
  [ACTION.clone, []],
  [ACTION.sample, [SAMPLE.actions]],
  [ACTION.checkPktLen, [CHECK_PKT_LEN.actionsIfGreater, CHECK_PKT_LEN.actionsIfLessEqual]],
  [ACTION.decTtl, [DEC_TTL.action]],
]);

export function metersOf(actions: Uint8Array): Set<number> {
  const meters = new Set<number>();
  collect(actions, 0, actions.length, meters);
  return meters;
}

function collect(bytes: Uint8Array, start: number, end: number, meters: Set<number>): void {
  for (const action of attributes(bytes, start, end)) {
    if (action.type === ACTION.meter) meters.add(readU32(bytes, action.start));
    const lists = LISTS.get(action.type);
    if (lists === undefined) continue;
    if (lists.length === 0) collect(bytes, action.start, action.end, meters);
    for (const type of lists) {
      const list = findAttribute(bytes, type, action.start, action.end);
      if (list !== undefined) collect(bytes, list.start, list.end, meters);
    }
  }
}
