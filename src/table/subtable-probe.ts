// One key in one subtable: hash, chain of buckets, compare. Hot for packets that come one by one, for small rests of a
// batch, and for tags that met by chance; whole batches go through BatchProbe.
//
// Keys and subtables are named by the index of their first word in the arena's 32-bit views.
// Memory: reads subtables, buckets, flows, flowKeys; writes nothing.
import type { Arena } from "../memory/arena.ts";
import { BUCKET_UNIT_BYTES, SIZE_BITS } from "./bucket-array.ts";
import { KEY_UNIT_BYTES } from "./flow-store.ts";
import { finishHash, hashSeeds, hashStep } from "./hash.ts";
import { FLOW, FLOW_WORDS, INLINE_BLOCKS, SUBTABLE, TAG_MASK } from "./layout.ts";

const BUCKET_UNIT_WORDS = BUCKET_UNIT_BYTES / 4;
const KEY_UNIT_WORDS = KEY_UNIT_BYTES / 4;
/** Module constants: a property of an object, `as const` or not, is a load in hot code. */
const SUBTABLE_ENTRIES = SUBTABLE.words;
const SUBTABLE_WORD_COUNT = SUBTABLE.wordCount;
const SUBTABLE_BLOCK_COUNT = SUBTABLE.blockCount;
const SUBTABLE_BUCKETS = SUBTABLE.buckets;
const FLOW_KEY = FLOW.key;
const FLOW_LONG_KEY = FLOW.longKey;
const FLOW_NUMBER_MAX = ~TAG_MASK;
const SIZE_MASK = (1 << SIZE_BITS) - 1;

export class SubtableProbe {
  readonly #i32: Int32Array;
  readonly #buckets: number;
  readonly #flows: number;
  readonly #flowKeys: number;
  readonly #hashStart: number;
  readonly #hashXor: number;
  readonly #hashMultiplier: number;

  constructor(arena: Arena) {
    this.#i32 = arena.i32;
    this.#buckets = arena.region("buckets").offset >>> 2;
    this.#flows = arena.region("flows").offset >>> 2;
    this.#flowKeys = arena.region("flowKeys").offset >>> 2;
    const { start, xor, multiplier } = hashSeeds(arena);
    this.#hashStart = start;
    this.#hashXor = xor;
    this.#hashMultiplier = multiplier;
  }

  /** Hash of a key under the subtable's mask: what its buckets are picked by. */
  hash(subtable: number, key: number): number {
    const i32 = this.#i32;
    const first = subtable + SUBTABLE.words;
    const end = first + i32[subtable + SUBTABLE.wordCount]! * 3;
    let hash = this.#hashStart;
    for (let entry = first; entry < end; entry = (entry + 3) | 0) {
      const word = i32[(key + i32[entry]!) | 0]! & i32[(entry + 1) | 0]!;
      hash = hashStep(hash, word, this.#hashXor, this.#hashMultiplier);
    }
    return finishHash(hash);
  }

  /** One key in one subtable: the flow, 0 when none matches. */
  probe(subtable: number, key: number): number {
    const hash = this.hash(subtable, key);
    return this.chain(subtable, key, hash, hash);
  }

  /** Follows a chain from place `from` on: the flow that matches, 0 when none does. */
  chain(subtable: number, key: number, hash: number, from: number): number {
    const i32 = this.#i32;
    const buckets = i32[subtable + SUBTABLE_BUCKETS]!;
    const places = (this.#buckets + Math.imul(buckets >>> SIZE_BITS, BUCKET_UNIT_WORDS)) | 0;
    const mask = (1 << (buckets & SIZE_MASK)) - 1;
    const tag = hash & TAG_MASK;
    for (let place = from & mask; ; place = (place + 1) & mask) {
      const word = i32[(places + place) | 0]!;
      if (word === 0) return 0;
      const candidate = word ^ tag;
      if (candidate > 0 && candidate <= FLOW_NUMBER_MAX && this.#matches(subtable, key, candidate))
        return candidate;
    }
  }

  /** Compares the masked key with the one that the flow stores. */
  #matches(subtable: number, key: number, flowNo: number): boolean {
    const i32 = this.#i32;
    const record = (this.#flows + Math.imul(flowNo, FLOW_WORDS)) | 0;
    const stored =
      i32[subtable + SUBTABLE_BLOCK_COUNT]! <= INLINE_BLOCKS
        ? (record + FLOW_KEY) | 0
        : (this.#flowKeys + Math.imul(i32[(record + FLOW_LONG_KEY) | 0]!, KEY_UNIT_WORDS)) | 0;
    const first = (subtable + SUBTABLE_ENTRIES) | 0;
    const end = (first + Math.imul(i32[subtable + SUBTABLE_WORD_COUNT]!, 3)) | 0;
    for (let entry = first; entry < end; entry = (entry + 3) | 0) {
      const difference = i32[(key + i32[entry]!) | 0]! ^ i32[(stored + i32[(entry + 2) | 0]!) | 0]!;
      if ((difference & i32[(entry + 1) | 0]!) !== 0) return false;
    }
    return true;
  }
}
