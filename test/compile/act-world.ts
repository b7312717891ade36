// One thread's table, batch and executor, for tests that hold compiled actions against the reference: packets are laid in
// frames and carried out under flows whose actions the test gives; what was sent, dropped, copied, counted and recirculated
// comes out. Both ways go on from the same point, so the worlds of a comparison differ in who carries out.
import assert from "node:assert/strict";
import { BondReader } from "../../src/action/bond-table.ts";
import { Meters } from "../../src/action/meters.ts";
import { ACTION_END } from "../../src/action/output-sink.ts";
import type { Recirculator } from "../../src/action/recirculator.ts";
import { emitAct } from "../../src/compile/emit/act.ts";
import { EmitScope, threadAddresses } from "../../src/compile/emit/scope.ts";
import { BatchExtractor } from "../../src/datapath/batch-extractor.ts";
import { BatchStage } from "../../src/datapath/batch-stage.ts";
import { readThreadTotals, ThreadCounters } from "../../src/datapath/counters.ts";
import { DROP_REASONS } from "../../src/datapath/drop-reason.ts";
import type { PacketSink } from "../../src/datapath/engine.ts";
import { K, KEY_BYTES, KEY_LINE_BYTES } from "../../src/flow/fields.ts";
import { newKey } from "../../src/flow/key.ts";
import type { Arena } from "../../src/memory/arena.ts";
import { BatchColumns } from "../../src/memory/batch-columns.ts";
import { BATCH_SIZE } from "../../src/memory/batch-layout.ts";
import { ENGINE, OUT_ENTRY, OUT_ENTRY_BYTES } from "../../src/memory/engine-layout.ts";
import { NO_FRAME, PACKET_L3 } from "../../src/memory/frame-layout.ts";
import { FramePool, reserveCount } from "../../src/memory/frame-pool.ts";
import { Packets } from "../../src/memory/packets.ts";
import { bytesToHex } from "../../src/packet/bytes.ts";
import { ACTION_SHAPE_SHIFT, ACTION_UNIT_BYTES } from "../../src/table/action-store.ts";
import { FLOW, flowWord } from "../../src/table/layout.ts";
import { readShapes } from "../../src/table/shape-store.ts";
import { TableWriter } from "../../src/table/table-writer.ts";
import { TunnelEngine } from "../../src/tunnel/tunnel-engine.ts";
import type { ChainPart, Partial } from "../action/rig.ts";
import { createTestArena } from "../support/dataplane.ts";

export const NOW_MILLIS = 4711;
const FRAME_COUNT = 1024;
const IN_PORT = 7;
const REASON_OF_END: readonly string[] = Object.entries({
  nowhere: "flow_drop",
  noFrame: "no_frame",
  unable: "action_error",
  notPushed: "tunnel_push",
  notPopped: "tunnel_pop",
  meter: "meter",
  noBond: "invalid_bond",
} satisfies Record<keyof typeof ACTION_END, string>)
  .sort(([a], [b]) => ACTION_END[a as keyof typeof ACTION_END] - ACTION_END[b as keyof typeof ACTION_END])
  .map(([, reason]) => reason);

export interface TestPacket {
  readonly bytes: Uint8Array;
  /** Which of the action lists. */
  readonly list: number;
  readonly chain?: readonly ChainPart[] | undefined;
  readonly partial?: Partial | undefined;
}

/** What became of a batch. */
export interface Outcome {
  readonly outputs: readonly string[];
  readonly recirculated: readonly string[];
  readonly upcalls: number;
  readonly drops: Readonly<Record<string, number>>;
  readonly copies: number;
  /** Of each list's flow. */
  readonly flows: readonly string[];
}

type Act = (batch: number, from: number, count: number, nowMillis: number) => number;

export class ActWorld implements PacketSink, Recirculator {
  readonly arena: Arena;
  readonly pool: FramePool;
  readonly packets: Packets;
  readonly columns: BatchColumns;
  readonly #table: TableWriter;
  readonly #extractor: BatchExtractor;
  readonly #stage: BatchStage;
  readonly #deeper: BatchColumns;
  readonly #deeperExtractor: BatchExtractor;
  readonly #scratch: number;
  /** Slots that compiled code left to the reference since the start. */
  stops = 0;
  #flows: number[] = [];
  #outputs: string[] = [];
  #recirculated: string[] = [];
  #upcalls = 0;
  #drops: Record<string, number> = {};
  /** Of the thread's counters, which only grow. */
  #dropsSeen: Readonly<Record<string, number>> = {};
  #copiesSeen = 0;

