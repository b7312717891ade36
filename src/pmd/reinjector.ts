// What comes back from the handler: a worker's reinject ring, carried out (datapath/reinject-entry.ts).
//
// Entries of one kind and port that follow each other go to the engine as one batch. Their order is kept: they are the
// packets that others wait behind. Per entry: four words. Per batch: one release, before the packets are worked on.
// Memory: the worker's reinject ring, the batch. Counters: reinjected.
import { COUNTER, type ThreadCounters } from "../datapath/counters.ts";
import type { Engine } from "../datapath/engine.ts";
import {
  REINJECT,
  REINJECT_CHARGE_SHIFT,
  REINJECT_KIND_MASK,
  reinjectConsumer,
} from "../datapath/reinject-entry.ts";
import type { Arena } from "../memory/arena.ts";
import { BATCH, BATCH_BYTES, BATCH_SIZE } from "../memory/batch-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import { Handover, ringOwner } from "../memory/handover.ts";
import type { Packets } from "../memory/packets.ts";
import type { RingConsumer } from "../ring/spsc-ring.ts";
import type { UpcallSender } from "./upcall-sender.ts";

const KIND_MASK = REINJECT_KIND_MASK;
const CHARGE_SHIFT = REINJECT_CHARGE_SHIFT;
const LOOKUP: number = REINJECT.lookup;
const EXECUTE: number = REINJECT.execute;
const ACTION_DONE: number = REINJECT.actionDone;
const INJECT: number = REINJECT.inject;
/** Most entries of one loop: receiving must not wait for a long queue of answers. */
const ENTRIES_MAX = 256;

export class Reinjector {
  readonly #u32: Uint32Array;
  readonly #packets: Packets;
  readonly #counters: ThreadCounters;
  readonly #upcalls: UpcallSender;
  readonly #handover: Handover;
  readonly #ringOwner: number;
  readonly #ring: RingConsumer;
  readonly #frames: number;
  readonly #actions: number;
  #runKind = 0;
  #runPortNo = 0;
  /** Entries that the last takeRun took. */
  #taken = 0;

  constructor(
    arena: Arena,
    threadIndex: number,
    pool: FramePool,
    packets: Packets,
    counters: ThreadCounters,
    upcalls: UpcallSender,
  ) {
    const batch = arena.region("batches").offset + threadIndex * BATCH_BYTES;
    this.#u32 = arena.u32;
    this.#packets = packets;
    this.#counters = counters;
    this.#upcalls = upcalls;
    this.#handover = new Handover(arena, pool, threadIndex);
    this.#ringOwner = ringOwner("reinject", threadIndex);
    this.#ring = reinjectConsumer(arena, threadIndex);
    this.#frames = (batch + BATCH.frame) >>> 2;
    this.#actions = (batch + BATCH.actions) >>> 2;
  }

  /** Whether an answer is there. */
  get isReady(): boolean {
    return this.#ring.available() > 0;
  }

  /** Carries out what is there, ENTRIES_MAX at most. Returns the packets that came back. */
  poll(engine: Engine): number {
    let left = Math.min(this.#ring.available(), ENTRIES_MAX);
    let packets = 0;
    while (left > 0) {
      const count = this.#takeRun(left);
      left -= this.#taken;
      this.#ring.release();
      if (count === 0) continue;
      packets += count;
      this.#counters.add(COUNTER.reinjected, count);
      if (this.#runKind === LOOKUP) engine.processReinjected(count, this.#runPortNo);
      else engine.execute(count);
    }
    return packets;
  }

  /** Moves entries of one kind and port into the batch. Returns how many brought a packet. */
  #takeRun(limit: number): number {
    const u32 = this.#u32;
    let count = 0;
    this.#taken = 0;
    while (this.#taken < limit && count < BATCH_SIZE) {
      const at = this.#ring.slot();
      const entryKind = u32[at + 1]! & KIND_MASK;
      const kind = entryKind === INJECT ? EXECUTE : entryKind;
      const frame = u32[at]!;
      const hasPacket = kind === LOOKUP || kind === EXECUTE;
      const portNo = kind === EXECUTE ? this.#packets.portNo(frame) : u32[at + 3]!;
      if (hasPacket) {
        if (count > 0 && (kind !== this.#runKind || portNo !== this.#runPortNo)) break;
        this.#runKind = kind;
        this.#runPortNo = portNo;
        this.#handover.receive(frame, this.#ringOwner);
        u32[this.#frames + count] = frame;
        u32[this.#actions + count] = u32[at + 3]!;
        count += 1;
      }
      this.#upcalls.answered(portNo, u32[at + 1]! >>> CHARGE_SHIFT);
      if (entryKind !== ACTION_DONE && entryKind !== INJECT) this.#upcalls.setAhead(u32[at + 2]!);
      this.#ring.advance();
      this.#taken += 1;
    }
    return count;
  }
}
