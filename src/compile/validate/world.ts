import { BatchExtractor } from "../../datapath/batch-extractor.ts";
import { COUNTER, ThreadCounters } from "../../datapath/counters.ts";
import { END_REASONS } from "../../datapath/drop-reason.ts";
import type { MissSink, PacketSink } from "../../datapath/engine.ts";
import type { Program, ProgramSlot } from "../../datapath/program.ts";
import { ReferenceEngine } from "../../datapath/reference-engine.ts";
import { ALL_LINES } from "../../flow/extract-cursor.ts";
import { KEY_BYTES, KEY_LINE_BYTES, KEY_LINE_COUNT } from "../../flow/fields.ts";
import { Arena } from "../../memory/arena.ts";
import { BatchColumns } from "../../memory/batch-columns.ts";
import { BATCH_SIZE, NO_PORT } from "../../memory/batch-layout.ts";
import { ENGINE, ENGINE_SCRATCH_BYTES, OUT_ENTRY, OUT_ENTRY_BYTES } from "../../memory/engine-layout.ts";
import { EpochWriter } from "../../memory/epoch.ts";
import { FRAME_HEADROOM_BYTES, NO_FRAME } from "../../memory/frame-layout.ts";
import { FramePool, fillReserve, reserveCount } from "../../memory/frame-pool.ts";
import { Packets } from "../../memory/packets.ts";
import type { ArenaSizes } from "../../memory/region-plan.ts";
import { bytesToHex, hexToBytes } from "../../packet/bytes.ts";
import { setHashSeed } from "../../table/hash.ts";
import { TableReader } from "../../table/table-reader.ts";
import { TableWriter } from "../../table/table-writer.ts";
import { TunnelEngine } from "../../tunnel/tunnel-engine.ts";

/** A worker's: index 0 of every configuration that has one. */
export const THREAD_INDEX = 0;
/** Two bursts, what they recirculate and their copies. */
const FRAME_COUNT = 2048;
/** The engine keeps this many frames for copies before compiled actions run, and room for as many. */
const STACK_FRAMES = 256;
/** When the first burst arrives: any time but 0, which says never. */
const START_MILLIS = 4711;

export interface WorldOptions {
  /** Of the switch's arena. */
  readonly sizes: ArenaSizes;
  readonly hashSeed: number;
  readonly vlanLimit: number;
  /** What stands in frames around packets. */
  readonly fill: number;
}

/** A packet and how it lies in frames. */
export interface LaidPacket {
  readonly bytes: Uint8Array;
  /** Bytes in each frame but the last; absent when one frame holds all. */
  readonly cuts?: readonly number[];
  /** Bytes in front of it. */
  readonly headroomBytes?: number;
  /** PACKET_* of memory/frame-layout.ts. */
  readonly flags?: number;
  readonly csumStart?: number;
  readonly csumOffset?: number;
}

export class World implements PacketSink, MissSink {
  readonly arena: Arena;
  readonly table: TableWriter;
  readonly columns: BatchColumns;
  readonly pool: FramePool;
  readonly packets: Packets;
  readonly counters: ThreadCounters;
  /** Nothing waits for an answer here. */
  readonly orderedCount = 0;
  readonly #fill: number;
  readonly #frameCount: number;
  readonly #now = new Float64Array([START_MILLIS]);
  readonly #programs: ProgramSlot = { current: null };
  readonly #extractor: BatchExtractor;
  readonly #reader: TableReader;
  readonly #engine: ReferenceEngine;
  readonly #scratch: number;
  #program: Program | null = null;
  #departures: string[] = [];
  #missedKeys: Uint8Array[] = [];

