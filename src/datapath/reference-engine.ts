// The reference datapath: plain TypeScript over the arena. It is the specification that compiled code is held against,
// the oracle of tests, and the path of every packet that compiled code does not take.
//
// A batch goes through passes, so that the loads of one pass do not wait for each other: extraction of all keys, one
// look-up of all (table/table-reader.ts), then the actions packet by packet in the order of arrival, which keeps every
// output in order. Statistics are counted once for each flow of the batch.
//
// Per packet: extraction, look-up, actions; no allocation. Per batch: a few counters. Memory: this thread's batch.
// Counters: lookup_hit and lookup_miss of packets received, masks_probed, copied, rx_short, no_frame, and the flows'.
// Packets that came back from the handler were counted when they missed.
import { ACTION } from "../action/attributes.ts";
import { Executor } from "../action/executor.ts";
import type { OutputSink } from "../action/output-sink.ts";
import { Extractor } from "../flow/extract.ts";
import { ALL_LINES } from "../flow/extract-cursor.ts";
import { KEY_BYTES } from "../flow/fields.ts";
import type { Arena } from "../memory/arena.ts";
import { BATCH, BATCH_BYTES, BATCH_SIZE, LINEAR_BYTES } from "../memory/batch-layout.ts";
import { NO_FRAME as NONE } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import { ETH } from "../packet/link-headers.ts";
import { TableReader } from "../table/table-reader.ts";
import { COUNTER, type ThreadCounters } from "./counters.ts";
import { DROP } from "./drop-reason.ts";
import type { Engine, EngineSinks, MissSink } from "./engine.ts";
import { FlowCounts } from "./flow-counts.ts";
import { orderHash } from "./order-hash.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const NO_FRAME = NONE;
const KEY_STRIDE = KEY_BYTES;
const ETH_BYTES_MIN: number = ETH.headerBytes;
const {
  lookup_hit: LOOKUP_HIT,
  lookup_miss: LOOKUP_MISS,
  masks_probed: MASKS_PROBED,
  copied: COPIED,
} = COUNTER;
/** A gathered packet starts at 2 mod 4 like a frame, so that the extractor's fast path takes it. */
const GATHER_AT = 2;
/** A list of one output action: its header word (length, type) and the list's length. */
const OUTPUT_BYTES = 8;
const OUTPUT_HEADER = OUTPUT_BYTES | (ACTION.output << 16);
const GATHER_BYTES_MAX = LINEAR_BYTES - GATHER_AT;

export interface EngineContext {
  readonly arena: Arena;
  readonly threadIndex: number;
  readonly pool: FramePool;
  readonly packets: Packets;
  readonly counters: ThreadCounters;
  /** As OVS's other_config:vlan-limit. */
  readonly vlanLimit: number;
  /** [0] the burst's time in milliseconds. */
  readonly now: Float64Array;
}

export class ReferenceEngine implements Engine {
  readonly #u32: Uint32Array;
  readonly #packets: Packets;
  readonly #pool: FramePool;
  readonly #counters: ThreadCounters;
  readonly #now: Float64Array;
  readonly #misses: MissSink;
  readonly #output: OutputSink;
  readonly #extractor: Extractor;
  readonly #table: TableReader;
  readonly #executor: Executor;
  readonly #flowCounts: FlowCounts;
  readonly #batch: number;
  readonly #keys: number;
  readonly #linear: number;
  /** Columns, as indices of the 32-bit view. */
  readonly #frames: number;
  readonly #packetBytes: number;
  readonly #l3Offsets: number;
  readonly #l4Offsets: number;
  readonly #flows: number;
  readonly #orderHashes: number;
  readonly #dirtyLines: number;
  readonly #tcpFlags: number;
  readonly #actions: number;
  #probesSeen = 0;

