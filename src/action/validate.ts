// Which action lists a flow may have. The rules are those of the Linux datapath's flow validation, where the
// userspace datapath has none of its own, but for two in which corpora and use follow userspace: a
// userspace() may have pid 0, and ports may be set without matching the protocol (docs/conformance.md).
// Control path.
//
// A list is walked once; the first violation ends it. Nested lists are walked too, so that what is wrong
// inside is said before the outer action is refused for not being carried out yet.
import { type Attribute, attributeAt, NLA_PAYLOAD_BYTES_MAX } from "../flow/nlattr.ts";
import { readBe16 } from "../packet/bytes.ts";
import { ETH_TYPE, VLAN } from "../packet/link-headers.ts";
import { ACTION, ACTION_DEPTH_MAX, ACTION_ROWS, type ActionRow, TRUNC_BYTES_MIN } from "./attributes.ts";
import { type FlowFacts, flowFacts } from "./flow-facts.ts";
import { readU16, readU32 } from "./host-words.ts";
import { type ActionRefusal, ActionViolation, refuse } from "./refusal.ts";
import { validateCheckPktLen, validateClone, validateDecTtl, validateSample } from "./validate-nested.ts";
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
      validateList(bytes, listStart, listEnd, listPath, facts, depth + 1);
    const isLast = action.next >= end;
    RULES.get(action.type)?.({ bytes, action, path: actionPath, facts, isLast, list });
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
  [ACTION.popVlan, requireEthernet],
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

function validatePushVlan(action: ActionCase): void {
  requireEthernet(action);
  const { bytes, path } = action;
  const { at, start } = action.action;
  const tpid = readBe16(bytes, start);
  if (tpid !== ETH_TYPE.vlan && tpid !== ETH_TYPE.qinq) {
    refuse(path, at, `TPID 0x${tpid.toString(16).padStart(4, "0")}`, "0x8100 or 0x88a8");
  }
  if ((readBe16(bytes, start + 2) & VLAN.cfi) === 0) refuse(path, at, "the TCI's CFI bit is clear", "cfi=1");
}

function requireEthernet({ action, path, facts }: ActionCase): void {
  if (!facts.hasEthernet) {
    refuse(path, action.at, "the flow's packets have no Ethernet header", "a flow that matches eth()");
  }
}
