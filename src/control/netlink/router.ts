// From a message to the family that serves it, and the answer that ends every request that asks for one.
import { attributes } from "../../flow/nlattr.ts";
import { NetlinkError } from "../../netlink/errno.ts";
import { FAMILIES, FAMILY, type FamilyRow } from "../../netlink/families.ts";
import { FLOW_ATTRIBUTES } from "../../netlink/flow-messages.ts";
import {
  datapathIndex,
  encodeError,
  GENL_HEADER_BYTES,
  type NetlinkMessage,
  NLM_F,
  NLMSG_HEADER_BYTES,
  NLMSG_TYPE_MIN,
  OVS_HEADER_BYTES,
} from "../../netlink/message.ts";
import { PACKET_ATTRIBUTES } from "../../netlink/packet-messages.ts";
import type { Connection } from "./connection.ts";
import type { FamilyService, NetlinkContext } from "./context.ts";
import { datapathFamily } from "./datapath-family.ts";
import { DP_IFINDEX, Exchange } from "./exchange.ts";
import { flowFamily } from "./flow-family.ts";
import { meterFamily } from "./meter-family.ts";
import { packetFamily } from "./packet-family.ts";
import { controlFamily, socketFamily } from "./socket-families.ts";
import { vportFamily } from "./vport-family.ts";

/** Attributes that mark a request as a feature test. */
const PROBES: ReadonlyMap<number, number> = new Map<number, number>([
  [FAMILY.flow.id, FLOW_ATTRIBUTES.probe.type],
  [FAMILY.packet.id, PACKET_ATTRIBUTES.probe.type],
]);

export class Router {
  readonly #services: ReadonlyMap<number, FamilyService>;
  readonly #log: (message: string) => void;

  /** @param log what is refused, but for probes */
  constructor(context: NetlinkContext, log: (message: string) => void) {
    this.#log = log;
    this.#services = new Map<number, FamilyService>([
      [FAMILY.control.id, controlFamily],
      [FAMILY.socket.id, socketFamily(context.subscriptions)],
      [FAMILY.datapath.id, datapathFamily(context)],
      [FAMILY.vport.id, vportFamily(context)],
      [FAMILY.flow.id, flowFamily(context)],
      [FAMILY.packet.id, packetFamily(context)],
      [FAMILY.meter.id, meterFamily(context)],
    ]);
  }

  /** Carries a message out and answers it. As the kernel, it passes over what is no request. */
  async answer(connection: Connection, message: NetlinkMessage): Promise<void> {
    try {
      const isRequest = (message.flags & NLM_F.request) !== 0 && message.type >= NLMSG_TYPE_MIN;
      const isDump = isRequest && (await this.#handle(connection, message));
      if ((message.flags & NLM_F.ack) !== 0 && !isDump) await connection.send(encodeError(message));
    } catch (error) {
      const refusal =
        error instanceof NetlinkError
          ? error
          : new NetlinkError("EIO", `internal error: ${(error as Error).stack ?? error}`);
      if (refusal !== error || !isProbe(message)) this.#log(refusal.message);
      await connection.send(encodeError(message, refusal));
    }
  }

  /** Returns whether it was a dump, which has an end of its own. */
  async #handle(connection: Connection, message: NetlinkMessage): Promise<boolean> {
    const family: FamilyRow | undefined = FAMILIES.find(({ id }) => id === message.type);
    if (family === undefined)
      throw new NetlinkError(
        "ENOENT",
        `there is no family ${message.type}; ask nlctrl for one by its name`,
        4,
      );
    const exchange = new Exchange(connection, message, family);
    if (family.hasOvsHeader) requireDatapath(message);
    const service = this.#services.get(family.id);
    if (service === undefined) throw exchange.unsupported();
    await service(exchange);
    return exchange.isDump;
  }
}

/** Of 0 there are programs that do not know the number yet. */
function requireDatapath(message: NetlinkMessage): void {
  const index = datapathIndex(message);
  if (index === DP_IFINDEX || (index === 0 && message.type === FAMILY.datapath.id)) return;
  const at = NLMSG_HEADER_BYTES + GENL_HEADER_BYTES;
  throw new NetlinkError("ENODEV", `there is no datapath ${index}; accepted: ${DP_IFINDEX}`, at);
}

function isProbe({ type, bytes }: NetlinkMessage): boolean {
  const probe = PROBES.get(type);
  const start = NLMSG_HEADER_BYTES + GENL_HEADER_BYTES + OVS_HEADER_BYTES;
  for (const attribute of attributes(bytes, start)) if (attribute.type === probe) return true;
  return false;
}
