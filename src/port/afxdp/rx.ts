// The receiving half of an AF_XDP queue, on the worker that owns it.
//
// Per packet: the descriptor's words, the frame's record, one frame from the pool and its address into the
// fill ring. Per burst: ordered loads of the producer and the fill ring's flags, two ordered stores. System
// calls: none per packet; one a burst when the driver asks for it (zero-copy drivers that ran out of frames).
// Memory: the rx and fill rings, records of the frames received. Counters: the port's rx_packets, rx_bytes,
// rx_dropped; drops rx_long; system_calls.
//
// Every descriptor received was one address posted, so the frames that the kernel has are fill producer minus
// rx consumer: no count is kept beside the rings, and a worker that adopts the queue reads all it needs from
// them. Its own indices stand in the control block (memory/queue-layout.ts), where compiled code receives packets of one
// frame and refills (compile/emit/afxdp-rx.ts); chains and system calls are here alone.
import { COUNTER, type ThreadCounters } from "../../datapath/counters.ts";
import { DROP } from "../../datapath/drop-reason.ts";
import type { Arena } from "../../memory/arena.ts";
import { NO_FRAME, PACKET_BYTES_MAX } from "../../memory/frame-layout.ts";
import { type FrameLedger, ownerWord } from "../../memory/frame-ledger.ts";
import type { FramePool } from "../../memory/frame-pool.ts";
import type { Intrinsics } from "../../memory/intrinsics.ts";
import type { Packets } from "../../memory/packets.ts";
import { AFXDP_CONTINUES, AFXDP_REFILL_BATCH, AFXDP_RX } from "../../memory/queue-layout.ts";
import { type Native, native } from "../../native.ts";
import { PORT_COUNTER, type PortCounters } from "../counters.ts";
import type { CompiledQueue, QueueAttachment, QueueContext, RxQueue } from "../port.ts";
import { type AfxdpFields, fieldsOf, frameMark, NEED_WAKEUP, QUEUE_BLOCK } from "./layout.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const REFILL_BATCH = AFXDP_REFILL_BATCH;
const CONTINUES: number = AFXDP_CONTINUES;
const CONSUMER = AFXDP_RX.consumer / 4;
const FILL_PRODUCER = AFXDP_RX.fillProducer / 4;

