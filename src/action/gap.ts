// Room for a header inside a packet's front, and a header taken out of it. Hot, per packet; writes packet bytes and the
// frame's record. What stands before the place moves, which is a link header or two; the rest stays where it is.
import type { Arena } from "../memory/arena.ts";
import { NO_FRAME, PACKET_CSUM_PARTIAL } from "../memory/frame-layout.ts";
import type { Packets } from "../memory/packets.ts";
import type { PacketFront } from "./packet-front.ts";

/**
 * Opens `bytes` bytes at offset `at` of the packet, which has that many. Returns the packet's first frame, another than
 * before when one had to be put in front; NO_FRAME, packet untouched, when no frame was free for it.
 */
export function openGap(
  arena: Arena,
  packets: Packets,
  front: PacketFront,
  frame: number,
  at: number,
  bytes: number,
): number {
  front.pullUp(frame, at);
  const first = front.makeRoom(frame, bytes);
  if (first === NO_FRAME) return NO_FRAME;
  // A frame put in front may have taken less along.
  front.pullUp(first, at);
  const { u8 } = arena;
  const from = packets.head(first);
  // Few bytes, too few for a call into wasm; the direction lets the ranges overlap.
  for (let index = 0; index < at; index += 1) u8[from - bytes + index] = u8[from + index]!;
  resizeFront(packets, first, bytes);
  return first;
}

/** Closes the gap of `bytes` bytes at offset `at`; the packet has `at` + `bytes` bytes and more. */
export function closeGap(
  arena: Arena,
  packets: Packets,
  front: PacketFront,
  frame: number,
  at: number,
  bytes: number,
): void {
  front.pullUp(frame, at + bytes);
  const { u8 } = arena;
  const from = packets.head(frame);
  for (let index = at - 1; index >= 0; index -= 1) u8[from + bytes + index] = u8[from + index]!;
  resizeFront(packets, frame, -bytes);
}

/** Moves the packet's first byte `bytes` bytes to the front. */
function resizeFront(packets: Packets, frame: number, bytes: number): void {
  packets.setData(frame, packets.dataOffset(frame) - bytes, packets.dataBytes(frame) + bytes);
  packets.setTotals(frame, packets.packetBytes(frame) + bytes, packets.segmentCount(frame));
  if ((packets.flags(frame) & PACKET_CSUM_PARTIAL) !== 0) {
    packets.setCsum(frame, packets.csumStart(frame) + bytes, packets.csumOffset(frame));
  }
}