  constructor({ sizes, hashSeed, vlanLimit, fill }: WorldOptions) {
    const arena = Arena.create(sizes);
    const epochs = new EpochWriter(arena);
    epochs.initialise();
    this.#frameCount = Math.min(FRAME_COUNT, sizes.frameCount);
    fillReserve(arena, this.#frameCount);
    setHashSeed(arena, hashSeed);
    this.arena = arena;
    this.#fill = fill;
    this.table = new TableWriter(arena, epochs);
    this.pool = new FramePool(arena, THREAD_INDEX);
    this.packets = new Packets(arena, this.pool);
    this.columns = new BatchColumns(arena, THREAD_INDEX);
    this.counters = new ThreadCounters(arena, THREAD_INDEX);
    this.#reader = new TableReader(arena, THREAD_INDEX);
    this.#scratch = arena.region("engineScratch").offset + THREAD_INDEX * ENGINE_SCRATCH_BYTES;
    const { pool, packets, counters, columns } = this;
    const tunnels = new TunnelEngine(arena, THREAD_INDEX, pool, packets, this.#now, () => undefined);
    const context = { arena, threadIndex: THREAD_INDEX, pool, packets, counters, vlanLimit, tunnels };
    const engine = { ...context, now: this.#now, programs: this.#programs };
    this.#engine = new ReferenceEngine(engine, { output: this, misses: this });
    this.#extractor = new BatchExtractor({ ...engine, columns });
    arena.u32.fill(NO_FRAME, columns.frames, columns.frames + BATCH_SIZE);
  }

  /** Bursts are the program's from now on. Its outputs are read off its list; its transmit pass is left out. */
  setProgram(program: Program): void {
    this.#program = program;
    this.#programs.current = { ...program, transmit: (from) => this.#sendList(from) };
  }

  /** Lays a burst in frames and extracts it. Returns the packets that are left. */
  receive(burst: readonly LaidPacket[], portNo: number): number {
    this.#departures = [];
    this.#missedKeys = [];
    this.#now[0]! += 1;
    const { u32 } = this.arena;
    for (const [slot, packet] of burst.entries()) u32[this.columns.frames + slot] = this.#lay(packet, portNo);
    return this.#extractor.extract(burst.length, portNo);
  }

  /** Looks the packets in the batch up, and counts it as the engine does. Returns their flows. */
  look(count: number): Int32Array {
    const { batch, flows } = this.columns;
    if (this.#program === null) this.#lookByReference(count);
    else this.#program.lookup(batch, count);
    return this.arena.i32.slice(flows, flows + count);
  }

  #lookByReference(count: number): void {
    const before = this.#reader.probes;
    const hits = this.#reader.lookupBatch(this.columns.batch, count);
    this.counters.add(COUNTER.lookup_hit, hits);
    this.counters.add(COUNTER.lookup_miss, count - hits);
    this.counters.add(COUNTER.masks_probed, this.#reader.probes - before);
  }

  /** As look(), of keys that no packet is behind. */
  lookKeys(keys: readonly Uint8Array[]): Int32Array {
    const { u8, u32 } = this.arena;
    for (const [slot, key] of keys.entries()) {
      u8.set(key, this.columns.keys + slot * KEY_BYTES);
      u32[this.columns.dirtyLines + slot] = ALL_LINES;
    }
    return this.look(keys.length);
  }

  /** The whole engine: extraction, look-up, actions, recirculation. Returns what left it, in order. */
  process(count: number, portNo: number): readonly string[] {
    // Frames are taken and given back, so that there are some for copies and room for drops.
    const frames = Array.from({ length: STACK_FRAMES }, () => this.pool.take());
    for (const frame of frames) this.pool.free(frame);
    this.#engine.process(count, portNo, false);
    return this.#departures;
  }

  /** Keys of the packets that missed in the last burst, recirculated ones among them. */
  get missedKeys(): readonly Uint8Array[] {
    return this.#missedKeys;
  }

  /** What left in the last burst, upcalls among them, in order. */
  get departedPackets(): readonly Uint8Array[] {
    return this.#departures.map((text) => hexToBytes(text.slice(text.lastIndexOf(" ") + 1)));
  }

  /** Frames that nobody has. */
  get freeFrames(): number {
    return this.pool.stackCount + reserveCount(this.arena);
  }

  get frameCount(): number {
    return this.#frameCount;
  }

  // PacketSink.
  output(portNo: number, frame: number): void {
    this.#leave(`output to ${portNo}`, frame);
  }
  drop(frame: number, end: number): void {
    this.counters.drop(END_REASONS[end]!, 1);
    this.pool.freePacket(frame);
  }
  upcall(
    columns: BatchColumns,
    slot: number,
    frame: number,
    action: number,
    attributes: number,
    attributeBytes: number,
    packetBytes: number,
  ): void {
    const list = bytesToHex(this.arena.u8.slice(attributes, attributes + attributeBytes));
    const key = bytesToHex(this.#key(columns, slot));
    this.#leave(`upcall of action ${action} ${list} of ${packetBytes} bytes, key ${key}`, frame);
  }
  outputRun(columns: BatchColumns, from: number, to: number): number {
    const { u32 } = this.arena;
    for (let slot = from; slot < to; slot += 1) {
      const portNo = u32[columns.outPorts + slot]!;
      if (portNo === NO_PORT) return slot;
      const frame = u32[columns.frames + slot]!;
      u32[columns.frames + slot] = NO_FRAME;
      this.output(portNo, frame);
    }
    return to;
  }
  outputList(from: number): number {
    const entry = (this.#scratch + ENGINE.outList + from * OUT_ENTRY_BYTES) >>> 2;
    const { u32 } = this.arena;
    this.output(u32[entry + OUT_ENTRY.portNo / 4]!, u32[entry + OUT_ENTRY.frame / 4]!);
    return from + 1;
  }

  // MissSink.
  isBehindMiss(): boolean {
    return false;
  }
  miss(columns: BatchColumns, slot: number, frame: number): void {
    const key = this.#key(columns, slot);
    this.#missedKeys.push(key);
    this.#leave(`miss of key ${bytesToHex(key)}`, frame);
  }
  follow(_columns: BatchColumns, _slot: number, frame: number): void {
    this.#leave("behind a miss", frame);
  }

  /** The whole list of outputs from entry `from` on, which is empty then. */
  #sendList(from: number): number {
    const count = (this.#scratch + ENGINE.outCount) >>> 2;
    for (let entry = from; entry < this.arena.u32[count]!; ) entry = this.outputList(entry);
    this.arena.u32[count] = 0;
    return -1;
  }

  #leave(how: string, frame: number): void {
    const { packets } = this;
    const record = `flags ${packets.flags(frame)} checksum ${packets.csumStart(frame)}+${packets.csumOffset(frame)}`;
    this.#departures.push(
      `${how}: ${record} of port ${packets.portNo(frame)}: ${bytesToHex(packets.toBytes(frame))}`,
    );
    this.pool.freePacket(frame);
  }

  /** The key in a slot: lines that are not dirty are zero whatever stands there. */
  #key(columns: BatchColumns, slot: number): Uint8Array {
    const { u8, u32 } = this.arena;
    const at = columns.keys + slot * KEY_BYTES;
    const key = u8.slice(at, at + KEY_BYTES);
    const lines = u32[columns.dirtyLines + slot]!;
    for (let line = 0; line < KEY_LINE_COUNT; line += 1)
      if (((lines >>> line) & 1) === 0) key.fill(0, line * KEY_LINE_BYTES, (line + 1) * KEY_LINE_BYTES);
    return key;
  }

  #lay(packet: LaidPacket, portNo: number): number {
    const { bytes, cuts = [], headroomBytes = FRAME_HEADROOM_BYTES } = packet;
    const { packets } = this;
    let first = NO_FRAME;
    let previous = NO_FRAME;
    let from = 0;
    for (const cut of [...cuts, bytes.length]) {
      const end = Math.min(bytes.length, cut);
      const frame = this.#filledFrame();
      packets.setSingle(frame, headroomBytes, end - from);
      this.arena.u8.set(bytes.subarray(from, end), packets.frameStart(frame) + headroomBytes);
      if (first === NO_FRAME) first = frame;
      else packets.setNext(previous, frame);
      previous = frame;
      from = end;
    }
    packets.setTotals(first, bytes.length, cuts.length + 1);
    packets.setPortNo(first, portNo);
    packets.setFlags(first, packet.flags ?? 0);
    packets.setCsum(first, packet.csumStart ?? 0, packet.csumOffset ?? 0);
    return first;
  }

  #filledFrame(): number {
    const frame = this.pool.alloc();
    if (frame === NO_FRAME) throw new Error("validation: no frames left, the engine lost them");
    const start = this.packets.frameStart(frame);
    this.arena.u8.fill(this.#fill, start, start + this.arena.plan.sizes.frameBytes);
    return frame;
  }
}
