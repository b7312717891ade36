// A batch of keys in one subtable. Hot.
//
// The batch goes through in passes (hashes, buckets, compares, results), so that the loads of one packet's
// bucket and record run while those of the next are under way, and word by word, so that a mask word is
// loaded once for all packets. What the passes hand on stands in columns of the batch, one entry for each
// packet that no subtable matched so far: in a loop V8 checks every typed array that it touches anew each time
// round, so hot loops touch one. Memory: reads subtables, buckets, flows, flowKeys; writes the batch's `flow` and
// `probe` columns.
import { KEY_BYTES } from "../flow/fields.ts";
import type { Arena } from "../memory/arena.ts";
import { BATCH, BATCH_SIZE } from "../memory/batch-layout.ts";
import { BUCKET_UNIT_BYTES, SIZE_BITS } from "./bucket-array.ts";
import { KEY_UNIT_BYTES } from "./flow-store.ts";
import { finishHash, hashSeeds, hashStep } from "./hash.ts";
import { FLOW, FLOW_WORDS, INLINE_BLOCKS, SUBTABLE, TAG_MASK } from "./layout.ts";
import { SubtableProbe } from "./subtable-probe.ts";

const KEY_WORDS = KEY_BYTES / 4;
/** Packets from which passes over all of them cost less than one packet after the other. */
const PASSES_FROM = 6;
const BUCKET_UNIT_WORDS = BUCKET_UNIT_BYTES / 4;
const KEY_UNIT_WORDS = KEY_UNIT_BYTES / 4;
/** Module constants: a property of an object, `as const` or not, is a load in hot code. */
const SUBTABLE_ENTRIES = SUBTABLE.words;
const SUBTABLE_WORD_COUNT = SUBTABLE.wordCount;
const SUBTABLE_BLOCK_COUNT = SUBTABLE.blockCount;
const SUBTABLE_BUCKETS = SUBTABLE.buckets;
const FLOW_KEY = FLOW.key;
/** From a record's key to its action list's reference, in words. */
const ACTIONS_FROM_KEY = FLOW.actions - FLOW.key;
const FLOW_LONG_KEY = FLOW.longKey;
const FLOW_NUMBER_MAX = ~TAG_MASK;
const SIZE_MASK = (1 << SIZE_BITS) - 1;
const SLOTS = BATCH_SIZE;
/** Words from the start of the batch. */
const FLOW_COLUMN = BATCH.flow / 4;
const KEYS_COLUMN = BATCH.keys / 4;
const PROBE_COLUMN = BATCH.probe / 4;
/** Packets of the batch that no subtable matched so far, and the word index of each one's key. */
const PENDING = 0;
const KEYS = SLOTS;
/** What the passes hand on, by position in `PENDING`. */
const HASHES = SLOTS * 2;
const PLACES = SLOTS * 3;
const CANDIDATES = SLOTS * 4;
const STORED_KEYS = SLOTS * 5;
const DIFFERENCES = SLOTS * 6;

export class BatchProbe {
  readonly #i32: Int32Array;
  readonly #single: SubtableProbe;
  readonly #buckets: number;
  readonly #flows: number;
  readonly #flowKeys: number;
  readonly #hashStart: number;
  readonly #hashXor: number;
  readonly #hashMultiplier: number;
  #flowColumn = 0;
  /** Word index of the `probe` columns. */
  #columns = 0;
  /** What the touching passes read. Nobody asks for it, but V8 must keep the loads for it. */
  touched = 0;

  constructor(arena: Arena) {
    this.#i32 = arena.i32;
    this.#single = new SubtableProbe(arena);
    this.#buckets = arena.region("buckets").offset >>> 2;
    this.#flows = arena.region("flows").offset >>> 2;
    this.#flowKeys = arena.region("flowKeys").offset >>> 2;
    const { start, xor, multiplier } = hashSeeds(arena);
    this.#hashStart = start;
    this.#hashXor = xor;
    this.#hashMultiplier = multiplier;
  }

