// Look-up of megaflows: subtable after subtable in the published order, the first hit wins, as in OVS. One instance for
// each thread that forwards. Hot.
//
// Per packet and subtable probed: one hash over the mask's words, one bucket place or two, one compare. A batch goes
// through a subtable in passes (hashes, buckets, compares, results), so that the loads of one packet's bucket and record
// run while those of the next are under way, and word by word, so that a mask word is loaded once for all packets.
// Per batch: two ordered loads. Nothing is allocated.
// Memory: reads tableRoot, subtables, buckets, flows, flowKeys; writes this thread's part of subtableHits (hits and
// probes of each subtable) and the batch's `flow` column.
//
// A flow number that a look-up returned, and what hangs on it, may be used until the thread's next quiescent point.
import { KEY_BYTES } from "../flow/fields.ts";
import type { Arena } from "../memory/arena.ts";
import { BATCH, BATCH_SIZE } from "../memory/batch-layout.ts";
import { FLOW_STATS_BYTES, SUBTABLE_HITS_BYTES } from "../memory/region-plan.ts";
import { ACTION_HEADER, ACTION_HEADER_BYTES, ACTION_UNIT_BYTES } from "./action-store.ts";
import { BUCKET_UNIT_BYTES, SIZE_BITS } from "./bucket-array.ts";
import { KEY_UNIT_BYTES } from "./flow-store.ts";
import { finishHash, hashSeeds, hashStep } from "./hash.ts";
import {
  FLOW,
  FLOW_WORDS,
  INLINE_BLOCKS,
  listOffset,
  ROOT,
  SUBTABLE,
  SUBTABLE_WORDS,
  subtableHitsOffset,
  TAG_MASK,
  threadStatsOffset,
} from "./layout.ts";

const KEY_WORDS = KEY_BYTES / 4;
const BUCKET_UNIT_WORDS = BUCKET_UNIT_BYTES / 4;
const KEY_UNIT_WORDS = KEY_UNIT_BYTES / 4;
/** Packets from which passes over all of them cost less than one packet after the other. */
const PASSES_FROM = 6;
/** Module constants: a property of an object, `as const` or not, is a load in hot code. */
const SUBTABLE_ENTRIES = SUBTABLE.words;
const SUBTABLE_WORD_COUNT = SUBTABLE.wordCount;
const SUBTABLE_BLOCK_COUNT = SUBTABLE.blockCount;
const SUBTABLE_BUCKETS = SUBTABLE.buckets;
const FLOW_KEY = FLOW.key;
const FLOW_LONG_KEY = FLOW.longKey;
const FLOW_NUMBER_MAX = ~TAG_MASK;
const SIZE_MASK = (1 << SIZE_BITS) - 1;

export class TableReader {
  readonly #arena: Arena;
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #root: number;
  readonly #lists: readonly [number, number];
  readonly #subtables: number;
  readonly #buckets: number;
  readonly #flows: number;
  readonly #flowKeys: number;
  readonly #actions: number;
  readonly #stats: number;
  readonly #hits: number;
  readonly #hashStart: number;
  readonly #hashXor: number;
  readonly #hashMultiplier: number;
  /** Packets of the batch that no subtable matched so far, and the word index of each one's key. */
  readonly #pending = new Int32Array(BATCH_SIZE);
  readonly #keys = new Int32Array(BATCH_SIZE);
  /** What the passes hand on, by position in `#pending`. */
  readonly #hashes = new Int32Array(BATCH_SIZE);
  readonly #placesAt = new Int32Array(BATCH_SIZE);
  readonly #candidates = new Int32Array(BATCH_SIZE);
  readonly #storedKeys = new Int32Array(BATCH_SIZE);
  readonly #differences = new Int32Array(BATCH_SIZE);
  #list = 0;
  #listCount = 0;
  #probes = 0;

