// The patch port's queues on a worker.
//
// Per packet: one word of a ring, the packet's port and its count of hops. Per burst: one release or publish, the
// counters. Memory: the pair's rings. Counters: the port's rx and tx packets and bytes; drops under tx_full, patch_loop.
import { COUNTER, type ThreadCounters } from "../../datapath/counters.ts";
import { DROP } from "../../datapath/drop-reason.ts";
import { PACKET_PATCH_HOP } from "../../memory/frame-layout.ts";
import type { FramePool } from "../../memory/frame-pool.ts";
import { Handover } from "../../memory/handover.ts";
import type { Packets } from "../../memory/packets.ts";
import { RingConsumer, RingProducer } from "../../ring/spsc-ring.ts";
import { PORT_COUNTER, type PortCounters } from "../counters.ts";
import type { QueueAttachment, QueueContext, QueueFactory, RxQueue, TxQueue } from "../port.ts";
import { PATCH_HOPS_MAX, PATCH_RING_ENTRIES } from "./layout.ts";

/** Module constants: a property of an object, `as const` or not, is a load in hot code. */
const HOP = PACKET_PATCH_HOP;
const FLAGS_MAX = PATCH_HOPS_MAX * PACKET_PATCH_HOP;

export const patchQueues: QueueFactory = {
  type: "patch",
  openRx: (context, attachment) => new PatchRxQueue(context, attachment),
  openTx: (context, attachment) => new PatchTxQueue(context, attachment),
};

class PatchRxQueue implements RxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly queue: number;
  readonly #u32: Uint32Array;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #handover: Handover;
  readonly #owner: number;
  readonly #ring: RingConsumer;

  constructor(context: QueueContext, { portNo, slot, queue, fields }: QueueAttachment) {
    this.portNo = portNo;
    this.slot = slot;
    this.queue = queue;
    this.#u32 = context.arena.u32;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#handover = new Handover(context.arena, context.pool, context.threadIndex);
    this.#owner = fields["owner"] as number;
    this.#ring = new RingConsumer(context.arena, fields["ring"] as number, PATCH_RING_ENTRIES);
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

class PatchTxQueue implements TxQueue {
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

  constructor(context: QueueContext, { portNo, slot, fields }: QueueAttachment) {
    this.portNo = portNo;
    this.slot = slot;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#counters = context.counters;
    this.#handover = new Handover(context.arena, context.pool, context.threadIndex);
    this.#owner = fields["owner"] as number;
    this.#ring = new RingProducer(context.arena, fields["ring"] as number, PATCH_RING_ENTRIES);
  }

  put(frame: number): void {
    const flags = this.#packets.flags(frame) + HOP;
    if (flags >= FLAGS_MAX) {
      this.#drop(frame, DROP.patch_loop);
      return;
    }
    if (this.#ring.free(1) === 0) {
      this.#drop(frame, DROP.tx_full);
      return;
    }
    this.#packets.setFlags(frame, flags);
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

  #drop(frame: number, reason: number): void {
    this.#portCounters.add(PORT_COUNTER.tx_dropped, 1);
    this.#counters.drop(reason, 1);
    this.#pool.freePacket(frame);
  }
}
