import { finishChecksum } from "../action/partial-checksum.ts";
import type { ThreadCounters } from "../datapath/counters.ts";
import { DROP, END_REASONS } from "../datapath/drop-reason.ts";
import type { PacketSink } from "../datapath/engine.ts";
import type { Arena } from "../memory/arena.ts";
import type { BatchColumns } from "../memory/batch-columns.ts";
import { NO_PORT } from "../memory/batch-layout.ts";
import { ENGINE, ENGINE_SCRATCH_BYTES, OUT_ENTRY, OUT_ENTRY_BYTES } from "../memory/engine-layout.ts";
import { FRAME_META_BYTES, META16, META32, PACKET_CSUM_PARTIAL, PACKET_L3 } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import { PORT_TAKES_L3, PORT_TAKES_PARTIAL_CHECKSUMS, PORT_UP } from "../memory/port-layout.ts";
import { PORT_COUNTER_BYTES } from "../memory/region-plan.ts";
import { TxRoutes } from "../memory/tx-route.ts";
import { ETH, ETH_TYPE, VLAN } from "../packet/link-headers.ts";
import { PORT_COUNTER } from "../port/counters.ts";
import type { TxQueue } from "../port/port.ts";
import { PortTable } from "../port/port-table.ts";
import type { UpcallSender } from "./upcall-sender.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const UP = PORT_UP;
const TAKES_PARTIAL = PORT_TAKES_PARTIAL_CHECKSUMS;
const TAKES_L3 = PORT_TAKES_L3;
const CSUM_PARTIAL = PACKET_CSUM_PARTIAL;
const L3 = PACKET_L3;
const META_WORDS = FRAME_META_BYTES / 4;
const PACKET_BYTES_WORD = META32.packetBytes;
/** The record's word whose upper half holds the flags, and those that outputRun looks at there. */
const FLAGS_WORD = (META16.flags - 1) / 2;
const UNUSUAL = (PACKET_CSUM_PARTIAL | PACKET_L3) << 16;
const OUT_WORDS = OUT_ENTRY_BYTES / 4;
const OUT_FRAME_WORD = OUT_ENTRY.frame / 4;
const OUT_PORT_WORD = OUT_ENTRY.portNo / 4;
/** NO_FRAME and NO_PORT as the signed view shows them. */
const FRAME_GONE = -1;
const PORT_UNKNOWN = NO_PORT | 0;
const ETH_TYPE_AT: number = ETH.type;
const ETH_TYPE_VLAN: number = ETH_TYPE.vlan;
const ETH_TYPE_QINQ: number = ETH_TYPE.qinq;
const TAG_BYTES: number = VLAN.headerBytes;

/** Most switches have fewer ports. */
const SLOTS_AT_START = 16;

export interface OutputContext {
  readonly arena: Arena;
  readonly threadIndex: number;
  readonly pool: FramePool;
  readonly packets: Packets;
  readonly counters: ThreadCounters;
  readonly upcalls: UpcallSender;
}

export class Output implements PacketSink {
  readonly #arena: Arena;
  readonly #i32: Int32Array;
  readonly #meta: number;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #counters: ThreadCounters;
  readonly #upcalls: UpcallSender;
  /** This thread's part of the ports' counters. */
  readonly #portCounters: number;
  readonly #ports: PortTable;
  /** By slot, as far as slots are in use: how this worker reaches the port. */
  #routes: TxQueue[] = [];
  readonly #unreachable: TxQueue;
  #all: TxQueue[] = [];
  /** The same in the arena, for compiled code. */
  readonly #txRoutes: TxRoutes;
  readonly #outCount: number;
  readonly #outList: number;

