// The transmitting half of an AF_XDP queue, on the worker that owns it.
//
// Per packet: one descriptor a frame, the frame's mark; later its address from the completion ring and the
// frame back to the pool. Per burst: one ordered store that publishes, one system call (a kick sends the
// whole ring where the kernel knows XDP_MAX_TX_SKB_BUDGET, 32 descriptors otherwise), one ordered load and
// store that reap. Memory: the tx and completion rings, the queue's control block, records of the frames
// transmitted. Counters: the port's tx_packets, tx_bytes, tx_dropped; transmitted, tx_batches, system_calls;
// drops tx_full, tx_error, no_frame.
//
// What moves stands in the control block (memory/queue-layout.ts), where compiled code puts packets of one frame and takes
// completions (compile/emit/transmit-afxdp.ts); the system calls, chains and all that is rare are here alone.
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
import {
  AFXDP_CONTINUES,
  AFXDP_DESCRIPTOR_BYTES,
  AFXDP_TX,
  AFXDP_TX_BYTES_MIN,
} from "../../memory/queue-layout.ts";
import { TxTaken } from "../../memory/tx-route.ts";
import { type Native, native } from "../../native.ts";
import { PORT_COUNTER, type PortCounters } from "../counters.ts";
import type { CompiledQueue, QueueAttachment, QueueContext, TxQueue } from "../port.ts";
import {
  type AfxdpFields,
  fieldsOf,
  frameMark,
  NEED_WAKEUP,
  QUEUE_BLOCK,
  TX_SEGMENTS_MAX,
} from "./layout.ts";
import { packFrames } from "./pack.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const BYTES_MIN = AFXDP_TX_BYTES_MIN;
const STAGED = AFXDP_TX.staged / 4;
const PUBLISHED = AFXDP_TX.published / 4;
const CONSUMED = AFXDP_TX.consumed / 4;
const COMPLETED = AFXDP_TX.completed / 4;
const LEFT_TO_CODE = AFXDP_TX.leftToCode / 4;
const DESCRIPTOR_WORDS = AFXDP_DESCRIPTOR_BYTES / 4;
/**
 * A kick in copy mode sends 32 descriptors where it can't be told otherwise: enough calls for a burst of
 * chains.
 */
const KICKS_MAX = 8;