  constructor(frameBytes = 2048) {
    const { arena, epochs } = createTestArena({ frameCount: FRAME_COUNT, frameBytes });
    this.arena = arena;
    this.pool = new FramePool(arena, 0);
    this.packets = new Packets(arena, this.pool);
    this.columns = new BatchColumns(arena, 0);
    this.#deeper = new BatchColumns(arena, 0, 1);
    this.#table = new TableWriter(arena, epochs);
    this.#scratch = threadAddresses(arena, 0).scratch;
    const now = new Float64Array([NOW_MILLIS]);
    const context = {
      arena,
      threadIndex: 0,
      pool: this.pool,
      packets: this.packets,
      counters: new ThreadCounters(arena, 0),
      vlanLimit: 2,
      now,
      tunnels: new TunnelEngine(arena, 0, this.pool, this.packets, now, () => undefined),
      bonds: new BondReader(arena, 0),
      meters: new Meters(arena, now),
      programs: { current: null },
    };
    this.#extractor = new BatchExtractor({ ...context, columns: this.columns });
    this.#deeperExtractor = new BatchExtractor({ ...context, columns: this.#deeper });
    const misses = {
      orderedCount: 0,
      isBehindMiss: () => false,
      miss: () => assert.fail("a miss"),
      follow: () => assert.fail("a follower"),
    };
    this.#stage = new BatchStage(context, { output: this, misses }, this.columns, this, false);
    arena.u32[(this.#scratch + ENGINE.recircBatch) >>> 2] = this.#deeper.batch;
  }

  outputList(): number {
    return assert.fail("a list of outputs that JavaScript has to transmit");
  }

  /** Flows with these actions, in place of those before. */
  setLists(lists: readonly Uint8Array[]): void {
    const mask = newKey().fill(0xff, K.in_port, K.in_port + 8);
    this.#flows = lists.map((actions, index) => {
      const key = newKey();
      key[K.recirc_id] = 1 + index;
      const put = this.#table.put({
        key,
        mask,
        actions,
        create: true,
        modify: true,
        clear: true,
        operator: true,
        nowMillis: 0,
      });
      if (put.error !== null) throw new Error(put.error);
      return put.flowNo;
    });
  }

  /** Code for the shapes of the lists that are set. */
  compile(): Act {
    const numbers = new Set(this.shapes());
    const scope = new EmitScope(this.arena, "act-test");
    const shapes = readShapes(this.arena).filter(({ number }) => numbers.has(number));
    scope.module.exportFunction("act", emitAct(scope, shapes));
    const module = new WebAssembly.Module(scope.module.encode());
    return new WebAssembly.Instance(module, EmitScope.imports(this.arena, 0)).exports["act"] as Act;
  }

  /** Of each list, the number of its shape. */
  shapes(): number[] {
    const { u32 } = this.arena;
    const region = this.arena.region("actions").offset >>> 2;
    return this.#flows.map((flowNo) => {
      const list = u32[flowWord(this.arena, flowNo) + FLOW.actions]!;
      return u32[region + list * (ACTION_UNIT_BYTES / 4)]! >>> ACTION_SHAPE_SHIFT;
    });
  }

  /** Carries a batch out, by `act` as far as it goes. @param fill what stands in frames behind and before packets */
  run(given: readonly TestPacket[], act: Act | null, fill = 0): Outcome {
    this.#begin(given, fill);
    const count = given.length;
    if (act === null) this.#stage.actOnHits(count);
    else this.#runCompiled(act, count);
    this.#stage.finish();
    this.flush();
    for (let slot = 0; slot < count; slot += 1)
      assert.equal(this.arena.u32[this.columns.frames + slot], NO_FRAME, `slot ${slot} was handed on`);
    const free = this.pool.stackCount + reserveCount(this.arena);
    assert.equal(free, FRAME_COUNT, `${FRAME_COUNT - free} frames lost`);
    return this.#outcome();
  }

  #begin(given: readonly TestPacket[], fill: number): void {
    const { u32 } = this.arena;
    this.#outputs = [];
    this.#recirculated = [];
    this.#upcalls = 0;
    this.#drops = {};
    this.#fillStack();
    const frames = given.map((packet) => this.#lay(packet, fill));
    u32.set(frames, this.columns.frames);
    assert.equal(this.#extractor.extract(given.length, IN_PORT), given.length);
    for (const [slot, { list }] of given.entries()) u32[this.columns.flows + slot] = this.#flows[list]!;
  }

  /** The stack as a worker's engine keeps it: frames for copies and room for drops. */
  #fillStack(): void {
    const frames = Array.from({ length: 256 }, () => this.pool.take());
    for (const frame of frames) this.pool.free(frame);
  }

  #lay({ bytes, chain, partial }: TestPacket, fill: number): number {
    const { packets, arena, pool } = this;
    const parts = chain ?? [{ dataOffset: 258, dataBytes: bytes.length }];
    let first = NO_FRAME;
    let previous = NO_FRAME;
    let from = 0;
    for (const { dataOffset, dataBytes } of parts) {
      const frame = pool.alloc();
      const start = packets.frameStart(frame);
      for (let at = start; at < start + arena.plan.sizes.frameBytes; at += 1) arena.u8[at] = fill * (at | 1);
      packets.setSingle(frame, dataOffset, dataBytes);
      arena.u8.set(bytes.subarray(from, from + dataBytes), start + dataOffset);
      if (first === NO_FRAME) first = frame;
      else packets.setNext(previous, frame);
      previous = frame;
      from += dataBytes;
    }
    packets.setTotals(first, bytes.length, parts.length);
    packets.setPortNo(first, IN_PORT);
    packets.setCsum(first, 0, 0);
    if (partial !== undefined) {
      packets.setFlags(first, partial.flags);
      packets.setCsum(first, partial.csumStart, partial.csumOffset);
    }
    return first;
  }

  #runCompiled(act: Act, count: number): void {
    for (let slot = 0; ; slot += 1) {
      slot = act(this.columns.batch, slot, count, NOW_MILLIS);
      this.#drainOutputs();
      if (slot === count) return;
      this.stops += 1;
      this.#stage.actOnHit(slot);
    }
  }

  #drainOutputs(): void {
    const { u32 } = this.arena;
    const count = u32[(this.#scratch + ENGINE.outCount) >>> 2]!;
    u32[(this.#scratch + ENGINE.outCount) >>> 2] = 0;
    for (let index = 0; index < count; index += 1) {
      const entry = this.#scratch + ENGINE.outList + index * OUT_ENTRY_BYTES;
      this.output(u32[(entry + OUT_ENTRY.portNo) >>> 2]!, u32[(entry + OUT_ENTRY.frame) >>> 2]!);
    }
  }

  #outcome(): Outcome {
    const { counters, drops } = readThreadTotals(this.arena, 0);
    for (const { name } of DROP_REASONS) {
      const dropped = drops[name] - (this.#dropsSeen[name] ?? 0);
      if (dropped !== 0) this.#drops[name] = (this.#drops[name] ?? 0) + dropped;
    }
    const copies = counters.copied - this.#copiesSeen;
    this.#dropsSeen = drops;
    this.#copiesSeen = counters.copied;
    return {
      outputs: this.#outputs,
      recirculated: this.#recirculated,
      upcalls: this.#upcalls,
      drops: this.#drops,
      copies,
      flows: this.#flows.map((flowNo) => JSON.stringify(this.#table.flows.stats(flowNo))),
    };
  }

  /** The packet as text, and its frames back; its records have to agree. */
  #consume(frame: number): string {
    const { packets } = this;
    let bytes = 0;
    let segments = 0;
    for (let part = frame; part !== NO_FRAME; part = packets.nextFrame(part)) {
      bytes += packets.dataBytes(part);
      segments += 1;
      assert.ok(packets.dataOffset(part) + packets.dataBytes(part) <= this.arena.plan.sizes.frameBytes);
    }
    assert.equal(packets.packetBytes(frame), bytes);
    assert.equal(packets.segmentCount(frame), segments);
    const { flags, csum } = {
      flags: packets.flags(frame),
      csum: `${packets.csumStart(frame)}+${packets.csumOffset(frame)}`,
    };
    const text = `port ${packets.portNo(frame)} flags ${flags} csum ${csum} ${bytesToHex(packets.toBytes(frame))}`;
    this.pool.freePacket(frame);
    return text;
  }

  // PacketSink.
  output(portNo: number, frame: number): void {
    this.#outputs.push(`to ${portNo}: ${this.#consume(frame)}`);
  }
  drop(frame: number, end: number): void {
    const reason = REASON_OF_END[end]!;
    this.#drops[reason] = (this.#drops[reason] ?? 0) + 1;
    this.#consume(frame);
  }
  upcall(_columns: BatchColumns, _slot: number, frame: number): void {
    this.#upcalls += 1;
    this.#consume(frame);
  }
  outputRun(_columns: BatchColumns, from: number, to: number): number {
    const { frames, outPorts } = this.columns;
    const { u32 } = this.arena;
    for (let slot = from; slot < to; slot += 1) {
      if (u32[outPorts + slot] === NO_FRAME) return slot;
      const frame = u32[frames + slot]!;
      u32[frames + slot] = NO_FRAME;
      this.output(u32[outPorts + slot]!, frame);
    }
    return to;
  }

  // Recirculator: as datapath/recirc-stage.ts gathers, in the batch that compiled code writes to.
  add(columns: BatchColumns, slot: number, frame: number): number {
    const { u32, u8 } = this.arena;
    if (this.packets.packetBytes(frame) < 14 && (this.packets.flags(frame) & PACKET_L3) === 0) {
      this.#drops["rx_short"] = (this.#drops["rx_short"] ?? 0) + 1;
      this.#consume(frame);
      return 0;
    }
    const countAt = (this.#scratch + ENGINE.recircCount) >>> 2;
    if (u32[countAt] === BATCH_SIZE) this.flush();
    const to = u32[countAt]!;
    u32[countAt] = to + 1;
    const key = this.#deeper.keys + to * KEY_BYTES;
    u8.copyWithin(key, columns.keys + slot * KEY_BYTES, columns.keys + (slot + 1) * KEY_BYTES);
    u32[this.#deeper.dirtyLines + to] = u32[columns.dirtyLines + slot]!;
    u32[this.#deeper.frames + to] = frame;
    return key;
  }
  lend(): void {}
  takeBack(): void {}
  addLines(lines: number): void {
    const { u32 } = this.arena;
    u32[this.#deeper.dirtyLines + u32[(this.#scratch + ENGINE.recircCount) >>> 2]! - 1]! |= lines;
  }
  /** Keys are compared as they are once the packet was extracted again, with the lines that they are said to have. */
  flush(): void {
    const { u32, u8 } = this.arena;
    const countAt = (this.#scratch + ENGINE.recircCount) >>> 2;
    const count = u32[countAt]!;
    u32[countAt] = 0;
    if (count === 0) return;
    this.#drainOutputs();
    this.#deeperExtractor.extractAgain(count);
    for (let slot = 0; slot < count; slot += 1) {
      const key = this.#deeper.keys + slot * KEY_BYTES;
      const lines = u32[this.#deeper.dirtyLines + slot]!;
      for (let line = 0; line < KEY_BYTES / KEY_LINE_BYTES; line += 1) {
        const part = u8.subarray(key + line * KEY_LINE_BYTES, key + (line + 1) * KEY_LINE_BYTES);
        assert.ok(((lines >>> line) & 1) !== 0 || part.every((byte) => byte === 0), `line ${line} is clean`);
      }
      const text = bytesToHex(u8.slice(key, key + KEY_BYTES));
      this.#recirculated.push(`key ${text}: ${this.#consume(u32[this.#deeper.frames + slot]!)}`);
      u32[this.#deeper.frames + slot] = NO_FRAME;
    }
  }
}
