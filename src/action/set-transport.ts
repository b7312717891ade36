// set(tcp|udp|sctp(...)): ports in place, TCP's and UDP's checksum by RFC 1624, SCTP's by CRC arithmetic: the
// field changes by crc(old bytes) xor crc(new bytes), so a wrong CRC stays wrong by the same xor. Hot, per
// packet; writes packet bytes only.
//
// Value and mask are OVS's struct of 4 bytes: src 2, dst 2. A header that is cut short (or a TCP data offset
// outside the segment) is left alone, as in OVS.
import { readBe16, readBe32, writeBe16, writeBe32 } from "../packet/bytes.ts";
import { patchChecksum16, patchUdpChecksum16 } from "../packet/checksum.ts";
import { crc32cAddZeros, readSctpChecksum, writeSctpChecksum } from "../packet/crc32c.ts";
import { SCTP, TCP, UDP } from "../packet/transport-headers.ts";
import { blend16, blend32 } from "./blend.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const TCP_BYTES = TCP.headerBytes;
const TCP_DATA_OFFSET = TCP.dataOffsetFlags;
const TCP_DATA_OFFSET_MIN = TCP.dataOffsetMin;
const TCP_CHECKSUM = TCP.checksum;
const UDP_BYTES = UDP.headerBytes;
const UDP_CHECKSUM = UDP.checksum;
const SCTP_BYTES = SCTP.headerBytes;

const PORT_BYTES = 2;

/** @param partial whether the checksum is a partial sum, which ports are no part of */
export function setTcp(
  u8: Uint8Array,
  l4: number,
  l4Bytes: number,
  value: number,
  mask: number,
  partial: boolean,
): void {
  if (l4Bytes < TCP_BYTES) return;
  const dataOffset = u8[l4 + TCP_DATA_OFFSET]! >>> 4;
  if (dataOffset < TCP_DATA_OFFSET_MIN || dataOffset * 4 > l4Bytes) return;
  for (let field = 0; field < 2 * PORT_BYTES; field += PORT_BYTES) {
    const before = readBe16(u8, l4 + field);
    const after = blend16(u8, before, value, mask, field);
    if (after === before) continue;
    if (!partial) patchChecksum16(u8, l4 + TCP_CHECKSUM, before, after);
    writeBe16(u8, l4 + field, after);
  }
}

/** A checksum of 0 (none) stays; an update whose result is 0 is written as 0xffff, which also means zero. */
export function setUdp(
  u8: Uint8Array,
  l4: number,
  l4Bytes: number,
  value: number,
  mask: number,
  partial: boolean,
): void {
  if (l4Bytes < UDP_BYTES) return;
  for (let field = 0; field < 2 * PORT_BYTES; field += PORT_BYTES) {
    const before = readBe16(u8, l4 + field);
    const after = blend16(u8, before, value, mask, field);
    if (after === before) continue;
    if (!partial) patchUdpChecksum16(u8, l4 + UDP_CHECKSUM, before, after);
    writeBe16(u8, l4 + field, after);
  }
}

/**
 * CRC32c is linear, so crc(old) xor crc(new) is the CRC of the ports' difference followed by zeros for the
 * rest of the packet, begun from zero: the payload is not read, wherever its frames are.
 */
export function setSctp(u8: Uint8Array, l4: number, l4Bytes: number, value: number, mask: number): void {
  if (l4Bytes < SCTP_BYTES) return;
  const before = readBe32(u8, l4);
  const after = blend32(u8, before, value, mask, 0);
  if (after === before) return;
  const difference = before ^ after;
  // The state takes the first byte in its low bits.
  const state =
    (difference >>> 24) | ((difference >>> 8) & 0xff00) | ((difference << 8) & 0xff0000) | (difference << 24);
  writeSctpChecksum(u8, l4, readSctpChecksum(u8, l4) ^ crc32cAddZeros(state, l4Bytes));
  writeBe32(u8, l4, after);
}
