// Ports from memory, for benchmarks: one that frames come from without end, and ones that count what they are given.
//
// As DPDK's net_pcap with infinite_rx: each frame is copied from its source into a fresh buffer, so nothing that a packet
// did survives its iteration. Buffers are taken and given back in a queue, not a stack, so that the benchmark walks
// through all of them and they come from memory as a real port's do; the queue is longer than the L2 cache.
//
// Everything stands in the arena (memory-traffic.ts), and compiled code does the same work over it
// (compile/emit/memory-rx.ts, compile/emit/transmit-memory.ts).
//
// Per packet: one copy, the frame's record, two places of the queue. Per burst: counters. Memory: the traffic's, in
// kernelRings pages. Counters: the ports' rx and tx packets and bytes; transmitted, tx_batches.
import { COUNTER, type ThreadCounters } from "../datapath/counters.ts";
import type { Arena } from "../memory/arena.ts";
import { FRAME_HEADROOM_BYTES, NO_FRAME } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import { MEMORY_SOURCE_ALIGN, MEMORY_TRAFFIC } from "../memory/queue-layout.ts";
import { TxTaken } from "../memory/tx-route.ts";
import { PORT_COUNTER, type PortCounters } from "../port/counters.ts";
import type {
  CompiledQueue,
  OpenPort,
  PortContext,
  PortDriver,
  PortSpec,
  QueueAttachment,
  QueueContext,
  QueueFactory,
  RxQueue,
  TxQueue,
} from "../port/port.ts";
import type { MemoryTraffic } from "./memory-traffic.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const HEADROOM_BYTES = FRAME_HEADROOM_BYTES;
const GONE = NO_FRAME;
const SOURCE_ALIGN = MEMORY_SOURCE_ALIGN;
const SOURCE = MEMORY_TRAFFIC.source / 4;
const LENGTH = MEMORY_TRAFFIC.length / 4;
const SOURCES_START = MEMORY_TRAFFIC.sourcesStart / 4;
const LENGTHS_START = MEMORY_TRAFFIC.lengthsStart / 4;
const LENGTHS_END = MEMORY_TRAFFIC.lengthsEnd / 4;

