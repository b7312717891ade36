// Packs a flow key as `struct ofp10_match` of OpenFlow 1.0, big-endian, 40 bytes: the form in which OVS's
// tests/flowgen.py says what its packets are. It is the only consumer of that form here, hence not in src.

import { FRAG_LATER, K } from "../../src/flow/fields.ts";

export const OFP10_MATCH_BYTES = 40;

const WILDCARD = { proto: 0x20, ports: 0xc0, sources: 0x2000, destinations: 0x80000, tos: 0x200000 } as const;
const NO_VLAN = 0xffff;
const ETH_TYPE_IPV4 = 0x0800;
const PROTOCOLS_WITH_PORTS = [1, 6, 17];

export function packOfp10Match(key: Uint8Array): Uint8Array {
  const fields = new DataView(key.buffer, key.byteOffset);
  const match = new Uint8Array(OFP10_MATCH_BYTES);
  const view = new DataView(match.buffer);
  const tci = fields.getUint16(K.vlan_tci);
  const tagged = (tci & 0x1000) !== 0;
  const isIpv4 = fields.getUint16(K.eth_type) === ETH_TYPE_IPV4;
  const hasPorts = isIpv4 && PROTOCOLS_WITH_PORTS.includes(key[K.nw_proto]!) && key[K.nw_frag] !== FRAG_LATER;
  let wildcards = hasPorts ? 0 : WILDCARD.ports;
  if (!isIpv4) wildcards |= WILDCARD.proto | WILDCARD.sources | WILDCARD.destinations | WILDCARD.tos;
  view.setUint32(0, wildcards);
  view.setUint16(4, fields.getUint32(K.in_port, true));
  match.set(key.subarray(K.eth_src, K.eth_src + 6), 6);
  match.set(key.subarray(K.eth_dst, K.eth_dst + 6), 12);
  view.setUint16(18, tagged ? tci & 0x0fff : NO_VLAN);
  view.setUint8(20, tagged ? tci >>> 13 : 0);
  view.setUint16(22, fields.getUint16(K.eth_type));
  view.setUint8(24, key[K.nw_tos]! & 0xfc);
  view.setUint8(25, key[K.nw_proto]!);
  match.set(key.subarray(K.nw_src, K.nw_src + 8), 28);
  if (hasPorts) match.set(key.subarray(K.tp_src, K.tp_src + 4), 36);
  return match;
}
