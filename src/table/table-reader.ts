// Look-up of megaflows: subtable after subtable in the published order, the first hit wins, as in OVS. One instance for
// each thread that forwards. Hot.
//
// Per packet and subtable probed: one hash over the mask's words, one bucket place or two, one compare (BatchProbe for
// a batch, SubtableProbe for one key). Per batch: two ordered loads. Nothing is allocated.
// Memory: reads tableRoot, subtables, buckets, flows, flowKeys; writes this thread's part of subtableHits (hits and
// probes of each subtable) and the batch's `flow` column.
//
// A flow number that a look-up returned, and what hangs on it, may be used until the thread's next quiescent point.
import type { Arena } from "../memory/arena.ts";
import { BATCH } from "../memory/batch-layout.ts";
import { FLOW_STATS_BYTES, SUBTABLE_HITS_BYTES } from "../memory/region-plan.ts";
import { ACTION_HEADER, ACTION_HEADER_BYTES, ACTION_LENGTH_MASK, ACTION_UNIT_BYTES } from "./action-store.ts";
import { BatchProbe } from "./batch-probe.ts";
import {
  FLOW,
  FLOW_WORDS,
  listOffset,
  ROOT,
  SUBTABLE_WORDS,
  subtableHitsOffset,
  workerStatsOffset,
} from "./layout.ts";
import { SubtableProbe } from "./subtable-probe.ts";

/** A module constant: a property of an object, `as const` or not, is a load in hot code. */
const FLOW_ACTIONS = FLOW.actions;
const RECORD_WORDS = FLOW_WORDS;
const HEADER_WORD = ACTION_HEADER.bytesAndShape;
const LENGTH_MASK = ACTION_LENGTH_MASK;

export class TableReader {
  readonly #arena: Arena;
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #single: SubtableProbe;
  readonly #batch: BatchProbe;
  readonly #root: number;
  readonly #lists: readonly [number, number];
  readonly #subtables: number;
  readonly #flows: number;
  readonly #actions: number;
  readonly #stats: number;
  readonly #hits: number;
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
    this.#flows = arena.region("flows").offset >>> 2;
    this.#actions = arena.region("actions").offset;
    // Flows have statistics of workers only; the handler looks flows up and counts none.
    this.#stats = threadIndex < arena.plan.sizes.workerCount ? workerStatsOffset(arena, threadIndex) : 0;
    this.#hits = subtableHitsOffset(arena, threadIndex, 0) >>> 3;
    this.#single = new SubtableProbe(arena);
    this.#batch = new BatchProbe(arena);
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
      const flowNo = this.#single.probe(this.#subtables + id * SUBTABLE_WORDS, key);
      this.#count(id, 1, flowNo === 0 ? 0 : 1);
      if (flowNo !== 0) return flowNo;
    }
    return 0;
  }

  /** As lookup(), but leaves no trace in the counters: for the writer's own questions. */
  find(keyOffset: number): number {
    const key = keyOffset >>> 2;
    for (let rank = 0; rank < this.#listCount; rank += 1) {
      const flowNo = this.#single.probe(
        this.#subtables + this.#i32[this.#list + rank]! * SUBTABLE_WORDS,
        key,
      );
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
    this.#batch.begin(batch, count);
    let left = count;
    for (let rank = 0; rank < this.#listCount && left > 0; rank += 1) {
      const id = this.#i32[(this.#list + rank) | 0]!;
      const missed = this.#batch.probe(this.#subtables + id * SUBTABLE_WORDS, left);
      this.#count(id, left, left - missed);
      left = missed;
    }
    this.#batch.end(left);
    return count - left;
  }

  #count(id: number, probes: number, hits: number): void {
    const index = this.#hits + id * (SUBTABLE_HITS_BYTES / 8);
    this.#f64[index]! += hits;
    this.#f64[index + 1]! += probes;
    this.#probes += probes;
  }

  /** Hash of the key at byte offset `keyOffset` under a subtable's mask. */
  hash(keyOffset: number, subtableId: number): number {
    return this.#single.hash(this.#subtables + subtableId * SUBTABLE_WORDS, keyOffset >>> 2);
  }

  /**
   * Reference of a flow's action list. The writer may replace it at any time: load it once for a packet, then ask for
   * its place and length.
   */
  actionList(flowNo: number): number {
    return this.#i32[this.#flows + flowNo * FLOW_WORDS + FLOW_ACTIONS]!;
  }

  /** actionList() of packets 0 .. count - 1 of the batch, which all hit: writes the `actions` column. */
  loadActionLists(batch: number, count: number): void {
    const i32 = this.#i32;
    const flowColumn = (batch + BATCH.flow) >>> 2;
    const listColumn = (batch + BATCH.actions) >>> 2;
    const lists = (this.#flows + FLOW_ACTIONS) | 0;
    for (let packet = 0; packet < count; packet += 1) {
      i32[(listColumn + packet) | 0] =
        i32[(lists + Math.imul(i32[(flowColumn + packet) | 0]!, RECORD_WORDS)) | 0]!;
    }
  }

  /** Byte offset of the list's first attribute. */
  actionsOffset(list: number): number {
    return this.#actions + list * ACTION_UNIT_BYTES + ACTION_HEADER_BYTES;
  }

  /** Bytes of the list's attributes. */
  actionsBytes(list: number): number {
    return this.#i32[(this.#actions >>> 2) + list * (ACTION_UNIT_BYTES / 4) + HEADER_WORD]! & LENGTH_MASK;
  }

  /**
   * Adds packets `from` .. `to` - 1 of the batch, which all hit, to this thread's statistics of their flows.
   * @param now [0] the time in milliseconds
   */
  countFlows(batch: number, from: number, to: number, now: Float64Array): void {
    const slot = batch + from * 4;
    this.#arena.intrinsics.countFlows(
      slot + BATCH.flow,
      slot + BATCH.packetBytes,
      slot + BATCH.tcpFlags,
      to - from,
      this.#stats,
      now[0]!,
    );
  }

  /** Byte offset of this worker's statistics of a flow: what intrinsics.countFlow takes. 0 and beyond in other threads. */
  statsOffset(flowNo: number): number {
    return this.#stats + flowNo * FLOW_STATS_BYTES;
  }
}
