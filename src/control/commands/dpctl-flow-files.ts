// dpctl/add-flows, mod-flows, del-flows FILE. A file is read twice: first all of it is checked, then it is applied, so that
// nothing of a file with a bad line is, where OVS passes over the line and applies the rest. What the table refuses
// does not stop the rest, as in OVS.
import type { FlowChange } from "../../upcall/flow-change.ts";
import type { Command, CommandResult } from "../command.ts";
import { type FlowFileEntry, FlowFileError, type FlowOperation } from "../flow-file.ts";
import { FlowFileReader } from "../flow-file-reader.ts";
import type { Job } from "../jobs.ts";
import { answer, errnoText, mildRefusal } from "./answer.ts";
import {
  describeOutcome,
  type FlowArguments,
  type FlowContext,
  flowCommand,
  outcomeHints,
  putChange,
} from "./flow-context.ts";

/** Refusals that are told one by one; a file may be refused a million times. */
const REFUSALS_TOLD = 100;

type FileOptions = Pick<FlowArguments, "mayCreate" | "clear">;

export function fileCommand(context: FlowContext, operation: FlowOperation): Command {
  const name = operation === "add" ? "dpctl/add-flows" : "dpctl/mod-flows";
  const described = {
    name,
    usage: "[dp] file",
    summary: `lines [add|modify|delete] FLOW ACTIONS; without a word they ${operation}`,
  };
  return flowCommand(context, described, [1, 1], async ({ rest: [file], ...args }) =>
    applyFile(context, name, file!, operation, args),
  );
}

/** @throws CommandError for a file that cannot be read, a bad line, and flows that the table refuses */
export async function applyFile(
  context: FlowContext,
  command: string,
  file: string,
  fallback: FlowOperation,
  options: FileOptions,
): Promise<CommandResult> {
  const job = context.jobs.begin(`${command} ${file}`, {
    doing: "opening",
    done: 0,
    total: 0,
    unit: "bytes",
  });
  try {
    const reader = await openFile(file);
    try {
      const work: FileWork = { context, file, fallback, options, reader, job };
      return await apply(work, await check(work));
    } finally {
      await reader.close();
    }
  } catch (error) {
    throw error instanceof FlowFileError ? mildRefusal(error.message) : error;
  } finally {
    context.jobs.end(job);
  }
}

async function openFile(file: string): Promise<FlowFileReader> {
  try {
    return await FlowFileReader.open(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "EINVAL";
    throw mildRefusal(`Opening file "${file}" failed (${errnoText(code)})`);
  }
}

/** What is to be done with one file. */
interface FileWork {
  readonly context: FlowContext;
  readonly file: string;
  readonly fallback: FlowOperation;
  readonly options: FileOptions;
  readonly reader: FlowFileReader;
  readonly job: Job;
}

/** All slices, with progress told. @throws FlowFileError */
async function* slicesOf(
  { context, fallback, reader, job }: FileWork,
  doing: string,
): AsyncGenerator<readonly FlowFileEntry[]> {
  // Ports may come and go between slices; a name means the same port for the whole file.
  const ports = context.ports();
  for await (const { entries, endBytes } of reader.slices(ports, context.vlanLimit, fallback)) {
    yield entries;
    job.step = { doing, done: endBytes, total: reader.sizeBytes, unit: "bytes" };
  }
}

/** @returns the number of flows @throws FlowFileError */
async function check(work: FileWork): Promise<number> {
  let count = 0;
  for await (const entries of slicesOf(work, "checking")) count += entries.length;
  return count;
}

/** @throws CommandError that tells what the table refused */
async function apply(work: FileWork, count: number): Promise<CommandResult> {
  const { context, file, options } = work;
  const refusals: string[] = [];
  let applied = 0;
  let refused = 0;
  for await (const entries of slicesOf(work, "applying")) {
    const changes = entries.map((entry) => changeOf(entry, options));
    const outcomes = await context.flows.writer.apply(changes);
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.error === null) {
        applied += 1;
        continue;
      }
      refused += 1;
      if (refused > REFUSALS_TOLD) continue;
      const change = changes[index]!;
      const hints = outcomeHints(context, change, outcome);
      refusals.push(`${file}:${entries[index]!.line}: ${describeOutcome(change, outcome)}`, ...hints);
    }
  }
  if (applied + refused !== count) refusals.push(`${file} changed between its check and its application`);
  if (refused > REFUSALS_TOLD) refusals.push(`... and ${refused - REFUSALS_TOLD} refusals more`);
  if (refusals.length > 0)
    throw mildRefusal(`${applied} of ${applied + refused} flows of ${file} applied`, ...refusals);
  return answer("", { applied });
}

function changeOf({ operation, entry }: FlowFileEntry, { mayCreate, clear }: FileOptions): FlowChange {
  if (operation === "delete") return { op: "remove", ufid: entry.ufid, key: entry.key };
  const modify = operation === "modify";
  return putChange(entry, { create: !modify || mayCreate, modify, clear: modify && clear });
}
