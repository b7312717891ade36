// Look-up of megaflows: subtable after subtable in the published order, the first hit wins, as in OVS. One instance for
// each thread that forwards. Hot.
//
// Per packet and subtable probed: one hash over the mask's words, one bucket place or two, one compare. A batch goes
// through a subtable in two passes, hashes first, so that the loads of one packet's bucket and record run while those
// of the next are under way. Per batch: two ordered loads. Nothing is allocated.
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
import { finishHash, hashSeeds } from "./hash.ts";
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

const KEY_SLOT_WORDS = KEY_BYTES / 4;
const BUCKET_UNIT_WORDS = BUCKET_UNIT_BYTES / 4;
const KEY_UNIT_WORDS = KEY_UNIT_BYTES / 4;
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
  readonly #hashes = new Int32Array(BATCH_SIZE);
  /** Packets of the batch that no subtable matched so far. */
  readonly #pending = new Int32Array(BATCH_SIZE);
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
    const i32 = this.#i32;
    const flowColumn = (batch + BATCH.flow) >>> 2;
    const keys = (batch + BATCH.keys) >>> 2;
    for (let packet = 0; packet < count; packet += 1) {
      i32[flowColumn + packet] = 0;
      this.#pending[packet] = packet;
    }
    let left = count;
    for (let rank = 0; rank < this.#listCount && left > 0; rank += 1) {
      const id = i32[this.#list + rank]!;
      const subtable = this.#subtables + id * SUBTABLE_WORDS;
      this.#hashPending(subtable, keys, left);
      const missed = this.#probePending(subtable, keys, flowColumn, left);
      this.#count(id, left, left - missed);
      left = missed;
    }
    return count - left;
  }

  #count(id: number, probes: number, hits: number): void {
    const index = this.#hits + id * (SUBTABLE_HITS_BYTES / 8);
    this.#f64[index]! += hits;
    this.#f64[index + 1]! += probes;
    this.#probes += probes;
  }

  /** First pass: hashes of the pending packets' keys under the subtable's mask. */
  #hashPending(subtable: number, keys: number, left: number): void {
    const i32 = this.#i32;
    const xor = this.#hashXor;
    const multiplier = this.#hashMultiplier;
    const first = subtable + SUBTABLE.words;
    const end = first + i32[subtable + SUBTABLE.wordCount]! * 3;
    for (let index = 0; index < left; index += 1) {
      const key = keys + this.#pending[index]! * KEY_SLOT_WORDS;
      let hash = this.#hashStart;
      for (let entry = first; entry < end; entry += 3) {
        const word = i32[key + i32[entry]!]! & i32[entry + 1]!;
        hash = (((hash << 9) | (hash >>> 23)) + Math.imul(word ^ xor, multiplier)) | 0;
      }
      this.#hashes[index] = finishHash(hash);
    }
  }

  /** Second pass: buckets and compares. Packets that missed stay pending, in order; returns how many. */
  #probePending(subtable: number, keys: number, flowColumn: number, left: number): number {
    const i32 = this.#i32;
    const buckets = i32[subtable + SUBTABLE.buckets]!;
    const places = this.#buckets + (buckets >>> SIZE_BITS) * BUCKET_UNIT_WORDS;
    const mask = (1 << (buckets & SIZE_MASK)) - 1;
    let missed = 0;
    for (let index = 0; index < left; index += 1) {
      const packet = this.#pending[index]!;
      const key = keys + packet * KEY_SLOT_WORDS;
      const hash = this.#hashes[index]!;
      const tag = hash & TAG_MASK;
      let flowNo = 0;
      for (let place = hash & mask; ; place = (place + 1) & mask) {
        const word = i32[places + place]!;
        if (word === 0) break;
        // With the tag taken away only the number is left, or 0 of a tombstone, when the tags are equal.
        const candidate = word ^ tag;
        if (candidate > 0 && candidate <= ~TAG_MASK && this.#matches(subtable, key, candidate)) {
          flowNo = candidate;
          break;
        }
      }
      if (flowNo === 0) {
        this.#pending[missed] = packet;
        missed += 1;
      } else {
        i32[flowColumn + packet] = flowNo;
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
    for (let entry = first; entry < end; entry += 3) {
      const word = i32[key + i32[entry]!]! & i32[entry + 1]!;
      hash = (((hash << 9) | (hash >>> 23)) + Math.imul(word ^ this.#hashXor, this.#hashMultiplier)) | 0;
    }
    return finishHash(hash);
  }

  /** One key in one subtable: the flow, 0 when none matches. */
  #probe(subtable: number, key: number): number {
    const i32 = this.#i32;
    const hash = this.#hash(subtable, key);
    const buckets = i32[subtable + SUBTABLE.buckets]!;
    const places = this.#buckets + (buckets >>> SIZE_BITS) * BUCKET_UNIT_WORDS;
    const mask = (1 << (buckets & SIZE_MASK)) - 1;
    const tag = hash & TAG_MASK;
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const word = i32[places + place]!;
      if (word === 0) return 0;
      const candidate = word ^ tag;
      if (candidate > 0 && candidate <= ~TAG_MASK && this.#matches(subtable, key, candidate))
        return candidate;
    }
  }

  /** Compares the masked key with the one that the flow stores. */
  #matches(subtable: number, key: number, flowNo: number): boolean {
    const i32 = this.#i32;
    const record = this.#flows + flowNo * FLOW_WORDS;
    const stored =
      i32[subtable + SUBTABLE.blockCount]! <= INLINE_BLOCKS
        ? record + FLOW.key
        : this.#flowKeys + i32[record + FLOW.longKey]! * KEY_UNIT_WORDS;
    const first = subtable + SUBTABLE.words;
    const end = first + i32[subtable + SUBTABLE.wordCount]! * 3;
    for (let entry = first; entry < end; entry += 3) {
      if ((i32[key + i32[entry]!]! & i32[entry + 1]!) !== i32[stored + i32[entry + 2]!]!) return false;
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
