// The first pass over a batch: every packet's key and what goes with it. The program in force does it, where there is
// one; here is what it equals, and what extracts the packets that it leaves.
//
// Per packet: one extraction, five columns. Memory: the thread's batch; reads frames and their records. Counters:
// rx_short, parse_fallback.
import { Extractor } from "../flow/extract.ts";
import { ALL_LINES } from "../flow/extract-cursor.ts";
import { KEY_BYTES, KEY_LINE_BYTES } from "../flow/fields.ts";
import type { Arena } from "../memory/arena.ts";
import type { BatchColumns } from "../memory/batch-columns.ts";
import { BATCH, BATCH_SIZE, LINEAR_BYTES } from "../memory/batch-layout.ts";
import { FRAME_META_BYTES, META16, META32 } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import { ETH } from "../packet/link-headers.ts";
import { COUNTER, type ThreadCounters } from "./counters.ts";
import { DROP } from "./drop-reason.ts";
import type { ProgramSlot } from "./program.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const KEY_STRIDE = KEY_BYTES;
const META_WORDS = FRAME_META_BYTES / 4;
const PACKET_BYTES_WORD = META32.packetBytes;
/** The record's word that holds dataOffset (low half) and dataBytes (high half). */
const DATA_WORD = META16.dataOffset / 2;
const ETH_BYTES_MIN: number = ETH.headerBytes;
/** NO_FRAME as the signed view shows it. */
const FRAME_GONE = -1;
/** In the `flow` column: the program left the packet. */
const LEFT = -1;
const PARSE_FALLBACK = COUNTER.parse_fallback;
/** A gathered packet starts at 2 mod 4 like a frame, so that the extractor's fast path takes it. */
const GATHER_AT = 2;
const GATHER_BYTES_MAX = LINEAR_BYTES - GATHER_AT;

export interface BatchExtractorContext {
  readonly arena: Arena;
  readonly columns: BatchColumns;
  readonly pool: FramePool;
  readonly packets: Packets;
  readonly counters: ThreadCounters;
  /** As OVS's other_config:vlan-limit. */
  readonly vlanLimit: number;
  readonly programs: ProgramSlot;
}

export class BatchExtractor {
  readonly #arena: Arena;
  readonly #i32: Int32Array;
  readonly #columns: BatchColumns;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #counters: ThreadCounters;
  readonly #extractor: Extractor;
  readonly #meta: number;
  readonly #frames: number;
  readonly #frameBytes: number;
  readonly #linear: number;
  readonly #programs: ProgramSlot;
  #gatheredBytes = 0;

  constructor({ arena, columns, pool, packets, counters, vlanLimit, programs }: BatchExtractorContext) {
    this.#programs = programs;
    this.#arena = arena;
    this.#i32 = arena.i32;
    this.#columns = columns;
    this.#pool = pool;
    this.#packets = packets;
    this.#counters = counters;
    this.#extractor = new Extractor(arena, vlanLimit);
    this.#meta = arena.region("frameMeta").offset >>> 2;
    this.#frames = arena.region("frames").offset;
    this.#frameBytes = arena.plan.sizes.frameBytes;
    this.#linear = columns.batch + BATCH.linear;
    // Whoever had this batch before may have ended anywhere: nothing is known of the key slots.
    this.#i32.fill(ALL_LINES, columns.dirtyLines, columns.dirtyLines + BATCH_SIZE);
  }

