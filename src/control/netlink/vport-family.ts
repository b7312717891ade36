// ovs_vport: the switch's ports.

import { handlerThread } from "../../memory/region-plan.ts";
import type { Values } from "../../netlink/attribute-table.ts";
import { type ErrnoName, NetlinkError } from "../../netlink/errno.ts";
import { NLM_F } from "../../netlink/message.ts";
import {
  VPORT_ATTRIBUTES,
  VPORT_COMMAND,
  VPORT_TYPE,
  type VportAttributes,
} from "../../netlink/vport-messages.ts";
import { readPortCounters, readThreadPortCounter } from "../../port/counters.ts";
import { type OpenPort, PORT_TYPES, type PortSpec, type PortType } from "../../port/port.ts";
import { isTunnelPort, type TunnelPort } from "../../port/tunnel/driver.ts";
import { hasUdp } from "../../tunnel/vport.ts";
import { PortError } from "../ports.ts";
import type { FamilyService, NetlinkContext } from "./context.ts";
import type { Exchange } from "./exchange.ts";

type Request = Values<typeof VPORT_ATTRIBUTES>;

/** Port types that a program can ask for by OVS's numbers, and the other way round; what has none, taps too, is a netdev. */
const TYPE_NUMBERS: ReadonlyMap<string, number> = new Map(Object.entries(VPORT_TYPE));

export function vportFamily(context: NetlinkContext): FamilyService {
  return async (exchange) => {
    if (exchange.isDump && exchange.command !== VPORT_COMMAND.get) throw exchange.unsupported();
    switch (exchange.command) {
      case VPORT_COMMAND.new:
        return await newPort(context, exchange);
      case VPORT_COMMAND.set:
        return await setPort(context, exchange);
      case VPORT_COMMAND.get:
        return await getPorts(context, exchange);
      case VPORT_COMMAND.del:
        return await delPort(context, exchange);
      default:
        throw exchange.unsupported();
    }
  };
}

/** A port as messages tell it. */
export function vportAttributes({ view, upcallPids }: NetlinkContext, port: OpenPort): VportAttributes {
  const counters = readPortCounters(view.arena, port.slot);
  const handler = handlerThread(view.arena.plan.sizes);
  const lostByHandler = readThreadPortCounter(view.arena, handler, port.slot, "upcalls_lost");
  const pids = upcallPids.ofPort(port.portNo);
  const big = BigInt;
  return {
    portNo: port.portNo,
    type: TYPE_NUMBERS.get(port.spec.type) ?? VPORT_TYPE.netdev,
    name: port.spec.name,
    options: isTunnelPort(port) ? tunnelOptions(port) : undefined,
    upcallPids: pids.length > 0 ? pids : [0],
    stats: {
      rxPackets: big(counters.rx_packets),
      txPackets: big(counters.tx_packets),
      rxBytes: big(counters.rx_bytes),
      txBytes: big(counters.tx_bytes),
      rxErrors: big(counters.rx_errors),
      txErrors: big(counters.tx_errors),
      rxDropped: big(counters.rx_dropped),
      txDropped: big(counters.tx_dropped),
    },
    // What the handler lost had been counted as sent by a worker.
    upcallStats: {
      success: big(counters.upcalls - lostByHandler),
      fail: big(counters.upcalls_lost),
    },
  };
}

/** Those with UDP tell what they listen on. */
function tunnelOptions({ vport }: TunnelPort): VportAttributes["options"] {
  const { dstPort, hasGbp, hasGpe } = vport;
  if (!hasUdp(vport.type)) return undefined;
  return { dstPort, extension: hasGbp || hasGpe ? { gbp: hasGbp, gpe: hasGpe } : undefined };
}

async function newPort(context: NetlinkContext, exchange: Exchange): Promise<void> {
  const { values, payloadAt } = exchange.attributes(VPORT_ATTRIBUTES);
  const { name, type, upcallPids, portNo } = values;
  for (const required of ["name", "type", "upcallPids"] as const) {
    if (values[required] === undefined) throw new NetlinkError("EINVAL", `${required} is missing`);
  }
  const spec: PortSpec = {
    name: name!,
    type: portType(type!, payloadAt("type")),
    ...(portNo === undefined ? {} : { portNo }),
    options: optionsOf(values),
  };
  const port = await refusing(() => context.view.ports.add(spec));
  await setPids(context, exchange, port, upcallPids!);
  await echo(context, exchange, VPORT_COMMAND.new, port);
}

