// The Internet checksum: sums over packet bytes, pseudo headers and incremental updates.
//
// A running sum is an unfolded number below 2^31 made of big-endian 16-bit words; any number of pieces may be
// added before it is folded and complemented. A piece that begins at an odd position of the summed data
// counts with its bytes changed over (RFC 1071 section 2 B), which is what a packet spread over several
// frames needs.
//
// Updates follow equation 3 of RFC 1624: HC' = ~(~HC + ~m + m'). They keep a wrong checksum wrong by the same
// difference. An update that changes nothing is not neutral: it turns 0xffff into 0. OVS therefore skips
// fields whose value stays as it is, and so must the caller.
//
// Hot: all of it runs per packet, on caller's memory, and allocates nothing.

import { readBe16, readBe32, swap16, writeBe16 } from "./bytes.ts";
import { IPV4, IPV6 } from "./network-headers.ts";

/** 16,384 words of 0xffff stay below 2^30, so the inner loop stays in small integers. */
const SUM_SPAN_BYTES = 32768;

/** The sum with its carries added in: 16 bits. */
export function foldSum(sum: number): number {
  sum = (sum & 0xffff) + (sum >>> 16);
  return (sum & 0xffff) + (sum >>> 16);
}

/** The checksum that a sum stands for. */
export function finishSum(sum: number): number {
  return ~foldSum(sum) & 0xffff;
}

/** Adds `byteCount` bytes, an odd last one as the high half of its word. The answer is below 2^31. */
export function addBytes(sum: number, bytes: Uint8Array, offset: number, byteCount: number): number {
  sum = foldSum(sum);
  const end = offset + byteCount;
  while (offset + 1 < end) {
    const spanEnd = end - offset > SUM_SPAN_BYTES ? offset + SUM_SPAN_BYTES : end - ((end - offset) & 1);
    for (; offset < spanEnd; offset += 2) sum += (bytes[offset]! << 8) | bytes[offset + 1]!;
    sum = foldSum(sum);
  }
  if (offset < end) sum += bytes[offset]! << 8;
  return sum;
}

/**
 * Adds a piece of data whose first byte is byte number `position` of all that is summed. Pieces may have any
 * length and come in any order.
 */
export function addPiece(
  sum: number,
  position: number,
  bytes: Uint8Array,
  offset: number,
  byteCount: number,
): number {
  const piece = foldSum(addBytes(0, bytes, offset, byteCount));
  return foldSum(sum) + ((position & 1) === 0 ? piece : swap16(piece));
}

export function checksum(bytes: Uint8Array, offset: number, byteCount: number): number {
  return finishSum(addBytes(0, bytes, offset, byteCount));
}

/** Sum of the IPv4 pseudo header (RFC 9293 section 3.1); `ipOffset` is where the IPv4 header stands. */
export function pseudoSumV4(bytes: Uint8Array, ipOffset: number, protocol: number, l4Bytes: number): number {
  return addBytes(0, bytes, ipOffset + IPV4.src, 8) + protocol + foldSum(l4Bytes);
}

/**
 * Sum of the IPv6 pseudo header (RFC 8200 section 8.1). The destination has an offset of its own, because
 * with an unfinished routing header it is that header's last address.
 */
export function pseudoSumV6(
  bytes: Uint8Array,
  srcOffset: number,
  dstOffset: number,
  protocol: number,
  l4Bytes: number,
): number {
  const source = addBytes(0, bytes, srcOffset, IPV6.addressBytes);
  return addBytes(source, bytes, dstOffset, IPV6.addressBytes) + protocol + foldSum(l4Bytes);
}

/** The checksum after one 16-bit word of the data went from `before` to `after`. */
export function updateChecksum16(csum: number, before: number, after: number): number {
  return finishSum((~csum & 0xffff) + (~before & 0xffff) + after);
}

/** The checksum after one 32-bit word of the data, at an even position, went from `before` to `after`. */
export function updateChecksum32(csum: number, before: number, after: number): number {
  const complement = ~before;
  return finishSum(
    (~csum & 0xffff) +
      (complement & 0xffff) +
      ((complement >>> 16) & 0xffff) +
      (after & 0xffff) +
      ((after >>> 16) & 0xffff),
  );
}

/** The checksum after 16 bytes, an IPv6 address, went from those at `before` to those at `after`. */
export function updateChecksum128(
  csum: number,
  beforeBytes: Uint8Array,
  before: number,
  afterBytes: Uint8Array,
  after: number,
): number {
  for (let index = 0; index < IPV6.addressBytes; index += 4) {
    csum = updateChecksum32(csum, readBe32(beforeBytes, before + index), readBe32(afterBytes, after + index));
  }
  return csum;
}

/** Updates the checksum that stands at `csumOffset` for one changed 16-bit word. */
export function patchChecksum16(bytes: Uint8Array, csumOffset: number, before: number, after: number): void {
  writeBe16(bytes, csumOffset, updateChecksum16(readBe16(bytes, csumOffset), before, after));
}

/** Updates the checksum that stands at `csumOffset` for one changed 32-bit word. */
export function patchChecksum32(bytes: Uint8Array, csumOffset: number, before: number, after: number): void {
  writeBe16(bytes, csumOffset, updateChecksum32(readBe16(bytes, csumOffset), before, after));
}

/** What a UDP header carries for an updated or computed checksum: 0 is sent as 0xffff (RFC 768). */
export function udpChecksum(csum: number): number {
  return csum === 0 ? 0xffff : csum;
}

/** As patchChecksum16 for UDP: a checksum of 0 says "none" and stays, a result of 0 becomes 0xffff. */
export function patchUdpChecksum16(
  bytes: Uint8Array,
  csumOffset: number,
  before: number,
  after: number,
): void {
  const csum = readBe16(bytes, csumOffset);
  if (csum !== 0) writeBe16(bytes, csumOffset, udpChecksum(updateChecksum16(csum, before, after)));
}

/** As patchChecksum32 for UDP: a checksum of 0 says "none" and stays, a result of 0 becomes 0xffff. */
export function patchUdpChecksum32(
  bytes: Uint8Array,
  csumOffset: number,
  before: number,
  after: number,
): void {
  const csum = readBe16(bytes, csumOffset);
  if (csum !== 0) writeBe16(bytes, csumOffset, udpChecksum(updateChecksum32(csum, before, after)));
}
