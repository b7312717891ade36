// The frame pool. Each thread has a stack of free frames of its own (no shared write per frame); stacks exchange
// bundles of BUNDLE_FRAMES with a shared reserve, so that frames which drift from the worker that receives to the one
// that transmits come back at one atomic operation for 64 frames.
//
// A bundle is a list of frames through `nextFrame`; the reserve is a stack of bundles through the `link` word of each
// bundle's first frame, its head tagged against ABA (intrinsics.wat). A frame belongs to exactly one of: a stack, the
// reserve, a ring, the kernel (between fill/tx and rx/completion), or the thread that holds it in hand.
//
// Per frame: one load or store in the thread's own stack. Memory: frameStacks (own part), frameMeta of owned frames.
import type { Arena } from "./arena.ts";
import {
  BUNDLE_FRAMES,
  FRAME_HEADROOM_BYTES,
  FRAME_META_BYTES,
  FRAME_STACK_CAPACITY,
  META16,
  META32,
  NO_FRAME as NONE,
} from "./frame-layout.ts";
import { FrameLedger, ownerWord } from "./frame-ledger.ts";
import { THREAD_BLOCK_BYTES } from "./region-plan.ts";
import { GLOBAL, THREAD } from "./thread-block.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const NO_FRAME = NONE;
const HEADROOM_BYTES = FRAME_HEADROOM_BYTES;
const CAPACITY = FRAME_STACK_CAPACITY;
const META16_STRIDE = FRAME_META_BYTES / 2;
const META32_STRIDE = FRAME_META_BYTES / 4;
const DATA_OFFSET = META16.dataOffset;
const DATA_BYTES = META16.dataBytes;
const NEXT_FRAME = META32.nextFrame;
const PACKET_BYTES = META32.packetBytes;
/** Word of segmentCount and flags: 1 says one segment, no flags. */
const SEGMENTS_AND_FLAGS = META16.segmentCount / 2;

export class FramePool {
  readonly #arena: Arena;
  readonly #u32: Uint32Array;
  /** For counts: signed words need no check that they are small integers. */
  readonly #i32: Int32Array;
  readonly #stack: number;
  readonly #count: number;
  readonly #meta32: number;
  readonly #meta16: number;
  readonly #reserveHead: number;
  readonly #links: number;
  readonly #ledger: FrameLedger | null;
  readonly #ownStack: number;
  readonly #ownHand: number;

  /** @param threadIndex the thread that alone calls this instance; @param debug checks every hand-over */
  constructor(arena: Arena, threadIndex: number, debug = false) {
    this.#arena = arena;
    this.#u32 = arena.u32;
    this.#i32 = arena.i32;
    this.#stack = (arena.region("frameStacks").offset >>> 2) + threadIndex * CAPACITY;
    this.#count =
      (arena.region("threads").offset + threadIndex * THREAD_BLOCK_BYTES + THREAD.frameStackCount) >>> 2;
    this.#meta32 = arena.region("frameMeta").offset >>> 2;
    this.#meta16 = arena.region("frameMeta").offset >>> 1;
    this.#reserveHead = arena.region("globals").offset + GLOBAL.reserveHead;
    this.#links = arena.region("frameMeta").offset + META32.link * 4;
    this.#ledger = debug ? new FrameLedger(arena) : null;
    this.#ownStack = ownerWord("stack", threadIndex);
    this.#ownHand = ownerWord("held", threadIndex);
  }

  /** The ledger, null unless debugging: rings and ports report their hand-overs to it. */
  get ledger(): FrameLedger | null {
    return this.#ledger;
  }

  /** Frames on this thread's stack. */
  get stackCount(): number {
    return this.#u32[this.#count]!;
  }

  /**
   * A free frame with an empty record (headroom in front, no bytes, no next), or NO_FRAME when the pool is empty.
   */
  alloc(): number {
    const frame = this.take();
    if (frame !== NO_FRAME) this.reset(frame);
    return frame;
  }

