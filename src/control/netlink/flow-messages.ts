// Flows between the table and netlink attributes.
import { formatRefusal } from "../../action/refusal.ts";
import { validateActions } from "../../action/validate.ts";
import { FlowKeyError } from "../../flow/odp/fit.ts";
import { attributesFromMatch, type FlowMatch, matchFromAttributes } from "../../flow/odp/match.ts";
import { UFID_BYTES } from "../../flow/ufid.ts";
import type { Decoded } from "../../netlink/attribute-table.ts";
import { NetlinkError } from "../../netlink/errno.ts";
import { type FLOW_ATTRIBUTES, type FlowAttributes, UFID_OMIT } from "../../netlink/flow-messages.ts";
import type { FlowView } from "../../table/flow-reader.ts";

type FlowRequest = Decoded<typeof FLOW_ATTRIBUTES>;

const NO_MASK = new Uint8Array(0);

/** @throws NetlinkError EINVAL naming the attribute, its place in the message, the rule and what would be accepted */
export function matchOf(request: FlowRequest, vlanLimit: number): FlowMatch {
  const { key, mask } = request.values;
  if (key === undefined)
    throw new NetlinkError("EINVAL", "the flow key is missing; accepted: attribute 1 (key)");
  try {
    return matchFromAttributes(key, mask ?? NO_MASK, vlanLimit);
  } catch (error) {
    if (!(error instanceof FlowKeyError)) throw error;
    const { what, byteOffset } = error.problem;
    throw new NetlinkError("EINVAL", error.message, request.payloadAt(what) + byteOffset);
  }
}

/** Undefined when the request has none. @throws NetlinkError likewise */
export function actionsOf(request: FlowRequest, { key, mask }: FlowMatch): Uint8Array | undefined {
  const { actions } = request.values;
  if (actions === undefined) return undefined;
  const refusal = validateActions(actions, key, mask);
  if (refusal === undefined) return actions;
  throw new NetlinkError("EINVAL", formatRefusal(refusal), request.payloadAt("actions") + refusal.byteOffset);
}

/** Undefined when the request has none. @throws NetlinkError for one that the table cannot hold */
export function ufidOf(request: FlowRequest): Uint8Array | undefined {
  const { ufid } = request.values;
  if (ufid === undefined || ufid.length === UFID_BYTES) return ufid;
  const rule = `a ufid of ${ufid.length} bytes; accepted: ${UFID_BYTES} bytes`;
  throw new NetlinkError("EINVAL", rule, request.payloadAt("ufid"));
}

/** @param omit bits of UFID_OMIT */
export function flowAttributes(flow: FlowView, vlanLimit: number, omit = 0): FlowAttributes {
  const { packets, bytes, usedMillis, tcpFlags } = flow.stats;
  const { key, mask } = attributesFromMatch(flow, vlanLimit);
  return {
    ufid: flow.ufid,
    key: (omit & UFID_OMIT.key) === 0 ? key : undefined,
    mask: (omit & UFID_OMIT.mask) === 0 ? mask : undefined,
    actions: (omit & UFID_OMIT.actions) === 0 ? flow.actions : undefined,
    used: usedMillis === 0 ? undefined : BigInt(Math.round(usedMillis)),
    stats: packets === 0 ? undefined : { packets: BigInt(packets), bytes: BigInt(bytes) },
    tcpFlags: tcpFlags === 0 ? undefined : tcpFlags & 0xff,
  };
}
