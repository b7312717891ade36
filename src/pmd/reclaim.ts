// What a worker's end leaves behind, taken back by control: everything a worker owns is in the arena. The thread must
// have ended, and nobody may use its part of the arena meanwhile.
//
// Its packets in hand are dropped (`stopping`) and counted in control's own counters, so that the books balance. What
// it staged in rings is published for whoever reads them: other workers, the handler, and the worker that takes its
// place; when the switch stops, `reclaimRings` empties them. Queues of ports keep what they staged for their next owner.
import type { ThreadCounters } from "../datapath/counters.ts";
import { COUNTER } from "../datapath/counters.ts";
import { DROP } from "../datapath/drop-reason.ts";
import { REINJECT, REINJECT_KIND_MASK, reinjectConsumer } from "../datapath/reinject-entry.ts";
import { UPCALL_RECORD, UpcallWriter, upcallRingOffset } from "../datapath/upcall-record.ts";
import type { Arena } from "../memory/arena.ts";
import { BatchColumns } from "../memory/batch-columns.ts";
import { BATCH_SIZE, RECIRC_DEPTH_MAX } from "../memory/batch-layout.ts";
import { ENGINE, ENGINE_SCRATCH_BYTES, OUT_ENTRY, OUT_ENTRY_BYTES } from "../memory/engine-layout.ts";
import { NO_FRAME } from "../memory/frame-layout.ts";
import { ownerWord } from "../memory/frame-ledger.ts";
import { FramePool } from "../memory/frame-pool.ts";
import { Packets } from "../memory/packets.ts";
import { controlThread, threadCount } from "../memory/region-plan.ts";
import { DoorbellRinger } from "../ring/doorbell.ts";
import { RecordConsumer } from "../ring/record-ring.ts";
import { handoffConsumer, handoffProducer } from "./handoff.ts";

export class Reclaimer {
  readonly #arena: Arena;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #counters: ThreadCounters;
  readonly #debugLedger: boolean;
  readonly #hand: number;

  /** @param pool, counters control's own */
  constructor(arena: Arena, pool: FramePool, counters: ThreadCounters) {
    this.#arena = arena;
    this.#pool = pool;
    this.#packets = new Packets(arena, pool);
    this.#counters = counters;
    this.#debugLedger = pool.ledger !== null;
    this.#hand = ownerWord("held", controlThread(arena.plan.sizes));
  }

  /** Marks every batch empty: before any worker starts, because zeroed memory names frame 0. */
  clearBatches(): void {
    for (let thread = 0; thread < threadCount(this.#arena.plan.sizes); thread += 1) {
      for (const frames of this.#frameColumns(thread)) {
        this.#arena.u32.fill(NO_FRAME, frames, frames + BATCH_SIZE);
      }
    }
  }

  /** Takes a dead worker's stack and the packets that it had in hand. Returns how many packets these were. */
  reclaimWorker(worker: number): number {
    new FramePool(this.#arena, worker, this.#debugLedger).drain();
    this.#publishStaged(worker);
    let packets = 0;
    for (const frames of this.#frameColumns(worker)) {
      for (let slot = 0; slot < BATCH_SIZE; slot += 1) {
        const frame = this.#arena.u32[frames + slot]!;
        if (frame === NO_FRAME) continue;
        this.#arena.u32[frames + slot] = NO_FRAME;
        this.#drop(frame);
        packets += 1;
      }
    }
    return packets + this.#reclaimOutputs(worker);
  }

  /** Packets that actions were done with and no port had yet. */
  #reclaimOutputs(worker: number): number {
    const { u32 } = this.#arena;
    const scratch = this.#arena.region("engineScratch").offset + worker * ENGINE_SCRATCH_BYTES;
    let packets = 0;
    for (let entry = 0; entry < u32[(scratch + ENGINE.outCount) >>> 2]!; entry += 1) {
      const word = (scratch + ENGINE.outList + entry * OUT_ENTRY_BYTES + OUT_ENTRY.frame) >>> 2;
      if (u32[word] === NO_FRAME) continue;
      this.#drop(u32[word]!);
      packets += 1;
    }
    u32[(scratch + ENGINE.outCount) >>> 2] = 0;
    return packets;
  }

  #publishStaged(worker: number): void {
    for (let to = 0; to < this.#arena.plan.sizes.workerCount; to += 1)
      handoffProducer(this.#arena, worker, to).publish();
    if (new UpcallWriter(this.#arena, worker).publish()) new DoorbellRinger(this.#arena).ring();
  }

  /** Empties the rings between threads after all workers and the handler have ended. Returns the packets in them. */
  reclaimRings(): number {
    const { workerCount } = this.#arena.plan.sizes;
    let packets = 0;
    for (let to = 0; to < workerCount; to += 1) {
      for (let from = 0; from < workerCount; from += 1) packets += this.#emptyHandoffs(from, to);
      packets += this.#emptyUpcalls(to) + this.#emptyAnswers(to);
    }
    this.#pool.drain();
    return packets;
  }

  #emptyHandoffs(from: number, to: number): number {
    const ring = handoffConsumer(this.#arena, from, to);
    const count = ring.available();
    for (let left = count; left > 0; left -= 1) {
      this.#drop(this.#arena.u32[ring.slot()]!);
      ring.advance();
    }
    ring.release();
    return count;
  }

  /** Packets that went up were counted as consumed: they count as come back before they are dropped. */
  #emptyUpcalls(worker: number): number {
    const { upcallRingBytes } = this.#arena.plan.sizes;
    const ring = new RecordConsumer(this.#arena, upcallRingOffset(this.#arena, worker), upcallRingBytes);
    let count = 0;
    for (let at = ring.next(); at !== 0; at = ring.next()) {
      this.#dropReturned(this.#arena.u32[(at + UPCALL_RECORD.frame) >>> 2]!);
      count += 1;
    }
    ring.release();
    return count;
  }

  #emptyAnswers(worker: number): number {
    const ring = reinjectConsumer(this.#arena, worker);
    let count = 0;
    for (let left = ring.available(); left > 0; left -= 1) {
      const at = ring.slot();
      const kind = this.#arena.u32[at + 1]! & REINJECT_KIND_MASK;
      if (kind === REINJECT.lookup || kind === REINJECT.execute || kind === REINJECT.inject) {
        this.#dropReturned(this.#arena.u32[at]!);
        count += 1;
      }
      ring.advance();
    }
    ring.release();
    return count;
  }

  #dropReturned(frame: number): void {
    this.#counters.add(COUNTER.reinjected, 1);
    this.#drop(frame);
  }

  #drop(frame: number): void {
    const { ledger } = this.#pool;
    if (ledger !== null) {
      for (let part = frame; part !== NO_FRAME; part = this.#packets.nextFrame(part)) {
        ledger.seize(part, this.#hand);
      }
    }
    this.#counters.drop(DROP.stopping, 1);
    this.#pool.freePacket(frame);
  }

  /** Of its batch, and of those for each depth of recirculation. */
  #frameColumns(thread: number): number[] {
    return Array.from(
      { length: 1 + RECIRC_DEPTH_MAX },
      (_, depth) => new BatchColumns(this.#arena, thread, depth).frames,
    );
  }
}
