// What the flow commands share: their surroundings, the arguments they have in common, and outcomes as
// refusals.
import { formatUfid } from "../../flow/ufid.ts";
import type { Clock } from "../../memory/clock.ts";
import type { FlowChange, FlowOutcome } from "../../upcall/flow-change.ts";
import { type Command, type CommandAnswer, CommandError } from "../command.ts";
import { type FlowEntry, FlowTextError, formatFlowKey, type PortLookup } from "../flow-entry.ts";
import type { FlowService } from "../flow-service.ts";
import type { Jobs } from "../jobs.ts";
import { namesDatapath, type SwitchView } from "../switch-view.ts";
import { errnoText, refusal, splitOptions } from "./answer.ts";

export interface FlowContext {
  readonly view: SwitchView;
  readonly flows: FlowService;
  readonly ports: () => PortLookup;
  readonly clock: Clock;
  readonly vlanLimit: number;
  readonly jobs: Jobs;
}

/** dpctl's options are the program's, not a command's: each command takes all and heeds what concerns it. */
const OPTIONS = [
  "-m",
  "--more",
  "-s",
  "--statistics",
  "--names",
  "--no-names",
  "--may-create",
  "--clear",
  "--read-only",
];

export interface FlowArguments {
  readonly more: boolean;
  readonly statistics: boolean;
  readonly names: boolean;
  readonly mayCreate: boolean;
  readonly clear: boolean;
  readonly rest: string[];
}

function readOptions(args: readonly string[]): FlowArguments {
  const { options, rest } = splitOptions(args, OPTIONS);
  const has = (...names: readonly string[]): boolean => names.some((name) => options.has(name));
  const more = has("-m", "--more");
  return {
    more,
    statistics: has("-s", "--statistics"),
    names: has("--names") || (more && !has("--no-names")),
    mayCreate: has("--may-create"),
    clear: has("--clear"),
    rest,
  };
}

/**
 * A flow command whose arguments behind an optional datapath are `least` to `most`, options aside. The first
 * argument is a datapath when it names one; it must name one when there are more than the command has a use for.
 */
export function flowCommand(
  context: FlowContext,
  described: Pick<Command, "name" | "usage" | "summary">,
  [least, most]: readonly [least: number, most: number],
  run: (args: FlowArguments) => Promise<CommandAnswer>,
): Command {
  const takesMost = most + 1;
  return {
    ...described,
    argumentCountMin: least,
    argumentCountMax: takesMost + OPTIONS.length,
    run: async (args) => {
      const read = readOptions(args);
      const given = read.rest.length;
      // The texts of the registry, which counts options too.
      if (given < least)
        throw new CommandError(`"${described.name}" command requires at least ${least} arguments`);
      if (given > takesMost)
        throw new CommandError(`"${described.name}" command takes at most ${takesMost} arguments`);
      const namesOurs = given > 0 && namesDatapath(context.view, read.rest[0]!);
      if (given === takesMost && !namesOurs) throw datapathNotFound();
      const rest = namesOurs && given > least ? read.rest.slice(1) : read.rest;
      return await run({ ...read, rest });
    },
  };
}

export const datapathNotFound = (): CommandError => refusal("datapath not found", "EINVAL");

/** A refused flow's text in dpctl's words; `doing` is what the command does with a key that is none. */
export function textRefusal(error: FlowTextError, doing: string): CommandError {
  if (error.stage === "updating flow table") return refusal(doing, "EINVAL", error.message);
  const detail = error.detail === null ? "" : ` (${error.detail})`;
  return refusal(`${error.stage}${detail}`, "EINVAL");
}

/** Runs `parse`, and refuses in dpctl's words. */
export function parsing<T>(doing: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof FlowTextError ? textRefusal(error, doing) : error;
  }
}

export function putChange(
  { key, mask, ufid, actions }: FlowEntry,
  how: Pick<Extract<FlowChange, { op: "put" }>, "create" | "modify" | "clear">,
): FlowChange {
  return { op: "put", key, mask, ufid, actions, ...how };
}

/** What OVS does not tell: the flow in the way, or what ran out. */
export function outcomeHints(context: FlowContext, change: FlowChange, outcome: FlowOutcome): string[] {
  const hints = outcome.message === null ? [] : [outcome.message];
  if (change.op === "remove") hints.push("Perhaps you need to specify a UFID?");
  if (outcome.error === "EEXIST" && outcome.flow !== null) {
    const style = { verbose: false, names: false };
    const key = formatFlowKey(outcome.flow, style, context.ports(), context.vlanLimit);
    hints.push(`In the way: ${formatUfid(outcome.flow.ufid)}, ${key}`);
  }
  return hints;
}

export const outcomeDoing = (change: FlowChange): string =>
  change.op === "put" ? "updating flow table" : "deleting flow";

/** Applies one change. @throws CommandError when the table refuses it */
export async function applyOne(context: FlowContext, change: FlowChange): Promise<FlowOutcome> {
  const [outcome] = await context.flows.writer.apply([change]);
  if (outcome === undefined) throw new Error("flow table: the writer gave no outcome for a change");
  if (outcome.error === null) return outcome;
  throw refusal(outcomeDoing(change), outcome.error, ...outcomeHints(context, change, outcome));
}

export const describeOutcome = (change: FlowChange, outcome: FlowOutcome): string =>
  `${outcomeDoing(change)} (${errnoText(outcome.error ?? "")})`;
