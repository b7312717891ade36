// Finishing a partial checksum: the field holds the pseudo header's sum, what is missing is the sum of
// everything from csumStart to the packet's end. For whoever needs the bytes complete: trunc, which would cut
// off what is yet to be summed, and ports that cannot carry a partial checksum. Hot when it runs; any chain
// of frames.

import { NO_FRAME, PACKET_CSUM_PARTIAL } from "../memory/frame-layout.ts";
import type { Packets } from "../memory/packets.ts";
import { addPiece, foldSum } from "../packet/checksum.ts";

/**
 * Completes the packet's checksum and clears PACKET_CSUM_PARTIAL; nothing happens to a packet without the
 * flag. Returns false, packet untouched, when csumStart and csumOffset point outside it.
 */
export function finishChecksum(u8: Uint8Array, packets: Packets, frame: number): boolean {
  const flags = packets.flags(frame);
  if ((flags & PACKET_CSUM_PARTIAL) === 0) return true;
  const start = packets.csumStart(frame);
  const field = start + packets.csumOffset(frame);
  if (field + 2 > packets.packetBytes(frame)) return false;

  let sum = 0;
  let position = 0;
  for (let part = frame; part !== NO_FRAME; part = packets.nextFrame(part)) {
    const partBytes = packets.dataBytes(part);
    const skipped = Math.max(0, Math.min(start - position, partBytes));
    if (skipped < partBytes) {
      sum = addPiece(sum, position + skipped - start, u8, packets.head(part) + skipped, partBytes - skipped);
    }
    position += partBytes;
  }
  // A finished sum of 0 is written as 0xffff: UDP would read 0 as "none", for the others both mean the same.
  const csum = ~foldSum(sum) & 0xffff || 0xffff;
  writeByte(u8, packets, frame, field, csum >>> 8);
  writeByte(u8, packets, frame, field + 1, csum & 0xff);
  packets.setFlags(frame, flags & ~PACKET_CSUM_PARTIAL);
  return true;
}

function writeByte(u8: Uint8Array, packets: Packets, frame: number, position: number, value: number): void {
  while (position >= packets.dataBytes(frame)) {
    position -= packets.dataBytes(frame);
    frame = packets.nextFrame(frame);
  }
  u8[packets.head(frame) + position] = value;
}
