// Applies a parsed flow file: all of it, or an error that names the line.
import { formatUfid } from "../flow/ufid.ts";
import type { FlowChange } from "../upcall/flow-change.ts";
import { type FlowFileEntry, FlowFileError } from "./flow-file.ts";
import type { FlowWriter } from "./flow-service.ts";

const REASONS = {
  EEXIST: "a flow is in the way",
  ENOENT: "there is no such flow",
  EINVAL: "the ufid belongs to another flow",
  ENOSPC: "no room",
};

export function flowChange({ operation, entry }: FlowFileEntry): FlowChange {
  if (operation === "delete") return { op: "remove", ufid: entry.ufid, key: entry.key };
  const create = operation === "add";
  return { op: "put", ...entry, create, modify: !create, clear: false };
}

/** @throws FlowFileError for the first flow that the table refuses; flows before it stay */
export async function installFlows(
  writer: FlowWriter,
  entries: readonly FlowFileEntry[],
  file: string,
): Promise<void> {
  const outcomes = await writer.apply(entries.map(flowChange));
  const failed = outcomes.findIndex(({ error }) => error !== null);
  if (failed < 0) return;
  const { error, flow, message } = outcomes[failed]!;
  const inTheWay = flow === null ? "" : ` (${formatUfid(flow.ufid)})`;
  throw new FlowFileError(file, entries[failed]!.line, 1, message ?? `${REASONS[error!]}${inTheWay}`);
}
