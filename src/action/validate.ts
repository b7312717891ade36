// Which action lists a flow may have. The rules are those of the Linux datapath's flow validation, where the
// userspace datapath has none of its own, but for two in which corpora and use follow userspace: a
// userspace() may have pid 0, and ports may be set without matching the protocol (docs/conformance.md).
// Control path.
//
// A list is walked once; the first violation ends it. Nested lists are walked too, so that what is wrong
// inside is said before the outer action is refused for not being carried out yet.
import { type Attribute, attributeAt, NLA_PAYLOAD_BYTES_MAX } from "../flow/nlattr.ts";
import {
  ACTION,
  ACTION_DEPTH_MAX,
  ACTION_ROWS,
  type ActionRow,
  HASH_ALG,
  TRUNC_BYTES_MIN,
} from "./attributes.ts";
import { type FlowFacts, flowFacts } from "./flow-facts.ts";
import { readU16, readU32 } from "./host-words.ts";
import { type ActionRefusal, ActionViolation, refuse } from "./refusal.ts";
import {
  validateAddMpls,
  validatePopEth,
  validatePopMpls,
  validatePopNsh,
  validatePopVlan,
  validatePushEth,
  validatePushMpls,
  validatePushNsh,
  validatePushVlan,
} from "./validate-layers.ts";
import {
  validateCheckPktLen,
  validateClone,
  validateDecTtl,
  validatePsample,
  validateSample,
} from "./validate-nested.ts";
import { validateSet } from "./validate-set.ts";
import { validateTunnelPush } from "./validate-tunnel.ts";
import { validateUserspace } from "./validate-userspace.ts";

/** Port numbers from here on are reserved: DP_MAX_PORTS. */
const PORT_NO_LIMIT = 65535;

/** One action under examination. */
export interface ActionCase {
  readonly bytes: Uint8Array;
  readonly action: Attribute;
  readonly path: string;
  /** Of the packets that meet the action; the rule says in it what they are afterwards. */
  readonly facts: FlowFacts;
  /** Nothing follows in the action's own list. */
  readonly isLast: boolean;
  /** Examines a nested list; `path` is that of the list. */
  readonly list: (start: number, end: number, path: string) => void;
}

/** The first reason to refuse the actions for a flow with this key and mask, undefined when there is none. */
export function validateActions(
  actions: Uint8Array,
  key: Uint8Array,
  mask: Uint8Array,
): ActionRefusal | undefined {
  try {
    if (actions.length > NLA_PAYLOAD_BYTES_MAX) {
      const accepted = `at most ${NLA_PAYLOAD_BYTES_MAX} bytes, what a netlink attribute holds`;
      refuse("actions", NLA_PAYLOAD_BYTES_MAX, `the list has ${actions.length} bytes`, accepted);
    }
    validateList(actions, 0, actions.length, "actions", flowFacts(key, mask), 0);
    return undefined;
  } catch (error) {
    if (error instanceof ActionViolation) return error.refusal;
    throw error;
  }
}

function validateList(
  bytes: Uint8Array,
  start: number,
  end: number,
  path: string,
  facts: FlowFacts,
  depth: number,
): void {
  // What a nested list does is not seen by what follows it.
  const known = { ...facts };
  if (depth > ACTION_DEPTH_MAX) {
    const rule = `nested ${depth} levels deep`;
    refuse(
      path,
      start,
      rule,
      `at most ${ACTION_DEPTH_MAX} levels, because each is a level of the executor's stack`,
    );
  }
  let at = start;
  for (let index = 0; at < end; index += 1) {
    const where = `${path}[${index}]`;
    const action = attributeAt(bytes, at, end);
    if (action === undefined) {
      refuse(where, at, "the attribute does not fit in its list", `a length from 4 to ${end - at}`);
    }
    const row = rowOf(bytes, action, where);
    const actionPath = `${where}.${row.text}`;
    const list = (listStart: number, listEnd: number, listPath: string): void =>
      validateList(bytes, listStart, listEnd, listPath, known, depth + 1);
    const isLast = action.next >= end;
    RULES.get(action.type)?.({ bytes, action, path: actionPath, facts: known, isLast, list });
    if (!row.executed) refuse(actionPath, at, `${row.text} is not supported yet`, EXECUTED_NAMES);
    at = action.next;
  }
}

const EXECUTED_NAMES = [...new Set(ACTION_ROWS.flatMap((row) => (row?.executed ? [row.text] : [])))].join(
  ", ",
);

/** The action's row; its number must be known and its payload as long as the row says. */
function rowOf(bytes: Uint8Array, action: Attribute, where: string): ActionRow {
  // The type word as it stands: the executor knows no flag bits in it.
  const type = readU16(bytes, action.at + 2);
  const row = ACTION_ROWS[type];
  if (row === undefined) {
    refuse(where, action.at, `unknown action ${type}`, `numbers 1 to ${ACTION_ROWS.length - 1}`);
  }
  const payloadBytes = action.end - action.start;
  if (typeof row.payload === "number" && payloadBytes !== row.payload) {
    refuse(`${where}.${row.text}`, action.at, `${payloadBytes} bytes of argument`, `${row.payload} bytes`);
  }
  return row;
}

type Rule = (action: ActionCase) => void;

const RULES: ReadonlyMap<number, Rule> = new Map<number, Rule>([
  [ACTION.output, validateOutput],
  [ACTION.trunc, validateTrunc],
  [ACTION.drop, validateDrop],
  [ACTION.pushVlan, validatePushVlan],
  [ACTION.popVlan, validatePopVlan],
  [ACTION.pushMpls, validatePushMpls],
  [ACTION.addMpls, validateAddMpls],
  [ACTION.popMpls, validatePopMpls],
  [ACTION.pushEth, validatePushEth],
  [ACTION.popEth, validatePopEth],
  [ACTION.pushNsh, validatePushNsh],
  [ACTION.popNsh, validatePopNsh],
  [ACTION.hash, validateHash],
  [ACTION.psample, validatePsample],
  [ACTION.set, validateSet],
  [ACTION.setMasked, validateSet],
  [ACTION.userspace, validateUserspace],
  [ACTION.sample, validateSample],
  [ACTION.clone, validateClone],
  [ACTION.checkPktLen, validateCheckPktLen],
  [ACTION.decTtl, validateDecTtl],
  [ACTION.tunnelPush, validateTunnelPush],
  [ACTION.tunnelPop, validateOutput],
]);

function validateOutput({ bytes, action, path }: ActionCase): void {
  const portNo = readU32(bytes, action.start);
  if (portNo >= PORT_NO_LIMIT) refuse(path, action.at, `port ${portNo}`, `0 to ${PORT_NO_LIMIT - 1}`);
}

function validateTrunc({ bytes, action, path }: ActionCase): void {
  const length = readU32(bytes, action.start);
  if (length < TRUNC_BYTES_MIN) {
    refuse(path, action.at, `length ${length}`, `${TRUNC_BYTES_MIN} or more, an Ethernet header`);
  }
}

function validateDrop({ action, path, isLast }: ActionCase): void {
  if (!isLast) refuse(path, action.at, "actions follow a drop", "drop as the last action");
}

function validateHash({ bytes, action, path }: ActionCase): void {
  const algorithm = readU32(bytes, action.start);
  if (algorithm !== HASH_ALG.l4 && algorithm !== HASH_ALG.symL4) {
    refuse(path, action.at, `algorithm ${algorithm}`, `${HASH_ALG.l4} (l4) or ${HASH_ALG.symL4} (sym_l4)`);
  }
}
