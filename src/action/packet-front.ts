// The front of a packet: its first bytes in one piece, and room before them. Hot; touches only chains and
// packets whose headroom is used up, everything else passes with one compare.
//
// Owns nothing: it moves bytes within the packet's own frames and takes or gives back single frames.
import type { Arena } from "../memory/arena.ts";
import { NO_FRAME } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";

/**
 * Bytes that move along into a new first frame: link header, two tags and an IPv6 header, on a full line
 * pair.
 */
const FRONT_BYTES = 128;
/** Bytes of the rest that come into the first frame when all of it is taken off. */
const TAKEN_OFF_KEPT_BYTES = 64;
/** Room made when data is moved back within its frame: sixteen tags. */
const ROOM_BYTES = 64;

export class PacketFront {
  readonly #arena: Arena;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #frameBytes: number;

  constructor(arena: Arena, pool: FramePool, packets: Packets) {
    this.#arena = arena;
    this.#pool = pool;
    this.#packets = packets;
    this.#frameBytes = arena.plan.sizes.frameBytes;
  }

  /**
   * Makes the packet's first `bytes` bytes stand in its first frame, by pulling up from the frames behind;
   * emptied ones are given back. The packet must have that many bytes, and a frame room for them.
   */
  pullUp(frame: number, bytes: number): void {
    const packets = this.#packets;
    let have = packets.dataBytes(frame);
    if (have >= bytes) return;
    let offset = packets.dataOffset(frame);
    if (offset + bytes > this.#frameBytes) {
      const moved = this.#frameBytes - bytes;
      this.#arena.intrinsics.move(packets.frameStart(frame) + moved, packets.head(frame), have);
      offset = moved;
    }
    let segments = packets.segmentCount(frame);
    let next = packets.nextFrame(frame);
    while (have < bytes && next !== NO_FRAME) {
      const nextBytes = packets.dataBytes(next);
      const count = Math.min(bytes - have, nextBytes);
      this.#arena.intrinsics.copy(packets.frameStart(frame) + offset + have, packets.head(next), count);
      have += count;
      if (count === nextBytes) {
        const emptied = next;
        next = packets.nextFrame(next);
        this.#pool.free(emptied);
        segments -= 1;
      } else {
        packets.setData(next, packets.dataOffset(next) + count, nextBytes - count);
      }
    }
    packets.setData(frame, offset, have);
    packets.setNext(frame, next);
    packets.setTotals(frame, packets.packetBytes(frame), segments);
  }

  /**
   * Makes at least `bytes` (a tunnel header at most, 512) free before the packet's data. Returns the packet's first
   * frame, another than before when one had to be put in front; NO_FRAME, packet untouched, when the pool is
   * empty.
   */
  makeRoom(frame: number, bytes: number): number {
    const packets = this.#packets;
    const offset = packets.dataOffset(frame);
    if (offset >= bytes) return frame;
    const dataBytes = packets.dataBytes(frame);
    const tailroom = this.#frameBytes - offset - dataBytes;
    if (offset + tailroom >= bytes) {
      const moved = Math.min(Math.max(ROOM_BYTES, bytes), offset + tailroom);
      this.#arena.intrinsics.move(packets.frameStart(frame) + moved, packets.head(frame), dataBytes);
      packets.setData(frame, moved, dataBytes);
      return frame;
    }
    return this.#putInFront(frame, bytes);
  }

  /** Takes `bytes` bytes off the packet's front, which has so many; frames that are empty then are given back. */
  takeOff(frame: number, bytes: number): void {
    const packets = this.#packets;
    const have = packets.dataBytes(frame);
    if (bytes >= have && packets.nextFrame(frame) !== NO_FRAME) {
      // The packet is known by its first frame, which must not be empty.
      this.pullUp(frame, Math.min(bytes + TAKEN_OFF_KEPT_BYTES, packets.packetBytes(frame)));
    }
    packets.setData(frame, packets.dataOffset(frame) + bytes, packets.dataBytes(frame) - bytes);
    packets.setTotals(frame, packets.packetBytes(frame) - bytes, packets.segmentCount(frame));
  }

  /** A new first frame with the packet's first FRONT_BYTES bytes; what follows stays where it is. */
  #putInFront(frame: number, bytes: number): number {
    const packets = this.#packets;
    const front = this.#pool.alloc();
    if (front === NO_FRAME) return NO_FRAME;
    const dataBytes = packets.dataBytes(frame);
    const count = Math.min(FRONT_BYTES, dataBytes);
    const offset = Math.max(packets.dataOffset(front), bytes);
    const packetBytes = packets.packetBytes(frame);
    let segments = packets.segmentCount(frame) + 1;
    let next = frame;
    packets.setSingle(front, offset, count);
    this.#arena.intrinsics.copy(packets.head(front), packets.head(frame), count);
    packets.setFlags(front, packets.flags(frame));
    packets.setCsum(front, packets.csumStart(frame), packets.csumOffset(frame));
    packets.setPortNo(front, packets.portNo(frame));
    if (count === dataBytes) {
      next = packets.nextFrame(frame);
      this.#pool.free(frame);
      segments -= 1;
    } else {
      packets.setData(frame, packets.dataOffset(frame) + count, dataBytes - count);
    }
    packets.setNext(front, next);
    packets.setTotals(front, packetBytes, segments);
    return front;
  }
}
