// The tap port's queues on a worker.
//
// System calls: one read for each packet received and one for each poll that finds nothing more; one write for each
// packet sent, all made by one call of the addon a burst. Packets are read straight into frames and written straight
// from them. A receive queue stocks frames for a burst of the longest packets; what a burst did not fill stays
// stocked, in the queue's arena pages, where a successor finds it.
// Counters: the port's rx/tx packets and bytes, drops, errors; system calls.

import { COUNTER, type ThreadCounters } from "../../datapath/counters.ts";
import { DROP } from "../../datapath/drop-reason.ts";
import type { Arena } from "../../memory/arena.ts";
import {
  FRAME_HEADROOM_BYTES,
  NO_FRAME,
  PACKET_BYTES_MAX,
  PACKET_CSUM_PARTIAL,
} from "../../memory/frame-layout.ts";
import type { FramePool } from "../../memory/frame-pool.ts";
import { Handover, ringOwner } from "../../memory/handover.ts";
import type { Packets } from "../../memory/packets.ts";
import {
  ERRNO,
  type Native,
  native,
  SEGMENT_CONTINUES,
  SEGMENTS_MAX,
  TAP_PACKET_BYTES,
} from "../../native.ts";
import { PORT_COUNTER, type PortCounters } from "../counters.ts";
import type { QueueAttachment, QueueContext, QueueFactory, RxQueue, TxQueue } from "../port.ts";
import { TxPending } from "../tx-pending.ts";
import {
  HEADER,
  NEEDS_CSUM,
  PACKET_SEGMENTS_MAX,
  rxArea,
  segmentsPerPacket,
  TAP_BURST,
  TX_AREA,
} from "./layout.ts";

export const tapQueues: QueueFactory = {
  type: "tap",
  openRx: (context, attachment) => new TapRxQueue(context, attachment),
  openTx: (context, attachment) => new TapTxQueue(context, attachment),
};