export class AfxdpRxQueue implements RxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly queue: number;
  readonly compiledRx: CompiledQueue<"afxdp"> | undefined;
  readonly #native: Native = native();
  readonly #intrinsics: Intrinsics;
  readonly #u32: Uint32Array;
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
  readonly #frameMask: number;
  readonly #ringMask: number;
  readonly #fillMask: number;
  readonly #rxDesc: number;
  readonly #fillDesc: number;
  readonly #block: number;
  #closed = false;

  constructor(context: QueueContext, attachment: QueueAttachment) {
    const fields = fieldsOf(attachment);
    const arena: Arena = context.arena;
    this.portNo = attachment.portNo;
    this.slot = attachment.slot;
    this.queue = attachment.queue;
    this.#intrinsics = arena.intrinsics;
    this.#u32 = arena.u32;
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
    this.#frameMask = arena.plan.sizes.frameBytes - 1;
    this.#ringMask = fields.ringEntries - 1;
    this.#fillMask = fields.fillEntries - 1;
    this.#rxDesc = fields.rxDesc >>> 2;
    this.#fillDesc = fields.fillDesc >>> 2;
    const address = fields.block + QUEUE_BLOCK.rx;
    this.#block = address >>> 2;
    this.#adopt(address);
    this.#refill(fields.fillPosted - this.#postedCount);
    // Compiled code reports nothing to the ledger.
    this.compiledRx = context.pool.ledger === null ? { kind: "afxdp", parameters: address } : undefined;
  }

  /** Fills the block in from what the rings say. */
  #adopt(address: number): void {
    const fields = this.#fields;
    const words: Record<keyof typeof AFXDP_RX, number> = {
      consumer: this.#u32[fields.rxConsumer >>> 2]!,
      fillProducer: this.#u32[fields.fillProducer >>> 2]!,
      rxProducer: fields.rxProducer,
      rxConsumer: fields.rxConsumer,
      descriptors: fields.rxDesc,
      ringMask: this.#ringMask,
      fillRingProducer: fields.fillProducer,
      fillRingFlags: fields.fillFlags,
      fillAddresses: fields.fillDesc,
      fillMask: this.#fillMask,
      fillPosted: fields.fillPosted,
      mark: this.#mark,
      portNo: this.portNo,
      wakeMask: fields.needWakeup ? NEED_WAKEUP : 0,
      rxPackets: this.#portCounters.address(PORT_COUNTER.rx_packets),
      rxBytes: this.#portCounters.address(PORT_COUNTER.rx_bytes),
    };
    for (const [name, value] of Object.entries(words))
      this.#u32[(address + AFXDP_RX[name as keyof typeof words]) >>> 2] = value;
  }

  /** Frames that the kernel has. */
  get #postedCount(): number {
    return (this.#u32[this.#block + FILL_PRODUCER]! - this.#u32[this.#block + CONSUMER]!) >>> 0;
  }

  rxBurst(at: number, limit: number): number {
    if (this.#closed) return 0;
    // Pairs with the kernel's release of the producer index: the descriptors before it are written.
    const producer = this.#intrinsics.load(this.#fields.rxProducer) >>> 0;
    const count = this.#u32[this.#block + CONSUMER] === producer ? 0 : this.#receive(at, limit, producer);
    const missing = this.#fields.fillPosted - this.#postedCount;
    if (missing >= REFILL_BATCH) this.#refill(missing);
    if (this.#fields.needWakeup) this.#wakeDriver();
    return count;
  }

  #receive(at: number, limit: number, producer: number): number {
    const u32 = this.#u32;
    const first = u32[this.#block + CONSUMER]!;
    let cursor = first;
    let count = 0;
    let bytes = 0;
    while (count < limit && cursor !== producer) {
      const descriptor = this.#rxDesc + (cursor & this.#ringMask) * 4;
      const address = u32[descriptor]!;
      const frame = address >>> this.#frameShift;
      if ((u32[descriptor + 3]! & CONTINUES) === 0) {
        const length = u32[descriptor + 2]!;
        if (this.#ledger !== null) this.#ledger.move(frame, this.#kernel, this.#held);
        this.#packets.setSingle(frame, address & this.#frameMask, length);
        this.#packets.setPortNo(frame, this.portNo);
        bytes += length;
        cursor = (cursor + 1) >>> 0;
      } else {
        const next = this.#chain(frame, cursor, producer);
        // The end of the chain is still on its way.
        if (next < 0) break;
        cursor = next;
        const length = this.#packets.packetBytes(frame);
        if (length > PACKET_BYTES_MAX) {
          this.#dropLong(frame);
          continue;
        }
        bytes += length;
      }
      u32[at + count] = frame;
      count += 1;
    }
    if (cursor !== first) {
      u32[this.#block + CONSUMER] = cursor;
      // Pairs with the kernel's acquire of the consumer index: we have read the descriptors before it.
      this.#intrinsics.store(this.#fields.rxConsumer, cursor);
      this.#portCounters.add(PORT_COUNTER.rx_packets, count);
      this.#portCounters.add(PORT_COUNTER.rx_bytes, bytes);
    }
    return count;
  }

  /**
   * Links the frames of a chain that starts at `cursor`; returns the index behind it, -1 when its end isn't
   * there.
   */
  #chain(first: number, cursor: number, producer: number): number {
    const u32 = this.#u32;
    let end = cursor;
    while (end !== producer && (u32[this.#rxDesc + (end & this.#ringMask) * 4 + 3]! & CONTINUES) !== 0) {
      end = (end + 1) >>> 0;
    }
    if (end === producer) return -1;
    let previous = NO_FRAME;
    let bytes = 0;
    let segments = 0;
    for (let at = cursor; segments === 0 || previous !== NO_FRAME; at = (at + 1) >>> 0) {
      const descriptor = this.#rxDesc + (at & this.#ringMask) * 4;
      const frame = u32[descriptor]! >>> this.#frameShift;
      if (this.#ledger !== null) this.#ledger.move(frame, this.#kernel, this.#held);
      this.#packets.setSingle(frame, u32[descriptor]! & this.#frameMask, u32[descriptor + 2]!);
      this.#packets.setPortNo(frame, this.portNo);
      if (previous !== NO_FRAME) this.#packets.setNext(previous, frame);
      bytes += u32[descriptor + 2]!;
      segments += 1;
      previous = at === end ? NO_FRAME : frame;
    }
    this.#packets.setTotals(first, bytes, segments);
    return (end + 1) >>> 0;
  }

  #dropLong(frame: number): void {
    this.#pool.freePacket(frame);
    this.#counters.add(COUNTER.received, 1);
    this.#counters.drop(DROP.rx_long, 1);
    this.#portCounters.add(PORT_COUNTER.rx_packets, 1);
    this.#portCounters.add(PORT_COUNTER.rx_dropped, 1);
  }

  /**
   * Posts up to `wanted` free frames. The fill ring has room: it has at least as many entries as frames are
   * posted.
   */
  #refill(wanted: number): void {
    const first = this.#u32[this.#block + FILL_PRODUCER]!;
    let producer = first;
    for (let left = wanted; left > 0; left -= 1) {
      const frame = this.#pool.take();
      if (frame === NO_FRAME) break;
      if (this.#ledger !== null) this.#ledger.move(frame, this.#held, this.#kernel);
      this.#packets.setPortNo(frame, this.#mark);
      const entry = this.#fillDesc + (producer & this.#fillMask) * 2;
      this.#u32[entry] = frame << this.#frameShift;
      this.#u32[entry + 1] = 0;
      producer = (producer + 1) >>> 0;
    }
    if (producer === first) return;
    this.#u32[this.#block + FILL_PRODUCER] = producer;
    // Pairs with the kernel's acquire of the producer index: the addresses before it are written.
    this.#intrinsics.store(this.#fields.fillProducer, producer);
  }

  #wakeDriver(): void {
    if ((this.#intrinsics.load(this.#fields.fillFlags) & NEED_WAKEUP) === 0) return;
    this.#native.xskKickRx(this.#fields.fd);
    this.#counters.add(COUNTER.system_calls, 1);
  }

  /**
   * The frames that the queue holds are in the kernel's rings; control reclaims them when it closes the
   * socket.
   */
  close(): void {
    this.#closed = true;
  }
}
