// set(icmp(...)), set(icmpv6(...)), set(nd(...)) and set(nd_ext(...)): in place, checksums by RFC 1624, so a wrong one
// stays as wrong as it was (OVS sums nd_ext's packets anew). Hot, per packet; writes packet bytes only.
//
// Structs: icmp and icmpv6 are type 1, code 1; nd is target 16, sll 6, tll 6; nd_ext is reserved 4, option type 1,
// padding. A message that is cut short is left alone.
import { readBe16, writeBe16 } from "../packet/bytes.ts";
import { patchChecksum16 } from "../packet/checksum.ts";
import { ICMP, ICMPV6, ICMPV6_TYPE, ND, ND_OPTION } from "../packet/transport-headers.ts";
import { blend8, blend16 } from "./blend.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
/** The same place in both. */
const CHECKSUM = ICMP.checksum;
const ICMP_BYTES = ICMP.headerBytes;
const TYPE = ICMPV6.type;
const CODE = ICMPV6.code;
const SOLICITATION = ICMPV6_TYPE.neighborSolicitation;
const ADVERTISEMENT = ICMPV6_TYPE.neighborAdvertisement;
const ND_BYTES = ND.headerBytes;
const RESERVED_AT = ND.reserved;
const TARGET_AT = ND.target;
const OPTIONS_AT = ND.options;
const UNIT_BYTES = ND_OPTION.unitBytes;
const SOURCE_LINK = ND_OPTION.sourceLinkAddress;
const TARGET_LINK = ND_OPTION.targetLinkAddress;
const LINK_ADDRESS_UNITS = ND_OPTION.linkAddressUnits;
const LINK_ADDRESS_AT = ND_OPTION.address;
const TARGET_BYTES = 16;
const MAC_BYTES = 6;
/** Offsets in the struct of nd. */
const SLL = 16;
const TLL = 22;
/** Offset in the struct of nd_ext. */
const OPTION_TYPE = 4;

/** @param partial whether the checksum is a partial sum, which the message is no part of */
export function setIcmp(
  u8: Uint8Array,
  l4: number,
  l4Bytes: number,
  value: number,
  mask: number,
  partial: boolean,
): void {
  if (l4Bytes >= ICMP_BYTES) setWords(u8, l4, l4, value, mask, 0, 2, partial);
}

export function isNeighborDiscovery(u8: Uint8Array, l4: number, l4Bytes: number): boolean {
  const type = u8[l4 + TYPE]!;
  return l4Bytes >= ND_BYTES && u8[l4 + CODE] === 0 && (type === SOLICITATION || type === ADVERTISEMENT);
}

/** Writes the target, and the address of the first link-layer address option, as OVS does. */
export function setNd(
  u8: Uint8Array,
  l4: number,
  l4Bytes: number,
  value: number,
  mask: number,
  partial: boolean,
): void {
  setWords(u8, l4, l4 + TARGET_AT, value, mask, 0, TARGET_BYTES, partial);
  const end = l4 + l4Bytes;
  for (let at = l4 + OPTIONS_AT; at + UNIT_BYTES <= end; at += u8[at + 1]! * UNIT_BYTES) {
    const units = u8[at + 1]!;
    if (units === 0) return;
    const type = u8[at]!;
    if (units !== LINK_ADDRESS_UNITS || (type !== SOURCE_LINK && type !== TARGET_LINK)) continue;
    const field = type === SOURCE_LINK ? SLL : TLL;
    setWords(u8, l4, at + LINK_ADDRESS_AT, value, mask, field, MAC_BYTES, partial);
    return;
  }
}

/** Writes the reserved word, and the type of the first option where there is one. */
export function setNdExtensions(
  u8: Uint8Array,
  l4: number,
  l4Bytes: number,
  value: number,
  mask: number,
  partial: boolean,
): void {
  setWords(u8, l4, l4 + RESERVED_AT, value, mask, 0, 4, partial);
  if (l4Bytes < OPTIONS_AT + UNIT_BYTES) return;
  const at = l4 + OPTIONS_AT;
  const before = readBe16(u8, at);
  const after = (blend8(u8, u8[at]!, value, mask, OPTION_TYPE) << 8) | u8[at + 1]!;
  if (!partial) patchChecksum16(u8, l4 + CHECKSUM, before, after);
  writeBe16(u8, at, after);
}

/** Words of the message at `at`, an even number of bytes from its start. */
function setWords(
  u8: Uint8Array,
  l4: number,
  at: number,
  value: number,
  mask: number,
  field: number,
  bytes: number,
  partial: boolean,
): void {
  for (let index = 0; index < bytes; index += 2) {
    const before = readBe16(u8, at + index);
    const after = blend16(u8, before, value, mask, field + index);
    if (after === before) continue;
    if (!partial) patchChecksum16(u8, l4 + CHECKSUM, before, after);
    writeBe16(u8, at + index, after);
  }
}
