// Upcalls as OVS_PACKET_CMD_MISS and _ACTION.
import { USERSPACE } from "../../action/attributes.ts";
import { findAttribute, payloadOf } from "../../flow/nlattr.ts";
import { attributesFromPacketKey } from "../../flow/odp/match.ts";
import { FAMILY } from "../../netlink/families.ts";
import {
  PACKET_ATTRIBUTES,
  PACKET_COMMAND,
  PACKET_HASH,
  type PacketAttributes,
} from "../../netlink/packet-messages.ts";
import type { Upcall } from "../../upcall/pid-listeners.ts";
import { encodeNotice } from "./exchange.ts";

/** The tunnel key (OVS_TUNNEL_KEY_ATTR_*) that a port would send this packet with; undefined for a port without tunnel. */
export type EgressTunnel = (portNo: number, key: Uint8Array) => Uint8Array | undefined;

export function encodeUpcall(upcall: Upcall, vlanLimit: number, egressTunnel?: EgressTunnel): Uint8Array {
  const command = PACKET_COMMAND[upcall.kind];
  return encodeNotice(
    FAMILY.packet,
    command,
    PACKET_ATTRIBUTES,
    attributesOf(upcall, vlanLimit, egressTunnel),
  );
}

function attributesOf(upcall: Upcall, vlanLimit: number, egressTunnel?: EgressTunnel): PacketAttributes {
  const { packet, packetBytes, key, hash, attributes, actions } = upcall;
  const userdata = findAttribute(attributes, USERSPACE.userdata);
  const tunnelPort = findAttribute(attributes, USERSPACE.egressTunPort);
  const asksForActions = findAttribute(attributes, USERSPACE.actions) !== undefined;
  return {
    packet,
    key: attributesFromPacketKey(key, vlanLimit),
    userdata: userdata === undefined ? undefined : payloadOf(attributes, userdata),
    egressTunnelKey:
      tunnelPort === undefined
        ? undefined
        : egressTunnel?.(readPortNo(payloadOf(attributes, tunnelPort)), key),
    actions: asksForActions ? actions : undefined,
    length: packetBytes === packet.length ? undefined : packetBytes,
    hash: BigInt(hash) | PACKET_HASH.software | PACKET_HASH.l4,
  };
}

const readPortNo = (payload: Uint8Array): number =>
  new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getUint32(0, true);