  constructor(arena: Arena, threadIndex: number) {
    this.#arena = arena;
    this.#i32 = arena.i32;
    this.#f64 = arena.f64;
    this.#root = arena.region("tableRoot").offset;
    this.#lists = [(this.#root + listOffset(arena, 0)) >>> 2, (this.#root + listOffset(arena, 1)) >>> 2];
    this.#subtables = arena.region("subtables").offset >>> 2;
    this.#buckets = arena.region("buckets").offset >>> 2;
    this.#flows = arena.region("flows").offset >>> 2;
    this.#flowKeys = arena.region("flowKeys").offset >>> 2;
    this.#actions = arena.region("actions").offset;
    this.#stats = threadStatsOffset(arena, threadIndex);
    this.#hits = subtableHitsOffset(arena, threadIndex, 0) >>> 3;
    const { start, xor, multiplier } = hashSeeds(arena);
    this.#hashStart = start;
    this.#hashXor = xor;
    this.#hashMultiplier = multiplier;
  }

  /** Subtables probed by this instance, summed over packets. */
  get probes(): number {
    return this.#probes;
  }

  /** Takes up the published list. Once a burst, after the quiescent point and before lookup(). */
  refresh(): void {
    const { intrinsics } = this.#arena;
    // Pair with the stores of Subtables: the list and every subtable it names are complete.
    const list = intrinsics.load(this.#root + ROOT.list * 4) & 1;
    this.#listCount = intrinsics.load(this.#root + (ROOT.listCounts + list) * 4);
    this.#list = list === 0 ? this.#lists[0] : this.#lists[1];
  }

  /** The flow that matches the key at byte offset `keyOffset`, 0 when none does. */
  lookup(keyOffset: number): number {
    const key = keyOffset >>> 2;
    for (let rank = 0; rank < this.#listCount; rank += 1) {
      const id = this.#i32[this.#list + rank]!;
      const flowNo = this.#probe(this.#subtables + id * SUBTABLE_WORDS, key);
      this.#count(id, 1, flowNo === 0 ? 0 : 1);
      if (flowNo !== 0) return flowNo;
    }
    return 0;
  }

  /** As lookup(), but leaves no trace in the counters: for the writer's own questions. */
  find(keyOffset: number): number {
    const key = keyOffset >>> 2;
    for (let rank = 0; rank < this.#listCount; rank += 1) {
      const flowNo = this.#probe(this.#subtables + this.#i32[this.#list + rank]! * SUBTABLE_WORDS, key);
      if (flowNo !== 0) return flowNo;
    }
    return 0;
  }

  /**
   * Looks the keys of packets 0 .. count - 1 of the batch up and writes the `flow` column: the flow, 0 for a miss.
   * Takes up the published list itself. Returns the number of hits.
   */
  lookupBatch(batch: number, count: number): number {
    this.refresh();
    const flowColumn = (batch + BATCH.flow) >>> 2;
    const keys = (batch + BATCH.keys) >>> 2;
    for (let packet = 0; packet < count; packet += 1) {
      this.#pending[packet] = packet;
      this.#keys[packet] = (keys + Math.imul(packet, KEY_WORDS)) | 0;
    }
    let left = count;
    for (let rank = 0; rank < this.#listCount && left > 0; rank += 1) {
      const id = this.#i32[(this.#list + rank) | 0]!;
      const subtable = this.#subtables + id * SUBTABLE_WORDS;
      let missed: number;
      if (left < PASSES_FROM) {
        missed = this.#probeEach(subtable, flowColumn, left);
      } else {
        this.#hashPending(subtable, left);
        this.#findCandidates(subtable, left);
        this.#compareCandidates(subtable, left);
        missed = this.#settle(subtable, flowColumn, left);
      }
      this.#count(id, left, left - missed);
      left = missed;
    }
    for (let index = 0; index < left; index += 1) this.#i32[flowColumn + this.#pending[index]!] = 0;
    return count - left;
  }

  #count(id: number, probes: number, hits: number): void {
    const index = this.#hits + id * (SUBTABLE_HITS_BYTES / 8);
    this.#f64[index]! += hits;
    this.#f64[index + 1]! += probes;
    this.#probes += probes;
  }

