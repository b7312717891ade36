// dpctl/dump-flows: the table's flows in the style and the choice that its arguments ask for. The table
// is shared by all workers and kept by one thread, so its flows are, in OVS's words, the main thread's.
import { type FlowFilter, FlowFilterError, parseFilter, passesFilter } from "../../flow/filter.ts";
import type { Command } from "../command.ts";
import { flowJson, formatFlowLine } from "../flow-entry.ts";
import { answer, refusal } from "./answer.ts";
import { datapathNotFound, type FlowContext, flowCommand } from "./flow-context.ts";

/** Arguments behind the options: a datapath and one of each setting. */
const ARGUMENTS_MAX = 3;

/** Values of type=, and whether the flows of this table are of that type: none is offloaded. */
const TYPES: ReadonlyMap<string, boolean> = new Map([
  ["ovs", true],
  ["tc", false],
  ["dpdk", false],
  ["offloaded", false],
  ["non-offloaded", true],
  ["partially-offloaded", false],
  ["all", true],
]);

/** OVS's number of its main thread in pmd=. */
const MAIN_THREAD = -1;

interface Choice {
  readonly filter: FlowFilter | null;
  readonly type: boolean;
  /** Undefined: of all threads, with a heading for each. */
  readonly pmd: number | undefined;
}

export function dumpFlowsCommand(context: FlowContext): Command {
  const described = {
    name: "dpctl/dump-flows",
    usage: "[-m] [--names] [dp] [filter=..] [type=..] [pmd=..]",
    summary: "flows with statistics and actions; takes --no-names too",
  };
  return flowCommand(context, described, [0, ARGUMENTS_MAX], async ({ rest, more, names }) => {
    const choice = parseChoice(context, rest);
    const ports = context.ports();
    const nowMillis = context.clock.millis();
    const lines: string[] = [];
    const rows: Record<string, unknown>[] = [];
    for await (const flow of context.flows.all()) {
      if (!choice.type || (choice.pmd !== undefined && choice.pmd !== MAIN_THREAD)) break;
      if (choice.filter !== null && !passesFilter(flow, choice.filter)) continue;
      lines.push(formatFlowLine(flow, { verbose: more, names }, ports, nowMillis, context.vlanLimit));
      rows.push(flowJson(flow, ports, nowMillis, context.vlanLimit));
    }
    if (lines.length > 0 && choice.pmd === undefined) lines.unshift("flow-dump from the main thread:");
    return answer(lines, rows);
  });
}

function parseChoice(context: FlowContext, args: readonly string[]): Choice {
  let choice: Choice = { filter: null, type: true, pmd: undefined };
  for (const arg of args) {
    if (arg.startsWith("filter=")) choice = { ...choice, filter: parseFilterArgument(context, arg.slice(7)) };
    else if (arg.startsWith("type=")) choice = { ...choice, type: parseTypes(arg.slice(5)) };
    else if (arg.startsWith("pmd=")) choice = { ...choice, pmd: parsePmd(arg.slice(4)) };
    else throw datapathNotFound();
  }
  return choice;
}

function parseFilterArgument({ ports }: FlowContext, text: string): FlowFilter {
  try {
    return parseFilter(text, ports().numbers);
  } catch (error) {
    if (!(error instanceof FlowFilterError)) throw error;
    throw refusal(`Failed to parse filter (${error.message})`, null);
  }
}

function parseTypes(text: string): boolean {
  const types = text.split(",").map((name) => TYPES.get(name));
  if (types.includes(undefined)) throw refusal(`Failed to parse type (${text})`, "EINVAL");
  return types.includes(true);
}

function parsePmd(text: string): number {
  if (!/^-?\d+$/.test(text)) throw refusal(`Failed to parse pmd (${text})`, "EINVAL");
  return Number(text);
}
