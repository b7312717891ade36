// Queues whose other side is a ring in the arena (dummy, patch): a receive queue takes from it, a transmit queue fills it.
// An entry is a packet's first frame.
//
// Per packet: one word of the ring. Per burst: one release or publish, the counters. Memory: the port's rings.
// Counters: the port's rx and tx packets and bytes; a full ring drops under tx_full.
import { COUNTER, type ThreadCounters } from "../datapath/counters.ts";
import { DROP } from "../datapath/drop-reason.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import { Handover } from "../memory/handover.ts";
import type { Packets } from "../memory/packets.ts";
import { RingConsumer, RingProducer } from "../ring/spsc-ring.ts";
import { PORT_COUNTER, type PortCounters } from "./counters.ts";
import type { QueueAttachment, QueueContext, RxQueue, TxQueue } from "./port.ts";

export interface PortRing {
  /** Byte offset in the arena. */
  readonly offset: number;
  /** A power of two. */
  readonly entryCount: number;
  /** What the ledger calls it. */
  readonly owner: number;
}

export class RingRxQueue implements RxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly queue: number;
  readonly #u32: Uint32Array;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #handover: Handover;
  readonly #owner: number;
  readonly #ring: RingConsumer;

  constructor(context: QueueContext, { portNo, slot, queue }: QueueAttachment, ring: PortRing) {
    this.portNo = portNo;
    this.slot = slot;
    this.queue = queue;
    this.#u32 = context.arena.u32;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#handover = new Handover(context.arena, context.pool, context.threadIndex);
    this.#owner = ring.owner;
    this.#ring = new RingConsumer(context.arena, ring.offset, ring.entryCount);
  }

  rxBurst(at: number, limit: number): number {
    const count = Math.min(this.#ring.available(), limit);
    if (count === 0) return 0;
    let bytes = 0;
    for (let index = 0; index < count; index += 1) {
      const frame = this.#ring.take();
      this.#handover.receive(frame, this.#owner);
      this.#packets.setPortNo(frame, this.portNo);
      this.#u32[at + index] = frame;
      bytes += this.#packets.packetBytes(frame);
    }
    // Released before the burst is worked on: whoever takes over from a dead worker must not find the frames twice.
    this.#ring.release();
    this.#portCounters.add(PORT_COUNTER.rx_packets, count);
    this.#portCounters.add(PORT_COUNTER.rx_bytes, bytes);
    return count;
  }

  /** It holds nothing: what was not taken stays in the ring. */
  close(): void {}
}

export class RingTxQueue implements TxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #counters: ThreadCounters;
  readonly #handover: Handover;
  readonly #owner: number;
  readonly #ring: RingProducer;
  #pending = 0;
  #pendingBytes = 0;

  constructor(context: QueueContext, { portNo, slot }: QueueAttachment, ring: PortRing) {
    this.portNo = portNo;
    this.slot = slot;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#counters = context.counters;
    this.#handover = new Handover(context.arena, context.pool, context.threadIndex);
    this.#owner = ring.owner;
    this.#ring = new RingProducer(context.arena, ring.offset, ring.entryCount);
    // What a worker staged before it died is sent now; its bytes are not counted.
    this.#pending = this.#ring.stagedCount;
  }

  put(frame: number): void {
    if (this.#ring.free(1) === 0) {
      this.drop(frame, DROP.tx_full);
      return;
    }
    this.#pending += 1;
    this.#pendingBytes += this.#packets.packetBytes(frame);
    this.#handover.give(frame, this.#owner);
    this.#ring.put(frame);
  }

  flush(): void {
    if (this.#pending === 0) return;
    this.#ring.publish();
    this.#portCounters.add(PORT_COUNTER.tx_packets, this.#pending);
    this.#portCounters.add(PORT_COUNTER.tx_bytes, this.#pendingBytes);
    this.#counters.add(COUNTER.transmitted, this.#pending);
    this.#counters.add(COUNTER.tx_batches, 1);
    this.#pending = 0;
    this.#pendingBytes = 0;
  }

  close(): void {
    this.flush();
  }

  protected drop(frame: number, reason: number): void {
    this.#portCounters.add(PORT_COUNTER.tx_dropped, 1);
    this.#counters.drop(reason, 1);
    this.#pool.freePacket(frame);
  }
}