class TapRxQueue implements RxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly queue: number;
  readonly #arena: Arena;
  readonly #native: Native = native();
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #counters: ThreadCounters;
  readonly #fd: number;
  readonly #segments: number;
  readonly #segmentBytes: number;
  /** Stocked frames are the port's, not this worker's: a successor may be another thread. */
  readonly #handover: Handover;
  readonly #stockOwner: number;
  /** Word index of the stock, byte offsets of addresses and results. */
  readonly #stock: number;
  readonly #addresses: number;
  readonly #results: number;

  constructor(context: QueueContext, { portNo, slot, queue, fields }: QueueAttachment) {
    this.portNo = portNo;
    this.slot = slot;
    this.queue = queue;
    this.#arena = context.arena;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#counters = context.counters;
    this.#fd = fields["fd"] as number;
    this.#handover = new Handover(context.arena, context.pool, context.threadIndex);
    this.#stockOwner = ringOwner("port", slot);
    const { frameBytes } = context.arena.plan.sizes;
    this.#segments = segmentsPerPacket(frameBytes);
    this.#segmentBytes = frameBytes - FRAME_HEADROOM_BYTES;
    const area = fields["area"] as number;
    const layout = rxArea(frameBytes);
    this.#stock = (area + layout.stock) >>> 2;
    this.#addresses = area + layout.addresses;
    this.#results = area + layout.results;
  }

  rxBurst(at: number, limit: number): number {
    const ready = this.#fillStock(Math.min(limit, TAP_BURST));
    if (ready === 0) return 0;
    const read = this.#native.tapRead(
      this.#fd,
      this.#arena.u8,
      this.#addresses,
      ready,
      this.#segments,
      this.#segmentBytes,
      this.#results,
    );
    this.#counters.add(COUNTER.system_calls, read > 0 ? read + 1 : 1);
    let count = 0;
    let bytes = 0;
    for (let index = 0; index < read; index += 1) {
      const frame = this.#take(index);
      if (frame === NO_FRAME) continue;
      this.#arena.u32[at + count] = frame;
      count += 1;
      bytes += this.#packets.packetBytes(frame);
    }
    if (count > 0) {
      this.#portCounters.add(PORT_COUNTER.rx_packets, count);
      this.#portCounters.add(PORT_COUNTER.rx_bytes, bytes);
    }
    return count;
  }

  /** Stocks frames for up to `wanted` packets of the longest kind. Returns for how many there are. */
  #fillStock(wanted: number): number {
    const { u32 } = this.#arena;
    const words = wanted * this.#segments;
    for (let index = 0; index < words; index += 1) {
      if (u32[this.#stock + index] === 0) {
        const frame = this.#pool.alloc();
        if (frame === NO_FRAME) return Math.floor(index / this.#segments);
        this.#handover.give(frame, this.#stockOwner);
        u32[this.#stock + index] = frame + 1;
        u32[(this.#addresses >>> 2) + index] = this.#packets.frameStart(frame) + FRAME_HEADROOM_BYTES;
      }
    }
    return wanted;
  }

  /** Makes a packet of what was read at place `index`; NO_FRAME when it is too long and is dropped. */
  #take(index: number): number {
    const { u32, u16, u8 } = this.#arena;
    const result = this.#results + index * TAP_PACKET_BYTES;
    const word = u32[result >>> 2]!;
    if ((word & SEGMENT_CONTINUES) !== 0 || word > PACKET_BYTES_MAX) {
      this.#portCounters.add(PORT_COUNTER.rx_packets, 1);
      this.#portCounters.add(PORT_COUNTER.rx_dropped, 1);
      this.#counters.add(COUNTER.received, 1);
      this.#counters.drop(DROP.rx_long, 1);
      return NO_FRAME;
    }
    const first = this.#chain(index * this.#segments, word);
    this.#packets.setPortNo(first, this.portNo);
    if ((u8[result + HEADER.flags]! & NEEDS_CSUM) !== 0) {
      this.#packets.setFlags(first, PACKET_CSUM_PARTIAL);
      this.#packets.setCsum(
        first,
        u16[(result + HEADER.csumStart) >>> 1]!,
        u16[(result + HEADER.csumOffset) >>> 1]!,
      );
    }
    return first;
  }

  /** Takes the stocked frames that `bytes` bytes fill and links them into a packet. */
  #chain(place: number, bytes: number): number {
    const { u32 } = this.#arena;
    let first = NO_FRAME;
    let previous = NO_FRAME;
    let segments = 0;
    let left = bytes;
    do {
      const frame = u32[this.#stock + place + segments]! - 1;
      u32[this.#stock + place + segments] = 0;
      this.#handover.receive(frame, this.#stockOwner);
      const size = Math.min(left, this.#segmentBytes);
      this.#packets.setSingle(frame, FRAME_HEADROOM_BYTES, size);
      if (first === NO_FRAME) first = frame;
      else this.#packets.setNext(previous, frame);
      previous = frame;
      segments += 1;
      left -= size;
    } while (left > 0);
    this.#packets.setTotals(first, bytes, segments);
    return first;
  }

  close(): void {
    const { u32 } = this.#arena;
    for (let index = this.#stock; index < this.#stock + TAP_BURST * this.#segments; index += 1) {
      if (u32[index] === 0) continue;
      const frame = u32[index]! - 1;
      u32[index] = 0;
      this.#handover.receive(frame, this.#stockOwner);
      this.#pool.free(frame);
    }
  }
}

class TapTxQueue implements TxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly #arena: Arena;
  readonly #native: Native = native();
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #counters: ThreadCounters;
  readonly #fd: number;
  readonly #segments: number;
  readonly #headers: number;
  readonly #pending: TxPending;
  #segmentCount = 0;

  constructor(context: QueueContext, { portNo, slot, fields }: QueueAttachment) {
    this.portNo = portNo;
    this.slot = slot;
    this.#arena = context.arena;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#counters = context.counters;
    this.#fd = fields["fd"] as number;
    this.#segments = (fields["area"] as number) + TX_AREA.segments;
    this.#headers = (fields["area"] as number) + TX_AREA.headers;
    this.#pending = new TxPending(context.arena, (fields["area"] as number) + TX_AREA.pending);
    for (const frame of this.#pending.adopt(context.pool, context.packets, context.threadIndex))
      this.put(frame);
  }

  put(frame: number): void {
    const { u32 } = this.#arena;
    const segments = this.#packets.segmentCount(frame);
    if (segments > PACKET_SEGMENTS_MAX) {
      this.#counters.drop(DROP.tx_error, 1);
      this.#portCounters.add(PORT_COUNTER.tx_errors, 1);
      this.#pool.freePacket(frame);
      return;
    }
    if (this.#pending.count === TAP_BURST || this.#segmentCount + segments > SEGMENTS_MAX) this.flush();
    this.#writeHeader(this.#headers + this.#pending.count * TAP_PACKET_BYTES, frame);
    for (let part = frame; part !== NO_FRAME; ) {
      const next = this.#packets.nextFrame(part);
      const at = (this.#segments >>> 2) + this.#segmentCount * 2;
      const bytes = this.#packets.dataBytes(part);
      u32[at] = this.#packets.head(part);
      u32[at + 1] = next === NO_FRAME ? bytes : (bytes | SEGMENT_CONTINUES) >>> 0;
      this.#segmentCount += 1;
      part = next;
    }
    this.#pending.add(frame);
  }

  #writeHeader(header: number, frame: number): void {
    this.#arena.intrinsics.zero(header, TAP_PACKET_BYTES);
    if ((this.#packets.flags(frame) & PACKET_CSUM_PARTIAL) === 0) return;
    this.#arena.u8[header + HEADER.flags] = NEEDS_CSUM;
    this.#arena.u16[(header + HEADER.csumStart) >>> 1] = this.#packets.csumStart(frame);
    this.#arena.u16[(header + HEADER.csumOffset) >>> 1] = this.#packets.csumOffset(frame);
  }

  flush(): void {
    if (this.#pending.count === 0) return;
    let sent = 0;
    let segment = 0;
    while (sent < this.#pending.count) {
      const result = this.#native.tapWrite(
        this.#fd,
        this.#arena.u8,
        this.#segments + segment * 8,
        this.#segmentCount - segment,
        this.#headers + sent * TAP_PACKET_BYTES,
      );
      const packets = result > 0 ? result : this.#refused(-result, sent);
      this.#counters.add(COUNTER.system_calls, packets);
      for (let index = 0; index < packets; index += 1) {
        const frame = this.#pending.frame(sent + index);
        segment += this.#packets.segmentCount(frame);
        if (result > 0) this.#sentOne(frame);
        this.#pending.setDone(sent + index);
        this.#pool.freePacket(frame);
      }
      sent += packets;
    }
    this.#counters.add(COUNTER.tx_batches, 1);
    this.#pending.clear();
    this.#segmentCount = 0;
  }

  #sentOne(frame: number): void {
    this.#portCounters.add(PORT_COUNTER.tx_packets, 1);
    this.#portCounters.add(PORT_COUNTER.tx_bytes, this.#packets.packetBytes(frame));
    this.#counters.add(COUNTER.transmitted, 1);
  }

  /** Counts what the kernel did not take: all that is left when its queue is full, else the packet in front. */
  #refused(errno: number, sent: number): number {
    const full = errno === ERRNO.EAGAIN || errno === ERRNO.ENOBUFS;
    const packets = full ? this.#pending.count - sent : 1;
    this.#counters.drop(full ? DROP.tx_full : DROP.tx_error, packets);
    this.#portCounters.add(full ? PORT_COUNTER.tx_dropped : PORT_COUNTER.tx_errors, packets);
    return packets;
  }

  close(): void {
    this.flush();
  }
}
