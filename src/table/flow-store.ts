// Flow records and their numbers. A number goes round: free, live (written, then published in a bucket), dead
// (unpublished, still read by whoever found it before), free again after a grace period, when all that it referred to
// is given back and its statistics are zeroed. Free numbers are linked through their records, so that a million flows
// are not a million objects.

import { KEY_BLOCK_BYTES, KEY_BLOCK_COUNT } from "../flow/fields.ts";
import type { Arena } from "../memory/arena.ts";
import type { EpochWriter } from "../memory/epoch.ts";
import { FLOW_STATS_BYTES } from "../memory/region-plan.ts";
import type { ActionStore } from "./action-store.ts";
import { Heap } from "./heap.ts";
import {
  allStatsOffsets,
  FLOW,
  FLOW_STATE,
  flowWord,
  INLINE_BLOCKS,
  ROOT,
  SUBTABLE,
  SUBTABLE_WORDS,
} from "./layout.ts";
import { Limbo } from "./limbo.ts";

const BLOCK_WORDS = KEY_BLOCK_BYTES / 4;
/** What flowKeys holds: key blocks, and the counts of a cleared flow. Readers use the unit too. */
export const KEY_UNIT_BYTES = KEY_BLOCK_BYTES;

/** What a new flow's record says. The key and mask stand in the writer's scratch words. */
export interface FlowRecord {
  readonly subtableId: number;
  readonly hash: number;
  readonly ufid: Uint8Array;
  readonly actions: number;
  readonly operator: boolean;
  readonly nowMillis: number;
}

export class FlowStore {
  readonly keys: Heap;
  readonly #arena: Arena;
  readonly #i32: Int32Array;
  readonly #u32: Uint32Array;
  readonly #root: number;
  readonly #subtables: number;
  readonly #actions: ActionStore;
  readonly #dead: Limbo;
  readonly #stats: readonly number[];
  #freeHead = 0;

  constructor(arena: Arena, epochs: EpochWriter, actions: ActionStore) {
    this.#arena = arena;
    this.#i32 = arena.i32;
    this.#u32 = arena.u32;
    this.#root = arena.region("tableRoot").offset >>> 2;
    this.#subtables = arena.region("subtables").offset >>> 2;
    this.keys = new Heap(arena, "flowKeys", KEY_UNIT_BYTES);
    this.#actions = actions;
    this.#dead = new Limbo(epochs, (flowNo) => this.#recycle(flowNo));
    this.#stats = allStatsOffsets(arena);
  }

  /** Dead flows whose numbers are not free yet. */
  get deadCount(): number {
    return this.#dead.count;
  }

  /** The `birth` of the newest flow. */
  get newestBirth(): number {
    return this.#arena.f64[(this.#root + ROOT.birth) >>> 1]!;
  }

  birth(flowNo: number): number {
    return this.#arena.f64[(flowWord(this.#arena, flowNo) + FLOW.birth) >>> 1]!;
  }

