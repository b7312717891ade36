// What goes up from a worker, what is out there, and who may have how much of it.
//
// Order: for each order hash it counts the misses and followers in flight; a packet that hits a flow meanwhile has to
// go up behind them (datapath/upcall-record.ts). Share: what is in flight is charged to the port that it came in on,
// and a port holds at most the whole charge divided by the ports that this worker receives from, so that a flood on
// one port leaves the others their way up.
//
// Per packet that goes up: a record in the ring. Per burst: one publish, the doorbell at most once. Memory: the
// worker's upcall ring and the batch's `inFlight` counts, which outlive the worker. Counters: consumed, upcall_miss,
// upcall_action, upcall_follow, upcall_lost, doorbells, the ports' upcalls and upcalls_lost, drops.
import { ACTION, ACTION_METADATA, USERSPACE } from "../action/attributes.ts";
import { COUNTER, type ThreadCounters } from "../datapath/counters.ts";
import { DROP } from "../datapath/drop-reason.ts";
import type { MissSink } from "../datapath/engine.ts";
import { orderHash } from "../datapath/order-hash.ts";
import { UPCALL, UpcallParts, UpcallWriter, upcallChargeMax } from "../datapath/upcall-record.ts";
import { KEY_BYTES } from "../flow/fields.ts";
import { NLA_HEADER_BYTES } from "../flow/nlattr.ts";
import type { Arena } from "../memory/arena.ts";
import { BatchColumns } from "../memory/batch-columns.ts";
import { BATCH, ORDER_SLOTS } from "../memory/batch-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import { Handover, ringOwner } from "../memory/handover.ts";
import type { Packets } from "../memory/packets.ts";
import { PORT_COUNTER_BYTES } from "../memory/region-plan.ts";
import { PORT_COUNTER } from "../port/counters.ts";
import { PortTable } from "../port/port-table.ts";
import { DoorbellRinger } from "../ring/doorbell.ts";
import { TableReader } from "../table/table-reader.ts";
import type { TunnelEngine } from "../tunnel/tunnel-engine.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const { actions: ASKS_FOR_ACTIONS, egressTunPort: ASKS_FOR_EGRESS_KEY } = USERSPACE;
/** Port numbers have 16 bits. */
const PORT_NUMBERS = 65536;
/** The part of all frames that may wait for the handler: receiving goes on with the rest. */
const FRAME_SHARE = 4;

export interface UpcallSenderContext {
  readonly arena: Arena;
  readonly threadIndex: number;
  readonly pool: FramePool;
  readonly packets: Packets;
  readonly counters: ThreadCounters;
  readonly now: Float64Array;
  readonly tunnels: TunnelEngine;
}

export class UpcallSender implements MissSink {
  /** Misses and followers in flight. */
  orderedCount = 0;

  readonly #arena: Arena;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #counters: ThreadCounters;
  readonly #now: Float64Array;
  readonly #tunnels: TunnelEngine;
  readonly #writer: UpcallWriter;
  readonly #parts = new UpcallParts();
  readonly #doorbell: DoorbellRinger;
  readonly #handover: Handover;
  readonly #ringOwner: number;
  readonly #table: TableReader;
  readonly #ports: PortTable;
  readonly #portCounters: number;
  /** First of the `inFlight` counts, an index of the 16-bit view. */
  readonly #inFlight: number;
  readonly #chargeMax: number;
  /** By port number: charge in flight. */
  readonly #charges = new Int32Array(PORT_NUMBERS);
  #charge = 0;
  #share: number;

