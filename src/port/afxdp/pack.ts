// Packing: a packet's bytes in as few fresh frames as hold them, each filled from the headroom on. For chains
// that the kernel would not take as they are; a copy of the packet, so rare on purpose.
import type { Arena } from "../../memory/arena.ts";
import { NO_FRAME } from "../../memory/frame-layout.ts";
import type { FramePool } from "../../memory/frame-pool.ts";
import type { Packets } from "../../memory/packets.ts";

const ETHERNET_HEADER_BYTES = 14;

/** The packed copy; the original stays the caller's. NO_FRAME, and nothing taken, when the pool runs out. */
export function packFrames(arena: Arena, pool: FramePool, packets: Packets, packet: number): number {
  const total = packets.packetBytes(packet);
  const { frameBytes } = arena.plan.sizes;
  let first = NO_FRAME;
  let previous = NO_FRAME;
  let segments = 0;
  let source = packet;
  let sourceDone = 0;
  for (let done = 0; done < total; segments += 1) {
    const frame = pool.alloc();
    if (frame === NO_FRAME) {
      if (first !== NO_FRAME) pool.freePacket(first);
      return NO_FRAME;
    }
    const offset = packets.dataOffset(frame);
    const room = frameBytes - offset;
    const left = total - done;
    // The last frame is not left with less than the kernel takes: the one before it gives some bytes up.
    const wanted =
      left > room && left < room + ETHERNET_HEADER_BYTES
        ? left - ETHERNET_HEADER_BYTES
        : Math.min(room, left);
    const target = packets.frameStart(frame) + offset;
    for (let filled = 0; filled < wanted; ) {
      const bytes = Math.min(wanted - filled, packets.dataBytes(source) - sourceDone);
      arena.intrinsics.copy(target + filled, packets.head(source) + sourceDone, bytes);
      filled += bytes;
      sourceDone += bytes;
      if (sourceDone === packets.dataBytes(source)) {
        source = packets.nextFrame(source);
        sourceDone = 0;
      }
    }
    packets.setSingle(frame, offset, wanted);
    if (first === NO_FRAME) first = frame;
    else packets.setNext(previous, frame);
    previous = frame;
    done += wanted;
  }
  packets.setTotals(first, total, segments);
  packets.setPortNo(first, packets.portNo(packet));
  return first;
}