  /** A free number, 0 when all are taken or dead. */
  alloc(): number {
    if (this.#freeHead === 0) this.#dead.collect(1);
    if (this.#freeHead !== 0) {
      const flowNo = this.#freeHead;
      this.#freeHead = this.#u32[flowWord(this.#arena, flowNo) + FLOW.hash]!;
      return flowNo;
    }
    const highWater = this.#u32[this.#root + ROOT.highWater]!;
    if (highWater === this.#arena.plan.sizes.flowCountMax) return 0;
    // Pairs with the load in FlowCursor: a record beyond the old mark is all zeros until its state is stored.
    this.#arena.intrinsics.store((this.#root + ROOT.highWater) * 4, highWater + 1);
    return highWater + 1;
  }

  /** Gives a number back that alloc() returned and nobody wrote. */
  putBack(flowNo: number): void {
    this.#u32[flowWord(this.#arena, flowNo) + FLOW.hash] = this.#freeHead;
    this.#freeHead = flowNo;
  }

  /**
   * Writes the record of a number from alloc(), of the key and mask in scratch. False, and nothing taken, when the
   * key needs more room than flowKeys has. The flow is live for those who walk records; look-ups find it when it is
   * in a bucket.
   */
  write(flowNo: number, record: FlowRecord): boolean {
    const word = flowWord(this.#arena, flowNo);
    const blockCount = this.#i32[this.#subtables + record.subtableId * SUBTABLE_WORDS + SUBTABLE.blockCount]!;
    let longKey = 0;
    if (blockCount > INLINE_BLOCKS) {
      longKey = this.keys.alloc(blockCount * KEY_BLOCK_BYTES);
      if (longKey === 0) return false;
    }
    if (!this.#writeResidue(word)) {
      if (longKey !== 0) this.keys.free(longKey);
      return false;
    }
    this.#i32[word + FLOW.longKey] = longKey;
    this.#writeKey(longKey === 0 ? word + FLOW.key : this.keys.word(longKey), record.subtableId, blockCount);
    this.#i32[word + FLOW.hash] = record.hash;
    this.#i32[word + FLOW.actions] = record.actions;
    this.#i32[word + FLOW.cleared] = 0;
    this.#arena.f64[(word + FLOW.createdMillis) >>> 1] = record.nowMillis;
    this.#arena.f64[(word + FLOW.birth) >>> 1] = this.newestBirth + 1;
    this.#arena.f64[(this.#root + ROOT.birth) >>> 1]! += 1;
    this.#arena.u8.set(record.ufid, (word + FLOW.ufid) * 4);
    const state = FLOW_STATE.live | (record.operator ? FLOW_STATE.operator : 0);
    if (!record.operator) this.#u32[this.#root + ROOT.learnedCount]! += 1;
    // Pairs with the load in FlowReader: who sees the flow live sees its whole record.
    this.#arena.intrinsics.store((word + FLOW.state) * 4, state | (record.subtableId << 16));
    return true;
  }

  /** Call it behind a flow's publication: a cache that saw this count before its look-up did not miss the flow. */
  notePublished(): void {
    const word = this.#root + ROOT.publishedCount;
    // Pairs with the load in compile/emit/flow-cache.ts.
    this.#arena.intrinsics.store(word * 4, this.#i32[word]! + 1);
  }

  /** Makes a live flow the operator's, who modified it: it neither expires nor is reviewed from now on. */
  adopt(flowNo: number): void {
    const stateAddress = (flowWord(this.#arena, flowNo) + FLOW.state) * 4;
    const state = this.#i32[stateAddress >>> 2]!;
    if ((state & FLOW_STATE.operator) !== 0) return;
    this.#u32[this.#root + ROOT.learnedCount]! -= 1;
    this.#arena.intrinsics.store(stateAddress, state | FLOW_STATE.operator);
  }

  /** Marks an unpublished flow dead; its number is free again after a grace period. */
  kill(flowNo: number): void {
    const stateAddress = (flowWord(this.#arena, flowNo) + FLOW.state) * 4;
    const state = this.#i32[stateAddress >>> 2]!;
    if ((state & FLOW_STATE.operator) === 0) this.#u32[this.#root + ROOT.learnedCount]! -= 1;
    this.#arena.intrinsics.store(stateAddress, state & ~FLOW_STATE.live);
    this.#dead.add(flowNo);
  }

  /** Starts the grace period of dead flows. */
  flush(): void {
    this.#dead.flush();
  }

  /** Recycles up to `limit` dead flows whose grace period is over. Returns how many. */
  collect(limit: number): number {
    return this.#dead.collect(limit);
  }

  /** Stores the masked key's blocks in the mask's order. */
  #writeKey(target: number, subtableId: number, blockCount: number): void {
    const blocks = this.#subtables + subtableId * SUBTABLE_WORDS + SUBTABLE.blocks;
    for (let index = 0; index < blockCount; index += 1) {
      const source = this.#i32[blocks + index]! * BLOCK_WORDS;
      for (let offset = 0; offset < BLOCK_WORDS; offset += 1) {
        this.#i32[target + index * BLOCK_WORDS + offset] =
          this.#i32[this.#root + ROOT.scratchKey + source + offset]! &
          this.#i32[this.#root + ROOT.scratchMask + source + offset]!;
      }
    }
  }

  /** Keeps what the key says outside the mask: no look-up needs it, but a dump shows the key as it was given. */
  #writeResidue(word: number): boolean {
    let low = 0;
    let high = 0;
    let count = 0;
    for (let block = 0; block < KEY_BLOCK_COUNT; block += 1) {
      if (!this.#hasResidue(block)) continue;
      if (block < 32) low |= 1 << block;
      else high |= 1 << (block - 32);
      count += 1;
    }
    let residue = 0;
    if (count > 0) {
      residue = this.keys.alloc(count * KEY_BLOCK_BYTES);
      if (residue === 0) return false;
      let target = this.keys.word(residue);
      for (let block = 0; block < KEY_BLOCK_COUNT; block += 1) {
        if (((block < 32 ? low >>> block : high >>> (block - 32)) & 1) === 0) continue;
        const source = this.#root + ROOT.scratchKey + block * BLOCK_WORDS;
        this.#i32.copyWithin(target, source, source + BLOCK_WORDS);
        target += BLOCK_WORDS;
      }
    }
    this.#i32[word + FLOW.residue] = residue;
    this.#i32[word + FLOW.residueBlocks] = low;
    this.#i32[word + FLOW.residueBlocksHigh] = high;
    return true;
  }

  #hasResidue(block: number): boolean {
    const first = this.#root + block * BLOCK_WORDS;
    for (let word = first; word < first + BLOCK_WORDS; word += 1) {
      if ((this.#i32[word + ROOT.scratchKey]! & ~this.#i32[word + ROOT.scratchMask]!) !== 0) return true;
    }
    return false;
  }

  /** Gives back what a dead flow held; no reader sees it any more. */
  #recycle(flowNo: number): void {
    const word = flowWord(this.#arena, flowNo);
    for (const field of [FLOW.longKey, FLOW.residue, FLOW.cleared]) {
      const block = this.#u32[word + field]!;
      if (block !== 0) this.keys.free(block);
    }
    this.#actions.release(this.#u32[word + FLOW.actions]!);
    for (const stats of this.#stats) {
      const first = (stats + flowNo * FLOW_STATS_BYTES) >>> 2;
      // A worker that never counted this flow has no page here, and a store of zeros would make it one.
      for (let index = first; index < first + FLOW_STATS_BYTES / 4; index += 1) {
        if (this.#i32[index] !== 0) this.#i32[index] = 0;
      }
    }
    this.putBack(flowNo);
  }
}
