// A handler that a test steers: takes every worker's upcall records in order, looks the table up, asks `decide`, puts
// the flow and answers, as the real one does but without its budget and its background work. Action lists that it lends
// are not taken back.
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { COUNTER, ThreadCounters } from "../../src/datapath/counters.ts";
import { DROP } from "../../src/datapath/drop-reason.ts";
import { REINJECT, REINJECT_CHARGE_SHIFT, reinjectProducer } from "../../src/datapath/reinject-entry.ts";
import { UPCALL, UPCALL_RECORD, upcallRingOffset } from "../../src/datapath/upcall-record.ts";
import { KEY_BYTES, KEY_LINE_BYTES } from "../../src/flow/fields.ts";
import type { Arena } from "../../src/memory/arena.ts";
import type { Clock } from "../../src/memory/clock.ts";
import { NO_FRAME } from "../../src/memory/frame-layout.ts";
import { FramePool } from "../../src/memory/frame-pool.ts";
import { Handover, ringOwner } from "../../src/memory/handover.ts";
import { handlerThread } from "../../src/memory/region-plan.ts";
import { RecordConsumer } from "../../src/ring/record-ring.ts";
import type { RingProducer } from "../../src/ring/spsc-ring.ts";
import type { TableWriter } from "../../src/table/table-writer.ts";
import { isAsReceived, underMetadata } from "../../src/upcall/packet-metadata.ts";

export interface Decision {
  readonly mask: Uint8Array;
  /** ODP text. */
  readonly actions: string;
}

export interface SeenUpcall {
  readonly worker: number;
  readonly type: number;
  readonly portNo: number;
  readonly packetBytes: number;
}

export class TestHandler {
  /** What becomes of a miss: a flow, or "drop". */
  decide: (key: Uint8Array, portNo: number) => Decision | "drop" = () => "drop";
  /** Records that drain() takes from each worker; 0 stops the handler. */
  budget = Number.MAX_SAFE_INTEGER;
  installCount = 0;
  readonly seen: SeenUpcall[] = [];

  readonly #arena: Arena;
  readonly #table: TableWriter;
  readonly #clock: Clock;
  readonly #pool: FramePool;
  readonly #handover: Handover;
  readonly #counters: ThreadCounters;
  readonly #records: RecordConsumer[];
  readonly #answers: RingProducer[];

  constructor(arena: Arena, table: TableWriter, clock: Clock) {
    const thread = handlerThread(arena.plan.sizes);
    const workers = Array.from({ length: arena.plan.sizes.workerCount }, (_, worker) => worker);
    this.#arena = arena;
    this.#table = table;
    this.#clock = clock;
    this.#pool = new FramePool(arena, thread, true);
    this.#handover = new Handover(arena, this.#pool, thread);
    this.#counters = new ThreadCounters(arena, thread);
    this.#records = workers.map(
      (worker) =>
        new RecordConsumer(arena, upcallRingOffset(arena, worker), arena.plan.sizes.upcallRingBytes),
    );
    this.#answers = workers.map((worker) => reinjectProducer(arena, worker));
  }

  /** Answers what is there. Returns how many records it took. */
  drain(): number {
    let taken = 0;
    for (const [worker, ring] of this.#records.entries()) {
      for (let count = 0; count < this.budget; count += 1) {
        const at = ring.next();
        if (at === 0) break;
        this.#handle(worker, at);
        taken += 1;
      }
      ring.release();
      this.#answers[worker]!.publish();
    }
    return taken;
  }

  #handle(worker: number, at: number): void {
    const word = (offset: number): number => this.#arena.u32[(at + offset) >>> 2]!;
    const type = word(UPCALL_RECORD.type);
    const frame = word(UPCALL_RECORD.frame);
    const portNo = word(UPCALL_RECORD.portNo);
    this.seen.push({ worker, type, portNo, packetBytes: word(UPCALL_RECORD.packetBytes) });
    this.#handover.receive(frame, ringOwner("upcall", worker));
    const answer = (kind: number, back: number, last = portNo): void =>
      this.#answer(worker, kind, back, word(UPCALL_RECORD.charge), word(UPCALL_RECORD.orderHash), last);
    if (type === UPCALL.action || type === UPCALL.psample) {
      this.#pool.freePacket(frame);
      answer(REINJECT.actionDone, NO_FRAME);
    } else if (type === UPCALL.follow) {
      answer(REINJECT.lookup, frame);
    } else if (this.#install(this.#key(at), portNo)) {
      const key = this.#key(at);
      if (isAsReceived(key)) answer(REINJECT.lookup, frame);
      else answer(REINJECT.execute, frame, this.#table.lendActions(underMetadata(key, new Uint8Array(0))));
    } else {
      this.#pool.freePacket(frame);
      this.#counters.add(COUNTER.reinjected, 1);
      this.#counters.drop(DROP.miss_policy, 1);
      answer(REINJECT.done, NO_FRAME);
    }
  }

  /** True when the packet can go on: a flow matches it now. */
  #install(key: Uint8Array, portNo: number): boolean {
    if (this.#table.findMatch(key) !== 0) return true;
    const decision = this.decide(key, portNo);
    if (decision === "drop") return false;
    this.installCount += 1;
    const put = this.#table.put({
      key,
      mask: decision.mask,
      actions: parseActions(decision.actions),
      create: true,
      modify: false,
      operator: false,
      nowMillis: this.#clock.millis(),
    });
    if (put.error !== null) throw new Error(`test handler: ${put.error}`);
    return true;
  }

  #key(at: number): Uint8Array {
    const key = new Uint8Array(KEY_BYTES);
    const keyLines = this.#arena.u32[(at + UPCALL_RECORD.keyLines) >>> 2]!;
    let source = at + UPCALL_RECORD.body;
    for (let line = 0; keyLines >>> line !== 0; line += 1) {
      if (((keyLines >>> line) & 1) === 0) continue;
      key.set(this.#arena.u8.subarray(source, source + KEY_LINE_BYTES), line * KEY_LINE_BYTES);
      source += KEY_LINE_BYTES;
    }
    return key;
  }

  #answer(
    worker: number,
    kind: number,
    frame: number,
    charge: number,
    orderHash: number,
    last: number,
  ): void {
    const ring = this.#answers[worker]!;
    if (ring.free(1) === 0) throw new Error("test handler: the reinject ring is full");
    if (frame !== NO_FRAME) this.#handover.give(frame, ringOwner("reinject", worker));
    const at = ring.slot();
    this.#arena.u32.set([frame, kind | (charge << REINJECT_CHARGE_SHIFT), orderHash, last], at);
    ring.advance();
  }
}
