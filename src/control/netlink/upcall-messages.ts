// Upcalls as OVS_PACKET_CMD_MISS and _ACTION.
import { PSAMPLE, USERSPACE } from "../../action/attributes.ts";
import { getNumber } from "../../flow/key.ts";
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

const NANOS_PER_MILLI = 1_000_000n;

export function encodeUpcall(upcall: Upcall, vlanLimit: number): Uint8Array {
  const command = PACKET_COMMAND[upcall.kind];
  return encodeNotice(FAMILY.packet, command, PACKET_ATTRIBUTES, attributesOf(upcall, vlanLimit));
}

/** The group that a packet of psample() goes to. */
export function sampleGroup({ attributes }: Upcall): number {
  const group = findAttribute(attributes, PSAMPLE.group);
  return group === undefined ? 0 : readWord(payloadOf(attributes, group));
}

/** A packet of psample(). @param sequence of its group */
export function encodeSample(upcall: Upcall, sequence: number, nowMillis: number): Uint8Array {
  const { attributes, packet, packetBytes, portNo, probability, key } = upcall;
  const cookie = findAttribute(attributes, PSAMPLE.cookie);
  return encodeNotice(FAMILY.psample, PSAMPLE_COMMAND.sample, PSAMPLE_ATTRIBUTES, {
    inPort: portNo & 0xffff,
    rate: probability,
    originalBytes: packetBytes,
    group: sampleGroup(upcall),
    sequence,
    timestamp: BigInt(Math.round(nowMillis)) * NANOS_PER_MILLI,
    protocol: getNumber(key, "eth_type"),
    userCookie: cookie === undefined ? undefined : payloadOf(attributes, cookie),
    data: packet,
    probability: true,
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
