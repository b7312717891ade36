// dpctl/add-flow, mod-flow, get-flow, del-flow, del-flows, add-flows, mod-flows, dump-flows: flows as
// OVS's dpctl takes and prints them. What OVS refuses is refused in its words on the first line; further
// lines tell what OVS keeps back: the flow that is in the way, the rule that an action breaks, the number
// to raise.
import { parseUfid } from "../../flow/ufid.ts";
import type { Clock } from "../../memory/clock.ts";
import type { FlowView } from "../../table/flow-reader.ts";
import type { FlowChange } from "../../upcall/flow-change.ts";
import type { Command, CommandResult } from "../command.ts";
import {
  flowJson,
  formatFlowLine,
  formatFlowStats,
  type PortLookup,
  parseFlowEntry,
  parseFlowKey,
} from "../flow-entry.ts";
import type { FlowService } from "../flow-service.ts";
import type { Jobs } from "../jobs.ts";
import type { SwitchView } from "../switch-view.ts";
import { answer, mildRefusal, refusal } from "./answer.ts";
import { dumpFlowsCommand, MAIN_THREAD, PMD_PREFIX, parsePmd } from "./dpctl-dump-flows.ts";
import { applyFile, fileCommand } from "./dpctl-flow-files.ts";
import {
  applyOne,
  datapathNotFound,
  type FlowArguments,
  type FlowContext,
  flowCommand,
  parsing,
  putChange,
} from "./flow-context.ts";

/**
 * @param ports names and numbers of the ports as they are when a command runs
 * @param vlanLimit tags that keys hold
 */
export function flowCommands(
  view: SwitchView,
  flows: FlowService,
  ports: () => PortLookup,
  clock: Clock,
  vlanLimit: number,
  jobs: Jobs,
): Command[] {
  const context: FlowContext = { view, flows, ports, clock, vlanLimit, jobs };
  return [
    addFlow(context),
    modFlow(context),
    getFlow(context),
    delFlow(context),
    delFlows(context),
    fileCommand(context, "add"),
    fileCommand(context, "modify"),
    dumpFlowsCommand(context),
  ];
}

function addFlow(context: FlowContext): Command {
  const described = { name: "dpctl/add-flow", usage: "[dp] flow actions", summary: "add a flow" };
  return flowCommand(context, described, [2, 2], async ({ rest: [flow, actions] }) => {
    const entry = parsing("updating flow table", () =>
      parseFlowEntry(flow!, actions!, context.ports(), context.vlanLimit),
    );
    const { flow: added } = await applyOne(
      context,
      putChange(entry, { create: true, modify: false, clear: false }),
    );
    return answer("", shown(context, added));
  });
}

function modFlow(context: FlowContext): Command {
  const described = {
    name: "dpctl/mod-flow",
    usage: "[dp] flow actions",
    summary: "replace a flow's actions; takes --may-create, --clear, -s (prints its statistics before)",
  };
  return flowCommand(context, described, [2, 2], async ({ rest: [flow, actions], ...args }) => {
    const entry = parsing("updating flow table", () =>
      parseFlowEntry(flow!, actions!, context.ports(), context.vlanLimit),
    );
    const how = { create: args.mayCreate, modify: true, clear: args.clear };
    const { flow: before } = await applyOne(context, putChange(entry, how));
    return statistics(context, args, before);
  });
}

function getFlow(context: FlowContext): Command {
  const described = {
    name: "dpctl/get-flow",
    usage: "[dp] ufid",
    summary: "the flow with this ufid; takes pmd=N, -m, --names, --no-names",
  };
  return flowCommand(context, described, [1, 2], async ({ rest: [text, thread], more, names }) => {
    // OVS 3.1 has no pmd= here; newer ones do.
    if (thread !== undefined && !thread.startsWith(PMD_PREFIX)) throw datapathNotFound();
    const pmd = thread === undefined ? MAIN_THREAD : parsePmd(thread.slice(PMD_PREFIX.length));
    const ufid = parseUfid(text!);
    if (ufid === undefined) throw mildRefusal("parsing flow ufid");
    const flow = pmd === MAIN_THREAD ? await context.flows.writer.find(ufid) : null;
    if (flow === null) throw refusal("getting flow", "ENOENT");
    const style = { verbose: more, names };
    const line = formatFlowLine(flow, style, context.ports(), context.clock.millis(), context.vlanLimit);
    return answer([line], shown(context, flow));
  });
}

function delFlow(context: FlowContext): Command {
  const described = {
    name: "dpctl/del-flow",
    usage: "[dp] flow",
    summary: "remove the flow with this ufid or key; takes -s (prints its statistics)",
  };
  return flowCommand(context, described, [1, 1], async ({ rest: [text], ...args }) => {
    const { flow } = await applyOne(context, removal(context, text!));
    return statistics(context, args, flow);
  });
}

/** By the ufid when there is one; then the key may be left out. */
function removal({ ports, vlanLimit }: FlowContext, text: string): FlowChange {
  const alone = parseUfid(text.trim().replace(/,$/, ""));
  if (alone !== undefined) return { op: "remove", ufid: alone, key: undefined };
  const { key, ufid } = parsing("deleting flow", () => parseFlowKey(text, ports(), vlanLimit));
  return { op: "remove", ufid, key };
}

function delFlows(context: FlowContext): Command {
  const described = {
    name: "dpctl/del-flows",
    usage: "[dp] [file]",
    summary: "remove all flows, or those of a file",
  };
  return flowCommand(context, described, [0, 1], async ({ rest: [file], ...args }) => {
    if (file !== undefined) return applyFile(context, "dpctl/del-flows", file, "delete", args);
    await context.flows.writer.flush();
    return answer("", []);
  });
}

/** The line of -s, else nothing. */
function statistics(
  context: FlowContext,
  args: Pick<FlowArguments, "statistics">,
  flow: FlowView | null,
): CommandResult {
  const lines = args.statistics && flow !== null ? [formatFlowStats(flow, context.clock.millis())] : [];
  return answer(lines, shown(context, flow));
}

/** The flow as data; nothing of it when there was none. */
function shown({ ports, clock, vlanLimit }: FlowContext, flow: FlowView | null): Record<string, unknown> {
  return flow === null ? {} : flowJson(flow, ports(), clock.millis(), vlanLimit);
}
