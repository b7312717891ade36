// Recirculation: packets that are looked up again, gathered in the batch of their depth. The batch above them flushes
// it when it is done, when the batch is full, and before an output that has to come behind theirs; so outputs stand in
// the order that OVS, which recirculates at once, gives those of one packet, while packets of a burst are looked up
// together.
//
// A packet keeps its metadata (in_port, recirc_id, marks, tunnel, conntrack) in its new key slot; everything else is
// extracted from its bytes again. One that misses goes up with its key; it does not follow a miss of its conversation
// without one, because the handler would send it back as if just received.
//
// Per packet: a copy of the key's lines in use, extraction, look-up, actions. Memory: the thread's recircBatches.
// Counters: recirculated, lookup_hit, lookup_miss, drops recirc_limit and rx_short.
import type { Recirculator } from "../action/recirculator.ts";
import { KEY_BYTES, KEY_LINE_BYTES } from "../flow/fields.ts";
import { BatchColumns } from "../memory/batch-columns.ts";
import { BATCH_SIZE, RECIRC_DEPTH_MAX } from "../memory/batch-layout.ts";
import { ENGINE, ENGINE_SCRATCH_BYTES } from "../memory/engine-layout.ts";
import { PACKET_L3 } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import { ETH } from "../packet/link-headers.ts";
import { BatchExtractor } from "./batch-extractor.ts";
import { BatchStage, type StageContext } from "./batch-stage.ts";
import { COUNTER, type ThreadCounters } from "./counters.ts";
import { DROP } from "./drop-reason.ts";
import type { EngineSinks, MissSink } from "./engine.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const RECIRCULATED = COUNTER.recirculated;
const KEY_STRIDE = KEY_BYTES;
const LINE_BYTES = KEY_LINE_BYTES;
const BATCH_FULL = BATCH_SIZE;
const RECIRC_BATCH = ENGINE.recircBatch / 4;
const RECIRC_COUNT = ENGINE.recircCount / 4;
const ETH_BYTES_MIN: number = ETH.headerBytes;
const L3 = PACKET_L3;
/** NO_FRAME as the signed view shows it. */
const FRAME_GONE = -1;

/** The stages of all depths, linked; returns the first. */
export function recircStages(context: StageContext, sinks: EngineSinks): RecircStage {
  const { counters, pool, arena, threadIndex } = context;
  let next: Recirculator = new RecircLimit(arena.i32, scratchWord(context), counters, pool);
  for (let depth = RECIRC_DEPTH_MAX; depth > 1; depth -= 1) {
    next = new RecircStage(context, sinks, new BatchColumns(arena, threadIndex, depth), next);
  }
  return new RecircStage(context, sinks, new BatchColumns(arena, threadIndex, 1), next);
}

export class RecircStage implements Recirculator {
  readonly #i32: Int32Array;
  readonly #packets: Packets;
  readonly #counters: ThreadCounters;
  readonly #pool: FramePool;
  readonly #misses: MissSink;
  readonly #columns: BatchColumns;
  readonly #extractor: BatchExtractor;
  readonly #stage: BatchStage;
  /** The thread's scratch, as an index of words. */
  readonly #scratch: number;
  /** Packets that wait in the batch. */
  #count = 0;

  constructor(context: StageContext, sinks: EngineSinks, columns: BatchColumns, next: Recirculator) {
    this.#i32 = context.arena.i32;
    this.#packets = context.packets;
    this.#counters = context.counters;
    this.#pool = context.pool;
    this.#misses = sinks.misses;
    this.#columns = columns;
    this.#scratch = scratchWord(context);
    this.#i32.fill(FRAME_GONE, columns.frames, columns.frames + BATCH_SIZE);
    this.#extractor = new BatchExtractor({ ...context, columns });
    this.#stage = new BatchStage(context, sinks, columns, next, true);
  }

  add(columns: BatchColumns, slot: number, frame: number): number {
    const packets = this.#packets;
    if (packets.packetBytes(frame) < ETH_BYTES_MIN && (packets.flags(frame) & L3) === 0) {
      this.#counters.drop(DROP.rx_short, 1);
      this.#pool.freePacket(frame);
      return 0;
    }
    if (this.#count === BATCH_FULL) this.flush();
    const to = this.#count;
    this.#count = to + 1;
    const key = this.#copyKey(columns, slot, to);
    this.#i32[this.#columns.frames + to] = frame;
    return key;
  }

  addLines(lines: number): void {
    this.#i32[this.#columns.dirtyLines + this.#count - 1]! |= lines;
  }

  lend(): void {
    this.#i32[this.#scratch + RECIRC_BATCH] = this.#columns.batch;
    this.#i32[this.#scratch + RECIRC_COUNT] = this.#count;
  }

  takeBack(): void {
    this.#count = this.#i32[this.#scratch + RECIRC_COUNT]!;
  }

  flush(): void {
    const count = this.#count;
    if (count === 0) return;
    this.#count = 0;
    this.#counters.add(RECIRCULATED, count);
    this.#extractor.extractAgain(count);
    const hits = this.#stage.lookup(count);
    if (hits === count && this.#misses.orderedCount === 0) this.#stage.actOnHits(count);
    else this.#actInOrder(count);
    this.#stage.finish();
  }

  /** Lines that are zero on both sides need no copy. */
  #copyKey(columns: BatchColumns, slot: number, to: number): number {
    const i32 = this.#i32;
    const from = (columns.keys + slot * KEY_STRIDE) >>> 2;
    const key = this.#columns.keys + to * KEY_STRIDE;
    const sourceLines = i32[columns.dirtyLines + slot]!;
    const lines = sourceLines | i32[this.#columns.dirtyLines + to]!;
    for (let line = 0; lines >>> line !== 0; line += 1) {
      if (((lines >>> line) & 1) === 0) continue;
      const start = line * (LINE_BYTES >>> 2);
      for (let word = start; word < start + (LINE_BYTES >>> 2); word += 1)
        i32[(key >>> 2) + word] = i32[from + word]!;
    }
    i32[this.#columns.dirtyLines + to] = sourceLines;
    return key;
  }

  #actInOrder(count: number): void {
    const misses = this.#misses;
    const stage = this.#stage;
    for (let slot = 0; slot < count; slot += 1) {
      const isHit = this.#i32[this.#columns.flows + slot] !== 0;
      if (isHit && (misses.orderedCount === 0 || !misses.isBehindMiss(stage.setOrderHash(slot)))) {
        stage.actOnHit(slot);
      } else {
        stage.miss(slot);
      }
    }
  }
}

/** Below the last depth: a list of flows that recirculate in a circle ends here. */
class RecircLimit implements Recirculator {
  readonly #i32: Int32Array;
  readonly #scratch: number;
  readonly #counters: ThreadCounters;
  readonly #pool: FramePool;

  constructor(i32: Int32Array, scratch: number, counters: ThreadCounters, pool: FramePool) {
    this.#i32 = i32;
    this.#scratch = scratch;
    this.#counters = counters;
    this.#pool = pool;
  }

  add(_columns: BatchColumns, _slot: number, frame: number): number {
    this.#counters.drop(DROP.recirc_limit, 1);
    this.#pool.freePacket(frame);
    return 0;
  }

  /** No batch: compiled actions leave the packet, and it comes to add(). */
  lend(): void {
    this.#i32[this.#scratch + RECIRC_BATCH] = 0;
  }

  takeBack(): void {}
  addLines(): void {}
  flush(): void {}
}

const scratchWord = ({ arena, threadIndex }: StageContext): number =>
  (arena.region("engineScratch").offset + threadIndex * ENGINE_SCRATCH_BYTES) >>> 2;