  /** First pass: hashes of the pending keys. Word by word, so that index and mask stay in registers. */
  #hashPending(subtable: number, left: number): void {
    const i32 = this.#i32;
    const keys = this.#keys;
    const hashes = this.#hashes;
    const xor = this.#hashXor;
    const multiplier = this.#hashMultiplier;
    hashes.fill(this.#hashStart, 0, left);
    let entry = (subtable + SUBTABLE_ENTRIES) | 0;
    const end = (entry + Math.imul(i32[subtable + SUBTABLE_WORD_COUNT]!, 3)) | 0;
    for (; entry + 9 <= end; entry = (entry + 9) | 0) {
      const at0 = i32[entry]!;
      const mask0 = i32[(entry + 1) | 0]!;
      const at1 = i32[(entry + 3) | 0]!;
      const mask1 = i32[(entry + 4) | 0]!;
      const at2 = i32[(entry + 6) | 0]!;
      const mask2 = i32[(entry + 7) | 0]!;
      for (let index = 0; index < left; index += 1) {
        const key = keys[index]!;
        let hash = hashStep(hashes[index]!, i32[(key + at0) | 0]! & mask0, xor, multiplier);
        hash = hashStep(hash, i32[(key + at1) | 0]! & mask1, xor, multiplier);
        hashes[index] = hashStep(hash, i32[(key + at2) | 0]! & mask2, xor, multiplier);
      }
    }
    for (; entry < end; entry = (entry + 3) | 0) {
      const at = i32[entry]!;
      const mask = i32[(entry + 1) | 0]!;
      for (let index = 0; index < left; index += 1) {
        hashes[index] = hashStep(hashes[index]!, i32[(keys[index]! + at) | 0]! & mask, xor, multiplier);
      }
    }
  }