  constructor(context: UpcallSenderContext) {
    const { arena, threadIndex } = context;
    const { workerCount, frameCount, portCountMax } = arena.plan.sizes;
    this.#arena = arena;
    this.#u16 = arena.u16;
    this.#u32 = arena.u32;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#counters = context.counters;
    this.#now = context.now;
    this.#tunnels = context.tunnels;
    this.#writer = new UpcallWriter(arena, threadIndex);
    this.#doorbell = new DoorbellRinger(arena);
    this.#handover = new Handover(arena, context.pool, threadIndex);
    this.#ringOwner = ringOwner("upcall", threadIndex);
    this.#table = new TableReader(arena, threadIndex);
    this.#ports = new PortTable(arena);
    this.#portCounters =
      arena.region("portCounters").offset + threadIndex * portCountMax * PORT_COUNTER_BYTES;
    this.#inFlight = (new BatchColumns(arena, threadIndex).batch + BATCH.inFlight) >>> 1;
    const frames = Math.floor(frameCount / FRAME_SHARE / Math.max(1, workerCount));
    this.#chargeMax = Math.min(upcallChargeMax(arena), frames * this.#writer.followCharge);
    this.#share = this.#chargeMax;
    // What the worker before this one left in flight comes back to this one.
    for (let slot = 0; slot < ORDER_SLOTS; slot += 1) this.orderedCount += this.#u16[this.#inFlight + slot]!;
  }

  /** Control path: how many ports this worker receives from. */
  setPortCount(count: number): void {
    this.#share = Math.floor(this.#chargeMax / Math.max(1, count));
  }

  isBehindMiss(hash: number): boolean {
    return this.#u16[this.#inFlight + (hash & (ORDER_SLOTS - 1))] !== 0;
  }

