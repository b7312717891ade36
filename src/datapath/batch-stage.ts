// One depth of a burst: a batch of packets whose keys are there, looked up and carried out. Depth 0 has what was
// received (reference-engine.ts), each deeper one what recirculated out of the one above (recirc-stage.ts).
//
// A batch goes through passes, so that the loads of one pass do not wait for each other: one look-up of all
// (table/table-reader.ts), the flows' statistics, their action lists, then the actions packet by packet in the order of
// arrival, which keeps every output in order. Packets whose actions are one output, as most are, go to the sink in runs;
// the others through the executor.
//
// What runs per packet keeps what it needs in locals and adds by `| 0`: V8 loads and checks a field anew after every
// call, and checks other additions for overflow.
//
// Per packet: look-up, actions; no allocation. Per batch: a few counters. Memory: this depth's batch of the thread.
// Counters: lookup_hit, lookup_miss, masks_probed, copied, no_frame, and the flows'.
import { ACTION } from "../action/attributes.ts";
import type { BondReader } from "../action/bond-table.ts";
import { Executor } from "../action/executor.ts";
import type { Meters } from "../action/meters.ts";
import type { Recirculator } from "../action/recirculator.ts";
import type { TunnelActions } from "../action/tunnel-actions.ts";
import { KEY_BYTES } from "../flow/fields.ts";
import type { Arena } from "../memory/arena.ts";
import type { BatchColumns } from "../memory/batch-columns.ts";
import { NO_PORT } from "../memory/batch-layout.ts";
import { PACKET_TUNNEL_SET } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import { TableReader } from "../table/table-reader.ts";
import { COUNTER, type ThreadCounters } from "./counters.ts";
import { DROP } from "./drop-reason.ts";
import type { EngineSinks, MissSink, PacketSink } from "./engine.ts";
import { orderHash } from "./order-hash.ts";
import type { Program, ProgramSlot } from "./program.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const {
  lookup_hit: LOOKUP_HIT,
  lookup_miss: LOOKUP_MISS,
  masks_probed: MASKS_PROBED,
  copied: COPIED,
  action_fallback: ACTION_FALLBACK,
} = COUNTER;
const KEY_STRIDE = KEY_BYTES;
const TUNNEL_SET = PACKET_TUNNEL_SET;
/** NO_FRAME and NO_PORT as the signed view shows them. */
const FRAME_GONE = -1;
const PORT_UNKNOWN = NO_PORT | 0;
/** A list of one output action: its header word (length, type) and the list's length. */
const OUTPUT_BYTES = 8;
const OUTPUT_HEADER = OUTPUT_BYTES | (ACTION.output << 16);

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
  readonly tunnels: TunnelActions;
  /** The thread's program; a slot that stays empty leaves everything to the reference. */
  readonly programs: ProgramSlot;
}

/** What the stages of one thread share. */
export interface StageContext extends EngineContext {
  readonly bonds: BondReader;
  readonly meters: Meters;
}

export class BatchStage {
  readonly columns: BatchColumns;
  readonly #i32: Int32Array;
  readonly #counters: ThreadCounters;
  readonly #now: Float64Array;
  readonly #output: PacketSink;
  readonly #misses: MissSink;
  readonly #table: TableReader;
  readonly #executor: Executor;
  readonly #next: Recirculator;
  readonly #packets: Packets;
  readonly #isRecirculated: boolean;
  readonly #programs: ProgramSlot;
  #probesSeen = 0;

  /** @param next takes what recirculates out of this depth; `isRecirculated` says that it is not the first */
  constructor(
    context: StageContext,
    sinks: EngineSinks,
    columns: BatchColumns,
    next: Recirculator,
    isRecirculated: boolean,
  ) {
    const { arena, threadIndex } = context;
    this.columns = columns;
    this.#i32 = arena.i32;
    this.#counters = context.counters;
    this.#now = context.now;
    this.#output = sinks.output;
    this.#misses = sinks.misses;
    this.#table = new TableReader(arena, threadIndex);
    this.#executor = new Executor({ ...context, sink: sinks.output, columns, next });
    this.#next = next;
    this.#packets = context.packets;
    this.#isRecirculated = isRecirculated;
    this.#programs = context.programs;
  }

  /** Looks all keys up and counts it. Returns the number of hits. */
  lookup(count: number): number {
    const program = this.#programs.current;
    if (program !== null) return program.lookup(this.columns.batch, count);
    const hits = this.lookupUncounted(count);
    this.#counters.add(LOOKUP_HIT, hits);
    if (hits < count) this.#counters.add(LOOKUP_MISS, count - hits);
    return hits;
  }

  /** As lookup(), of packets that were counted when they missed. */
  lookupUncounted(count: number): number {
    const hits = this.#table.lookupBatch(this.columns.batch, count);
    const probes = this.#table.probes;
    this.#counters.add(MASKS_PROBED, probes - this.#probesSeen);
    this.#probesSeen = probes;
    return hits;
  }