  /** Makes packets 0 .. count - 1 of the batch pending. */
  begin(batch: number, count: number): void {
    const i32 = this.#i32;
    const first = batch >>> 2;
    const columns = (first + PROBE_COLUMN) | 0;
    let key = (first + KEYS_COLUMN) | 0;
    this.#flowColumn = (first + FLOW_COLUMN) | 0;
    this.#columns = columns;
    for (let packet = 0; packet < count; packet = (packet + 1) | 0) {
      i32[(columns + PENDING + packet) | 0] = packet;
      i32[(columns + KEYS + packet) | 0] = key;
      key = (key + KEY_WORDS) | 0;
    }
  }

  /** Looks the `left` pending packets up in a subtable. Returns how many stay pending. */
  probe(subtable: number, left: number): number {
    if (left < PASSES_FROM) return this.#probeEach(subtable, left);
    this.#hashPending(subtable, left);
    this.#touchBuckets(subtable, left);
    this.#findCandidates(subtable, left);
    this.#touchRecords(left);
    this.#compareCandidates(subtable, left);
    return this.#settle(subtable, left);
  }

  /** Writes what is still pending as missed. */
  end(left: number): void {
    const i32 = this.#i32;
    const pending = (this.#columns + PENDING) | 0;
    for (let index = 0; index < left; index = (index + 1) | 0) {
      i32[(this.#flowColumn + i32[(pending + index) | 0]!) | 0] = 0;
    }
  }

  /** First pass: hashes of the pending keys. Word by word, so that index and mask stay in registers. */
  #hashPending(subtable: number, left: number): void {
    const i32 = this.#i32;
    const keys = (this.#columns + KEYS) | 0;
    const hashes = (this.#columns + HASHES) | 0;
    const xor = this.#hashXor;
    const multiplier = this.#hashMultiplier;
    i32.fill(this.#hashStart, hashes, hashes + left);
    let entry = (subtable + SUBTABLE_ENTRIES) | 0;
    const end = (entry + Math.imul(i32[subtable + SUBTABLE_WORD_COUNT]!, 3)) | 0;
    for (; entry + 9 <= end; entry = (entry + 9) | 0) {
      const at0 = i32[entry]!;
      const mask0 = i32[(entry + 1) | 0]!;
      const at1 = i32[(entry + 3) | 0]!;
      const mask1 = i32[(entry + 4) | 0]!;
      const at2 = i32[(entry + 6) | 0]!;
      const mask2 = i32[(entry + 7) | 0]!;
      for (let index = 0; index < left; index = (index + 1) | 0) {
        const key = i32[(keys + index) | 0]!;
        let hash = hashStep(i32[(hashes + index) | 0]!, i32[(key + at0) | 0]! & mask0, xor, multiplier);
        hash = hashStep(hash, i32[(key + at1) | 0]! & mask1, xor, multiplier);
        i32[(hashes + index) | 0] = hashStep(hash, i32[(key + at2) | 0]! & mask2, xor, multiplier);
      }
    }
    for (; entry < end; entry = (entry + 3) | 0) {
      const at = i32[entry]!;
      const mask = i32[(entry + 1) | 0]!;
      for (let index = 0; index < left; index = (index + 1) | 0) {
        const word = i32[(i32[(keys + index) | 0]! + at) | 0]! & mask;
        i32[(hashes + index) | 0] = hashStep(i32[(hashes + index) | 0]!, word, xor, multiplier);
      }
    }
  }

  /**
   * Asks for the bucket line of every key at once. There is no prefetch in JavaScript; but a loop of a few
   * instructions around one load lets the processor have dozens of cache misses under way, where the passes
   * proper, with their bounds checks, fit three or four packets into its window.
   */
  #touchBuckets(subtable: number, left: number): void {
    const i32 = this.#i32;
    const hashes = (this.#columns + HASHES) | 0;
    const buckets = i32[subtable + SUBTABLE_BUCKETS]!;
    const places = (this.#buckets + Math.imul(buckets >>> SIZE_BITS, BUCKET_UNIT_WORDS)) | 0;
    const mask = (1 << (buckets & SIZE_MASK)) - 1;
    let touched = 0;
    for (let index = 0; index < left; index = (index + 1) | 0) {
      const hash = finishHash(i32[(hashes + index) | 0]!);
      i32[(hashes + index) | 0] = hash;
      touched |= i32[(places + (hash & mask)) | 0]!;
    }
    this.touched = touched;
  }

  /**
   * Likewise both lines of every candidate's record: the stored key's, and the action list's for whoever acts
   * on it.
   */
  #touchRecords(left: number): void {
    const i32 = this.#i32;
    const storedKeys = (this.#columns + STORED_KEYS) | 0;
    let touched = 0;
    for (let index = 0; index < left; index = (index + 1) | 0) {
      const stored = i32[(storedKeys + index) | 0]!;
      touched |= i32[stored]! | i32[(stored + ACTIONS_FROM_KEY) | 0]!;
    }
    this.touched = touched;
  }

  /** Second pass: the first flow with the right tag in each key's chain, 0 when there is none. */
  #findCandidates(subtable: number, left: number): void {
    const i32 = this.#i32;
    const hashes = (this.#columns + HASHES) | 0;
    const candidates = (this.#columns + CANDIDATES) | 0;
    const placesAt = (this.#columns + PLACES) | 0;
    const storedKeys = (this.#columns + STORED_KEYS) | 0;
    const differences = (this.#columns + DIFFERENCES) | 0;
    const flows = (this.#flows + FLOW_KEY) | 0;
    const buckets = i32[subtable + SUBTABLE_BUCKETS]!;
    const places = (this.#buckets + Math.imul(buckets >>> SIZE_BITS, BUCKET_UNIT_WORDS)) | 0;
    const mask = (1 << (buckets & SIZE_MASK)) - 1;
    for (let index = 0; index < left; index = (index + 1) | 0) {
      const hash = i32[(hashes + index) | 0]!;
      const tag = hash & TAG_MASK;
      let place = hash & mask;
      let candidate = 0;
      for (;;) {
        const word = i32[(places + place) | 0]!;
        if (word === 0) break;
        // With the tag taken away only the number is left, or 0 of a tombstone, when the tags are equal.
        candidate = word ^ tag;
        if (candidate > 0 && candidate <= FLOW_NUMBER_MAX) break;
        candidate = 0;
        place = (place + 1) & mask;
      }
      i32[(placesAt + index) | 0] = place;
      i32[(candidates + index) | 0] = candidate;
      i32[(differences + index) | 0] = 0;
      // Without a candidate this is the unused record of number 0.
      i32[(storedKeys + index) | 0] = (flows + Math.imul(candidate, FLOW_WORDS)) | 0;
    }
  }

  /** Third pass: how each pending key differs from its candidate's, 0 where it does not. */
  #compareCandidates(subtable: number, left: number): void {
    const i32 = this.#i32;
    const keys = (this.#columns + KEYS) | 0;
    const storedKeys = (this.#columns + STORED_KEYS) | 0;
    const differences = (this.#columns + DIFFERENCES) | 0;
    if (i32[subtable + SUBTABLE_BLOCK_COUNT]! > INLINE_BLOCKS) this.#followLongKeys(left);
    let entry = (subtable + SUBTABLE_ENTRIES) | 0;
    const end = (entry + Math.imul(i32[subtable + SUBTABLE_WORD_COUNT]!, 3)) | 0;
    for (; entry + 9 <= end; entry = (entry + 9) | 0) {
      const at0 = i32[entry]!;
      const mask0 = i32[(entry + 1) | 0]!;
      const stored0 = i32[(entry + 2) | 0]!;
      const at1 = i32[(entry + 3) | 0]!;
      const mask1 = i32[(entry + 4) | 0]!;
      const stored1 = i32[(entry + 5) | 0]!;
      const at2 = i32[(entry + 6) | 0]!;
      const mask2 = i32[(entry + 7) | 0]!;
      const stored2 = i32[(entry + 8) | 0]!;
      for (let index = 0; index < left; index = (index + 1) | 0) {
        const key = i32[(keys + index) | 0]!;
        const stored = i32[(storedKeys + index) | 0]!;
        i32[(differences + index) | 0]! |=
          ((i32[(key + at0) | 0]! ^ i32[(stored + stored0) | 0]!) & mask0) |
          ((i32[(key + at1) | 0]! ^ i32[(stored + stored1) | 0]!) & mask1) |
          ((i32[(key + at2) | 0]! ^ i32[(stored + stored2) | 0]!) & mask2);
      }
    }
    for (; entry < end; entry = (entry + 3) | 0) {
      const at = i32[entry]!;
      const mask = i32[(entry + 1) | 0]!;
      const storedAt = i32[(entry + 2) | 0]!;
      for (let index = 0; index < left; index = (index + 1) | 0) {
        const word = i32[(i32[(keys + index) | 0]! + at) | 0]!;
        const stored = i32[(i32[(storedKeys + index) | 0]! + storedAt) | 0]!;
        i32[(differences + index) | 0]! |= (word ^ stored) & mask;
      }
    }
  }

  /** Keys of more than INLINE_BLOCKS blocks stand in flowKeys. */
  #followLongKeys(left: number): void {
    const i32 = this.#i32;
    const storedKeys = (this.#columns + STORED_KEYS) | 0;
    const step = FLOW_LONG_KEY - FLOW_KEY;
    for (let index = 0; index < left; index = (index + 1) | 0) {
      const longKey = i32[(i32[(storedKeys + index) | 0]! + step) | 0]!;
      i32[(storedKeys + index) | 0] = (this.#flowKeys + Math.imul(longKey, KEY_UNIT_WORDS)) | 0;
    }
  }

  /**
   * Last pass: writes the hits and keeps the others pending, in order; returns how many. A candidate that
   * only shared the tag sends its packet further along the chain.
   */
  #settle(subtable: number, left: number): number {
    const i32 = this.#i32;
    const flowColumn = this.#flowColumn;
    const columns = this.#columns;
    let missed = 0;
    for (let index = 0; index < left; index = (index + 1) | 0) {
      const at = (columns + index) | 0;
      const packet = i32[(at + PENDING) | 0]!;
      const key = i32[(at + KEYS) | 0]!;
      let flowNo = i32[(at + CANDIDATES) | 0]!;
      if (flowNo !== 0 && i32[(at + DIFFERENCES) | 0] !== 0) {
        const next = (i32[(at + PLACES) | 0]! + 1) | 0;
        flowNo = this.#single.chain(subtable, key, i32[(at + HASHES) | 0]!, next);
      }
      if (flowNo === 0) {
        this.#keepPending(missed, packet, key);
        missed = (missed + 1) | 0;
      } else {
        i32[(flowColumn + packet) | 0] = flowNo;
      }
    }
    return missed;
  }

  /** All passes at once, packet by packet: a few packets do not pay for four loops. */
  #probeEach(subtable: number, left: number): number {
    const i32 = this.#i32;
    const columns = this.#columns;
    let missed = 0;
    for (let index = 0; index < left; index = (index + 1) | 0) {
      const packet = i32[(columns + PENDING + index) | 0]!;
      const key = i32[(columns + KEYS + index) | 0]!;
      const flowNo = this.#single.probe(subtable, key);
      if (flowNo === 0) {
        this.#keepPending(missed, packet, key);
        missed = (missed + 1) | 0;
      } else {
        i32[(this.#flowColumn + packet) | 0] = flowNo;
      }
    }
    return missed;
  }

  #keepPending(index: number, packet: number, key: number): void {
    this.#i32[(this.#columns + PENDING + index) | 0] = packet;
    this.#i32[(this.#columns + KEYS + index) | 0] = key;
  }
}
