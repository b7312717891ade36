// The dummy port's queues on a worker.
//
// Per packet: one word of a ring. Per burst: one release or publish, the counters. Memory: the port's rings.
// Counters: the port's rx and tx packets and bytes; a full ring drops under tx_full.
import { COUNTER, type ThreadCounters } from "../../datapath/counters.ts";
import { DROP } from "../../datapath/drop-reason.ts";
import type { FramePool } from "../../memory/frame-pool.ts";
import { Handover, ringOwner } from "../../memory/handover.ts";
import type { Packets } from "../../memory/packets.ts";
import { RingConsumer, RingProducer } from "../../ring/spsc-ring.ts";
import { PORT_COUNTER, type PortCounters } from "../counters.ts";
import { pcapQueues } from "../pcap/queues.ts";
import type { QueueAttachment, QueueContext, QueueFactory, RxQueue, TxQueue } from "../port.ts";
import { DUMMY_RING_ENTRIES } from "./layout.ts";

export const dummyQueues: QueueFactory = {
  type: "dummy",
  openRx: (context, attachment) => new DummyRxQueue(context, attachment),
  openTx: (context, attachment) =>
    attachment.fields["fd"] === undefined
      ? new DummyTxQueue(context, attachment)
      : pcapQueues.openTx(context, attachment),
};

class DummyRxQueue implements RxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly queue: number;
  readonly #u32: Uint32Array;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #handover: Handover;
  readonly #ringOwner: number;
  readonly #ring: RingConsumer;

  constructor(context: QueueContext, { portNo, slot, queue, fields }: QueueAttachment) {
    this.portNo = portNo;
    this.slot = slot;
    this.queue = queue;
    this.#u32 = context.arena.u32;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#handover = new Handover(context.arena, context.pool, context.threadIndex);
    this.#ringOwner = ringOwner("port", slot);
    this.#ring = new RingConsumer(context.arena, fields["ring"] as number, DUMMY_RING_ENTRIES);
  }

  rxBurst(at: number, limit: number): number {
    const available = this.#ring.available();
    const count = Math.min(available, limit);
    if (count === 0) return 0;
    let bytes = 0;
    for (let index = 0; index < count; index += 1) {
      const frame = this.#ring.take();
      this.#handover.receive(frame, this.#ringOwner);
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

class DummyTxQueue implements TxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #counters: ThreadCounters;
  readonly #handover: Handover;
  readonly #ringOwner: number;
  readonly #ring: RingProducer;
  #pending = 0;
  #pendingBytes = 0;

  constructor(context: QueueContext, { portNo, slot, fields }: QueueAttachment) {
    this.portNo = portNo;
    this.slot = slot;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#counters = context.counters;
    this.#handover = new Handover(context.arena, context.pool, context.threadIndex);
    this.#ringOwner = ringOwner("port", slot);
    this.#ring = new RingProducer(context.arena, fields["ring"] as number, DUMMY_RING_ENTRIES);
    // What a worker staged before it died is sent now; its bytes are not counted.
    this.#pending = this.#ring.stagedCount;
  }

  put(frame: number): void {
    if (this.#ring.free(1) === 0) {
      this.#portCounters.add(PORT_COUNTER.tx_dropped, 1);
      this.#counters.drop(DROP.tx_full, 1);
      this.#pool.freePacket(frame);
      return;
    }
    this.#pending += 1;
    this.#pendingBytes += this.#packets.packetBytes(frame);
    this.#handover.give(frame, this.#ringOwner);
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
}
