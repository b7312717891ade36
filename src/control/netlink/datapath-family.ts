// ovs_datapath: the one datapath that a daemon is.
import { readTotals } from "../../datapath/counters.ts";
import {
  DATAPATH_ATTRIBUTES,
  DATAPATH_COMMAND,
  type DatapathAttributes,
  USER_FEATURE,
} from "../../netlink/datapath-messages.ts";
import { NetlinkError } from "../../netlink/errno.ts";
import { FAMILY } from "../../netlink/families.ts";
import { NLM_F } from "../../netlink/message.ts";
import { namesDatapath } from "../switch-view.ts";
import type { FamilyService, NetlinkContext } from "./context.ts";
import { type Exchange, encodeNotice } from "./exchange.ts";

const FEATURES_KNOWN = Object.values(USER_FEATURE).reduce((all, bit) => all | bit, 0);

export function datapathFamily(context: NetlinkContext): FamilyService {
  return async (exchange) => {
    if (exchange.isDump && exchange.command !== DATAPATH_COMMAND.get) throw exchange.unsupported();
    switch (exchange.command) {
      case DATAPATH_COMMAND.new:
        throw refuseNew(context, exchange);
      case DATAPATH_COMMAND.del:
        throw new NetlinkError("EOPNOTSUPP", "a daemon is one datapath; end it with its exit command");
      case DATAPATH_COMMAND.get:
        return await getDatapath(context, exchange);
      case DATAPATH_COMMAND.set:
        return await setDatapath(context, exchange);
      default:
        throw exchange.unsupported();
    }
  };
}

export function datapathAttributes({ view, flows, upcallPids }: NetlinkContext): DatapathAttributes {
  const { counters } = readTotals(view.arena);
  const { ofWorkers } = upcallPids;
  return {
    name: nameOf(view.datapath),
    stats: {
      hit: BigInt(counters.lookup_hit),
      missed: BigInt(counters.lookup_miss),
      lost: BigInt(counters.upcall_lost),
      flows: BigInt(flows.flowCount),
    },
    megaflowStats: {
      maskHit: BigInt(counters.masks_probed),
      masks: BigInt(flows.stats().masks.length),
      pad0: 0n,
      cacheHit: 0n,
      pad1: 0n,
    },
    userFeatures: upcallPids.features,
    perCpuPids: ofWorkers.length > 0 ? ofWorkers : undefined,
  };
}

/** Without the type, and as long as an interface's name. */
const nameOf = (datapath: string): string => datapath.slice(datapath.indexOf("@") + 1).slice(0, 15);

function refuseNew({ view }: NetlinkContext, exchange: Exchange): NetlinkError {
  const { name } = exchange.attributes(DATAPATH_ATTRIBUTES).values;
  if (name === undefined) return new NetlinkError("EINVAL", "name is missing");
  if (name === nameOf(view.datapath)) return new NetlinkError("EEXIST", `datapath ${name} exists`);
  return new NetlinkError("EOPNOTSUPP", `a daemon is one datapath, ${view.datapath}; start another one`);
}

async function getDatapath(context: NetlinkContext, exchange: Exchange): Promise<void> {
  requireOurs(context, exchange);
  await exchange.reply(DATAPATH_COMMAND.new, DATAPATH_ATTRIBUTES, datapathAttributes(context));
  if (exchange.isDump) await exchange.done();
}

async function setDatapath(context: NetlinkContext, exchange: Exchange): Promise<void> {
  const { values, payloadAt } = requireOurs(context, exchange);
  const { userFeatures, perCpuPids, masksCacheSize } = values;
  if (userFeatures !== undefined && (userFeatures & ~FEATURES_KNOWN) !== 0) {
    const rule = `features 0x${userFeatures.toString(16)}; accepted: bits of 0x${FEATURES_KNOWN.toString(16)}`;
    throw new NetlinkError("EOPNOTSUPP", rule, payloadAt("userFeatures"));
  }
  if (masksCacheSize !== undefined && masksCacheSize !== 0)
    throw new NetlinkError(
      "EOPNOTSUPP",
      "there is no cache of masks; accepted: 0",
      payloadAt("masksCacheSize"),
    );
  if (userFeatures !== undefined) await context.upcallPids.setFeatures(userFeatures);
  if (perCpuPids !== undefined) await context.upcallPids.setWorkers(perCpuPids, exchange.connection);
  const changed = datapathAttributes(context);
  const notice = encodeNotice(FAMILY.datapath, DATAPATH_COMMAND.set, DATAPATH_ATTRIBUTES, changed);
  context.subscriptions.notify(FAMILY.datapath.group.id, notice);
  if (exchange.has(NLM_F.echo)) await exchange.reply(DATAPATH_COMMAND.set, DATAPATH_ATTRIBUTES, changed);
}

/** @throws NetlinkError when the request names another datapath */
function requireOurs({ view }: NetlinkContext, exchange: Exchange) {
  const request = exchange.attributes(DATAPATH_ATTRIBUTES);
  const { name } = request.values;
  if (name !== undefined && !namesDatapath(view, name) && name !== nameOf(view.datapath))
    throw new NetlinkError("ENODEV", `there is no datapath ${name}`, request.payloadAt("name"));
  return request;
}