class MemoryRxQueue implements RxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly queue: number;
  readonly compiledRx: CompiledQueue<"memory"> | undefined;
  readonly #arena: Arena;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #traffic: MemoryTraffic;
  readonly #block: number;

  constructor(
    context: QueueContext,
    { portNo, slot, queue, fields }: QueueAttachment,
    traffic: MemoryTraffic,
  ) {
    this.portNo = portNo;
    this.slot = slot;
    this.queue = queue;
    this.#arena = context.arena;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#traffic = traffic;
    traffic.place(context.arena, fields["memory"] as number);
    this.#block = traffic.address >>> 2;
    const { u32 } = context.arena;
    u32[this.#block + MEMORY_TRAFFIC.rxPortNo / 4] = portNo;
    u32[this.#block + MEMORY_TRAFFIC.rxPackets / 4] = context.portCounters.address(PORT_COUNTER.rx_packets);
    u32[this.#block + MEMORY_TRAFFIC.rxBytes / 4] = context.portCounters.address(PORT_COUNTER.rx_bytes);
    // Compiled code reports nothing to the ledger.
    this.compiledRx =
      context.pool.ledger === null ? { kind: "memory", parameters: traffic.address } : undefined;
  }

  rxBurst(at: number, limit: number): number {
    const { i32, u32, intrinsics } = this.#arena;
    const packets = this.#packets;
    const block = this.#block;
    const count = this.#traffic.takeBuffers(at, limit, this.#pool);
    const lengthsEnd = u32[block + LENGTHS_END]!;
    let source = u32[block + SOURCE]!;
    let lengthAt = u32[block + LENGTH]!;
    let bytes = 0;
    for (let index = 0; index < count; index = (index + 1) | 0) {
      const frame = i32[(at + index) | 0]!;
      const length = i32[lengthAt >>> 2]!;
      packets.setSingle(frame, HEADROOM_BYTES, length);
      packets.setPortNo(frame, this.portNo);
      intrinsics.copy(packets.frameStart(frame) + HEADROOM_BYTES, source, length);
      bytes = (bytes + length) | 0;
      source += (length + (SOURCE_ALIGN - 1)) & -SOURCE_ALIGN;
      lengthAt += 4;
      if (lengthAt === lengthsEnd) {
        source = u32[block + SOURCES_START]!;
        lengthAt = u32[block + LENGTHS_START]!;
      }
    }
    u32[block + SOURCE] = source;
    u32[block + LENGTH] = lengthAt;
    this.#portCounters.add(PORT_COUNTER.rx_packets, count);
    this.#portCounters.add(PORT_COUNTER.rx_bytes, bytes);
    return count;
  }

  /** Frames stand in the shared queue, not here. */
  close(): void {}
}

class CountingTxQueue implements TxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly compiledRoute: CompiledQueue<"memory"> | undefined;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #counters: ThreadCounters;
  readonly #traffic: MemoryTraffic;
  readonly #taken: TxTaken;

  constructor(context: QueueContext, { portNo, slot, fields }: QueueAttachment, traffic: MemoryTraffic) {
    this.portNo = portNo;
    this.slot = slot;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#counters = context.counters;
    this.#traffic = traffic;
    this.#taken = new TxTaken(context.arena, context.threadIndex, slot);
    traffic.place(context.arena, fields["memory"] as number);
    // Compiled code reports nothing to the ledger.
    this.compiledRoute =
      context.pool.ledger === null ? { kind: "memory", parameters: traffic.address } : undefined;
  }

  put(frame: number): void {
    this.#taken.add(1, this.#packets.packetBytes(frame));
    if (this.#traffic.isCheckDue()) this.#traffic.check(this.portNo, this.#packets.toBytes(frame));
    for (let part = frame; part !== GONE; ) {
      const next = this.#packets.nextFrame(part);
      this.#traffic.giveBuffer(part, this.#pool);
      part = next;
    }
  }

  flush(): void {
    const { packets } = this.#taken;
    if (packets === 0) return;
    this.#portCounters.add(PORT_COUNTER.tx_packets, packets);
    this.#portCounters.add(PORT_COUNTER.tx_bytes, this.#taken.bytes);
    this.#counters.add(COUNTER.transmitted, packets);
    this.#counters.add(COUNTER.tx_batches, 1);
    this.#taken.clear();
  }

  close(): void {
    this.flush();
  }
}

/** The queues; they stand in for the `null` type's. */
export const memoryQueues = (traffic: MemoryTraffic): QueueFactory => ({
  type: "null",
  openRx: (context, attachment) => new MemoryRxQueue(context, attachment, traffic),
  openTx: (context, attachment) => new CountingTxQueue(context, attachment, traffic),
});

/** Port `sourcePortNo` receives the traffic, every other port only counts. */
export function memoryDriver(traffic: MemoryTraffic, sourcePortNo: number): PortDriver {
  let memory = 0;
  let openCount = 0;
  const open = async (
    context: PortContext,
    spec: PortSpec,
    portNo: number,
    slot: number,
  ): Promise<OpenPort> => {
    if (openCount === 0) memory = context.pages.allocate(traffic.bytes);
    openCount += 1;
    const attachment = (queue: number): QueueAttachment => ({
      type: "null",
      portNo,
      slot,
      queue,
      fields: { memory },
    });
    return {
      spec,
      portNo,
      slot,
      rxqCount: portNo === sourcePortNo ? 1 : 0,
      txqCount: 1,
      takesPartialChecksums: false,
      shownOptions: [],
      rxAttachment: attachment,
      txAttachment: attachment,
      status: () => ({ up: true, mtu: 9000, notes: [] }),
      foldKernelCounters: () => undefined,
      close: async () => {
        openCount -= 1;
        if (openCount === 0) context.pages.free(memory, traffic.bytes);
      },
    };
  };
  return { type: "null", open };
}