export class AfxdpTxQueue implements TxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly compiledRoute: CompiledQueue<"afxdp"> | undefined;
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
  readonly #block: number;
  readonly #segmentsMax: number;
  readonly #taken: TxTaken;

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
    this.#segmentsMax = fields.multiBuffer ? TX_SEGMENTS_MAX : 1;
    this.#taken = new TxTaken(arena, context.threadIndex, attachment.slot);
    const address = fields.block + QUEUE_BLOCK.tx;
    this.#block = address >>> 2;
    this.#adopt(address);
    // Compiled code reports nothing to the ledger.
    this.compiledRoute = context.pool.ledger === null ? { kind: "afxdp", parameters: address } : undefined;
  }

  /** Fills the block in from what the rings say. */
  #adopt(address: number): void {
    const fields = this.#fields;
    const words: Omit<Record<keyof typeof AFXDP_TX, number>, "staged"> = {
      published: this.#u32[fields.txProducer >>> 2]!,
      consumed: this.#intrinsics.load(fields.txConsumer),
      completed: this.#u32[fields.completionConsumer >>> 2]!,
      leftToCode: 0,
      descriptors: fields.txDesc,
      ringMask: this.#ringMask,
      completionProducer: fields.completionProducer,
      completionConsumer: fields.completionConsumer,
      completions: fields.completionDesc,
      mark: this.#mark,
    };
    for (const [name, value] of Object.entries(words))
      this.#u32[(address + AFXDP_TX[name as keyof typeof words]) >>> 2] = value;
    // What a worker staged before it died is sent now; it is counted here, by descriptor.
    this.#taken.clear();
    this.#taken.add((this.#u32[this.#block + STAGED]! - words.published) >>> 0, 0);
  }

  put(frame: number): void {
    const segments = this.#packets.segmentCount(frame);
    if (segments > 1 || this.#packets.dataBytes(frame) < BYTES_MIN) {
      this.#putUnusual(frame);
      return;
    }
    if (!this.#hasRoom(1)) {
      this.#drop(frame, DROP.tx_full);
      return;
    }
    this.#taken.add(1, this.#packets.dataBytes(frame));
    const staged = this.#u32[this.#block + STAGED]!;
    this.#stage(staged, frame, 0);
    this.#u32[this.#block + STAGED] = staged + 1;
  }

  /** A chain, or a first frame too short to be posted. */
  #putUnusual(frame: number): void {
    const bytes = this.#packets.packetBytes(frame);
    if (bytes < BYTES_MIN) {
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
    this.#taken.add(1, bytes);
    let staged = this.#u32[this.#block + STAGED]!;
    for (let segment = chain; segment !== NO_FRAME; staged += 1) {
      const next = this.#packets.nextFrame(segment);
      this.#stage(staged, segment, next === NO_FRAME ? 0 : AFXDP_CONTINUES);
      segment = next;
    }
    // The whole chain at once: a successor sends no half of it.
    this.#u32[this.#block + STAGED] = staged;
  }

  #hasShortSegment(frame: number): boolean {
    for (let segment = frame; segment !== NO_FRAME; segment = this.#packets.nextFrame(segment)) {
      if (this.#packets.dataBytes(segment) < BYTES_MIN) return true;
    }
    return false;
  }

  /** Writes the descriptor of index `at`; the caller knows that there is room. */
  #stage(at: number, frame: number, options: number): void {
    const descriptor = this.#desc + (at & this.#ringMask) * DESCRIPTOR_WORDS;
    this.#u32[descriptor] = (frame << this.#frameShift) + this.#packets.dataOffset(frame);
    this.#u32[descriptor + 1] = 0;
    this.#u32[descriptor + 2] = this.#packets.dataBytes(frame);
    this.#u32[descriptor + 3] = options;
    this.#packets.setPortNo(frame, this.#mark);
    if (this.#ledger !== null) this.#ledger.move(frame, this.#held, this.#kernel);
  }

  /** True when the ring takes `wanted` more descriptors; sends what is staged when it must to get there. */
  #hasRoom(wanted: number): boolean {
    if (this.#freeCount >= wanted) return true;
    this.#u32[this.#block + CONSUMED] = this.#intrinsics.load(this.#fields.txConsumer);
    if (this.#freeCount >= wanted) return true;
    this.flush();
    return this.#freeCount >= wanted;
  }

  get #freeCount(): number {
    const used = (this.#u32[this.#block + STAGED]! - this.#u32[this.#block + CONSUMED]!) >>> 0;
    return this.#ringMask + 1 - used;
  }

  #drop(frame: number, reason: number): void {
    this.#pool.freePacket(frame);
    this.#counters.drop(reason, 1);
    this.#portCounters.add(PORT_COUNTER.tx_dropped, 1);
  }

  flush(): void {
    const u32 = this.#u32;
    const block = this.#block;
    if (u32[block + STAGED] !== u32[block + PUBLISHED]) this.#publish();
    const published = u32[block + PUBLISHED]!;
    if (published === u32[block + COMPLETED]) return;
    u32[block + CONSUMED] = this.#intrinsics.load(this.#fields.txConsumer);
    if (u32[block + CONSUMED] !== published) this.#kick(published);
    // Compiled code that puts packets takes completions too. Not when it has not come by for some flushes, nor when the
    // completion ring could fill up, which stops the kernel.
    const left = u32[block + LEFT_TO_CODE]!;
    if (left === 0 || (published - u32[block + COMPLETED]!) >>> 0 > this.#ringMask >>> 1) this.#reap();
    else u32[block + LEFT_TO_CODE] = left - 1;
  }

  #publish(): void {
    const published = this.#u32[this.#block + STAGED]!;
    this.#u32[this.#block + PUBLISHED] = published;
    // Pairs with the kernel's acquire of the producer index: the descriptors before it are written.
    this.#intrinsics.store(this.#fields.txProducer, published);
    this.#portCounters.add(PORT_COUNTER.tx_packets, this.#taken.packets);
    this.#portCounters.add(PORT_COUNTER.tx_bytes, this.#taken.bytes);
    this.#counters.add(COUNTER.transmitted, this.#taken.packets);
    this.#counters.add(COUNTER.tx_batches, 1);
    this.#taken.clear();
  }

  /**
   * Asks the kernel to transmit until the ring is empty or it makes no more progress; the rest waits for a
   * flush.
   */
  #kick(published: number): void {
    for (let kicks = 0; kicks < KICKS_MAX; kicks += 1) {
      if (this.#fields.needWakeup && (this.#intrinsics.load(this.#fields.txFlags) & NEED_WAKEUP) === 0)
        return;
      const before = this.#u32[this.#block + CONSUMED]!;
      this.#native.xskKickTx(this.#fields.fd);
      this.#counters.add(COUNTER.system_calls, 1);
      const consumed = this.#intrinsics.load(this.#fields.txConsumer) >>> 0;
      this.#u32[this.#block + CONSUMED] = consumed;
      if (consumed === published || consumed === before) return;
    }
  }

  /** Takes back the frames that the kernel is done with. */
  #reap(): void {
    // Pairs with the kernel's release of the producer index: the addresses before it are written.
    const producer = this.#intrinsics.load(this.#fields.completionProducer) >>> 0;
    let cursor = this.#u32[this.#block + COMPLETED]!;
    if (cursor === producer) return;
    for (; cursor !== producer; cursor = (cursor + 1) >>> 0) {
      const address = this.#u32[this.#completionDesc + (cursor & this.#ringMask) * 2]!;
      const frame = address >>> this.#frameShift;
      if (this.#ledger !== null) this.#ledger.move(frame, this.#kernel, this.#held);
      this.#packets.setPortNo(frame, 0);
      this.#pool.free(frame);
    }
    this.#u32[this.#block + COMPLETED] = cursor;
    // Pairs with the kernel's acquire of the consumer index: we have read the addresses before it.
    this.#intrinsics.store(this.#fields.completionConsumer, cursor);
  }

  /** Sends what was put. Frames that are not done yet stay in the kernel's rings; control reclaims them. */
  close(): void {
    this.flush();
  }
}
