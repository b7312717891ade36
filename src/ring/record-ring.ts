// A ring of records of different lengths, one producer and one consumer, in the arena: upcalls with their keys and
// userdata. A record is a length word and its bytes, padded to eight; it never wraps: when it does not fit before the
// end, a skip mark fills the rest and it starts again at the front. Positions run free and wrap at 2^32.
// Layout, fences and staged position as in spsc-ring.ts. A record may take up to half of the ring, so that one always fits when empty.
import type { Arena } from "../memory/arena.ts";
import { LINE_PAIR_BYTES } from "../memory/region-plan.ts";
import { RING_HEADER_BYTES, RING_STAGED, stagedIndex } from "./spsc-ring.ts";

const RECORD_HEADER_BYTES = 8;
/** Length word of a skip mark; no record is that long. */
const SKIP = 0xffffffff;

export const recordRingBytes = (capacityBytes: number): number => RING_HEADER_BYTES + capacityBytes;

const padded = (bytes: number): number => (bytes + RECORD_HEADER_BYTES + 7) & ~7;

export class RecordProducer {
  readonly #arena: Arena;
  readonly #producerAt: number;
  readonly #consumerAt: number;
  readonly #start: number;
  readonly #capacity: number;
  readonly #stagedWord: number;
  #next: number;
  #published: number;
  #consumer: number;

  /** @param capacityBytes a power of two */
  constructor(arena: Arena, offset: number, capacityBytes: number) {
    this.#arena = arena;
    this.#producerAt = offset;
    this.#consumerAt = offset + LINE_PAIR_BYTES;
    this.#start = offset + RING_HEADER_BYTES;
    this.#capacity = capacityBytes;
    this.#stagedWord = (offset + RING_STAGED) >>> 2;
    this.#next = stagedIndex(arena, offset, capacityBytes);
    this.#published = arena.u32[offset >>> 2]!;
    this.#consumer = arena.intrinsics.load(this.#consumerAt) >>> 0;
  }

  /** Longest record that this ring takes. */
  get recordBytesMax(): number {
    return this.#capacity / 2 - RECORD_HEADER_BYTES;
  }

  /**
   * Stages a record and returns the arena offset (a multiple of eight) of its `bytes` bytes, 0 when the ring is full
   * or the record too long. The caller writes the bytes, then calls commit().
   */
  reserve(bytes: number): number {
    if (bytes > this.recordBytesMax) return 0;
    const need = padded(bytes);
    const place = this.#next & (this.#capacity - 1);
    const skip = this.#capacity - place < need ? this.#capacity - place : 0;
    if (this.#free() < need + skip) {
      // Pairs with the consumer's release().
      this.#consumer = this.#arena.intrinsics.load(this.#consumerAt) >>> 0;
      if (this.#free() < need + skip) return 0;
    }
    let at = this.#start + place;
    if (skip > 0) {
      this.#arena.u32[at >>> 2] = SKIP;
      at = this.#start;
    }
    this.#arena.u32[at >>> 2] = bytes;
    this.#next = (this.#next + skip + need) >>> 0;
    return at + RECORD_HEADER_BYTES;
  }

  /** The record reserved last is whole: should the producer die before it publishes, its successor may. */
  commit(): void {
    this.#arena.u32[this.#stagedWord] = this.#next;
  }

  #free(): number {
    return this.#capacity - ((this.#next - this.#consumer) >>> 0);
  }

  /** Makes all staged records visible; pairs with the consumer's next(). True when there were any. */
  publish(): boolean {
    if (this.#next === this.#published) return false;
    this.#published = this.#next;
    this.#arena.intrinsics.store(this.#producerAt, this.#next);
    return true;
  }
}

export class RecordConsumer {
  readonly #arena: Arena;
  readonly #producerAt: number;
  readonly #consumerAt: number;
  readonly #start: number;
  readonly #capacity: number;
  #next: number;
  #released: number;
  #producer: number;

  constructor(arena: Arena, offset: number, capacityBytes: number) {
    this.#arena = arena;
    this.#producerAt = offset;
    this.#consumerAt = offset + LINE_PAIR_BYTES;
    this.#start = offset + RING_HEADER_BYTES;
    this.#capacity = capacityBytes;
    this.#next = arena.u32[this.#consumerAt >>> 2]!;
    this.#released = this.#next;
    this.#producer = arena.intrinsics.load(this.#producerAt) >>> 0;
  }

  /** Takes the oldest record: the arena offset of its bytes, 0 when there is none. Valid until release(). */
  next(): number {
    for (;;) {
      if (this.#next === this.#producer) {
        // Pairs with the producer's publish().
        this.#producer = this.#arena.intrinsics.load(this.#producerAt) >>> 0;
        if (this.#next === this.#producer) return 0;
      }
      const place = this.#next & (this.#capacity - 1);
      const bytes = this.#arena.u32[(this.#start + place) >>> 2]!;
      if (bytes !== SKIP) {
        this.#next = (this.#next + padded(bytes)) >>> 0;
        return this.#start + place + RECORD_HEADER_BYTES;
      }
      this.#next = (this.#next + this.#capacity - place) >>> 0;
    }
  }

  /** Whether nothing was published that was not taken; looks at the producer. */
  get isEmpty(): boolean {
    // Pairs with the producer's publish().
    this.#producer = this.#arena.intrinsics.load(this.#producerAt) >>> 0;
    return this.#next === this.#producer;
  }

  /** Length of the record at the offset that next() returned. */
  recordBytes(offset: number): number {
    return this.#arena.u32[(offset - RECORD_HEADER_BYTES) >>> 2]!;
  }

  /** Gives the room of all taken records back. */
  release(): void {
    if (this.#next === this.#released) return;
    this.#released = this.#next;
    this.#arena.intrinsics.store(this.#consumerAt, this.#next);
  }
}
