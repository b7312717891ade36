// Changes that control asks of the flow table, as plain data that crosses threads, and what becomes of each. The
// handler thread applies them, since it is the table's one writer; a single-threaded switch applies them itself.
import { equalUnder, keysEqual } from "../flow/key.ts";
import type { FlowView } from "../table/flow-reader.ts";
import type { TableWriter } from "../table/table-writer.ts";

export interface FlowPutChange {
  readonly op: "put";
  /** KEY_BYTES each. */
  readonly key: Uint8Array;
  readonly mask: Uint8Array;
  readonly ufid: Uint8Array | undefined;
  /** Netlink action attributes, validated. */
  readonly actions: Uint8Array;
  readonly create: boolean;
  readonly modify: boolean;
  readonly clear: boolean;
}

/**
 * OVS_FLOW_CMD_NEW: makes the flow, or replaces the actions of this very flow, told by its ufid or its key; any other
 * flow that is in the way keeps its actions.
 */
export interface FlowNewChange extends Pick<FlowPutChange, "key" | "mask" | "ufid" | "actions"> {
  readonly op: "new";
  /** NLM_F_CREATE or NLM_F_EXCL: a flow that is there is in the way. */
  readonly exclusive: boolean;
}

/** OVS_FLOW_CMD_SET: changes the flow with this ufid, or without one with this key. */
export interface FlowSetChange {
  readonly op: "set";
  readonly key: Uint8Array;
  readonly ufid: Uint8Array | undefined;
  /** Undefined: they stay. */
  readonly actions: Uint8Array | undefined;
  readonly clear: boolean;
}

export interface FlowRemoveChange {
  readonly op: "remove";
  /** By ufid when it is given, else by key. */
  readonly ufid: Uint8Array | undefined;
  readonly key: Uint8Array | undefined;
}

export type FlowChange = FlowPutChange | FlowNewChange | FlowSetChange | FlowRemoveChange;

export interface FlowOutcome {
  readonly error: "EEXIST" | "ENOENT" | "EINVAL" | "ENOSPC" | null;
  /** The flow that was changed or removed, as it was before; or the one that is in the way. */
  readonly flow: FlowView | null;
  /** For ENOSPC: what ran out and which number to raise. */
  readonly message: string | null;
}

const done = (flow: FlowView | null): FlowOutcome => ({ error: null, flow, message: null });

/** Applies one change. The caller is the table's writer. */
export function applyFlowChange(table: TableWriter, change: FlowChange, nowMillis: number): FlowOutcome {
  switch (change.op) {
    case "put":
      return applyPut(table, change, nowMillis);
    case "new":
      return applyNew(table, change, nowMillis);
    case "set":
      return applySet(table, change);
    case "remove":
      return applyRemove(table, change);
  }
}

function applyPut(table: TableWriter, change: FlowPutChange, nowMillis: number): FlowOutcome {
  const { key, mask, ufid, actions, create, modify, clear } = change;
  const before = modify ? table.findMatch(key) : 0;
  const beforeView = before === 0 ? null : table.flows.read(before);
  const result = table.put({ key, mask, ufid, actions, create, modify, clear, operator: true, nowMillis });
  if (result.error === null) return done(beforeView ?? table.flows.read(result.flowNo));
  if (result.error === "ENOSPC") return { error: "ENOSPC", flow: null, message: result.message };
  const inTheWay = "flowNo" in result ? table.flows.read(result.flowNo) : null;
  return { error: result.error, flow: inTheWay, message: null };
}

/** What the kernel does; where the key alone finds a flow, userspace's look-up of the whole key (table-writer.ts). */
function applyNew(table: TableWriter, change: FlowNewChange, nowMillis: number): FlowOutcome {
  const { key, mask, ufid, actions, exclusive } = change;
  const same = findFlow(table, ufid, key);
  if (same !== 0 && !exclusive) {
    if (!matchesAlike(table.flows.read(same)!, key, mask))
      return { error: "ENOENT", flow: null, message: null };
    return replaceActions(table, same, actions, false);
  }
  const result = table.put({
    key,
    mask,
    ufid,
    actions,
    create: true,
    modify: false,
    operator: true,
    nowMillis,
  });
  if (result.error === null) return done(table.flows.read(result.flowNo));
  if (result.error === "ENOSPC") return { error: "ENOSPC", flow: null, message: result.message };
  const inTheWay = "flowNo" in result ? table.flows.read(result.flowNo) : null;
  return { error: exclusive ? "EEXIST" : "ENOENT", flow: inTheWay, message: null };
}

function matchesAlike(flow: FlowView, key: Uint8Array, mask: Uint8Array): boolean {
  return keysEqual(flow.mask, mask) && equalUnder(flow.key, key, mask);
}

function applySet(table: TableWriter, { key, ufid, actions, clear }: FlowSetChange): FlowOutcome {
  const flowNo = findFlow(table, ufid, key);
  if (flowNo === 0) return { error: "ENOENT", flow: null, message: null };
  return replaceActions(table, flowNo, actions ?? table.flows.read(flowNo)!.actions, clear);
}

function replaceActions(
  table: TableWriter,
  flowNo: number,
  actions: Uint8Array,
  clear: boolean,
): FlowOutcome {
  const result = table.replace(flowNo, { actions, clear, operator: true });
  if (result.error === "ENOSPC") return { error: "ENOSPC", flow: null, message: result.message };
  return done(table.flows.read(flowNo));
}

function applyRemove(table: TableWriter, { ufid, key }: FlowRemoveChange): FlowOutcome {
  const flowNo = findFlow(table, ufid, key);
  if (flowNo === 0) return { error: "ENOENT", flow: null, message: null };
  const flow = table.flows.read(flowNo);
  table.remove(flowNo);
  return done(flow);
}

/** The flow with this ufid or, without one, with this key; 0 when there is none. */
export function findFlow(
  table: TableWriter,
  ufid: Uint8Array | undefined,
  key: Uint8Array | undefined,
): number {
  if (ufid !== undefined) return table.findByUfid(ufid);
  return key === undefined ? 0 : table.findByKey(key);
}
