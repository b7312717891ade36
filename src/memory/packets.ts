// Packets over frames: the few things that every room does with a packet, by the index of its first frame.
// One instance a thread. Per packet: loads and stores of the frame's record; copies through the intrinsics.
import type { Arena } from "./arena.ts";
import { FRAME_META_BYTES, META16, META32, NO_FRAME as NONE } from "./frame-layout.ts";
import type { FramePool } from "./frame-pool.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const NO_FRAME = NONE;
const META16_STRIDE = FRAME_META_BYTES / 2;
const META32_STRIDE = FRAME_META_BYTES / 4;
const DATA_OFFSET = META16.dataOffset;
const DATA_BYTES = META16.dataBytes;
/** Word of dataOffset (low half) and dataBytes (high half). */
const DATA_WORD = META16.dataOffset / 2;
const SEGMENT_COUNT = META16.segmentCount;
const FLAGS = META16.flags;
const CSUM_START = META16.csumStart;
const CSUM_OFFSET = META16.csumOffset;
const NEXT_FRAME = META32.nextFrame;
const PACKET_BYTES = META32.packetBytes;
const PORT_NO = META32.portNo;
/** Word of segmentCount and flags: 1 says one segment, no flags. */
const SEGMENTS_AND_FLAGS = META16.segmentCount / 2;

export class Packets {
  readonly #arena: Arena;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #pool: FramePool;
  readonly #meta16: number;
  readonly #meta32: number;
  readonly #frames: number;
  readonly #frameBytes: number;

  constructor(arena: Arena, pool: FramePool) {
    this.#arena = arena;
    this.#u8 = arena.u8;
    this.#u16 = arena.u16;
    this.#u32 = arena.u32;
    this.#pool = pool;
    this.#meta16 = arena.region("frameMeta").offset >>> 1;
    this.#meta32 = arena.region("frameMeta").offset >>> 2;
    this.#frames = arena.region("frames").offset;
    this.#frameBytes = arena.plan.sizes.frameBytes;
  }

  /** Arena offset of the frame's first byte, headroom included. */
  frameStart(frame: number): number {
    return this.#frames + frame * this.#frameBytes;
  }

  /** Arena offset of the first data byte in this frame. */
  head(frame: number): number {
    return this.#frames + frame * this.#frameBytes + this.dataOffset(frame);
  }

  dataOffset(frame: number): number {
    return this.#u16[this.#meta16 + frame * META16_STRIDE + DATA_OFFSET]!;
  }

  /** Bytes of data in this one frame. */
  dataBytes(frame: number): number {
    return this.#u16[this.#meta16 + frame * META16_STRIDE + DATA_BYTES]!;
  }

  /** Bytes of the whole packet. */
  packetBytes(frame: number): number {
    return this.#u32[this.#meta32 + frame * META32_STRIDE + PACKET_BYTES]!;
  }

  segmentCount(frame: number): number {
    return this.#u16[this.#meta16 + frame * META16_STRIDE + SEGMENT_COUNT]!;
  }

  nextFrame(frame: number): number {
    return this.#u32[this.#meta32 + frame * META32_STRIDE + NEXT_FRAME]!;
  }

  flags(frame: number): number {
    return this.#u16[this.#meta16 + frame * META16_STRIDE + FLAGS]!;
  }

  setFlags(frame: number, flags: number): void {
    this.#u16[this.#meta16 + frame * META16_STRIDE + FLAGS] = flags;
  }

  csumStart(frame: number): number {
    return this.#u16[this.#meta16 + frame * META16_STRIDE + CSUM_START]!;
  }

  csumOffset(frame: number): number {
    return this.#u16[this.#meta16 + frame * META16_STRIDE + CSUM_OFFSET]!;
  }

  setCsum(frame: number, start: number, offset: number): void {
    this.#u16[this.#meta16 + frame * META16_STRIDE + CSUM_START] = start;
    this.#u16[this.#meta16 + frame * META16_STRIDE + CSUM_OFFSET] = offset;
  }

  portNo(frame: number): number {
    return this.#u32[this.#meta32 + frame * META32_STRIDE + PORT_NO]!;
  }

  setPortNo(frame: number, portNo: number): void {
    this.#u32[this.#meta32 + frame * META32_STRIDE + PORT_NO] = portNo;
  }

  /** Describes a packet of one frame. */
  setSingle(frame: number, dataOffset: number, bytes: number): void {
    const record = this.#meta32 + frame * META32_STRIDE;
    this.#u32[record + DATA_WORD] = dataOffset | (bytes << 16);
    this.#u32[record + NEXT_FRAME] = NO_FRAME;
    this.#u32[record + PACKET_BYTES] = bytes;
    this.#u32[record + SEGMENTS_AND_FLAGS] = 1;
  }

  /** Where this one frame's data stands; the packet's totals are the caller's to keep (setTotals). */
  setData(frame: number, dataOffset: number, dataBytes: number): void {
    this.#u16[this.#meta16 + frame * META16_STRIDE + DATA_OFFSET] = dataOffset;
    this.#u16[this.#meta16 + frame * META16_STRIDE + DATA_BYTES] = dataBytes;
  }

