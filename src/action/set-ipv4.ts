// set(ipv4(...)): addresses, TOS and TTL of a header in place, its checksum and the transport's by RFC 1624,
// so that a wrong checksum stays wrong by the same difference. Hot, per packet; writes packet bytes only.
//
// Value and mask are OVS's struct of 12 bytes: src 4, dst 4, proto, tos, ttl, frag, in packet order. proto
// and frag are not written (validation sees to it that the action does not ask for it). As OVS does, each
// field is skipped when it keeps its value: an RFC 1624 update for no change could turn 0xffff into 0.
//
// A later fragment has no transport header, so its payload is left alone; OVS's userspace datapath updates a
// "checksum" inside that payload.
import { readBe32, writeBe32 } from "../packet/bytes.ts";
import { patchChecksum16, patchChecksum32 } from "../packet/checksum.ts";
import { IPV4 } from "../packet/network-headers.ts";
import { blend8, blend32 } from "./blend.ts";
import { patchAddressV4 } from "./transport-checksum.ts";
import { transportV4 } from "./transport-header.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const SRC = IPV4.src;
const CHECKSUM = IPV4.checksum;
const TOS = IPV4.tos;
const TTL = IPV4.ttl;

const KEY_TOS = 9;
const KEY_TTL = 10;

/**
 * @param ip offset of the IPv4 header, all of whose 20 bytes are there
 * @param l4 offset of the transport header; `l4Bytes` bytes of it and its payload, 0 when there is none
 * @param mask offset of the mask, NO_MASK to set whole fields
 * @param partial whether the transport checksum is a partial sum
 */
export function setIpv4(
  u8: Uint8Array,
  ip: number,
  l4: number,
  l4Bytes: number,
  value: number,
  mask: number,
  partial: boolean,
): void {
  const protocol = transportV4(u8, ip);
  // src and dst stand side by side, in the header and in the struct.
  for (let field = 0; field < 8; field += 4) {
    const at = ip + SRC + field;
    const before = readBe32(u8, at);
    const after = blend32(u8, before, value, mask, field);
    if (after === before) continue;
    patchAddressV4(u8, l4, l4Bytes, protocol, before, after, partial);
    patchChecksum32(u8, ip + CHECKSUM, before, after);
    writeBe32(u8, at, after);
  }
  const oldTos = u8[ip + TOS]!;
  const newTos = blend8(u8, oldTos, value, mask, KEY_TOS);
  if (newTos !== oldTos) {
    patchChecksum16(u8, ip + CHECKSUM, oldTos, newTos);
    u8[ip + TOS] = newTos;
  }
  const oldTtl = u8[ip + TTL]!;
  const newTtl = blend8(u8, oldTtl, value, mask, KEY_TTL);
  if (newTtl !== oldTtl) {
    patchChecksum16(u8, ip + CHECKSUM, oldTtl << 8, newTtl << 8);
    u8[ip + TTL] = newTtl;
  }
}
