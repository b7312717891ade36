// The megaflow table's one writer; it lives in the handler thread, other threads send commands to it.
//
// What may be put, and what a put answers, is what OVS 3.1's userspace datapath does (tried on the Debian package):
// the whole key, bits outside the mask included, is looked up as a packet would be. A hit is in the way of a CREATE
// (EEXIST) and is what a MODIFY changes, whatever mask it has; without a hit a MODIFY alone finds nothing (ENOENT).
// Overlaps that this look-up does not see are accepted, and the order of subtables decides. A flow without a given
// ufid gets one derived from its whole key; removal and queries by key go by that ufid. One thing differs on purpose:
// OVS 3.1 lets two flows have the same ufid and then finds either of them; here the second one is EEXIST.
//
// Nothing here takes longer than about a millisecond at a time: rebuilds of bucket arrays are carried on by each change,
// flushing and giving memory back go on in step().
import { KEY_BYTES } from "../flow/fields.ts";
import type { Arena } from "../memory/arena.ts";
import type { EpochWriter } from "../memory/epoch.ts";
import { FLOW_STATS_BYTES, handlerThread } from "../memory/region-plan.ts";
import { ActionStore } from "./action-store.ts";
import { BUCKET_UNIT_BYTES } from "./bucket-array.ts";
import { CLEARED, FlowReader } from "./flow-reader.ts";
import { type FlowRecord, FlowStore } from "./flow-store.ts";
import { deriveUfid, type HashSeeds, hashSeeds } from "./hash.ts";
import { Heap } from "./heap.ts";
import { allStatsOffsets, FLOW, FLOW_STATE, flowWord, ROOT, STATS } from "./layout.ts";
import { Limbo } from "./limbo.ts";
import { type Subtable, Subtables } from "./subtables.ts";
import { limitMessage, type TableLimit } from "./table-limit.ts";
import { TableReader } from "./table-reader.ts";
import { UfidIndex } from "./ufid-index.ts";

/** Flows removed, and things given back, in one step(): some hundred microseconds. */
const STEP_LIMIT = 256;
const UFID_BYTES = 16;

export interface FlowPut {
  /** KEY_BYTES each. */
  readonly key: Uint8Array;
  readonly mask: Uint8Array;
  /** 16 bytes; derived from the key when left out. */
  readonly ufid?: Uint8Array | undefined;
  /** OVS netlink action attributes, validated before; empty for drop. */
  readonly actions: Uint8Array;
  /** May make a flow. */
  readonly create: boolean;
  /** May replace a flow's actions. */
  readonly modify: boolean;
  /** A replaced flow's statistics start at zero. */
  readonly clear?: boolean;
  /** Installed by the operator, not learned. */
  readonly operator: boolean;
  readonly nowMillis: number;
}

export type PutResult =
  | { readonly error: null; readonly flowNo: number; readonly created: boolean }
  /** `flowNo` is in the way: its key matches, or it has this ufid. */
  | { readonly error: "EEXIST"; readonly flowNo: number; readonly reason: "key" | "ufid" }
  | { readonly error: "ENOENT" }
  /** A flow matches, and the put may neither make nor modify one. */
  | { readonly error: "EINVAL"; readonly flowNo: number }
  | { readonly error: "ENOSPC"; readonly limit: TableLimit; readonly message: string };

export class TableWriter {
  readonly flows: FlowReader;
  readonly #arena: Arena;
  readonly #root: number;
  readonly #scratchKey: number;
  readonly #seeds: HashSeeds;
  readonly #epochs: EpochWriter;
  readonly #reader: TableReader;
  readonly #actions: ActionStore;
  readonly #store: FlowStore;
  readonly #subtables: Subtables;
  readonly #ufids: UfidIndex;
  readonly #bucketHeap: Heap;
  readonly #deadBlocks: Limbo;
  readonly #deadLists: Limbo;
  readonly #deadCounts: Limbo;
  /** Flows born until then are being flushed; 0 when none are. */
  #flushUntil = 0;
  #flushNext = 0;