  setNext(frame: number, next: number): void {
    this.#u32[this.#meta32 + frame * META32_STRIDE + NEXT_FRAME] = next;
  }

  /** Totals of a packet, kept in its first frame. */
  setTotals(frame: number, packetBytes: number, segmentCount: number): void {
    this.#u32[this.#meta32 + frame * META32_STRIDE + PACKET_BYTES] = packetBytes;
    this.#u16[this.#meta16 + frame * META16_STRIDE + SEGMENT_COUNT] = segmentCount;
  }

  /**
   * A copy of the packet's first `bytes` bytes (all when larger), in frames of this thread, with the same headroom,
   * flags and port. NO_FRAME, and nothing taken, when the pool runs out.
   */
  clone(frame: number, bytes: number): number {
    let left = Math.min(bytes, this.packetBytes(frame));
    const total = left;
    let first = NO_FRAME;
    let previous = NO_FRAME;
    let segments = 0;
    for (
      let source = frame;
      first === NO_FRAME || (source !== NO_FRAME && left > 0);
      source = this.nextFrame(source)
    ) {
      const copy = this.#pool.take();
      if (copy === NO_FRAME) {
        if (first !== NO_FRAME) this.#pool.freePacket(first);
        return NO_FRAME;
      }
      const offset = this.dataOffset(source);
      const count = Math.min(left, this.dataBytes(source));
      this.setSingle(copy, offset, count);
      this.#arena.intrinsics.copy(this.frameStart(copy) + offset, this.head(source), count);
      if (first === NO_FRAME) first = copy;
      else this.setNext(previous, copy);
      previous = copy;
      segments += 1;
      left -= count;
    }
    this.setTotals(first, total, segments);
    this.setFlags(first, this.flags(frame));
    this.setCsum(first, this.csumStart(frame), this.csumOffset(frame));
    this.setPortNo(first, this.portNo(frame));
    return first;
  }

  /** Copies up to `bytes` bytes of the packet, from its start, to `target`. Returns how many. */
  gather(frame: number, target: number, bytes: number): number {
    let done = 0;
    for (let source = frame; source !== NO_FRAME && done < bytes; source = this.nextFrame(source)) {
      const count = Math.min(bytes - done, this.dataBytes(source));
      this.#arena.intrinsics.copy(target + done, this.head(source), count);
      done += count;
    }
    return done;
  }

  /** Writes `bytes` bytes at `source` over the packet's first bytes, where they stand. */
  scatter(frame: number, source: number, bytes: number): void {
    let done = 0;
    for (let target = frame; target !== NO_FRAME && done < bytes; target = this.nextFrame(target)) {
      const count = Math.min(bytes - done, this.dataBytes(target));
      this.#arena.intrinsics.copy(this.head(target), source + done, count);
      done += count;
    }
  }

  /** Cuts the packet to its first `bytes` bytes and frees what lies behind; no-op when it is shorter. */
  truncate(frame: number, bytes: number): void {
    if (bytes >= this.packetBytes(frame)) return;
    let left = bytes;
    let segments = 1;
    let last = frame;
    while (left > this.dataBytes(last)) {
      left -= this.dataBytes(last);
      last = this.nextFrame(last);
      segments += 1;
    }
    const rest = this.nextFrame(last);
    this.setData(last, this.dataOffset(last), left);
    this.setNext(last, NO_FRAME);
    if (rest !== NO_FRAME) this.#pool.freePacket(rest);
    this.setTotals(frame, bytes, segments);
  }

  /**
   * Control path: a packet with these bytes, in as many frames as it takes. NO_FRAME when the pool runs out.
   * @param segmentBytesMax most bytes in one frame; tests use it to make chains of any shape
   */
  fromBytes(bytes: Uint8Array, portNo: number, segmentBytesMax = Number.MAX_SAFE_INTEGER): number {
    let first = NO_FRAME;
    let previous = NO_FRAME;
    let segments = 0;
    for (let from = 0; from < bytes.length || segments === 0; ) {
      const frame = this.#pool.alloc();
      if (frame === NO_FRAME) {
        if (first !== NO_FRAME) this.#pool.freePacket(first);
        return NO_FRAME;
      }
      const offset = this.dataOffset(frame);
      const count = Math.min(segmentBytesMax, this.#frameBytes - offset, bytes.length - from);
      this.#u8.set(bytes.subarray(from, from + count), this.frameStart(frame) + offset);
      this.setSingle(frame, offset, count);
      if (first === NO_FRAME) first = frame;
      else this.setNext(previous, frame);
      previous = frame;
      segments += 1;
      from += count;
    }
    this.setTotals(first, bytes.length, segments);
    this.setPortNo(first, portNo);
    return first;
  }

  /** Control path: the packet's bytes as a private copy. */
  toBytes(frame: number): Uint8Array {
    const bytes = new Uint8Array(this.packetBytes(frame));
    let done = 0;
    for (let source = frame; source !== NO_FRAME; source = this.nextFrame(source)) {
      const head = this.head(source);
      bytes.set(this.#u8.subarray(head, head + this.dataBytes(source)), done);
      done += this.dataBytes(source);
    }
    return bytes;
  }
}
