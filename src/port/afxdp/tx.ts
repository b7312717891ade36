// The transmitting half of an AF_XDP queue, on the worker that owns it.
//
// Per packet: one descriptor a frame, the frame's mark; later its address from the completion ring and the
// frame back to the pool. Per burst: one ordered store that publishes, one system call (a kick sends the
// whole ring where the kernel knows XDP_MAX_TX_SKB_BUDGET, 32 descriptors otherwise), one ordered load and
// store that reap. Memory: the tx and completion rings, the queue's control block, records of the frames
// transmitted. Counters: the port's tx_packets, tx_bytes, tx_dropped; transmitted, tx_batches, system_calls;
// drops tx_full, tx_error, no_frame.
//
// A descriptor that the kernel refuses never completes and its frame would be lost. So none is posted: no
// length below an Ethernet header, none that leaves its chunk, no chain longer than TX_SEGMENTS_MAX; other
// packets are packed into fresh frames first. Every descriptor completes once: what is in flight is tx
// producer minus completion consumer.
import { COUNTER, type ThreadCounters } from "../../datapath/counters.ts";
import { DROP } from "../../datapath/drop-reason.ts";
import { NO_FRAME } from "../../memory/frame-layout.ts";
import { type FrameLedger, ownerWord } from "../../memory/frame-ledger.ts";
import type { FramePool } from "../../memory/frame-pool.ts";
import type { Intrinsics } from "../../memory/intrinsics.ts";
import type { Packets } from "../../memory/packets.ts";
import { type Native, native } from "../../native.ts";
import { PORT_COUNTER, type PortCounters } from "../counters.ts";
import type { QueueAttachment, QueueContext, TxQueue } from "../port.ts";
import {
  type AfxdpFields,
  fieldsOf,
  frameMark,
  NEED_WAKEUP,
  PACKET_CONTINUES,
  QUEUE_BLOCK,
  TX_SEGMENTS_MAX,
} from "./layout.ts";
import { packFrames } from "./pack.ts";

const ETHERNET_HEADER_BYTES = 14;
/**
 * A kick in copy mode sends 32 descriptors where it can't be told otherwise: enough calls for a burst of
 * chains.
 */
const KICKS_MAX = 8;