  constructor(context: EngineContext, sinks: EngineSinks) {
    const { arena, threadIndex, pool, packets } = context;
    const batch = arena.region("batches").offset + threadIndex * BATCH_BYTES;
    this.#u32 = arena.u32;
    this.#packets = packets;
    this.#pool = pool;
    this.#counters = context.counters;
    this.#now = context.now;
    this.#misses = sinks.misses;
    this.#extractor = new Extractor(arena, context.vlanLimit);
    this.#table = new TableReader(arena, threadIndex);
    this.#executor = new Executor(arena, pool, packets, sinks.output, batch + BATCH.linear);
    this.#flowCounts = new FlowCounts(arena, batch, this.#table);
    this.#output = sinks.output;
    this.#batch = batch;
    this.#keys = batch + BATCH.keys;
    this.#linear = batch + BATCH.linear;
    const column = (offset: number): number => (batch + offset) >>> 2;
    this.#frames = column(BATCH.frame);
    this.#packetBytes = column(BATCH.packetBytes);
    this.#l3Offsets = column(BATCH.l3Offset);
    this.#l4Offsets = column(BATCH.l4Offset);
    this.#flows = column(BATCH.flow);
    this.#orderHashes = column(BATCH.orderHash);
    this.#dirtyLines = column(BATCH.dirtyLines);
    this.#tcpFlags = column(BATCH.tcpFlags);
    this.#actions = column(BATCH.actions);
    // Whoever had this batch before may have ended anywhere: nothing is known of the key slots.
    this.#u32.fill(ALL_LINES, this.#dirtyLines, this.#dirtyLines + BATCH_SIZE);
  }