  /** A free frame whose record still says what it said, for rings that the kernel fills; NO_FRAME when empty. */
  take(): number {
    let count = this.#i32[this.#count]!;
    if (count === 0) {
      count = this.#refill() | 0;
      if (count === 0) return NO_FRAME;
    }
    const frame = this.#u32[this.#stack + count - 1]!;
    this.#u32[this.#count] = count - 1;
    if (this.#ledger !== null) this.#ledger.move(frame, this.#ownStack, this.#ownHand);
    return frame;
  }

  /**
   * take() for a whole burst: writes up to `count` frames at index `at` of the arena's 32-bit views. Returns how many,
   * fewer only when the pool runs out.
   */
  takeBurst(at: number, count: number): number {
    const u32 = this.#u32;
    const stack = this.#stack;
    let stackCount = this.#i32[this.#count]!;
    let taken = 0;
    while (taken < count) {
      if (stackCount === 0) {
        stackCount = this.#refill() | 0;
        if (stackCount === 0) break;
      }
      stackCount = (stackCount - 1) | 0;
      const frame = u32[stack + stackCount]!;
      if (this.#ledger !== null) this.#ledger.move(frame, this.#ownStack, this.#ownHand);
      u32[at + taken] = frame;
      taken += 1;
    }
    u32[this.#count] = stackCount;
    return taken;
  }

  /** Writes an empty packet's record into a frame that the caller holds. */
  reset(frame: number): void {
    const m16 = this.#meta16 + frame * META16_STRIDE;
    const m32 = this.#meta32 + frame * META32_STRIDE;
    this.#arena.u16[m16 + DATA_OFFSET] = HEADROOM_BYTES;
    this.#arena.u16[m16 + DATA_BYTES] = 0;
    this.#u32[m32 + NEXT_FRAME] = NO_FRAME;
    this.#u32[m32 + PACKET_BYTES] = 0;
    this.#u32[m32 + SEGMENTS_AND_FLAGS] = 1;
  }

  /** Gives one frame back; its chain, if any, is not followed. */
  free(frame: number): void {
    let count = this.#i32[this.#count]!;
    if (count === CAPACITY) count = this.#spill() | 0;
    if (this.#ledger !== null) this.#ledger.move(frame, this.#ownHand, this.#ownStack);
    this.#u32[this.#stack + count] = frame;
    this.#u32[this.#count] = count + 1;
  }

  /** Gives a packet back, every frame of it. */
  freePacket(frame: number): void {
    while (frame !== NO_FRAME) {
      const next = this.#u32[this.#meta32 + frame * META32_STRIDE + NEXT_FRAME]!;
      this.free(frame);
      frame = next;
    }
  }

  /** Moves one bundle from the reserve to the stack. Returns the frames now on the stack. */
  #refill(): number {
    const { intrinsics } = this.#arena;
    let frame = intrinsics.stackPop(this.#reserveHead, this.#links, FRAME_META_BYTES) >>> 0;
    let count = 0;
    while (frame !== NO_FRAME) {
      const next = this.#u32[this.#meta32 + frame * META32_STRIDE + NEXT_FRAME]!;
      if (this.#ledger !== null) this.#ledger.move(frame, ownerWord("reserve", 0), this.#ownStack);
      this.#u32[this.#stack + count] = frame;
      count += 1;
      frame = next;
    }
    this.#u32[this.#count] = count;
    return count;
  }

  /** Moves the coldest bundle of a full stack to the reserve. Returns the frames left on the stack. */
  #spill(): number {
    this.#pushBundle(0, BUNDLE_FRAMES);
    this.#u32.copyWithin(this.#stack, this.#stack + BUNDLE_FRAMES, this.#stack + CAPACITY);
    this.#u32[this.#count] = CAPACITY - BUNDLE_FRAMES;
    return CAPACITY - BUNDLE_FRAMES;
  }

  /** Links stack entries [from, from + count) into a bundle and pushes it on the reserve. */
  #pushBundle(from: number, count: number): void {
    const first = this.#u32[this.#stack + from]!;
    for (let index = from; index < from + count; index += 1) {
      const frame = this.#u32[this.#stack + index]!;
      const next = index + 1 < from + count ? this.#u32[this.#stack + index + 1]! : NO_FRAME;
      this.#u32[this.#meta32 + frame * META32_STRIDE + NEXT_FRAME] = next;
      if (this.#ledger !== null) this.#ledger.move(frame, this.#ownStack, ownerWord("reserve", 0));
    }
    this.#arena.intrinsics.stackPush(this.#reserveHead, this.#links, FRAME_META_BYTES, first);
  }

  /** Gives the whole stack to the reserve: a thread that stops, or the supervisor for a dead one. */
  drain(): void {
    const count = this.#u32[this.#count]!;
    for (let from = 0; from < count; from += BUNDLE_FRAMES) {
      this.#pushBundle(from, Math.min(BUNDLE_FRAMES, count - from));
    }
    this.#u32[this.#count] = 0;
  }
}

/**
 * Fills the reserve with every frame, or with the first `frameCount` of them; the creator of the arena calls it once, before
 * any other thread starts.
 */
export function fillReserve(arena: Arena, frameCount = arena.plan.sizes.frameCount): void {
  const { intrinsics, u32 } = arena;
  const meta = arena.region("frameMeta").offset;
  const head = arena.region("globals").offset + GLOBAL.reserveHead;
  u32[head >>> 2] = NO_FRAME;
  u32[(head >>> 2) + 1] = 0;
  for (let first = 0; first < frameCount; first += BUNDLE_FRAMES) {
    const last = Math.min(first + BUNDLE_FRAMES, frameCount) - 1;
    for (let frame = first; frame <= last; frame += 1) {
      const words = (meta + frame * FRAME_META_BYTES) >>> 2;
      u32[words + META32.nextFrame] = frame === last ? NO_FRAME : frame + 1;
      u32[words + META32.ledger] = ownerWord("reserve", 0);
    }
    intrinsics.stackPush(head, meta + META32.link * 4, FRAME_META_BYTES, first);
  }
}

/** Frames in the reserve, by walking it. Exact only while no thread exchanges bundles. */
export function reserveCount(arena: Arena): number {
  const { u32 } = arena;
  const meta = arena.region("frameMeta").offset >>> 2;
  let bundle = u32[(arena.region("globals").offset + GLOBAL.reserveHead) >>> 2]!;
  let count = 0;
  while (bundle !== NO_FRAME) {
    for (let frame = bundle; frame !== NO_FRAME; count += 1) {
      frame = u32[meta + frame * (FRAME_META_BYTES / 4) + META32.nextFrame]!;
    }
    bundle = u32[meta + bundle * (FRAME_META_BYTES / 4) + META32.link]!;
  }
  return count;
}
