// Packets for ports whose transmit queue another worker owns: a ring from each worker to each other one. To the
// sender a port behind such a ring is a transmit queue like any other.
//
// Per packet: one entry of two words (frame, slot). Per burst: one publish or release. Memory: this worker's row
// (as producer) and column (as consumer) of handoffRings. Counters: handoff_full; what is sent is counted by the owner.
import type { ThreadCounters } from "../datapath/counters.ts";
import { DROP } from "../datapath/drop-reason.ts";
import type { Arena } from "../memory/arena.ts";
import { BATCH, BATCH_BYTES, BATCH_SIZE } from "../memory/batch-layout.ts";
import { NO_FRAME } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import { Handover, ringOwner } from "../memory/handover.ts";
import { HANDOFF_RING_ENTRIES, PAGE_BYTES } from "../memory/region-plan.ts";
import type { TxQueue } from "../port/port.ts";
import { RingConsumer, RingProducer, spscRingBytes } from "../ring/spsc-ring.ts";
import type { Output } from "./output.ts";

const WORDS = 2;

function ringOffset(arena: Arena, from: number, to: number): number {
  const stride = Math.ceil(spscRingBytes(HANDOFF_RING_ENTRIES, WORDS) / PAGE_BYTES) * PAGE_BYTES;
  return arena.region("handoffRings").offset + (from * arena.plan.sizes.workerCount + to) * stride;
}

const ledgerOwner = (arena: Arena, from: number, to: number): number =>
  ringOwner("handoff", from * arena.plan.sizes.workerCount + to);

export const handoffProducer = (arena: Arena, from: number, to: number): RingProducer =>
  new RingProducer(arena, ringOffset(arena, from, to), HANDOFF_RING_ENTRIES, WORDS);

export const handoffConsumer = (arena: Arena, from: number, to: number): RingConsumer =>
  new RingConsumer(arena, ringOffset(arena, from, to), HANDOFF_RING_ENTRIES, WORDS);

/** The sending end of one ring; the ports behind it share it. */
export class HandoffSender {
  readonly #u32: Uint32Array;
  readonly #pool: FramePool;
  readonly #counters: ThreadCounters;
  readonly #handover: Handover;
  readonly #owner: number;
  readonly #ring: RingProducer;

  constructor(arena: Arena, pool: FramePool, counters: ThreadCounters, from: number, to: number) {
    this.#u32 = arena.u32;
    this.#pool = pool;
    this.#counters = counters;
    this.#handover = new Handover(arena, pool, from);
    this.#owner = ledgerOwner(arena, from, to);
    this.#ring = handoffProducer(arena, from, to);
  }

  send(frame: number, slot: number): void {
    if (this.#ring.free(1) === 0) {
      this.#counters.drop(DROP.handoff_full, 1);
      this.#pool.freePacket(frame);
      return;
    }
    this.#handover.give(frame, this.#owner);
    const at = this.#ring.slot();
    this.#u32[at] = frame;
    this.#u32[at + 1] = slot;
    this.#ring.advance();
  }

  publish(): void {
    this.#ring.publish();
  }
}

/** A port that is reached through another worker. */
export class HandoffTxQueue implements TxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly #sender: HandoffSender;

  constructor(sender: HandoffSender, portNo: number, slot: number) {
    this.portNo = portNo;
    this.slot = slot;
    this.#sender = sender;
  }

  put(frame: number): void {
    this.#sender.send(frame, this.slot);
  }

  flush(): void {
    this.#sender.publish();
  }

  close(): void {
    this.#sender.publish();
  }
}

/** The receiving ends of one worker. */
export class HandoffReceiver {
  readonly #u32: Uint32Array;
  readonly #handover: Handover;
  readonly #output: Output;
  readonly #rings: readonly RingConsumer[];
  readonly #owners: readonly number[];
  /** Columns of the batch that hold frames and slots between ring and queue. */
  readonly #frames: number;
  readonly #slots: number;

  constructor(arena: Arena, pool: FramePool, output: Output, worker: number) {
    const batch = arena.region("batches").offset + worker * BATCH_BYTES;
    const others = Array.from({ length: arena.plan.sizes.workerCount }, (_, from) => from).filter(
      (from) => from !== worker,
    );
    this.#u32 = arena.u32;
    this.#handover = new Handover(arena, pool, worker);
    this.#output = output;
    this.#rings = others.map((from) => handoffConsumer(arena, from, worker));
    this.#owners = others.map((from) => ledgerOwner(arena, from, worker));
    this.#frames = (batch + BATCH.frame) >>> 2;
    this.#slots = (batch + BATCH.flow) >>> 2;
  }

  /** Whether a packet is there. */
  get isReady(): boolean {
    for (let index = 0; index < this.#rings.length; index += 1) {
      if (this.#rings[index]!.available() > 0) return true;
    }
    return false;
  }

  /** Takes up to a burst from each ring and transmits it. Returns the packets taken. */
  poll(): number {
    let total = 0;
    for (let index = 0; index < this.#rings.length; index += 1) {
      const ring = this.#rings[index]!;
      const count = Math.min(ring.available(), BATCH_SIZE);
      if (count === 0) continue;
      this.#take(ring, this.#owners[index]!, count);
      for (let place = 0; place < count; place += 1) {
        const frame = this.#u32[this.#frames + place]!;
        this.#u32[this.#frames + place] = NO_FRAME;
        this.#output.transmit(this.#u32[this.#slots + place]!, frame);
      }
      total += count;
    }
    return total;
  }

  /** Moves packets from a ring to the batch and gives their room back, so that nobody finds them twice. */
  #take(ring: RingConsumer, owner: number, count: number): void {
    for (let place = 0; place < count; place += 1) {
      const at = ring.slot();
      const frame = this.#u32[at]!;
      this.#handover.receive(frame, owner);
      this.#u32[this.#frames + place] = frame;
      this.#u32[this.#slots + place] = this.#u32[at + 1]!;
      ring.advance();
    }
    ring.release();
  }
}
