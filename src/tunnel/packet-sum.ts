// The Internet sum of a packet from some byte on, whatever frames it lies in. Hot where a tunnel has checksums.
import { NO_FRAME } from "../memory/frame-layout.ts";
import type { Packets } from "../memory/packets.ts";
import { addPiece } from "../packet/checksum.ts";

/** Adds all bytes from byte `from` of the packet to `sum`, byte `from` being the first of a word. */
export function addPacket(
  sum: number,
  u8: Uint8Array,
  packets: Packets,
  frame: number,
  from: number,
): number {
  let position = 0;
  for (let part = frame; part !== NO_FRAME; part = packets.nextFrame(part)) {
    const partBytes = packets.dataBytes(part);
    const skipped = Math.max(0, Math.min(from - position, partBytes));
    if (skipped < partBytes) {
      sum = addPiece(sum, position + skipped - from, u8, packets.head(part) + skipped, partBytes - skipped);
    }
    position += partBytes;
  }
  return sum;
}
