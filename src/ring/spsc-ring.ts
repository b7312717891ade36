// A ring of 32-bit words with one producer and one consumer, in the arena.
//
// Indices run free and wrap at 2^32; `index & mask` is the place. Producer and consumer index stand on line pairs of
// their own, and each side keeps a private copy of the other's index, which it loads again only when the copy says
// full or empty. A side stages any number of entries and publishes them by one ordered store, once a burst.
// (The registry has no package `sharedarraybuffer-ring`; ringbuf.js is MPL, puts its indices four bytes apart so that
// both sides write one cache line, and copies through JavaScript objects.)
//
// Layout from `offset`: producer index, line pair; consumer index, line pair; staged index, line pair; entries.
// The staged index stands behind the last entry written, published or not: of a producer that died between the two its
// successor, or control, publishes what is left.
// Per entry: plain loads and stores. Per burst: one ordered load at most and one ordered store.
import type { Arena } from "../memory/arena.ts";
import { LINE_PAIR_BYTES } from "../memory/region-plan.ts";

export const RING_HEADER_BYTES = 3 * LINE_PAIR_BYTES;
/** Where the staged index stands, from the ring's offset. */
export const RING_STAGED = 2 * LINE_PAIR_BYTES;

/** The index that a producer goes on from: the staged one when it is ahead of the published, by no more than a ring. */
export function stagedIndex(arena: Arena, offset: number, capacity: number): number {
  const published = arena.u32[offset >>> 2]!;
  const staged = arena.u32[(offset + RING_STAGED) >>> 2]!;
  return (staged - published) >>> 0 <= capacity ? staged : published;
}

/** Bytes that a ring takes in the arena. */
export const spscRingBytes = (entryCount: number, wordsPerEntry: number): number =>
  RING_HEADER_BYTES + entryCount * wordsPerEntry * 4;

export class RingProducer {
  readonly #arena: Arena;
  readonly #u32: Uint32Array;
  readonly #producerAt: number;
  readonly #consumerAt: number;
  readonly #entries: number;
  readonly #mask: number;
  readonly #words: number;
  readonly #stagedWord: number;
  #next: number;
  #published: number;
  #consumer: number;

  /** @param entryCount a power of two */
  constructor(arena: Arena, offset: number, entryCount: number, wordsPerEntry = 1) {
    checkEntryCount(entryCount);
    this.#arena = arena;
    this.#u32 = arena.u32;
    this.#producerAt = offset;
    this.#consumerAt = offset + LINE_PAIR_BYTES;
    this.#entries = (offset + RING_HEADER_BYTES) >>> 2;
    this.#mask = entryCount - 1;
    this.#words = wordsPerEntry;
    this.#stagedWord = (offset + RING_STAGED) >>> 2;
    this.#next = stagedIndex(arena, offset, entryCount);
    this.#published = arena.u32[offset >>> 2]!;
    this.#consumer = arena.intrinsics.load(this.#consumerAt) >>> 0;
  }

  /** Entries that are not published: right after construction, what a dead predecessor left. */
  get stagedCount(): number {
    return (this.#next - this.#published) >>> 0;
  }

  /** Entries that can be put before the ring is full; looks at the consumer only when fewer than `wanted` are known. */
  free(wanted: number): number {
    let free = this.#mask + 1 - ((this.#next - this.#consumer) >>> 0);
    if (free < wanted) {
      // Pairs with the consumer's release().
      this.#consumer = this.#arena.intrinsics.load(this.#consumerAt) >>> 0;
      free = this.#mask + 1 - ((this.#next - this.#consumer) >>> 0);
    }
    return free;
  }

  /** Index of the first word of the next entry in the arena's u32 view; call only when free(1) > 0, then advance(). */
  slot(): number {
    return this.#entries + (this.#next & this.#mask) * this.#words;
  }

  advance(): void {
    this.#next = (this.#next + 1) >>> 0;
    this.#u32[this.#stagedWord] = this.#next;
  }

  /** Stages an entry of one word. False when the ring is full. */
  put(word: number): boolean {
    if (this.free(1) === 0) return false;
    this.#u32[this.slot()] = word;
    this.advance();
    return true;
  }

  /** Makes all staged entries visible; pairs with the consumer's available(). */
  publish(): void {
    if (this.#next === this.#published) return;
    this.#published = this.#next;
    this.#arena.intrinsics.store(this.#producerAt, this.#next);
  }
}

export class RingConsumer {
  readonly #arena: Arena;
  readonly #u32: Uint32Array;
  readonly #producerAt: number;
  readonly #consumerAt: number;
  readonly #entries: number;
  readonly #mask: number;
  readonly #words: number;
  #next: number;
  #released: number;
  #producer: number;

  constructor(arena: Arena, offset: number, entryCount: number, wordsPerEntry = 1) {
    checkEntryCount(entryCount);
    this.#arena = arena;
    this.#u32 = arena.u32;
    this.#producerAt = offset;
    this.#consumerAt = offset + LINE_PAIR_BYTES;
    this.#entries = (offset + RING_HEADER_BYTES) >>> 2;
    this.#mask = entryCount - 1;
    this.#words = wordsPerEntry;
    this.#next = arena.u32[this.#consumerAt >>> 2]!;
    this.#released = this.#next;
    this.#producer = arena.intrinsics.load(this.#producerAt) >>> 0;
  }

  /** Entries that can be taken; looks at the producer only when none is known. */
  available(): number {
    if (this.#producer === this.#next) {
      // Pairs with the producer's publish().
      this.#producer = this.#arena.intrinsics.load(this.#producerAt) >>> 0;
    }
    return (this.#producer - this.#next) >>> 0;
  }

  /** Index of the first word of the oldest entry; call only when available() > 0, then advance(). */
  slot(): number {
    return this.#entries + (this.#next & this.#mask) * this.#words;
  }

  advance(): void {
    this.#next = (this.#next + 1) >>> 0;
  }

  /** Takes an entry of one word; call only when available() > 0. */
  take(): number {
    const word = this.#u32[this.slot()]!;
    this.advance();
    return word;
  }

  /** Gives the room of all taken entries back; pairs with the producer's free(). */
  release(): void {
    if (this.#next === this.#released) return;
    this.#released = this.#next;
    this.#arena.intrinsics.store(this.#consumerAt, this.#next);
  }
}

function checkEntryCount(entryCount: number): void {
  if (entryCount < 1 || (entryCount & (entryCount - 1)) !== 0) {
    throw new RangeError(`ring: ${entryCount} entries, a power of two is needed`);
  }
}
