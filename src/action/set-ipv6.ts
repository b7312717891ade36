// set(ipv6(...)): addresses, flow label, traffic class and hop limit in place, the transport checksum by RFC
// 1624. Hot, per packet; writes packet bytes only.
//
// Value and mask are OVS's struct of 40 bytes: src 16, dst 16, label 4, proto, tclass, hlimit, frag.
//
// A new address touches no checksum in a later fragment, which has no transport header, nor while a routing
// header is unfinished: the sum then counts that header's last address, and OVS's userspace datapath leaves
// it alone for the source too. OVS also leaves out an atomic fragment (offset 0, no more to come), which is a
// whole packet whose checksum would be wrong from then on: there we do as Linux does.
import { readBe32, writeBe32 } from "../packet/bytes.ts";
import { IP_PROTOCOL, IPV6 } from "../packet/network-headers.ts";
import { blend8, blend32 } from "./blend.ts";
import { patchAddressV6 } from "./transport-checksum.ts";
import { ROUTING_UNFINISHED, transportV6 } from "./transport-header.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const SRC = IPV6.src;
const ADDRESS_BYTES = IPV6.addressBytes;
const LABEL_MASK = IPV6.labelMask;
const CLASS_SHIFT = IPV6.classShift;
const HOP_LIMIT = IPV6.hopLimit;
const NO_PROTOCOL = IP_PROTOCOL.none;

const KEY_DST = 16;
const KEY_LABEL = 32;
const KEY_TCLASS = 37;
const KEY_HLIMIT = 38;

/**
 * @param ip offset of the IPv6 header, all of whose 40 bytes are there, as are those between it and `l4`
 * @param l4 offset of the transport header; `l4Bytes` bytes of it and its payload, 0 when there is none
 * @param mask offset of the mask, NO_MASK to set whole fields
 * @param partial whether the transport checksum is a partial sum
 */
export function setIpv6(
  u8: Uint8Array,
  ip: number,
  l4: number,
  l4Bytes: number,
  value: number,
  mask: number,
  partial: boolean,
): void {
  const transport = l4Bytes === 0 ? NO_PROTOCOL : transportV6(u8, ip, l4);
  const protocol = transport < ROUTING_UNFINISHED ? transport : NO_PROTOCOL;
  for (let field = 0; field <= KEY_DST; field += KEY_DST) {
    if (isKept(u8, ip + SRC + field, value, mask, field)) continue;
    for (let word = field; word < field + ADDRESS_BYTES; word += 4) {
      const at = ip + SRC + word;
      const before = readBe32(u8, at);
      const after = blend32(u8, before, value, mask, word);
      patchAddressV6(u8, l4, l4Bytes, protocol, before, after, partial);
      writeBe32(u8, at, after);
    }
  }
  const first = readBe32(u8, ip);
  const label = blend32(u8, first & LABEL_MASK, value, mask, KEY_LABEL);
  const tclass = blend8(u8, (first >>> CLASS_SHIFT) & 0xff, value, mask, KEY_TCLASS);
  writeBe32(u8, ip, (first & 0xf0000000) | (tclass << CLASS_SHIFT) | label);
  u8[ip + HOP_LIMIT] = blend8(u8, u8[ip + HOP_LIMIT]!, value, mask, KEY_HLIMIT);
}

/**
 * Whether the address at `at` keeps its value. OVS updates the checksum for all words of an address or for
 * none.
 */
function isKept(u8: Uint8Array, at: number, value: number, mask: number, field: number): boolean {
  for (let word = 0; word < ADDRESS_BYTES; word += 4) {
    const before = readBe32(u8, at + word);
    if (blend32(u8, before, value, mask, field + word) !== before) return false;
  }
  return true;
}