  /** Extracts all packets. Returns how many are left: those too short for Ethernet are dropped, as in OVS. */
  extract(count: number, portNo: number): number {
    const program = this.#programs.current;
    if (program !== null) {
      const left = program.parse(this.#columns.batch, count, portNo);
      if (left === 0 || this.#extractLeft(count, portNo)) return count;
    }
    return this.#extractAll(count, portNo);
  }

  /** Extracts what the program left. False, and nothing done, when a packet is to be dropped: then all are moved up. */
  #extractLeft(count: number, portNo: number): boolean {
    const { frames, flows, keys, dirtyLines } = this.#columns;
    const packets = this.#packets;
    for (let slot = 0; slot < count; slot += 1) {
      if (packets.packetBytes(this.#i32[frames + slot]!) < ETH_BYTES_MIN) return false;
    }
    for (let slot = 0; slot < count; slot += 1) {
      if (this.#i32[flows + slot] !== LEFT) continue;
      const frame = this.#i32[frames + slot]!;
      const bytes = packets.packetBytes(frame);
      const key = (keys + slot * KEY_STRIDE) | 0;
      const dirty = this.#i32[dirtyLines + slot]!;
      const head = packets.head(frame) | 0;
      let lines = this.#extractor.receive(head, packets.dataBytes(frame), bytes, key, dirty, portNo);
      if (this.#extractor.needsMoreLinear)
        lines = this.#extractGathered(frame, bytes, key, dirty | lines, portNo);
      this.#writeColumns(slot, lines, bytes);
      this.#counters.add(PARSE_FALLBACK, 1);
    }
    return true;
  }

  #writeColumns(slot: number, lines: number, bytes: number): void {
    const i32 = this.#i32;
    const { dirtyLines, packetBytes, l3Offsets, l4Offsets, tcpFlags } = this.#columns;
    i32[dirtyLines + slot] = lines;
    i32[packetBytes + slot] = bytes;
    i32[l3Offsets + slot] = this.#extractor.l3Offset;
    i32[l4Offsets + slot] = this.#extractor.l4Offset;
    i32[tcpFlags + slot] = this.#extractor.tcpFlags;
  }

  #extractAll(count: number, portNo: number): number {
    const i32 = this.#i32;
    const meta = this.#meta;
    const framesAt = this.#frames;
    const frameBytes = this.#frameBytes;
    const extractor = this.#extractor;
    const { keys, frames, dirtyLines, packetBytes, l3Offsets, l4Offsets, tcpFlags } = this.#columns;
    let slot = 0;
    for (let index = 0; index < count; index = (index + 1) | 0) {
      const frame = i32[(frames + index) | 0]!;
      const record = (meta + Math.imul(frame, META_WORDS)) | 0;
      const bytes = i32[(record + PACKET_BYTES_WORD) | 0]!;
      if (bytes < ETH_BYTES_MIN) {
        this.#dropShort(index, frame);
        continue;
      }
      if (slot !== index) {
        i32[(frames + slot) | 0] = frame;
        i32[(frames + index) | 0] = FRAME_GONE;
      }
      const data = i32[(record + DATA_WORD) | 0]!;
      const head = (framesAt + Math.imul(frame, frameBytes) + (data & 0xffff)) | 0;
      const key = (keys + Math.imul(slot, KEY_STRIDE)) | 0;
      const dirty = i32[(dirtyLines + slot) | 0]!;
      let lines = extractor.receive(head, data >>> 16, bytes, key, dirty, portNo);
      if (extractor.needsMoreLinear) lines = this.#extractGathered(frame, bytes, key, dirty | lines, portNo);
      i32[(dirtyLines + slot) | 0] = lines;
      i32[(packetBytes + slot) | 0] = bytes;
      i32[(l3Offsets + slot) | 0] = extractor.l3Offset;
      i32[(l4Offsets + slot) | 0] = extractor.l4Offset;
      i32[(tcpFlags + slot) | 0] = extractor.tcpFlags;
      slot = (slot + 1) | 0;
    }
    return slot;
  }

  /** Extracts all packets under the metadata that stand in their key slots. */
  extractAgain(count: number): void {
    const program = this.#programs.current;
    const { batch, flows } = this.#columns;
    if (program === null) {
      for (let slot = 0; slot < count; slot = (slot + 1) | 0) this.#extractOneAgain(slot);
    } else if (program.parseAgain(batch, count) > 0) {
      for (let slot = 0; slot < count; slot += 1) {
        if (this.#i32[flows + slot] !== LEFT) continue;
        this.#extractOneAgain(slot);
        this.#counters.add(PARSE_FALLBACK, 1);
      }
    }
  }

  #extractOneAgain(slot: number): void {
    const packets = this.#packets;
    const extractor = this.#extractor;
    const { keys, frames, dirtyLines } = this.#columns;
    const frame = this.#i32[(frames + slot) | 0]!;
    const bytes = packets.packetBytes(frame);
    const key = (keys + Math.imul(slot, KEY_STRIDE)) | 0;
    const dirty = this.#i32[(dirtyLines + slot) | 0]!;
    let lines = extractor.extract(packets.head(frame) | 0, packets.dataBytes(frame), bytes, key, dirty);
    if (extractor.needsMoreLinear) {
      const at = this.#gather(frame, bytes);
      lines = extractor.extract(at, this.#gatheredBytes, bytes, key, dirty | lines);
    }
    this.#writeColumns(slot, lines, bytes);
  }

  /** Puts the metadata of a key into a slot. @param source arena offset of the key's first `bytes`, whole lines */
  loadMetadata(slot: number, source: number, bytes: number): void {
    const { keys, dirtyLines } = this.#columns;
    const key = keys + slot * KEY_STRIDE;
    this.#arena.intrinsics.zero(key, KEY_STRIDE);
    this.#arena.intrinsics.copy(key, source, bytes);
    this.#i32[dirtyLines + slot] = (1 << (bytes / KEY_LINE_BYTES)) - 1;
  }

  /** Headers that do not all lie in the first frame: the packet is gathered and extracted again. */
  #extractGathered(frame: number, packetBytes: number, key: number, dirty: number, portNo: number): number {
    const at = this.#gather(frame, packetBytes);
    return this.#extractor.receive(at, this.#gatheredBytes, packetBytes, key, dirty, portNo);
  }

  /** Copies what fits to the linear area. Returns where it stands. */
  #gather(frame: number, packetBytes: number): number {
    const at = this.#linear + GATHER_AT;
    this.#gatheredBytes = this.#packets.gather(frame, at, Math.min(packetBytes, GATHER_BYTES_MAX));
    return at | 0;
  }

  #dropShort(slot: number, frame: number): void {
    this.#i32[this.#columns.frames + slot] = FRAME_GONE;
    this.#counters.drop(DROP.rx_short, 1);
    this.#pool.freePacket(frame);
  }
}