  miss(columns: BatchColumns, slot: number, frame: number): void {
    const keyLines = this.#u32[columns.dirtyLines + slot]!;
    const portNo = this.#packets.portNo(frame);
    if (!this.#admit(portNo, frame, this.#writer.missCharge(keyLines))) return;
    const hash = this.#u32[columns.orderHashes + slot]!;
    const packetBytes = this.#packets.packetBytes(frame);
    const key = columns.keys + slot * KEY_BYTES;
    if (this.#writer.miss(frame, portNo, hash, packetBytes, key, keyLines, this.#now[0]!)) {
      this.#sent(portNo, frame, COUNTER.upcall_miss);
      this.#setBehind(hash);
    } else {
      this.#lose(portNo, frame, DROP.upcall_lost);
    }
  }

  follow(columns: BatchColumns, slot: number, frame: number): void {
    const portNo = this.#packets.portNo(frame);
    if (!this.#admit(portNo, frame, this.#writer.followCharge)) return;
    const hash = this.#u32[columns.orderHashes + slot]!;
    const packetBytes = this.#packets.packetBytes(frame);
    if (this.#writer.follow(frame, portNo, hash, packetBytes, this.#now[0]!)) {
      this.#sent(portNo, frame, COUNTER.upcall_follow);
      this.#setBehind(hash);
    } else {
      this.#lose(portNo, frame, DROP.hold_full);
    }
  }

  /** A packet of a userspace() or psample() action; arguments as OutputSink.upcall has them. */
  action(
    columns: BatchColumns,
    slot: number,
    frame: number,
    action: number,
    attributes: number,
    attributeBytes: number,
    packetBytes: number,
    probability: number,
  ): void {
    const keyLines = this.#u32[columns.dirtyLines + slot]!;
    const key = columns.keys + slot * KEY_BYTES;
    const portNo = this.#packets.portNo(frame);
    const isUserspace = action === ACTION.userspace;
    this.#parts.attributes = attributes;
    this.#parts.attributeBytes = attributeBytes;
    this.#parts.probability = probability;
    this.#parts.actionsBytes = 0;
    this.#parts.egressKeyBytes = 0;
    if (isUserspace) this.#gatherParts(columns, slot, frame);
    const type = isUserspace ? UPCALL.action : UPCALL.psample;
    const hash = orderHash(this.#arena.i32, key, keyLines);
    const now = this.#now[0]!;
    if (
      this.#hasRoom(portNo, this.#writer.actionCharge(keyLines, this.#parts)) &&
      this.#writer.action(type, frame, portNo, hash, packetBytes, key, keyLines, now, this.#parts)
    ) {
      this.#sent(portNo, frame, COUNTER.upcall_action);
    } else {
      this.#lose(portNo, frame, DROP.upcall_userspace);
    }
  }

  /** A record was answered: its charge is free, and its conversation may go on when it was the last. */
  answered(portNo: number, charge: number): void {
    // A worker that took over from a dead one knows nothing of the charges that the dead one left.
    const charged = Math.min(charge, this.#charges[portNo & (PORT_NUMBERS - 1)]!);
    this.#charges[portNo & (PORT_NUMBERS - 1)]! -= charged;
    this.#charge -= charged;
  }

  /** A miss or follower with this order hash came back or was consumed. */
  setAhead(hash: number): void {
    const index = this.#inFlight + (hash & (ORDER_SLOTS - 1));
    if (this.#u16[index] === 0) return;
    this.#u16[index]! -= 1;
    this.orderedCount -= 1;
  }

  /** Makes what was sent visible and wakes the handler when it sleeps. Once a burst. */
  publish(): void {
    if (this.#writer.publish() && this.#doorbell.ring()) this.#counters.add(COUNTER.doorbells, 1);
  }

  #setBehind(hash: number): void {
    this.#u16[this.#inFlight + (hash & (ORDER_SLOTS - 1))]! += 1;
    this.orderedCount += 1;
  }

  #hasRoom(portNo: number, charge: number): boolean {
    return (
      this.#charge + charge <= this.#chargeMax &&
      this.#charges[portNo & (PORT_NUMBERS - 1)]! + charge <= this.#share
    );
  }

  /** Whether a miss or follower may go up; it is dropped when not. */
  #admit(portNo: number, frame: number, charge: number): boolean {
    if (this.#hasRoom(portNo, charge)) return true;
    this.#lose(portNo, frame, this.#charge + charge > this.#chargeMax ? DROP.upcall_lost : DROP.upcall_share);
    return false;
  }

  #sent(portNo: number, frame: number, counter: number): void {
    const { charge } = this.#writer;
    this.#charges[portNo & (PORT_NUMBERS - 1)]! += charge;
    this.#charge += charge;
    this.#handover.give(frame, this.#ringOwner);
    this.#counters.add(COUNTER.consumed, 1);
    this.#counters.add(counter, 1);
    this.#countPort(portNo, PORT_COUNTER.upcalls);
  }

  #lose(portNo: number, frame: number, reason: number): void {
    this.#counters.drop(reason, 1);
    this.#counters.add(COUNTER.upcall_lost, 1);
    this.#countPort(portNo, PORT_COUNTER.upcalls_lost);
    this.#pool.freePacket(frame);
  }

  #countPort(portNo: number, counter: number): void {
    const slot = this.#ports.slot(portNo);
    if (slot < 0) return;
    this.#arena.intrinsics.count(this.#portCounters + slot * PORT_COUNTER_BYTES + counter * 8, 1);
  }

  /** What a userspace() action asks for beside the packet and its key. */
  #gatherParts(columns: BatchColumns, slot: number, frame: number): void {
    const { attributes, attributeBytes } = this.#parts;
    const end = attributes + attributeBytes;
    for (let at = attributes; at + NLA_HEADER_BYTES <= end; ) {
      const type = this.#u16[(at >>> 1) + 1];
      if (type === ASKS_FOR_ACTIONS) this.#gatherActions(this.#u32[columns.actions + slot]!);
      else if (type === ASKS_FOR_EGRESS_KEY) {
        const portNo = this.#u32[(at + NLA_HEADER_BYTES) >>> 2]!;
        this.#parts.egressKeyBytes = this.#tunnels.findEgressKey(portNo, frame);
        this.#parts.egressKey = this.#tunnels.egressKeyAt;
      }
      at += (this.#u16[at >>> 1]! + 3) & ~3;
    }
  }

  /** The flow's list without the metadata that one for a single packet begins with. */
  #gatherActions(list: number): void {
    const at = this.#table.actionsOffset(list);
    const bytes = this.#table.actionsBytes(list);
    const metadataBytes = this.#u16[(at >>> 1) + 1] === ACTION_METADATA ? this.#u16[at >>> 1]! : 0;
    this.#parts.actions = at + metadataBytes;
    this.#parts.actionsBytes = bytes - metadataBytes;
  }
}
