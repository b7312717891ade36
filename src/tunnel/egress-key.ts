// The tunnel key that a packet would leave a tunnel port under (OVS_PACKET_ATTR_EGRESS_TUN_KEY): the port's own or that
// of set(tunnel(...)), with the route's source address and the UDP ports that the outer header would have, as the
// kernel's tunnel devices fill it in.
import { NLA_HEADER_BYTES } from "../flow/nlattr.ts";
import { TUNNEL_ATTR } from "../flow/odp/attributes.ts";
import type { Arena } from "../memory/arena.ts";
import { writeBe16 } from "../packet/bytes.ts";
import type { Ip } from "./ip.ts";
import { type TunnelKey, writeTunnelKey } from "./tunnel-key.ts";
import { hasUdp, type TunnelVport } from "./vport.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const { tos: TOS, ttl: TTL, tpSrc: TP_SRC } = TUNNEL_ATTR;
const HEADER_BYTES = NLA_HEADER_BYTES;
/** Makes an attribute exist that each packet gives its value. */
const PLACEHOLDER = 1;

/** No value: what the attribute says stays. */
export const AS_IT_IS = -1;

/**
 * Control path: the key's attributes, with room for what setPacketFields() writes.
 * @param isOwnKey whether the key is the port's own, whose traffic class follows the packet
 */
export function composeEgressKey(
  vport: TunnelVport,
  key: TunnelKey,
  source: Ip,
  isOwnKey: boolean,
): Uint8Array {
  const ports = hasUdp(vport.type) ? { tpSrc: PLACEHOLDER, tpDst: key.tpDst || vport.dstPort } : {};
  return writeTunnelKey({ ...key, ...ports, source, tos: isOwnKey ? PLACEHOLDER : key.tos });
}

/**
 * Hot, per packet that asks for a key: what depends on the packet.
 * @param keyAt arena offset of the attributes
 * @param marks traffic class << 8 | TTL, or AS_IT_IS
 */
export function setPacketFields(
  { u8, u16 }: Arena,
  keyAt: number,
  keyBytes: number,
  marks: number,
  sourcePort: number,
): void {
  for (let at = keyAt; at < keyAt + keyBytes; at += (u16[at >>> 1]! + 3) & ~3) {
    const type = u16[(at >>> 1) + 1];
    if (type === TP_SRC) writeBe16(u8, at + HEADER_BYTES, sourcePort);
    else if (marks === AS_IT_IS) continue;
    else if (type === TOS) u8[at + HEADER_BYTES] = marks >>> 8;
    else if (type === TTL) u8[at + HEADER_BYTES] = marks;
  }
}