  constructor(context: OutputContext) {
    const { arena, pool, counters } = context;
    this.#arena = arena;
    this.#i32 = arena.i32;
    this.#meta = arena.region("frameMeta").offset >>> 2;
    this.#pool = pool;
    this.#packets = context.packets;
    this.#counters = counters;
    this.#upcalls = context.upcalls;
    this.#ports = new PortTable(arena);
    const { portCountMax } = arena.plan.sizes;
    this.#portCounters =
      arena.region("portCounters").offset + context.threadIndex * portCountMax * PORT_COUNTER_BYTES;
    this.#txRoutes = new TxRoutes(arena, context.threadIndex);
    const scratch = arena.region("engineScratch").offset + context.threadIndex * ENGINE_SCRATCH_BYTES;
    this.#outCount = (scratch + ENGINE.outCount) >>> 2;
    this.#outList = (scratch + ENGINE.outList) >>> 2;
    arena.i32[this.#outCount] = 0;
    this.#unreachable = new UnreachablePort(pool, counters);
    this.#makeRoom(SLOTS_AT_START - 1);
  }

  /** Control path: this worker reaches the slot's port by `queue` from now on; what was there before is closed. */
  setRoute(slot: number, queue: TxQueue): void {
    this.#makeRoom(slot);
    this.removeRoute(slot);
    this.#routes[slot] = queue;
    this.#all.push(queue);
    const { compiledRoute } = queue;
    if (compiledRoute !== undefined) this.#txRoutes.set(slot, compiledRoute.kind, compiledRoute.parameters);
  }

  /** Control path. */
  removeRoute(slot: number): void {
    const queue = this.#routes[slot];
    if (queue === undefined || queue === this.#unreachable) return;
    this.#txRoutes.set(slot, "javascript", 0);
    queue.close();
    this.#routes[slot] = this.#unreachable;
    this.#all = this.#all.filter((other) => other !== queue);
  }

  /** Arrays as long as the highest slot in use takes; slots are given from the lowest. */
  #makeRoom(slot: number): void {
    const room = this.#routes.length;
    if (slot < room) return;
    const wanted = Math.max(slot + 1, 2 * room);
    this.#routes = [...this.#routes, ...new Array<TxQueue>(wanted - room).fill(this.#unreachable)];
  }

  output(portNo: number, frame: number): void {
    const slot = this.#ports.slot(portNo);
    if (slot < 0) this.#drop(frame, DROP.invalid_port);
    else this.transmit(slot, frame);
  }

  /**
   * output() of a run of the batch. What is known of a port is looked up when the run comes to it, then every packet
   * that fits takes two loads.
   */
  outputRun(columns: BatchColumns, from: number, to: number): number {
    const i32 = this.#i32;
    const { frames, outPorts } = columns;
    let portNo = PORT_UNKNOWN;
    let packetBytesMax = -1;
    let route = this.#unreachable;
    for (let slot = from; slot < to; slot = (slot + 1) | 0) {
      const next = i32[(outPorts + slot) | 0]!;
      if (next === PORT_UNKNOWN) return slot;
      if (next !== portNo) {
        portNo = next;
        const portSlot = this.#ports.slot(portNo >>> 0);
        const isUp = portSlot >= 0 && (this.#ports.flags(portSlot) & UP) !== 0;
        packetBytesMax = isUp ? this.#ports.packetBytesMax(portSlot) : -1;
        if (isUp) route = this.#touch(portSlot);
      }
      const frame = i32[(frames + slot) | 0]!;
      i32[(frames + slot) | 0] = FRAME_GONE;
      if (this.#isUsual(frame, packetBytesMax)) route.put(frame);
      else this.output(portNo >>> 0, frame);
    }
    return to;
  }

  /**
   * output() of entry `from` of the engine's list of outputs, and of those behind it that go to the same port when all
   * of these are JavaScript's. Returns the entry to go on from.
   */
  outputList(from: number): number {
    const i32 = this.#i32;
    const portNo = i32[this.#outList + from * OUT_WORDS + OUT_PORT_WORD]!;
    const portSlot = this.#ports.slot(portNo >>> 0);
    const isUp = portSlot >= 0 && (this.#ports.flags(portSlot) & UP) !== 0;
    const packetBytesMax = isUp ? this.#ports.packetBytesMax(portSlot) : -1;
    const route = isUp ? this.#touch(portSlot) : this.#unreachable;
    const end = isUp && this.#txRoutes.isCompiled(portSlot) ? from + 1 : i32[this.#outCount]!;
    let at = from;
    do {
      const entry = this.#outList + at * OUT_WORDS;
      const frame = i32[entry + OUT_FRAME_WORD]!;
      i32[entry + OUT_FRAME_WORD] = FRAME_GONE;
      if (this.#isUsual(frame, packetBytesMax)) route.put(frame);
      else this.output(portNo >>> 0, frame);
      at += 1;
    } while (at < end && i32[this.#outList + at * OUT_WORDS + OUT_PORT_WORD] === portNo);
    return at;
  }

  /** Whether a packet leaves as it is by a port that is up. */
  #isUsual(frame: number, packetBytesMax: number): boolean {
    const record = (this.#meta + Math.imul(frame, META_WORDS)) | 0;
    return (
      this.#i32[(record + PACKET_BYTES_WORD) | 0]! <= packetBytesMax &&
      (this.#i32[(record + FLAGS_WORD) | 0]! & UNUSUAL) === 0
    );
  }

  /** Out of the port in `slot`: outputs, and packets that other workers handed over. */
  transmit(slot: number, frame: number): void {
    const portFlags = this.#ports.flags(slot);
    const excessBytes = this.#packets.packetBytes(frame) - this.#ports.packetBytesMax(slot);
    if ((portFlags & UP) === 0) {
      this.#dropAt(slot, frame, DROP.port_down);
    } else if ((this.#packets.flags(frame) & L3) !== 0 && (portFlags & TAKES_L3) === 0) {
      this.#dropAt(slot, frame, DROP.not_ethernet);
    } else if (excessBytes > 0 && (excessBytes > TAG_BYTES || !this.#isTagged(frame))) {
      this.#dropAt(slot, frame, DROP.mtu);
    } else if (
      (this.#packets.flags(frame) & CSUM_PARTIAL) === 0 ||
      (portFlags & TAKES_PARTIAL) !== 0 ||
      this.#finish(slot, frame)
    ) {
      this.#touch(slot).put(frame);
    }
  }

  /** The port's queue, which gets a packet: it is flushed with the burst. */
  #touch(slot: number): TxQueue {
    // Published by control, and this worker was not told yet.
    if (slot >= this.#routes.length) return this.#unreachable;
    this.#txRoutes.touch(slot);
    return this.#routes[slot]!;
  }

  upcall(
    columns: BatchColumns,
    slot: number,
    frame: number,
    action: number,
    attributes: number,
    attributeBytes: number,
    packetBytes: number,
    probability: number,
  ): void {
    this.#upcalls.action(columns, slot, frame, action, attributes, attributeBytes, packetBytes, probability);
  }

  drop(frame: number, end: number): void {
    this.#drop(frame, END_REASONS[end]!);
  }

  /** Sends on what was put since the last flush. Once a burst. */
  flush(): void {
    // A flush may put packets to other queues, which are then flushed too.
    for (let slot = this.#txRoutes.takeDirty(); slot >= 0; slot = this.#txRoutes.takeDirty()) {
      this.#routes[slot]!.flush();
    }
  }

  /** Flushes every queue: what the kernel is done with comes back even when nothing was sent. Once a loop. */
  flushAll(): void {
    this.flush();
    for (let index = 0; index < this.#all.length; index += 1) this.#all[index]!.flush();
  }

  /** Control path: closes every queue. */
  close(): void {
    this.flush();
    for (let slot = 0; slot < this.#routes.length; slot += 1) this.removeRoute(slot);
  }

  /** One tag is not counted by an MTU. */
  #isTagged(frame: number): boolean {
    const ethType = (this.#byte(frame, ETH_TYPE_AT) << 8) | this.#byte(frame, ETH_TYPE_AT + 1);
    return ethType === ETH_TYPE_VLAN || ethType === ETH_TYPE_QINQ;
  }

  /** A byte of a packet that has more of them. */
  #byte(frame: number, position: number): number {
    let part = frame;
    for (
      let bytes = this.#packets.dataBytes(part);
      position >= bytes;
      bytes = this.#packets.dataBytes(part)
    ) {
      position -= bytes;
      part = this.#packets.nextFrame(part);
    }
    return this.#arena.u8[this.#packets.head(part) + position]!;
  }

  /** Finishes the checksum for a port that cannot carry it partial; false when the packet was dropped for it. */
  #finish(slot: number, frame: number): boolean {
    if (!finishChecksum(this.#arena.u8, this.#packets, frame)) {
      this.#dropAt(slot, frame, DROP.csum_unfinished);
      return false;
    }
    this.#count(slot, PORT_COUNTER.csum_finished);
    return true;
  }

  #dropAt(slot: number, frame: number, reason: number): void {
    this.#count(slot, PORT_COUNTER.tx_dropped);
    this.#drop(frame, reason);
  }

  #drop(frame: number, reason: number): void {
    this.#counters.drop(reason, 1);
    this.#pool.freePacket(frame);
  }

  #count(slot: number, counter: number): void {
    this.#arena.intrinsics.count(this.#portCounters + slot * PORT_COUNTER_BYTES + counter * 8, 1);
  }
}

/** The route to a port that this worker was not told about, or not any more. */
class UnreachablePort implements TxQueue {
  readonly portNo = -1;
  readonly slot = -1;
  readonly #pool: FramePool;
  readonly #counters: ThreadCounters;

  constructor(pool: FramePool, counters: ThreadCounters) {
    this.#pool = pool;
    this.#counters = counters;
  }

  put(frame: number): void {
    this.#counters.drop(DROP.invalid_port, 1);
    this.#pool.freePacket(frame);
  }

  flush(): void {}
  close(): void {}
}
