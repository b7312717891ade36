// nlctrl, which tells families' numbers by their names, and millrace_socket, which binds pids and joins groups.
import { NetlinkError } from "../../netlink/errno.ts";
import {
  CTRL_ATTRIBUTES,
  CTRL_COMMAND,
  FAMILIES,
  type FamilyRow,
  SOCKET_ATTRIBUTES,
  SOCKET_COMMAND,
} from "../../netlink/families.ts";
import { OVS_HEADER_BYTES } from "../../netlink/message.ts";
import type { FamilyService } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import type { Subscriptions } from "./subscriptions.ts";

export const controlFamily: FamilyService = async (exchange) => {
  if (exchange.command !== CTRL_COMMAND.getFamily) throw exchange.unsupported();
  if (exchange.isDump) {
    for (const family of FAMILIES) await replyFamily(exchange, family);
    return await exchange.done();
  }
  const { familyName, familyId } = exchange.attributes(CTRL_ATTRIBUTES).values;
  if (familyName === undefined && familyId === undefined)
    throw new NetlinkError("EINVAL", "no family is named; accepted: attribute 1 (id) or 2 (name)");
  const family = FAMILIES.find(({ name, id }) => (familyId ?? id) === id && (familyName ?? name) === name);
  if (family === undefined) {
    const names = FAMILIES.map(({ name }) => name).join(", ");
    throw new NetlinkError("ENOENT", `there is no family ${familyName ?? familyId}; there are ${names}`);
  }
  await replyFamily(exchange, family);
};

async function replyFamily(exchange: Exchange, family: FamilyRow): Promise<void> {
  await exchange.reply(CTRL_COMMAND.newFamily, CTRL_ATTRIBUTES, {
    familyName: family.name,
    familyId: family.id,
    version: family.version,
    headerBytes: family.hasOvsHeader ? OVS_HEADER_BYTES : 0,
    attributeMax: Math.max(...Object.values(family.attributes).map(({ type }) => type)),
    groups: family.group === undefined ? undefined : [family.group],
  });
}

export function socketFamily(subscriptions: Subscriptions): FamilyService {
  return async (exchange) => {
    const { connection, command } = exchange;
    if (exchange.isDump) throw exchange.unsupported();
    const { pid, group } = exchange.attributes(SOCKET_ATTRIBUTES).values;
    const named = (value: number | undefined, name: string): number => {
      if (value === undefined) throw new NetlinkError("EINVAL", `${name} is missing`);
      return value;
    };
    switch (command) {
      case SOCKET_COMMAND.bind: {
        const bound = await subscriptions.bind(connection, pid ?? 0);
        return await exchange.reply(command, SOCKET_ATTRIBUTES, { pid: bound });
      }
      case SOCKET_COMMAND.unbind:
        return await subscriptions.unbind(connection, named(pid, "attribute 1 (pid)"));
      case SOCKET_COMMAND.join:
        return await subscriptions.join(connection, named(group, "attribute 2 (group)"));
      case SOCKET_COMMAND.leave:
        return await subscriptions.leave(connection, named(group, "attribute 2 (group)"));
      case SOCKET_COMMAND.stats:
        return await exchange.reply(command, SOCKET_ATTRIBUTES, { lost: connection.lostCount });
      default:
        throw exchange.unsupported();
    }
  };
}