async function setPort(context: NetlinkContext, exchange: Exchange): Promise<void> {
  const { values, payloadAt } = exchange.attributes(VPORT_ATTRIBUTES);
  const port = findPort(context, values);
  const { ports } = context.view;
  const { type, options, upcallPids } = values;
  const present = TYPE_NUMBERS.get(port.spec.type) ?? VPORT_TYPE.netdev;
  if (type !== undefined && type !== present)
    throw new NetlinkError(
      "EINVAL",
      `${port.spec.name} is of type ${present}; accepted: ${present}`,
      payloadAt("type"),
    );
  if (options !== undefined) {
    const wanted = { ...port.spec.options, ...optionsOf(values) };
    await refusing(() => ports.setOptions(port, wanted), payloadAt("options"));
  }
  if (upcallPids !== undefined) await setPids(context, exchange, port, upcallPids);
  await echo(context, exchange, VPORT_COMMAND.set, ports.byNumber(port.portNo) ?? port);
}

async function getPorts(context: NetlinkContext, exchange: Exchange): Promise<void> {
  const { values } = exchange.attributes(VPORT_ATTRIBUTES);
  const ports = exchange.isDump ? context.view.ports.list() : [findPort(context, values)];
  for (const port of ports)
    await exchange.reply(VPORT_COMMAND.new, VPORT_ATTRIBUTES, vportAttributes(context, port));
  if (exchange.isDump) await exchange.done();
}

async function delPort(context: NetlinkContext, exchange: Exchange): Promise<void> {
  const port = findPort(context, exchange.attributes(VPORT_ATTRIBUTES).values);
  if (port.portNo === 0) throw new NetlinkError("EINVAL", `${port.spec.name} is the local port, which stays`);
  const told = vportAttributes(context, port);
  await refusing(() => context.view.ports.remove(port.portNo));
  if (exchange.has(NLM_F.echo)) await exchange.reply(VPORT_COMMAND.del, VPORT_ATTRIBUTES, told);
}

/** One pid of 0 means that nobody gets the port's misses. */
async function setPids(
  { upcallPids }: NetlinkContext,
  { connection }: Exchange,
  { portNo }: OpenPort,
  pids: readonly number[],
): Promise<void> {
  await upcallPids.setPort(portNo, pids, connection);
}

/** By name when there is one, else by number. @throws NetlinkError */
function findPort({ view }: NetlinkContext, { name, portNo }: Request): OpenPort {
  if (name === undefined && portNo === undefined)
    throw new NetlinkError("EINVAL", "no port is named; accepted: attribute 1 (port number) or 3 (name)");
  const port = name !== undefined ? view.ports.byName(name) : view.ports.byNumber(portNo!);
  if (port === undefined) throw new NetlinkError("ENODEV", `there is no port ${name ?? portNo}`);
  return port;
}

function portType(number: number, at: number): PortType {
  const names = [...TYPE_NUMBERS].filter(([, value]) => value === number).map(([name]) => name);
  const type = number === VPORT_TYPE.netdev ? "af_packet" : PORT_TYPES.find((name) => names.includes(name));
  if (type !== undefined) return type;
  const accepted = PORT_TYPES.flatMap((name) => TYPE_NUMBERS.get(name) ?? []).concat(VPORT_TYPE.netdev);
  throw new NetlinkError(
    "EAFNOSUPPORT",
    `no ports of type ${number}; accepted: ${[...new Set(accepted)].join(", ")}`,
    at,
  );
}

/** Options of tunnels, under the names of OVS's database. */
function optionsOf({ options }: Request): Record<string, unknown> {
  if (options === undefined) return {};
  const { dstPort, extension } = options;
  const extensions = [extension?.gbp && "gbp", extension?.gpe && "gpe"].filter(Boolean);
  return {
    ...(dstPort === undefined ? {} : { dst_port: dstPort }),
    ...(extension === undefined ? {} : { exts: extensions.join(",") }),
  };
}

/** @param at offset in the message of what is refused, where it is one attribute */
async function refusing<T>(run: () => Promise<T>, at?: number): Promise<T> {
  try {
    return await run();
  } catch (error) {
    // Drivers name what the system said; where they have no errno it is the argument that does not do.
    const errno = error instanceof PortError ? (error.code as ErrnoName) : "EINVAL";
    throw new NetlinkError(errno, (error as Error).message, at);
  }
}

async function echo(
  context: NetlinkContext,
  exchange: Exchange,
  command: number,
  port: OpenPort,
): Promise<void> {
  if (exchange.has(NLM_F.echo))
    await exchange.reply(command, VPORT_ATTRIBUTES, vportAttributes(context, port));
}
