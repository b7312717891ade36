// The flows that a switch starts with, from parsed flow files: all of them, or none and an error that names the line.
// Flow files that a running switch is given go another way (commands/dpctl-flows.ts), and go on behind a refused line
// as OVS does.
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

/**
 * Installs flows in a table that has none of the operator's yet.
 * @param slices entries in their order; an error on the way to them counts as a refusal
 * @throws FlowFileError for the first flow that the table refuses; the table is empty then
 */
export async function installFlows(
  writer: FlowWriter,
  slices: AsyncIterable<readonly FlowFileEntry[]> | Iterable<readonly FlowFileEntry[]>,
): Promise<void> {
  try {
    for await (const entries of slices) await installSlice(writer, entries);
  } catch (error) {
    await writer.flush();
    throw error;
  }
}

async function installSlice(writer: FlowWriter, entries: readonly FlowFileEntry[]): Promise<void> {
  const outcomes = await writer.apply(entries.map(flowChange));
  const failed = outcomes.findIndex(({ error }) => error !== null);
  if (failed < 0) return;
  const { error, flow, message } = outcomes[failed]!;
  const { file, line } = entries[failed]!;
  const inTheWay = flow === null ? "" : ` (${formatUfid(flow.ufid)})`;
  throw new FlowFileError(file, line, 1, message ?? `${REASONS[error!]}${inTheWay}`);
}