  /** @param epochs of the calling thread, the only one that may use this object */
  constructor(arena: Arena, epochs: EpochWriter) {
    this.#arena = arena;
    this.#root = arena.region("tableRoot").offset >>> 2;
    this.#scratchKey = (this.#root + ROOT.scratchKey) * 4;
    this.#seeds = hashSeeds(arena);
    this.#epochs = epochs;
    this.flows = new FlowReader(arena);
    this.#reader = new TableReader(arena, handlerThread(arena.plan.sizes));
    this.#actions = new ActionStore(arena);
    this.#store = new FlowStore(arena, epochs, this.#actions);
    const heap = new Heap(arena, "buckets", BUCKET_UNIT_BYTES);
    this.#bucketHeap = heap;
    this.#deadBlocks = new Limbo(epochs, (block) => heap.free(block));
    this.#deadLists = new Limbo(epochs, (list) => this.#actions.release(list));
    this.#deadCounts = new Limbo(epochs, (block) => this.#store.keys.free(block));
    this.#subtables = new Subtables(arena, epochs, {
      arena,
      heap,
      retireBlock: (block) => this.#deadBlocks.add(block),
    });
    this.#ufids = new UfidIndex(arena);
  }

  get flowCount(): number {
    return this.#arena.u32[this.#root + ROOT.flowCount]!;
  }

  /** Bytes of each heap that are given out, and what waits for readers. */
  get memory(): Readonly<Record<"buckets" | "keys" | "actions" | "deadFlows" | "actionLists", number>> {
    return {
      buckets: this.#bucketHeap.usedBytes,
      keys: this.#store.keys.usedBytes,
      actions: this.#actions.usedBytes,
      deadFlows: this.#store.deadCount,
      actionLists: this.#actions.listCount,
    };
  }

  /** Makes or modifies a flow. */
  put(request: FlowPut): PutResult {
    this.#loadScratch(request.key, request.mask);
    const hit = this.#findLive(this.#scratchKey);
    if (hit !== 0) return this.#putOver(hit, request);
    if (!request.create) return { error: "ENOENT" };
    const ufid = request.ufid ?? this.#derivedUfid();
    if (ufid.length !== UFID_BYTES)
      throw new RangeError(`table: a ufid of ${ufid.length} bytes, 16 are needed`);
    const named = this.#liveOrRemoved(this.#ufids.find(ufid));
    if (named !== 0) return { error: "EEXIST", flowNo: named, reason: "ufid" };
    return this.#create(request, ufid);
  }

  /** Replaces the actions of a live flow; false when the region of action lists is full. */
  modify(flowNo: number, actions: Uint8Array, clear = false): boolean {
    const list = this.#actions.acquire(actions);
    if (list === 0) return false;
    if (clear && !this.#clear(flowNo)) {
      this.#actions.release(list);
      return false;
    }
    const word = flowWord(this.#arena, flowNo) + FLOW.actions;
    const old = this.#arena.u32[word]!;
    // Pairs with the reader's load of the reference: the list is complete.
    this.#arena.intrinsics.store(word * 4, list);
    this.#deadLists.add(old);
    return true;
  }

  /** As a put that may modify: replaces a live flow's actions, which is the operator's then if the request is. */
  replace(flowNo: number, request: Pick<FlowPut, "actions" | "clear" | "operator">): PutResult {
    if (!this.modify(flowNo, request.actions, request.clear)) return this.#noSpace("actions");
    if (request.operator) this.#store.adopt(flowNo);
    return { error: null, flowNo, created: false };
  }

  /** Reference of an action list that no flow has, for one packet to be carried out; 0 when the region is full. */
  lendActions(actions: Uint8Array): number {
    return this.#actions.acquire(actions);
  }

  /** Takes a lent list back; no reader may find it any more. */
  returnActions(list: number): void {
    this.#actions.release(list);
  }

  /** Removes a live flow. */
  remove(flowNo: number): void {
    const word = flowWord(this.#arena, flowNo);
    const subtable = this.#subtables.byId(this.#arena.u32[word + FLOW.state]! >>> 16);
    subtable.buckets.remove(flowNo, this.#arena.i32[word + FLOW.hash]!);
    this.#subtables.noteFlowCount(subtable);
    this.#ufids.remove(flowNo);
    this.#arena.u32[this.#root + ROOT.flowCount]! -= 1;
    this.#store.kill(flowNo);
  }

  /** The flow with this ufid, 0 when there is none. */
  findByUfid(ufid: Uint8Array): number {
    return this.#liveOrRemoved(this.#ufids.find(ufid));
  }

  /** The flow that was put with exactly this key and no ufid of its own, whatever its mask; 0 when there is none. */
  findByKey(key: Uint8Array): number {
    this.#loadScratch(key, key);
    return this.findByUfid(this.#derivedUfid());
  }

  /** The flow that a packet with this key hits, 0 when none. */
  findMatch(key: Uint8Array): number {
    this.#loadScratch(key, key);
    return this.#findLive(this.#scratchKey);
  }

  /** Removes all flows that are in the table now; step() does the work, `flushing` says whether it is done. */
  flush(): void {
    this.#flushUntil = this.#store.newestBirth;
    this.#flushNext = 1;
  }

  get flushing(): boolean {
    return this.#flushUntil > 0;
  }

  /** One slice of background work. True while there is more to do at once; waiting for readers does not count. */
  step(): boolean {
    const busy = this.#flushSlice();
    let rebuilding = false;
    for (const { buckets } of this.#subtables.listed) {
      if (buckets.rebuilding && buckets.slice()) rebuilding = true;
    }
    const limbos = [this.#store, this.#deadLists, this.#deadCounts, this.#deadBlocks];
    for (const limbo of limbos) limbo.flush();
    this.#epochs.reclaim();
    let left = STEP_LIMIT;
    for (const limbo of limbos) left -= limbo.collect(left);
    return busy || rebuilding || left === 0;
  }

  /** Puts subtables with most hits in front and drops those without flows. Once a second. */
  sortSubtables(): void {
    this.#subtables.sort();
  }

  /** Makes a written flow visible to look-ups. Its record must be complete: readers follow the bucket at once. */
  protected publishFlow(subtable: Subtable, flowNo: number, record: FlowRecord): boolean {
    if (!this.writeFlow(flowNo, record)) return false;
    subtable.buckets.insert(flowNo, record.hash);
    this.#store.notePublished();
    return true;
  }

  protected writeFlow(flowNo: number, record: FlowRecord): boolean {
    return this.#store.write(flowNo, record);
  }

  #putOver(flowNo: number, request: FlowPut): PutResult {
    if (request.modify) return this.replace(flowNo, request);
    if (request.create) return { error: "EEXIST", flowNo, reason: "key" };
    return { error: "EINVAL", flowNo };
  }

  #create(request: FlowPut, ufid: Uint8Array): PutResult {
    const subtable = this.#subtables.obtain();
    if (subtable === null) return this.#noSpace("masks");
    if (!subtable.buckets.hasRoom()) return this.#noSpace("buckets");
    const actions = this.#actions.acquire(request.actions);
    if (actions === 0) return this.#noSpace("actions");
    const flowNo = this.#allocNumber();
    if (flowNo === 0) {
      this.#actions.release(actions);
      return this.#noSpace("flows");
    }
    const hash = this.#reader.hash(this.#scratchKey, subtable.id);
    const { operator, nowMillis } = request;
    const record: FlowRecord = { subtableId: subtable.id, hash, ufid, actions, operator, nowMillis };
    if (!this.publishFlow(subtable, flowNo, record)) {
      this.#actions.release(actions);
      this.#store.putBack(flowNo);
      return this.#noSpace("keys");
    }
    this.#ufids.insert(flowNo);
    this.#subtables.noteFlowCount(subtable);
    this.#arena.u32[this.#root + ROOT.flowCount]! += 1;
    return { error: null, flowNo, created: true };
  }

  #allocNumber(): number {
    const flowNo = this.#store.alloc();
    if (flowNo !== 0 || this.#store.deadCount === 0) return flowNo;
    this.#store.flush();
    this.#epochs.reclaim();
    return this.#store.alloc();
  }

  #noSpace(limit: TableLimit): PutResult {
    const message = limitMessage(limit, this.#arena.plan.sizes, {
      flowCount: this.flowCount,
      deadCount: this.#store.deadCount,
      maskCount: this.#subtables.listed.length,
      listCount: this.#actions.listCount,
    });
    return { error: "ENOSPC", limit, message };
  }

  /** Statistics from zero, without a store into words that workers write: the counts so far are kept and taken off. */
  #clear(flowNo: number): boolean {
    const block = this.#store.keys.alloc(16);
    if (block === 0) return false;
    const { u32, u64, intrinsics } = this.#arena;
    const { packets, bytes } = this.flows.totals(flowNo);
    const at = this.#store.keys.offset(block);
    u64[(at + CLEARED.packets) >>> 3] = BigInt(packets);
    u64[(at + CLEARED.bytes) >>> 3] = BigInt(bytes);
    const word = flowWord(this.#arena, flowNo) + FLOW.cleared;
    const old = u32[word]!;
    intrinsics.store(word * 4, block);
    if (old !== 0) this.#deadCounts.add(old);
    // Flags are OR-ed, which cannot be taken off. A burst counted at this very moment may bring the old ones back.
    for (const stats of allStatsOffsets(this.#arena)) {
      const flags = (stats + flowNo * FLOW_STATS_BYTES + STATS.tcpFlags) >>> 2;
      if (u32[flags] !== 0) u32[flags] = 0;
    }
    return true;
  }

  /** The flow that a packet with the key at this offset hits; flows that are being flushed are removed on the way. */
  #findLive(keyOffset: number): number {
    this.#reader.refresh();
    for (;;) {
      const flowNo = this.#reader.find(keyOffset);
      if (flowNo === 0 || this.#liveOrRemoved(flowNo) !== 0) return flowNo;
    }
  }

  /** Removes the flow when a flush is to remove it anyway. Returns it when it stays. */
  #liveOrRemoved(flowNo: number): number {
    if (flowNo === 0 || this.#store.birth(flowNo) > this.#flushUntil) return flowNo;
    this.remove(flowNo);
    return 0;
  }

  #flushSlice(): boolean {
    if (this.#flushUntil === 0) return false;
    const highWater = this.#arena.u32[this.#root + ROOT.highWater]!;
    const end = Math.min(this.#flushNext + STEP_LIMIT, highWater + 1);
    for (; this.#flushNext < end; this.#flushNext += 1) {
      const flowNo = this.#flushNext;
      if ((this.flows.state(flowNo) & FLOW_STATE.live) !== 0) this.#liveOrRemoved(flowNo);
    }
    if (this.#flushNext <= highWater) return true;
    this.#flushUntil = 0;
    return false;
  }

  #loadScratch(key: Uint8Array, mask: Uint8Array): void {
    if (key.length !== KEY_BYTES || mask.length !== KEY_BYTES) {
      throw new RangeError(
        `table: key of ${key.length} and mask of ${mask.length} bytes, ${KEY_BYTES} each are needed`,
      );
    }
    this.#arena.u8.set(key, this.#scratchKey);
    this.#arena.u8.set(mask, (this.#root + ROOT.scratchMask) * 4);
  }

  #derivedUfid(): Uint8Array {
    return deriveUfid(this.#arena.i32, this.#root + ROOT.scratchKey, KEY_BYTES / 4, this.#seeds);
  }
}