  process(count: number, portNo: number): void {
    const kept = this.#extract(count, portNo);
    if (kept === 0) return;
    const hits = this.#lookup(kept);
    this.#counters.add(LOOKUP_HIT, hits);
    if (hits < kept) this.#counters.add(LOOKUP_MISS, kept - hits);
    if (hits === kept && this.#misses.orderedCount === 0) this.#actOnHits(kept);
    else this.#actInOrder(kept);
    this.#finish();
  }

  processReinjected(count: number, portNo: number): void {
    const kept = this.#extract(count, portNo);
    if (kept === 0) return;
    if (this.#lookup(kept) === kept) this.#actOnHits(kept);
    else this.#actOnReinjected(kept);
    this.#finish();
  }

  execute(count: number): void {
    for (let slot = 0; slot < count; slot += 1) {
      const frame = this.#u32[this.#frames + slot]!;
      const packetBytes = this.#packets.packetBytes(frame);
      this.#extractPacket(slot, frame, packetBytes, this.#packets.portNo(frame));
      this.#u32[this.#flows + slot] = 0;
    }
    for (let slot = 0; slot < count; slot += 1) {
      this.#carryOut(slot);
    }
    this.#finish();
  }

  /** Extracts all keys. Returns how many packets are left: those too short for Ethernet are dropped, as in OVS. */
  #extract(count: number, portNo: number): number {
    let kept = 0;
    for (let index = 0; index < count; index += 1) {
      const frame = this.#u32[this.#frames + index]!;
      const packetBytes = this.#packets.packetBytes(frame);
      if (packetBytes < ETH_BYTES_MIN) {
        this.#u32[this.#frames + index] = NO_FRAME;
        this.#counters.drop(DROP.rx_short, 1);
        this.#pool.freePacket(frame);
        continue;
      }
      if (kept !== index) {
        this.#u32[this.#frames + kept] = frame;
        this.#u32[this.#frames + index] = NO_FRAME;
      }
      this.#extractPacket(kept, frame, packetBytes, portNo);
      kept += 1;
    }
    return kept;
  }

  #extractPacket(slot: number, frame: number, packetBytes: number, portNo: number): void {
    const u32 = this.#u32;
    const extractor = this.#extractor;
    const key = this.#keys + slot * KEY_STRIDE;
    const dirty = u32[this.#dirtyLines + slot]!;
    const linearBytes = this.#packets.dataBytes(frame);
    let lines = extractor.receive(
      this.#packets.head(frame) | 0,
      linearBytes,
      packetBytes,
      key,
      dirty,
      portNo,
    );
    if (extractor.needsMoreLinear)
      lines = this.#extractGathered(frame, packetBytes, key, dirty | lines, portNo);
    u32[this.#dirtyLines + slot] = lines;
    u32[this.#packetBytes + slot] = packetBytes;
    u32[this.#l3Offsets + slot] = extractor.l3Offset;
    u32[this.#l4Offsets + slot] = extractor.l4Offset;
    u32[this.#tcpFlags + slot] = extractor.tcpFlags;
  }

  /** Headers that do not all lie in the first frame: the packet is gathered and extracted again. */
  #extractGathered(
    frame: number,
    packetBytes: number,
    key: number,
    dirtyLines: number,
    portNo: number,
  ): number {
    const at = this.#linear + GATHER_AT;
    const bytes = this.#packets.gather(frame, at, Math.min(packetBytes, GATHER_BYTES_MAX));
    return this.#extractor.receive(at | 0, bytes, packetBytes, key, dirtyLines, portNo);
  }

  #lookup(count: number): number {
    const hits = this.#table.lookupBatch(this.#batch, count);
    const probes = this.#table.probes;
    this.#counters.add(MASKS_PROBED, probes - this.#probesSeen);
    this.#probesSeen = probes;
    return hits;
  }

  /** The usual case: every packet hit a flow and none has to wait behind a miss. */
  #actOnHits(count: number): void {
    const u32 = this.#u32;
    for (let slot = 0; slot < count; slot += 1) this.#countHit(slot);
    for (let slot = 0; slot < count; slot += 1) {
      u32[this.#actions + slot] = this.#table.actionList(u32[this.#flows + slot]!);
    }
    for (let slot = 0; slot < count; slot += 1) this.#carryOut(slot);
  }

  /** Misses go up, and what hit behind a miss of its own conversation goes up behind it. */
  #actInOrder(count: number): void {
    const u32 = this.#u32;
    const misses = this.#misses;
    for (let slot = 0; slot < count; slot += 1) {
      const frame = u32[this.#frames + slot]!;
      const flowNo = u32[this.#flows + slot]!;
      if (flowNo === 0) {
        this.#setOrderHash(slot);
        u32[this.#frames + slot] = NO_FRAME;
        misses.miss(slot, frame);
      } else if (misses.orderedCount !== 0 && misses.isBehindMiss(this.#setOrderHash(slot))) {
        u32[this.#frames + slot] = NO_FRAME;
        misses.follow(slot, frame);
      } else {
        this.#hit(slot, flowNo);
      }
    }
  }

  #actOnReinjected(count: number): void {
    const u32 = this.#u32;
    for (let slot = 0; slot < count; slot += 1) {
      const frame = u32[this.#frames + slot]!;
      const flowNo = u32[this.#flows + slot]!;
      if (flowNo !== 0) {
        this.#hit(slot, flowNo);
      } else {
        this.#setOrderHash(slot);
        u32[this.#frames + slot] = NO_FRAME;
        this.#misses.miss(slot, frame);
      }
    }
  }

  #setOrderHash(slot: number): number {
    const hash = orderHash(this.#u32, this.#keys + slot * KEY_STRIDE, this.#u32[this.#dirtyLines + slot]!);
    this.#u32[this.#orderHashes + slot] = hash;
    return hash;
  }

  #hit(slot: number, flowNo: number): void {
    this.#countHit(slot);
    this.#u32[this.#actions + slot] = this.#table.actionList(flowNo);
    this.#carryOut(slot);
  }

  #countHit(slot: number): void {
    const u32 = this.#u32;
    this.#flowCounts.add(
      u32[this.#flows + slot]!,
      u32[this.#packetBytes + slot]!,
      u32[this.#tcpFlags + slot]!,
    );
  }

  /** Carries out the slot's action list on its packet. */
  #carryOut(slot: number): void {
    const u32 = this.#u32;
    const frame = u32[this.#frames + slot]!;
    const list = u32[this.#actions + slot]!;
    const actions = this.#table.actionsOffset(list);
    const actionsBytes = this.#table.actionsBytes(list);
    // From here on the executor's and the sinks': whoever takes over from a dead worker frees what stands here.
    u32[this.#frames + slot] = NO_FRAME;
    if (actionsBytes === OUTPUT_BYTES && u32[actions >>> 2] === OUTPUT_HEADER) {
      // The usual list needs no walk: one output.
      this.#output.output(u32[(actions >>> 2) + 1]!, frame);
      return;
    }
    this.#executor.execute(
      frame,
      slot,
      u32[this.#l3Offsets + slot]!,
      u32[this.#l4Offsets + slot]!,
      actions,
      actionsBytes,
    );
  }

  #finish(): void {
    this.#flowCounts.flush(this.#now);
    const { copies, copiesLost } = this.#executor;
    if (copies + copiesLost === 0) return;
    // A copy that could not be had is a copy made and dropped: the books then show what is missing.
    this.#counters.add(COPIED, copies + copiesLost);
    if (copiesLost > 0) this.#counters.drop(DROP.no_frame, copiesLost);
    this.#executor.copies = 0;
    this.#executor.copiesLost = 0;
  }
}
