// Flows as control sees them: every field of one flow, put together from its record. Any thread may read that stands at
// an epoch (FlowCursor sees to it) or is the writer itself. Control path: clarity first.
import { KEY_BLOCK_BYTES, KEY_BYTES } from "../flow/fields.ts";
import type { Arena } from "../memory/arena.ts";
import { FLOW_STATS_BYTES } from "../memory/region-plan.ts";
import { ACTION_HEADER, ACTION_HEADER_BYTES, ACTION_LENGTH_MASK, ACTION_UNIT_BYTES } from "./action-store.ts";
import {
  allStatsOffsets,
  FLOW,
  FLOW_STATE,
  flowWord,
  INLINE_BLOCKS,
  ROOT,
  STATS,
  SUBTABLE,
  subtableWord,
} from "./layout.ts";

export interface FlowStats {
  readonly packets: number;
  readonly bytes: number;
  /** Milliseconds of the last packet, 0 when there was none. */
  readonly usedMillis: number;
  /** All TCP flags that packets of the flow had. */
  readonly tcpFlags: number;
}

export interface FlowView {
  readonly flowNo: number;
  /** 16 bytes. */
  readonly ufid: Uint8Array;
  /** KEY_BYTES, as it was given: bits outside the mask included. */
  readonly key: Uint8Array;
  /** KEY_BYTES. */
  readonly mask: Uint8Array;
  /** OVS netlink action attributes. */
  readonly actions: Uint8Array;
  readonly stats: FlowStats;
  /** Installed by the operator: neither expires nor counts against the limit of learned flows. */
  readonly operator: boolean;
  readonly createdMillis: number;
}

/** Counts at the last clearing: what flowKeys holds at FLOW.cleared. */
export const CLEARED = { packets: 0, bytes: 8 } as const;

export class FlowReader {
  readonly #arena: Arena;
  readonly #flowKeys: number;
  readonly #actions: number;
  /** Where each worker's statistics begin. */
  readonly #workers: readonly number[];

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#flowKeys = arena.region("flowKeys").offset;
    this.#actions = arena.region("actions").offset;
    this.#workers = allStatsOffsets(arena);
  }

  /** Everything of a flow, in copies; null when no live flow has this number. */
  read(flowNo: number): FlowView | null {
    const state = this.state(flowNo);
    if ((state & FLOW_STATE.live) === 0) return null;
    const word = flowWord(this.#arena, flowNo);
    const subtable = subtableWord(this.#arena, state >>> 16);
    const maskOffset = (subtable + SUBTABLE.mask) * 4;
    return {
      flowNo,
      ufid: this.ufid(flowNo),
      key: this.#readKey(word, subtable),
      mask: this.#arena.u8.slice(maskOffset, maskOffset + KEY_BYTES),
      actions: this.#readActions(word),
      stats: this.stats(flowNo),
      operator: (state & FLOW_STATE.operator) !== 0,
      createdMillis: this.createdMillis(flowNo),
    };
  }

  /** The state word: FLOW_STATE bits and the subtable's id in the high half. */
  state(flowNo: number): number {
    // Pairs with the store in FlowStore.write.
    return this.#arena.intrinsics.load((flowWord(this.#arena, flowNo) + FLOW.state) * 4);
  }

  isOperator(flowNo: number): boolean {
    return (this.state(flowNo) & FLOW_STATE.operator) !== 0;
  }

  /** Position in the order of creation: tells a flow from the one that had its number before. */
  birth(flowNo: number): number {
    return this.#arena.f64[(flowWord(this.#arena, flowNo) + FLOW.birth) >>> 1]!;
  }

  /** Learned flows in the table. */
  get learnedCount(): number {
    return this.#arena.u32[(this.#arena.region("tableRoot").offset >>> 2) + ROOT.learnedCount]!;
  }

  createdMillis(flowNo: number): number {
    return this.#arena.f64[(flowWord(this.#arena, flowNo) + FLOW.createdMillis) >>> 1]!;
  }

  ufid(flowNo: number): Uint8Array {
    const offset = (flowWord(this.#arena, flowNo) + FLOW.ufid) * 4;
    return this.#arena.u8.slice(offset, offset + 16);
  }

  /** All workers' statistics of a flow since it was made or cleared. */
  stats(flowNo: number): FlowStats {
    const { u32 } = this.#arena;
    const total = this.totals(flowNo);
    const cleared = u32[flowWord(this.#arena, flowNo) + FLOW.cleared]!;
    if (cleared === 0) return total;
    const at = this.#flowKeys + cleared * KEY_BLOCK_BYTES;
    const packets = total.packets - this.#arena.counter(at + CLEARED.packets);
    const bytes = total.bytes - this.#arena.counter(at + CLEARED.bytes);
    // No packet since: the last use and its flags are of the time before.
    if (packets === 0) return { packets, bytes, usedMillis: 0, tcpFlags: 0 };
    return { packets, bytes, usedMillis: total.usedMillis, tcpFlags: total.tcpFlags };
  }

  /** All workers' statistics since the flow was made. */
  totals(flowNo: number): FlowStats {
    let packets = 0;
    let bytes = 0;
    let usedMillis = 0;
    let tcpFlags = 0;
    for (const worker of this.#workers) {
      const at = worker + flowNo * FLOW_STATS_BYTES;
      // 64-bit counters are written in one store and read in one load, so none is seen half changed.
      const counted = this.#arena.counter(at + STATS.packets);
      if (counted === 0) continue;
      packets += counted;
      bytes += this.#arena.counter(at + STATS.bytes);
      usedMillis = Math.max(usedMillis, this.#arena.counter(at + STATS.usedMillis));
      tcpFlags |= this.#arena.u32[(at + STATS.tcpFlags) >>> 2]!;
    }
    return { packets, bytes, usedMillis, tcpFlags };
  }

  #readKey(word: number, subtable: number): Uint8Array {
    const { u8, i32 } = this.#arena;
    const key = new Uint8Array(KEY_BYTES);
    const blockCount = i32[subtable + SUBTABLE.blockCount]!;
    const stored =
      blockCount <= INLINE_BLOCKS
        ? (word + FLOW.key) * 4
        : this.#flowKeys + i32[word + FLOW.longKey]! * KEY_BLOCK_BYTES;
    for (let index = 0; index < blockCount; index += 1) {
      const from = stored + index * KEY_BLOCK_BYTES;
      key.set(
        u8.subarray(from, from + KEY_BLOCK_BYTES),
        i32[subtable + SUBTABLE.blocks + index]! * KEY_BLOCK_BYTES,
      );
    }
    const low = i32[word + FLOW.residueBlocks]!;
    const high = i32[word + FLOW.residueBlocksHigh]!;
    let from = this.#flowKeys + i32[word + FLOW.residue]! * KEY_BLOCK_BYTES;
    for (let block = 0; block < KEY_BYTES / KEY_BLOCK_BYTES; block += 1) {
      if (((block < 32 ? low >>> block : high >>> (block - 32)) & 1) === 0) continue;
      key.set(u8.subarray(from, from + KEY_BLOCK_BYTES), block * KEY_BLOCK_BYTES);
      from += KEY_BLOCK_BYTES;
    }
    return key;
  }

  #readActions(word: number): Uint8Array {
    const { u8, i32 } = this.#arena;
    const list = this.#actions + i32[word + FLOW.actions]! * ACTION_UNIT_BYTES;
    const from = list + ACTION_HEADER_BYTES;
    return u8.slice(from, from + (i32[(list >>> 2) + ACTION_HEADER.bytesAndShape]! & ACTION_LENGTH_MASK));
  }
}
