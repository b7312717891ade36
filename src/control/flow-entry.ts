// Flows as text: FLOW and ACTIONS to what the table takes, and a flow of the table to the line that dump-flows prints.
import { parseActions } from "../action/odp/parse-actions.ts";
import { printActions } from "../action/odp/print-actions.ts";
import { formatRefusal } from "../action/refusal.ts";
import { validateActions } from "../action/validate.ts";
import { FlowKeyError } from "../flow/odp/fit.ts";
import { formatMatch, parseMatch } from "../flow/odp/match.ts";
import { OdpSyntaxError } from "../flow/odp/text-cursor.ts";
import { formatUfid } from "../flow/ufid.ts";
import type { FlowView } from "../table/flow-reader.ts";

/** Both sides of port names; the numbers stand for themselves. */
export interface PortLookup {
  readonly numbers: Pick<ReadonlyMap<string, number>, "get">;
  readonly names: Pick<ReadonlyMap<number, string>, "get">;
}

export interface FlowEntry {
  readonly key: Uint8Array;
  readonly mask: Uint8Array;
  readonly ufid: Uint8Array | undefined;
  readonly actions: Uint8Array;
}

/** What was being read when a flow's text was refused, as dpctl says it. */
export type FlowStage = "parsing flow key" | "parsing actions" | "updating flow table";

export class FlowTextError extends Error {
  readonly stage: FlowStage;
  /** From 1, in the flow's or the actions' own text; 0 when it is about the whole. */
  readonly column: number;
  /** What OVS puts in brackets behind the stage; null for none. */
  readonly detail: string | null;

  constructor(stage: FlowStage, column: number, message: string, detail: string | null) {
    super(message);
    this.name = "FlowTextError";
    this.stage = stage;
    this.column = column;
    this.detail = detail;
  }
}

/** The key side of a flow's text. @throws FlowTextError */
export function parseFlowKey(text: string, ports: PortLookup, vlanLimit: number): Omit<FlowEntry, "actions"> {
  try {
    return reading("parsing flow key", () => parseMatch(text, { ports: ports.numbers, vlanLimit }));
  } catch (error) {
    if (!(error instanceof FlowKeyError)) throw error;
    throw new FlowTextError("updating flow table", 0, error.message, null);
  }
}

/** @throws FlowTextError for text that is none and for actions that this flow may not have */
export function parseFlowEntry(
  flow: string,
  actions: string,
  ports: PortLookup,
  vlanLimit: number,
): FlowEntry {
  const entry = parseFlowKey(flow, ports, vlanLimit);
  const bytes = reading("parsing actions", () => parseActions(actions, ports.numbers));
  const refusal = validateActions(bytes, entry.key, entry.mask);
  if (refusal !== undefined) throw new FlowTextError("updating flow table", 0, formatRefusal(refusal), null);
  return { ...entry, actions: bytes };
}

function reading<T>(stage: FlowStage, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof OdpSyntaxError)) throw error;
    const detail = stage === "parsing flow key" ? `syntax error at ${error.rest}` : null;
    throw new FlowTextError(stage, error.column, error.message, detail);
  }
}

export interface DumpStyle {
  /** -m: every field with its mask, the ufid, names of ports. */
  readonly verbose: boolean;
  readonly names: boolean;
}

/** The flow's key as text. */
export function formatFlowKey(
  flow: FlowView,
  style: DumpStyle,
  ports: PortLookup,
  vlanLimit: number,
): string {
  return formatMatch(flow, {
    verbose: style.verbose,
    names: style.names ? ports.names : undefined,
    vlanLimit,
  });
}

/** `packets:N, bytes:N, used:S[, flags:F]`, as every dpctl command prints statistics. */
export function formatFlowStats({ stats }: FlowView, nowMillis: number): string {
  const used =
    stats.usedMillis === 0 ? "never" : `${(Math.max(0, nowMillis - stats.usedMillis) / 1e3).toFixed(3)}s`;
  const flags = stats.tcpFlags === 0 ? "" : `, flags:${formatPacketTcpFlags(stats.tcpFlags)}`;
  return `packets:${stats.packets}, bytes:${stats.bytes}, used:${used}${flags}`;
}

/** Letters in the order of tcpdump's, then the bits that have none. */
const TCP_FLAG_LETTERS = [
  [0x002, "S"],
  [0x001, "F"],
  [0x008, "P"],
  [0x004, "R"],
  [0x020, "U"],
  [0x010, "."],
  [0x040, "E"],
  [0x080, "C"],
  [0x100, "N"],
  [0x200, "[200]"],
  [0x400, "[400]"],
  [0x800, "[800]"],
] as const;

function formatPacketTcpFlags(flags: number): string {
  return TCP_FLAG_LETTERS.map(([bit, letter]) => ((flags & bit) === 0 ? "" : letter)).join("");
}

/** A line of dump-flows. */
export function formatFlowLine(
  flow: FlowView,
  style: DumpStyle,
  ports: PortLookup,
  nowMillis: number,
  vlanLimit: number,
): string {
  const ufid = style.verbose ? `${formatUfid(flow.ufid)}, ` : "";
  const datapath = style.verbose ? ", dp:ovs" : "";
  const actions = printActions(flow.actions, style.names ? ports.names : undefined);
  return `${ufid}${formatFlowKey(flow, style, ports, vlanLimit)}, ${formatFlowStats(flow, nowMillis)}${datapath}, actions:${actions}`;
}

/** A flow as data. */
export function flowJson(
  flow: FlowView,
  ports: PortLookup,
  nowMillis: number,
  vlanLimit: number,
): Record<string, unknown> {
  const style = { verbose: false, names: false };
  const { packets, bytes, usedMillis, tcpFlags } = flow.stats;
  return {
    ufid: formatUfid(flow.ufid).replace("ufid:", ""),
    match: formatFlowKey(flow, style, ports, vlanLimit),
    packets,
    bytes,
    usedSeconds: usedMillis === 0 ? null : Math.max(0, nowMillis - usedMillis) / 1e3,
    tcpFlags,
    actions: printActions(flow.actions),
    operator: flow.operator,
  };
}
