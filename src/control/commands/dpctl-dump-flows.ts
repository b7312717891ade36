// dpctl/dump-flows: the table's flows in the style and the choice that its arguments ask for. The table
// is shared by all workers and kept by one thread, so its flows are, in OVS's words, the main thread's.
import { type FlowFilter, FlowFilterError, parseFilter, passesFilter } from "../../flow/filter.ts";
import type { FlowView } from "../../table/flow-reader.ts";
import type { Command } from "../command.ts";
import { flowJson, formatFlowLine } from "../flow-entry.ts";
import { mapped, refusal } from "./answer.ts";
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

/** Flows between two tellings of progress. */
const FLOWS_A_STEP = 1024;

/** OVS's number of its main thread in pmd=. */
export const MAIN_THREAD = -1;
export const PMD_PREFIX = "pmd=";

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
    const style = { verbose: more, names };
    return {
      lines: () =>
        dumpLines(chosenFlows(context, choice), choice, (flow) =>
          formatFlowLine(flow, style, ports, nowMillis, context.vlanLimit),
        ),
      rows: () =>
        mapped(chosenFlows(context, choice), (flow) => flowJson(flow, ports, nowMillis, context.vlanLimit)),
    };
  });
}

async function* chosenFlows(
  { flows, jobs }: FlowContext,
  { filter, type, pmd }: Choice,
): AsyncGenerator<FlowView> {
  if (!type || (pmd !== undefined && pmd !== MAIN_THREAD)) return;
  const total = flows.flowCount;
  const job = jobs.begin("dpctl/dump-flows", { doing: "reading", done: 0, total, unit: "flows" });
  let done = 0;
  try {
    for await (const flow of flows.all()) {
      done += 1;
      if (done % FLOWS_A_STEP === 0) job.step = { doing: "reading", done, total, unit: "flows" };
      if (filter === null || passesFilter(flow, filter)) yield flow;
    }
  } finally {
    jobs.end(job);
  }
}

/** A dump of all threads names the thread, if it has any flows. */
async function* dumpLines(
  flows: AsyncIterable<FlowView>,
  { pmd }: Choice,
  format: (flow: FlowView) => string,
): AsyncGenerator<string> {
  let isHeaded = pmd !== undefined;
  for await (const flow of flows) {
    if (!isHeaded) yield "flow-dump from the main thread:";
    isHeaded = true;
    yield format(flow);
  }
}

function parseChoice(context: FlowContext, args: readonly string[]): Choice {
  let choice: Choice = { filter: null, type: true, pmd: undefined };
  for (const arg of args) {
    if (arg.startsWith("filter=")) choice = { ...choice, filter: parseFilterArgument(context, arg.slice(7)) };
    else if (arg.startsWith("type=")) choice = { ...choice, type: parseTypes(arg.slice(5)) };
    else if (arg.startsWith(PMD_PREFIX)) choice = { ...choice, pmd: parsePmd(arg.slice(PMD_PREFIX.length)) };
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

export function parsePmd(text: string): number {
  if (!/^-?\d+$/.test(text)) throw refusal(`Failed to parse pmd (${text})`, "EINVAL");
  return Number(text);
}