  /** Second pass: the first flow with the right tag in each key's chain, 0 when there is none. */
  #findCandidates(subtable: number, left: number): void {
    const i32 = this.#i32;
    const hashes = this.#hashes;
    const candidates = this.#candidates;
    const placesAt = this.#placesAt;
    const storedKeys = this.#storedKeys;
    const flows = (this.#flows + FLOW_KEY) | 0;
    const buckets = i32[subtable + SUBTABLE_BUCKETS]!;
    const places = (this.#buckets + Math.imul(buckets >>> SIZE_BITS, BUCKET_UNIT_WORDS)) | 0;
    const mask = (1 << (buckets & SIZE_MASK)) - 1;
    for (let index = 0; index < left; index += 1) {
      const hash = finishHash(hashes[index]!);
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
      hashes[index] = hash;
      placesAt[index] = place;
      candidates[index] = candidate;
      // Without a candidate this is the unused record of number 0.
      storedKeys[index] = (flows + Math.imul(candidate, FLOW_WORDS)) | 0;
    }
  }

  /** Third pass: how each pending key differs from its candidate's, 0 where it does not. */
  #compareCandidates(subtable: number, left: number): void {
    const i32 = this.#i32;
    const keys = this.#keys;
    const storedKeys = this.#storedKeys;
    const differences = this.#differences;
    differences.fill(0, 0, left);
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
      for (let index = 0; index < left; index += 1) {
        const key = keys[index]!;
        const stored = storedKeys[index]!;
        differences[index]! |=
          ((i32[(key + at0) | 0]! ^ i32[(stored + stored0) | 0]!) & mask0) |
          ((i32[(key + at1) | 0]! ^ i32[(stored + stored1) | 0]!) & mask1) |
          ((i32[(key + at2) | 0]! ^ i32[(stored + stored2) | 0]!) & mask2);
      }
    }
    for (; entry < end; entry = (entry + 3) | 0) {
      const at = i32[entry]!;
      const mask = i32[(entry + 1) | 0]!;
      const storedAt = i32[(entry + 2) | 0]!;
      for (let index = 0; index < left; index += 1) {
        differences[index]! |=
          (i32[(keys[index]! + at) | 0]! ^ i32[(storedKeys[index]! + storedAt) | 0]!) & mask;
      }
    }
  }

  /** Keys of more than INLINE_BLOCKS blocks stand in flowKeys. */
  #followLongKeys(left: number): void {
    const step = FLOW_LONG_KEY - FLOW_KEY;
    for (let index = 0; index < left; index += 1) {
      const longKey = this.#i32[(this.#storedKeys[index]! + step) | 0]!;
      this.#storedKeys[index] = (this.#flowKeys + Math.imul(longKey, KEY_UNIT_WORDS)) | 0;
    }
  }

  /**
   * Last pass: writes the hits and keeps the others pending, in order; returns how many. A candidate that only shared
   * the tag sends its packet further along the chain.
   */
  #settle(subtable: number, flowColumn: number, left: number): number {
    const i32 = this.#i32;
    let missed = 0;
    for (let index = 0; index < left; index += 1) {
      let flowNo = this.#candidates[index]!;
      const packet = this.#pending[index]!;
      if (flowNo !== 0 && this.#differences[index] !== 0) {
        flowNo = this.#chain(subtable, this.#keys[index]!, this.#hashes[index]!, this.#placesAt[index]! + 1);
      }
      if (flowNo === 0) {
        this.#pending[missed] = packet;
        this.#keys[missed] = this.#keys[index]!;
        missed += 1;
      } else {
        i32[(flowColumn + packet) | 0] = flowNo;
      }
    }
    return missed;
  }

  /** All passes at once, packet by packet: a few packets do not pay for four loops. */
  #probeEach(subtable: number, flowColumn: number, left: number): number {
    let missed = 0;
    for (let index = 0; index < left; index += 1) {
      const packet = this.#pending[index]!;
      const key = this.#keys[index]!;
      const flowNo = this.#probe(subtable, key);
      if (flowNo === 0) {
        this.#pending[missed] = packet;
        this.#keys[missed] = key;
        missed += 1;
      } else {
        this.#i32[(flowColumn + packet) | 0] = flowNo;
      }
    }
    return missed;
  }

  /** Hash of the key at byte offset `keyOffset` under a subtable's mask: what its buckets are picked by. */
  hash(keyOffset: number, subtableId: number): number {
    return this.#hash(this.#subtables + subtableId * SUBTABLE_WORDS, keyOffset >>> 2);
  }

  #hash(subtable: number, key: number): number {
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
  #probe(subtable: number, key: number): number {
    const hash = this.#hash(subtable, key);
    return this.#chain(subtable, key, hash, hash);
  }

  /** Follows a chain from place `from` on: the flow that matches, 0 when none does. */
  #chain(subtable: number, key: number, hash: number, from: number): number {
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

  /**
   * Reference of a flow's action list. The writer may replace it at any time: load it once for a packet, then ask for
   * its place and length.
   */
  actionList(flowNo: number): number {
    return this.#i32[this.#flows + flowNo * FLOW_WORDS + FLOW.actions]!;
  }

  /** Byte offset of the list's first attribute. */
  actionsOffset(list: number): number {
    return this.#actions + list * ACTION_UNIT_BYTES + ACTION_HEADER_BYTES;
  }

  /** Bytes of the list's attributes. */
  actionsBytes(list: number): number {
    return this.#i32[(this.#actions >>> 2) + list * (ACTION_UNIT_BYTES / 4) + ACTION_HEADER.bytes]!;
  }

  /** Byte offset of this thread's statistics of a flow: what intrinsics.countFlow takes. */
  statsOffset(flowNo: number): number {
    return this.#stats + flowNo * FLOW_STATS_BYTES;
  }
}
