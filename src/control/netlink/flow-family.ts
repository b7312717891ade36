// ovs_flow: NEW, SET, GET, DEL and dumps, with the kernel's answers (upcall/flow-change.ts tells which).

import { formatUfid } from "../../flow/ufid.ts";
import type { ErrnoName } from "../../netlink/errno.ts";
import { NetlinkError } from "../../netlink/errno.ts";
import { FLOW_ATTRIBUTES, FLOW_COMMAND } from "../../netlink/flow-messages.ts";
import { NLM_F } from "../../netlink/message.ts";
import type { FlowView } from "../../table/flow-reader.ts";
import type { FlowChange } from "../../upcall/flow-change.ts";
import { formatFlowKey } from "../flow-entry.ts";
import type { FamilyService, NetlinkContext } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import { actionsOf, flowAttributes, matchOf, ufidOf } from "./flow-messages.ts";

const NO_NAMES = { numbers: new Map<string, number>(), names: new Map<number, string>() };

export function flowFamily(context: NetlinkContext): FamilyService {
  return async (exchange) => {
    if (exchange.isDump && exchange.command !== FLOW_COMMAND.get) throw exchange.unsupported();
    switch (exchange.command) {
      case FLOW_COMMAND.new:
        return await newFlow(context, exchange);
      case FLOW_COMMAND.set:
        return await setFlow(context, exchange);
      case FLOW_COMMAND.get:
        return exchange.isDump ? await dumpFlows(context, exchange) : await getFlow(context, exchange);
      case FLOW_COMMAND.del:
        return await delFlow(context, exchange);
      default:
        throw exchange.unsupported();
    }
  };
}

async function newFlow(context: NetlinkContext, exchange: Exchange): Promise<void> {
  const request = exchange.attributes(FLOW_ATTRIBUTES);
  const match = matchOf(request, context.vlanLimit);
  const actions = actionsOf(request, match);
  if (actions === undefined)
    throw new NetlinkError(
      "EINVAL",
      "the actions are missing; accepted: attribute 2 (actions), empty to drop",
    );
  // In a request both bits of a dump's flag are NLM_F_EXCL and another.
  const exclusive = exchange.has(NLM_F.create | NLM_F.excl);
  const ufid = ufidOf(request);
  const flow = await apply(context, { op: "new", ...match, ufid, actions, exclusive });
  await echo(context, exchange, FLOW_COMMAND.new, flow);
}

async function setFlow(context: NetlinkContext, exchange: Exchange): Promise<void> {
  const request = exchange.attributes(FLOW_ATTRIBUTES);
  const match = matchOf(request, context.vlanLimit);
  const actions = actionsOf(request, match);
  const clear = request.values.clear ?? false;
  const flow = await apply(context, { op: "set", key: match.key, ufid: ufidOf(request), actions, clear });
  await echo(context, exchange, FLOW_COMMAND.set, flow);
}

async function getFlow(context: NetlinkContext, exchange: Exchange): Promise<void> {
  const request = exchange.attributes(FLOW_ATTRIBUTES);
  const ufid = ufidOf(request);
  const key = ufid === undefined ? matchOf(request, context.vlanLimit).key : undefined;
  const flow = await context.flows.writer.find(ufid, key);
  if (flow === null) throw new NetlinkError("ENOENT", "there is no such flow");
  const omit = request.values.ufidFlags ?? 0;
  await exchange.reply(FLOW_COMMAND.new, FLOW_ATTRIBUTES, flowAttributes(flow, context.vlanLimit, omit));
}

async function delFlow(context: NetlinkContext, exchange: Exchange): Promise<void> {
  const request = exchange.attributes(FLOW_ATTRIBUTES);
  const ufid = ufidOf(request);
  if (ufid === undefined && request.values.key === undefined) return await context.flows.writer.flush();
  const key = ufid === undefined ? matchOf(request, context.vlanLimit).key : undefined;
  const flow = await apply(context, { op: "remove", ufid, key });
  await echo(context, exchange, FLOW_COMMAND.del, flow);
}

/** Each flow that is there all the while once, none twice (table/flow-cursor.ts). */
async function dumpFlows(context: NetlinkContext, exchange: Exchange): Promise<void> {
  const omit = exchange.attributes(FLOW_ATTRIBUTES).values.ufidFlags ?? 0;
  for await (const flow of context.flows.all()) {
    if (!exchange.connection.isOpen) return;
    await exchange.reply(FLOW_COMMAND.new, FLOW_ATTRIBUTES, flowAttributes(flow, context.vlanLimit, omit));
  }
  await exchange.done();
}

/** Applies a change. @throws NetlinkError with the table's answer */
async function apply(context: NetlinkContext, change: FlowChange): Promise<FlowView> {
  const [outcome] = await context.flows.writer.apply([change]);
  if (outcome === undefined) throw new Error("flow table: the writer gave no outcome for a change");
  const { error, flow, message } = outcome;
  if (error === null && flow !== null) return flow;
  const errno = (error ?? "EINVAL") satisfies ErrnoName;
  if (message !== null) throw new NetlinkError(errno, message);
  if (flow === null) throw new NetlinkError(errno, "there is no such flow");
  const style = { verbose: false, names: false };
  const inTheWay = formatFlowKey(flow, style, NO_NAMES, context.vlanLimit);
  throw new NetlinkError(errno, `in the way: ${formatUfid(flow.ufid)}, ${inTheWay}`);
}

async function echo(
  context: NetlinkContext,
  exchange: Exchange,
  command: number,
  flow: FlowView,
): Promise<void> {
  if (!exchange.has(NLM_F.echo)) return;
  await exchange.reply(command, FLOW_ATTRIBUTES, flowAttributes(flow, context.vlanLimit));
}
