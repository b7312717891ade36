// CRC32c (Castagnoli), SCTP's checksum: RFC 9260 appendix A, as RFC 4960 had it. Reflected polynomial
// 0x82f63b78, state begins as all ones and ends complemented.
//
// Eight bytes a step with eight tables of 256 words ("slicing by 8"); the tables are made once when the
// module is loaded. Hot: runs per SCTP packet, reads the caller's memory, allocates nothing.

import { readBe32 } from "./bytes.ts";
import { SCTP } from "./transport-headers.ts";

const POLYNOMIAL = 0x82f63b78;
const SLICE_COUNT = 8;

/** The state before the first byte. */
export const CRC32C_START = -1;

const TABLES = makeTables();

function makeTables(): Int32Array {
  const tables = new Int32Array(SLICE_COUNT * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    tables[byte] = crc;
  }
  for (let index = 256; index < tables.length; index++) {
    const previous = tables[index - 256]!;
    tables[index] = (previous >>> 8) ^ tables[previous & 0xff]!;
  }
  return tables;
}

/** The state after `byteCount` more bytes. Pieces of a packet are added in order. */
export function crc32cAdd(state: number, bytes: Uint8Array, offset: number, byteCount: number): number {
  const end = offset + byteCount;
  for (; offset + SLICE_COUNT <= end; offset += SLICE_COUNT) {
    state =
      TABLES[0x700 + ((state ^ bytes[offset]!) & 0xff)]! ^
      TABLES[0x600 + (((state >>> 8) ^ bytes[offset + 1]!) & 0xff)]! ^
      TABLES[0x500 + (((state >>> 16) ^ bytes[offset + 2]!) & 0xff)]! ^
      TABLES[0x400 + ((state >>> 24) ^ bytes[offset + 3]!)]! ^
      TABLES[0x300 + bytes[offset + 4]!]! ^
      TABLES[0x200 + bytes[offset + 5]!]! ^
      TABLES[0x100 + bytes[offset + 6]!]! ^
      TABLES[bytes[offset + 7]!]!;
  }
  for (; offset < end; offset++) state = (state >>> 8) ^ TABLES[(state ^ bytes[offset]!) & 0xff]!;
  return state;
}

/** The state after `byteCount` zero bytes; stands for the checksum field, which counts as zero. */
export function crc32cAddZeros(state: number, byteCount: number): number {
  for (; byteCount > 0; byteCount--) state = (state >>> 8) ^ TABLES[state & 0xff]!;
  return state;
}

export function crc32cFinish(state: number): number {
  return ~state >>> 0;
}

export function crc32c(bytes: Uint8Array, offset: number, byteCount: number): number {
  return crc32cFinish(crc32cAdd(CRC32C_START, bytes, offset, byteCount));
}

/** CRC32c of a whole SCTP packet with its checksum field taken as zero; `offset` is the SCTP header. */
export function sctpCrc(bytes: Uint8Array, offset: number, byteCount: number): number {
  const behind = SCTP.checksum + 4;
  let state = crc32cAdd(CRC32C_START, bytes, offset, SCTP.checksum);
  state = crc32cAddZeros(state, 4);
  return crc32cFinish(crc32cAdd(state, bytes, offset + behind, byteCount - behind));
}

/** The checksum field as a CRC value: it is stored low byte first (RFC 9260 appendix A). */
export function readSctpChecksum(bytes: Uint8Array, sctpOffset: number): number {
  const stored = readBe32(bytes, sctpOffset + SCTP.checksum);
  return ((stored >>> 24) | ((stored >>> 8) & 0xff00) | ((stored << 8) & 0xff0000) | (stored << 24)) >>> 0;
}

export function writeSctpChecksum(bytes: Uint8Array, sctpOffset: number, crc: number): void {
  const offset = sctpOffset + SCTP.checksum;
  bytes[offset] = crc;
  bytes[offset + 1] = crc >>> 8;
  bytes[offset + 2] = crc >>> 16;
  bytes[offset + 3] = crc >>> 24;
}
