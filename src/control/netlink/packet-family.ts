// ovs_packet: EXECUTE, the way down. Of the key only metadata count; headers are parsed from the packet again.
import { formatRefusal } from "../../action/refusal.ts";
import { validateActions } from "../../action/validate.ts";
import { KeyExtractor } from "../../flow/extract-key.ts";
import { exactMaskFor } from "../../flow/odp/exact-mask.ts";
import { FlowKeyError } from "../../flow/odp/fit.ts";
import { keyFromAttributes } from "../../flow/odp/to-key.ts";
import { PACKET_BYTES_MAX } from "../../memory/frame-layout.ts";
import type { Decoded } from "../../netlink/attribute-table.ts";
import { NetlinkError } from "../../netlink/errno.ts";
import { PACKET_ATTRIBUTES, PACKET_COMMAND } from "../../netlink/packet-messages.ts";
import type { FamilyService, NetlinkContext } from "./context.ts";

type ExecuteRequest = Decoded<typeof PACKET_ATTRIBUTES>;

export function packetFamily(context: NetlinkContext): FamilyService {
  const extractor = new KeyExtractor(context.vlanLimit);
  return async (exchange) => {
    if (exchange.command !== PACKET_COMMAND.execute || exchange.isDump) throw exchange.unsupported();
    const request = exchange.attributes(PACKET_ATTRIBUTES);
    const { packet, key: keyAttributes, actions } = request.values;
    if (packet === undefined || keyAttributes === undefined || actions === undefined)
      throw new NetlinkError("EINVAL", "accepted: attributes 1 (packet), 2 (key) and 3 (actions)");
    if (packet.length > PACKET_BYTES_MAX) {
      const rule = `a packet of ${packet.length} bytes; accepted: at most ${PACKET_BYTES_MAX}`;
      throw new NetlinkError("EMSGSIZE", rule, request.payloadAt("packet"));
    }
    const metadata = metadataOf(request, keyAttributes, context.vlanLimit);
    const key = extractor.extractUnder(packet, metadata);
    refuseActions(request, actions, key);
    if ((request.values.upcallPid ?? 0) !== 0) {
      const rule = "a pid for one packet's upcalls; accepted: 0, and the pid in userspace()";
      throw new NetlinkError("EOPNOTSUPP", rule, request.payloadAt("upcallPid"));
    }
    const refusal = await context.handler.ask("inject", { packet, key: metadata, actions });
    if (refusal !== null) throw new NetlinkError("ENOBUFS", `the packet was not sent: ${refusal}`);
  };
}

/** Any key that is well formed, complete or not. @throws NetlinkError */
function metadataOf(request: ExecuteRequest, attributes: Uint8Array, vlanLimit: number): Uint8Array {
  const { fit, key, problem } = keyFromAttributes(attributes, { vlanLimit, acceptVanished: true });
  if (fit !== "error" || problem === undefined) return key;
  const place = request.payloadAt("key") + problem.byteOffset;
  throw new NetlinkError("EINVAL", new FlowKeyError(fit, problem).message, place);
}

/** @throws NetlinkError */
function refuseActions(request: ExecuteRequest, actions: Uint8Array, key: Uint8Array): void {
  const refusal = validateActions(actions, key, exactMaskFor(key));
  if (refusal === undefined) return;
  throw new NetlinkError("EINVAL", formatRefusal(refusal), request.payloadAt("actions") + refusal.byteOffset);
}
