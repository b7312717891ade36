// Ports from memory, for benchmarks: one that frames come from without end, and ones that count what they are given.
//
// As DPDK's net_pcap with infinite_rx: each frame is copied from its source into a fresh buffer, so nothing that a packet
// did survives its iteration. Buffers are taken and given back in a queue, not a stack, so that the benchmark walks
// through all of them and they come from memory as a real port's do; the queue is longer than the L2 cache.
//
// Per packet: one copy, the frame's record, two places of the queue. Per burst: counters. Memory: the sources in
// kernelRings pages, own arrays.
import { COUNTER, type ThreadCounters } from "../datapath/counters.ts";
import type { Arena } from "../memory/arena.ts";
import { FRAME_HEADROOM_BYTES, NO_FRAME } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import { PORT_COUNTER, type PortCounters } from "../port/counters.ts";
import type {
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

// Module constants, because V8 folds them and loads an imported table anew each time.
const HEADROOM_BYTES = FRAME_HEADROOM_BYTES;
const GONE = NO_FRAME;
/** The queue holds 4,096 to 8,192 buffers of 2 KiB: 8 MiB at least, several times a core's L2. */
export const BUFFER_QUEUE_FRAMES = 8192;
const BUFFERS_MIN = BUFFER_QUEUE_FRAMES / 2;
const QUEUE_MASK = BUFFER_QUEUE_FRAMES - 1;
/** One output in so many is compared with what the reference made of the same frames. */
export const CHECK_INTERVAL = 10_000;

/** What is shared between the queues of one benchmark, all in one thread. */
export class MemoryTraffic {
  readonly frames: readonly Uint8Array[];
  /** Outputs that the reference makes of the frames, as `port/hex`; null: nothing is compared. */
  readonly expected: ReadonlySet<string> | null;
  checkedCount = 0;
  wrongCount = 0;
  readonly #buffers = new Int32Array(BUFFER_QUEUE_FRAMES);
  #head = 0;
  #count = 0;

  constructor(frames: readonly Uint8Array[], expected: ReadonlySet<string> | null) {
    this.frames = frames;
    this.expected = expected;
  }

  /**
   * Writes up to `limit` buffers at index `at` of the arena's 32-bit views and returns how many: those that were given
   * back longest ago; free frames of the pool until the queue is long enough.
   */
  takeBuffers(i32: Int32Array, at: number, limit: number, pool: FramePool): number {
    if (this.#count < BUFFERS_MIN) {
      const taken = pool.takeBurst(at, limit);
      if (taken > 0) return taken;
    }
    const buffers = this.#buffers;
    const head = this.#head;
    const taken = Math.min(limit, this.#count);
    for (let index = 0; index < taken; index = (index + 1) | 0) {
      i32[(at + index) | 0] = buffers[(head + index) & QUEUE_MASK]!;
    }
    this.#head = (head + taken) & QUEUE_MASK;
    this.#count = (this.#count - taken) | 0;
    return taken;
  }

  giveBuffer(frame: number, pool: FramePool): void {
    const count = this.#count;
    if (count === BUFFER_QUEUE_FRAMES) {
      pool.free(frame);
      return;
    }
    this.#buffers[(this.#head + count) & QUEUE_MASK] = frame;
    this.#count = (count + 1) | 0;
  }

  /** Control path: every buffer goes back to the pool. After the queues' last burst. */
  giveBack(pool: FramePool): void {
    for (; this.#count > 0; this.#count -= 1) {
      pool.free(this.#buffers[this.#head]!);
      this.#head = (this.#head + 1) & QUEUE_MASK;
    }
  }

  check(portNo: number, bytes: Uint8Array): void {
    if (this.expected === null) return;
    this.checkedCount += 1;
    if (!this.expected.has(outputText(portNo, bytes))) this.wrongCount += 1;
  }
}

export const outputText = (portNo: number, bytes: Uint8Array): string =>
  `${portNo}/${Buffer.from(bytes).toString("hex")}`;

class MemoryRxQueue implements RxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly queue: number;
  readonly #arena: Arena;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #traffic: MemoryTraffic;
  readonly #sources: Int32Array;
  readonly #lengths: Int32Array;
  #next = 0;

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
    this.#sources = new Int32Array(traffic.frames.length);
    this.#lengths = new Int32Array(traffic.frames.length);
    let at = fields["sources"] as number;
    for (const [index, frame] of traffic.frames.entries()) {
      context.arena.u8.set(frame, at);
      this.#sources[index] = at;
      this.#lengths[index] = frame.length;
      at += sourceBytes(frame);
    }
  }

  rxBurst(at: number, limit: number): number {
    const { i32, intrinsics } = this.#arena;
    const packets = this.#packets;
    const sources = this.#sources;
    const lengths = this.#lengths;
    const count = this.#traffic.takeBuffers(i32, at, limit, this.#pool);
    let next = this.#next;
    let bytes = 0;
    for (let index = 0; index < count; index = (index + 1) | 0) {
      const frame = i32[(at + index) | 0]!;
      const length = lengths[next]!;
      packets.setSingle(frame, HEADROOM_BYTES, length);
      packets.setPortNo(frame, this.portNo);
      intrinsics.copy(packets.frameStart(frame) + HEADROOM_BYTES, sources[next]!, length);
      bytes = (bytes + length) | 0;
      next = (next + 1) | 0;
      if (next === lengths.length) next = 0;
    }
    this.#next = next;
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
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #counters: ThreadCounters;
  readonly #traffic: MemoryTraffic;
  #count = 0;
  #bytes = 0;
  #untilCheck = CHECK_INTERVAL;

  constructor(context: QueueContext, { portNo, slot }: QueueAttachment, traffic: MemoryTraffic) {
    this.portNo = portNo;
    this.slot = slot;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#counters = context.counters;
    this.#traffic = traffic;
  }

  put(frame: number): void {
    this.#count = (this.#count + 1) | 0;
    this.#bytes = (this.#bytes + this.#packets.packetBytes(frame)) | 0;
    this.#untilCheck = (this.#untilCheck - 1) | 0;
    if (this.#untilCheck === 0) {
      this.#untilCheck = CHECK_INTERVAL;
      this.#traffic.check(this.portNo, this.#packets.toBytes(frame));
    }
    for (let part = frame; part !== GONE; ) {
      const next = this.#packets.nextFrame(part);
      this.#traffic.giveBuffer(part, this.#pool);
      part = next;
    }
  }

  flush(): void {
    if (this.#count === 0) return;
    this.#portCounters.add(PORT_COUNTER.tx_packets, this.#count);
    this.#portCounters.add(PORT_COUNTER.tx_bytes, this.#bytes);
    this.#counters.add(COUNTER.transmitted, this.#count);
    this.#counters.add(COUNTER.tx_batches, 1);
    this.#count = 0;
    this.#bytes = 0;
  }

  close(): void {
    this.flush();
  }
}

/** A source frame's place, on a line of its own. */
const sourceBytes = (frame: Uint8Array): number => Math.ceil(frame.length / 64) * 64;

/** Arena bytes that the frames take as sources. */
export const sourcesBytes = (frames: readonly Uint8Array[]): number =>
  frames.reduce((sum, frame) => sum + sourceBytes(frame), 0);

/** The queues; they stand in for the `null` type's. */
export const memoryQueues = (traffic: MemoryTraffic): QueueFactory => ({
  type: "null",
  openRx: (context, attachment) => new MemoryRxQueue(context, attachment, traffic),
  openTx: (context, attachment) => new CountingTxQueue(context, attachment, traffic),
});

/** Port `sourcePortNo` receives the traffic, every other port only counts. */
export const memoryDriver = (traffic: MemoryTraffic, sourcePortNo: number): PortDriver => ({
  type: "null",
  open: async (context: PortContext, spec: PortSpec, portNo: number, slot: number): Promise<OpenPort> => {
    const bytes = portNo === sourcePortNo ? sourcesBytes(traffic.frames) : 0;
    const sources = bytes > 0 ? context.pages.allocate(bytes) : 0;
    const attachment = (queue: number): QueueAttachment => ({
      type: "null",
      portNo,
      slot,
      queue,
      fields: { sources },
    });
    return {
      spec,
      portNo,
      slot,
      rxqCount: bytes > 0 ? 1 : 0,
      txqCount: 1,
      takesPartialChecksums: false,
      shownOptions: [],
      rxAttachment: attachment,
      txAttachment: attachment,
      status: () => ({ up: true, mtu: 9000, notes: [] }),
      foldKernelCounters: () => undefined,
      close: async () => {
        if (bytes > 0) context.pages.free(sources, bytes);
      },
    };
  },
});