  /** The usual case: every packet hit a flow and none has to wait behind a miss. */
  actOnHits(count: number): void {
    const program = this.#programs.current;
    if (program !== null && !this.#hasSetTunnel(0, count)) this.#actBy(program, 0, count);
    else this.#actOnAll(count);
  }

  /** The program's actions, and the reference's of the packets that it leaves; outputs in the order of the packets. */
  #actBy(program: Program, first: number, end: number): void {
    const { batch } = this.columns;
    for (let from = first; ; ) {
      this.#next.lend();
      const stop = program.act(batch, from, end, this.#now[0]!);
      this.#next.takeBack();
      for (let at = program.transmit(0); at >= 0; ) at = program.transmit(this.#output.outputList(at));
      if (stop >= end) return;
      this.#counters.add(ACTION_FALLBACK, 1);
      this.#actOnOne(stop);
      from = stop + 1;
    }
  }

  #actOnAll(count: number): void {
    const { batch } = this.columns;
    this.#table.countFlows(batch, 0, count, this.#now);
    this.#table.loadActionLists(batch, count);
    this.#findOutPorts(0, count);
    this.#carryOut(0, count);
  }

  actOnHit(slot: number): void {
    const program = this.#programs.current;
    if (program !== null && !this.#hasSetTunnel(slot, slot + 1)) this.#actBy(program, slot, slot + 1);
    else this.#actOnOne(slot);
  }

  #actOnOne(slot: number): void {
    const { batch, flows, actions } = this.columns;
    this.#table.countFlows(batch, slot, slot + 1, this.#now);
    this.#i32[actions + slot] = this.#table.actionList(this.#i32[flows + slot]!);
    this.carryOutOne(slot);
  }

  /** Carries out the list in the slot's `actions` column. */
  carryOutOne(slot: number): void {
    this.#findOutPorts(slot, slot + 1);
    this.#carryOut(slot, slot + 1);
  }

  /** Sends the slot's packet up as a miss. */
  miss(slot: number): void {
    this.setOrderHash(slot);
    this.#misses.miss(this.columns, slot, this.takeFrame(slot));
  }

  setOrderHash(slot: number): number {
    const { keys, dirtyLines, orderHashes } = this.columns;
    const hash = orderHash(this.#i32, keys + slot * KEY_STRIDE, this.#i32[dirtyLines + slot]!);
    this.#i32[orderHashes + slot] = hash;
    return hash;
  }

  /** The slot's packet, whose owner is the caller from now on: whoever takes over from a dead worker leaves it alone. */
  takeFrame(slot: number): number {
    const at = this.columns.frames + slot;
    const frame = this.#i32[at]!;
    this.#i32[at] = FRAME_GONE;
    return frame;
  }

  /** Ends the batch: what recirculated is carried out, copies are counted. */
  finish(): void {
    this.#next.flush();
    const { copies, copiesLost } = this.#executor;
    if (copies + copiesLost === 0) return;
    // A copy that could not be had is a copy made and dropped: the books then show what is missing.
    this.#counters.add(COPIED, copies + copiesLost);
    if (copiesLost > 0) this.#counters.drop(DROP.no_frame, copiesLost);
    this.#executor.copies = 0;
    this.#executor.copiesLost = 0;
  }

  /** Writes the `outPort` column: where packets go whose list is one output. */
  #findOutPorts(from: number, to: number): void {
    const i32 = this.#i32;
    const table = this.#table;
    const { actions, outPorts } = this.columns;
    let list = -1;
    let portNo = PORT_UNKNOWN;
    for (let slot = from; slot < to; slot += 1) {
      const next = i32[(actions + slot) | 0]!;
      if (next !== list) {
        list = next;
        const word = table.actionsOffset(list) >>> 2;
        const isOutput = table.actionsBytes(list) === OUTPUT_BYTES && i32[word] === OUTPUT_HEADER;
        portNo = isOutput ? i32[word + 1]! : PORT_UNKNOWN;
      }
      i32[(outPorts + slot) | 0] = portNo;
    }
    if (this.#isRecirculated) this.#keepSetTunnels(from, to);
  }

  /** Whether a packet is under a set(tunnel) from before it recirculated, of which programs know nothing. */
  #hasSetTunnel(from: number, to: number): boolean {
    if (!this.#isRecirculated) return false;
    for (let slot = from; slot < to; slot += 1)
      if ((this.#packets.flags(this.#i32[this.columns.frames + slot]!) & TUNNEL_SET) !== 0) return true;
    return false;
  }

  /** Packets under a set(tunnel) take the executor, which tells tunnel ports of it. */
  #keepSetTunnels(from: number, to: number): void {
    const i32 = this.#i32;
    const { frames, outPorts } = this.columns;
    for (let slot = from; slot < to; slot += 1) {
      if ((this.#packets.flags(i32[frames + slot]!) & TUNNEL_SET) !== 0) i32[outPorts + slot] = PORT_UNKNOWN;
    }
  }

  /** Carries out the action lists of slots `from` .. `to` - 1: runs of single outputs, and what takes the executor. */
  #carryOut(from: number, to: number): void {
    let slot = from;
    for (;;) {
      slot = this.#output.outputRun(this.columns, slot, to);
      if (slot >= to) return;
      this.#walk(slot);
      slot = (slot + 1) | 0;
    }
  }

  /** A list that takes the executor. */
  #walk(slot: number): void {
    const list = this.#i32[this.columns.actions + slot]!;
    this.#executor.execute(
      this.takeFrame(slot),
      slot,
      this.#table.actionsOffset(list),
      this.#table.actionsBytes(list),
    );
  }
}