export class AfxdpTxQueue implements TxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly #native: Native = native();
  readonly #intrinsics: Intrinsics;
  readonly #u32: Uint32Array;
  readonly #context: QueueContext;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #counters: ThreadCounters;
  readonly #ledger: FrameLedger | null;
  readonly #held: number;
  readonly #kernel: number;
  readonly #fields: AfxdpFields;
  readonly #mark: number;
  readonly #frameShift: number;
  readonly #ringMask: number;
  readonly #desc: number;
  readonly #completionDesc: number;
  readonly #stagedWord: number;
  readonly #segmentsMax: number;
  /** Index behind the last descriptor written; also kept in the control block. */
  #staged = 0;
  #published = 0;
  /** The kernel's consumer index as last seen. */
  #consumed = 0;
  /** Our consumer index of the completion ring: descriptors up to it are done. */
  #completed = 0;
  #pendingPackets = 0;
  #pendingBytes = 0;

  constructor(context: QueueContext, attachment: QueueAttachment) {
    const fields = fieldsOf(attachment);
    const { arena } = context;
    this.portNo = attachment.portNo;
    this.slot = attachment.slot;
    this.#intrinsics = arena.intrinsics;
    this.#u32 = arena.u32;
    this.#context = context;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#counters = context.counters;
    this.#ledger = context.pool.ledger;
    this.#held = ownerWord("held", context.threadIndex);
    this.#kernel = ownerWord("kernel", attachment.slot);
    this.#fields = fields;
    this.#mark = frameMark(attachment.slot, attachment.queue);
    this.#frameShift = Math.log2(arena.plan.sizes.frameBytes);
    this.#ringMask = fields.ringEntries - 1;
    this.#desc = fields.txDesc >>> 2;
    this.#completionDesc = fields.completionDesc >>> 2;
    this.#stagedWord = (fields.block + QUEUE_BLOCK.txStaged) >>> 2;
    this.#segmentsMax = fields.multiBuffer ? TX_SEGMENTS_MAX : 1;
    this.#published = arena.u32[fields.txProducer >>> 2]!;
    this.#consumed = arena.intrinsics.load(fields.txConsumer) >>> 0;
    this.#completed = arena.u32[fields.completionConsumer >>> 2]!;
    this.#staged = arena.u32[this.#stagedWord]!;
    // What a worker staged before it died is sent now; it is counted here, by descriptor.
    this.#pendingPackets = (this.#staged - this.#published) >>> 0;
  }

  put(frame: number): void {
    const segments = this.#packets.segmentCount(frame);
    if (segments > 1 || this.#packets.dataBytes(frame) < ETHERNET_HEADER_BYTES) {
      this.#putUnusual(frame);
      return;
    }
    if (!this.#hasRoom(1)) {
      this.#drop(frame, DROP.tx_full);
      return;
    }
    this.#pendingBytes += this.#packets.dataBytes(frame);
    this.#pendingPackets += 1;
    this.#stage(frame, 0);
    this.#u32[this.#stagedWord] = this.#staged;
  }

  /** A chain, or a first frame too short to be posted. */
  #putUnusual(frame: number): void {
    const bytes = this.#packets.packetBytes(frame);
    if (bytes < ETHERNET_HEADER_BYTES) {
      this.#drop(frame, DROP.tx_error);
      return;
    }
    let chain = frame;
    if (this.#packets.segmentCount(frame) > this.#segmentsMax || this.#hasShortSegment(frame)) {
      chain = packFrames(this.#context.arena, this.#pool, this.#packets, frame);
      if (chain === NO_FRAME) {
        this.#drop(frame, DROP.no_frame);
        return;
      }
      this.#pool.freePacket(frame);
    }
    const segments = this.#packets.segmentCount(chain);
    if (segments > this.#segmentsMax) {
      this.#drop(chain, DROP.tx_error);
      return;
    }
    if (!this.#hasRoom(segments)) {
      this.#drop(chain, DROP.tx_full);
      return;
    }
    this.#pendingBytes += bytes;
    this.#pendingPackets += 1;
    for (let segment = chain; segment !== NO_FRAME; ) {
      const next = this.#packets.nextFrame(segment);
      this.#stage(segment, next === NO_FRAME ? 0 : PACKET_CONTINUES);
      segment = next;
    }
    this.#u32[this.#stagedWord] = this.#staged;
  }

  #hasShortSegment(frame: number): boolean {
    for (let segment = frame; segment !== NO_FRAME; segment = this.#packets.nextFrame(segment)) {
      if (this.#packets.dataBytes(segment) < ETHERNET_HEADER_BYTES) return true;
    }
    return false;
  }

  /** Writes one descriptor; the caller knows that there is room. */
  #stage(frame: number, options: number): void {
    const descriptor = this.#desc + (this.#staged & this.#ringMask) * 4;
    this.#u32[descriptor] = (frame << this.#frameShift) + this.#packets.dataOffset(frame);
    this.#u32[descriptor + 1] = 0;
    this.#u32[descriptor + 2] = this.#packets.dataBytes(frame);
    this.#u32[descriptor + 3] = options;
    this.#packets.setPortNo(frame, this.#mark);
    if (this.#ledger !== null) this.#ledger.move(frame, this.#held, this.#kernel);
    this.#staged = (this.#staged + 1) >>> 0;
  }

  /** True when the ring takes `wanted` more descriptors; sends what is staged when it must to get there. */
  #hasRoom(wanted: number): boolean {
    const entries = this.#ringMask + 1;
    if (((this.#staged - this.#consumed) >>> 0) + wanted <= entries) return true;
    this.#consumed = this.#intrinsics.load(this.#fields.txConsumer) >>> 0;
    if (((this.#staged - this.#consumed) >>> 0) + wanted <= entries) return true;
    this.flush();
    return ((this.#staged - this.#consumed) >>> 0) + wanted <= entries;
  }

  #drop(frame: number, reason: number): void {
    this.#pool.freePacket(frame);
    this.#counters.drop(reason, 1);
    this.#portCounters.add(PORT_COUNTER.tx_dropped, 1);
  }

  flush(): void {
    if (this.#staged !== this.#published) this.#publish();
    if (this.#published === this.#completed) return;
    this.#consumed = this.#intrinsics.load(this.#fields.txConsumer) >>> 0;
    if (this.#consumed !== this.#published) this.#kick();
    this.#reap();
  }

  #publish(): void {
    this.#published = this.#staged;
    // Pairs with the kernel's acquire of the producer index: the descriptors before it are written.
    this.#intrinsics.store(this.#fields.txProducer, this.#published);
    this.#portCounters.add(PORT_COUNTER.tx_packets, this.#pendingPackets);
    this.#portCounters.add(PORT_COUNTER.tx_bytes, this.#pendingBytes);
    this.#counters.add(COUNTER.transmitted, this.#pendingPackets);
    this.#counters.add(COUNTER.tx_batches, 1);
    this.#pendingPackets = 0;
    this.#pendingBytes = 0;
  }

  /**
   * Asks the kernel to transmit until the ring is empty or it makes no more progress; the rest waits for a
   * flush.
   */
  #kick(): void {
    for (let kicks = 0; kicks < KICKS_MAX; kicks += 1) {
      if (this.#fields.needWakeup && (this.#intrinsics.load(this.#fields.txFlags) & NEED_WAKEUP) === 0)
        return;
      const before = this.#consumed;
      this.#native.xskKickTx(this.#fields.fd);
      this.#counters.add(COUNTER.system_calls, 1);
      this.#consumed = this.#intrinsics.load(this.#fields.txConsumer) >>> 0;
      if (this.#consumed === this.#published || this.#consumed === before) return;
    }
  }

  /** Takes back the frames that the kernel is done with. */
  #reap(): void {
    // Pairs with the kernel's release of the producer index: the addresses before it are written.
    const producer = this.#intrinsics.load(this.#fields.completionProducer) >>> 0;
    let cursor = this.#completed;
    if (cursor === producer) return;
    for (; cursor !== producer; cursor = (cursor + 1) >>> 0) {
      const address = this.#u32[this.#completionDesc + (cursor & this.#ringMask) * 2]!;
      const frame = address >>> this.#frameShift;
      if (this.#ledger !== null) this.#ledger.move(frame, this.#kernel, this.#held);
      this.#packets.setPortNo(frame, 0);
      this.#pool.free(frame);
    }
    this.#completed = cursor;
    // Pairs with the kernel's acquire of the consumer index: we have read the addresses before it.
    this.#intrinsics.store(this.#fields.completionConsumer, cursor);
  }

  /** Sends what was put. Frames that are not done yet stay in the kernel's rings; control reclaims them. */
  close(): void {
    this.flush();
  }
}
