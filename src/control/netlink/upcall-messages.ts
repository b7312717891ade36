// Upcalls as OVS_PACKET_CMD_MISS and _ACTION.
import { PSAMPLE, USERSPACE } from "../../action/attributes.ts";
import { findAttribute, payloadOf } from "../../flow/nlattr.ts";
import { attributesFromPacketKey } from "../../flow/odp/match.ts";
import { FAMILY } from "../../netlink/families.ts";
import {
  PACKET_ATTRIBUTES,
  PACKET_COMMAND,
  PACKET_HASH,
  type PacketAttributes,
} from "../../netlink/packet-messages.ts";
import { PSAMPLE_ATTRIBUTES, PSAMPLE_COMMAND } from "../../netlink/psample-messages.ts";
import type { Upcall } from "../../upcall/pid-listeners.ts";
import { encodeNotice } from "./exchange.ts";

export function encodeUpcall(upcall: Upcall, vlanLimit: number): Uint8Array {
  const command = PACKET_COMMAND[upcall.kind];
  return encodeNotice(FAMILY.packet, command, PACKET_ATTRIBUTES, attributesOf(upcall, vlanLimit));
}

/** A packet of psample(). */
export function encodeSample(upcall: Upcall, sequence: number): Uint8Array {
  const { attributes, packet, packetBytes, portNo } = upcall;
  const group = findAttribute(attributes, PSAMPLE.group);
  const cookie = findAttribute(attributes, PSAMPLE.cookie);
  return encodeNotice(FAMILY.psample, PSAMPLE_COMMAND.sample, PSAMPLE_ATTRIBUTES, {
    inPort: portNo & 0xffff,
    originalBytes: packetBytes,
    group: group === undefined ? undefined : readWord(payloadOf(attributes, group)),
    sequence,
    userCookie: cookie === undefined ? undefined : payloadOf(attributes, cookie),
    data: packet,
  });
}

function attributesOf(upcall: Upcall, vlanLimit: number): PacketAttributes {
  const { packet, packetBytes, key, hash, attributes, actions, egressTunnelKey } = upcall;
  const userdata = findAttribute(attributes, USERSPACE.userdata);
  const asksForActions = findAttribute(attributes, USERSPACE.actions) !== undefined;
  return {
    packet,
    key: attributesFromPacketKey(key, vlanLimit),
    userdata: userdata === undefined ? undefined : payloadOf(attributes, userdata),
    egressTunnelKey: egressTunnelKey.length === 0 ? undefined : egressTunnelKey,
    actions: asksForActions ? actions : undefined,
    length: packetBytes === packet.length ? undefined : packetBytes,
    hash: BigInt(hash) | PACKET_HASH.software | PACKET_HASH.l4,
  };
}

const readWord = (payload: Uint8Array): number =>
  new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getUint32(0, true);
