// The handler: takes upcalls from every worker's ring, decides by policy, writes the flow table, and answers each
// record. It is the flow table's one writer; control's changes come to it too.
//
// Order. Records of one ring are answered in their order, so packets of a conversation stay in theirs. The first miss
// installs a megaflow; the others of the same flow find it in the table and go straight back: N packets, one install.
//
// Fairness. Workers' rings are taken in turn, RECORDS_PER_TURN at a time, and a drain that stops early goes on with the
// next worker; within a ring no port holds more than its share (pmd/upcall-sender.ts). Background work (step) is cut
// into slices of about a millisecond, so that no upcall waits longer for it.
//
// Counters of its thread: a packet that a policy drops is `reinjected` and dropped as miss_policy, so that the books,
// in which the worker counted it as consumed, stay balanced.
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import { ACTION, USERSPACE } from "../action/attributes.ts";
import { COUNTER, ThreadCounters } from "../datapath/counters.ts";
import { DROP } from "../datapath/drop-reason.ts";
import { REINJECT } from "../datapath/reinject-entry.ts";
import { UPCALL } from "../datapath/upcall-record.ts";
import { applyMask, newKey, setNumber } from "../flow/key.ts";
import { findAttribute, NlWriter } from "../flow/nlattr.ts";
import type { Arena } from "../memory/arena.ts";
import type { Clock } from "../memory/clock.ts";
import type { EpochWriter } from "../memory/epoch.ts";
import { FramePool } from "../memory/frame-pool.ts";
import { Handover, ringOwner } from "../memory/handover.ts";
import { Packets } from "../memory/packets.ts";
import { handlerThread } from "../memory/region-plan.ts";
import { PORT_COUNTER, PortCounters } from "../port/counters.ts";
import { PortTable } from "../port/port-table.ts";
import type { TableWriter } from "../table/table-writer.ts";
import type { Neighbour } from "../tunnel/neighbours.ts";
import { Answers } from "./answers.ts";
import { Injector } from "./injector.ts";
import { isAsReceived, underMetadata } from "./packet-metadata.ts";
import { PidListeners, PSAMPLE_PID, type Upcall } from "./pid-listeners.ts";
import type { Decision, FlowDecision, OwnPacket, Policy, PolicyPacket } from "./policy.ts";
import { Revalidator, type RevalidatorLimits } from "./revalidator.ts";
import { UpcallDispatch } from "./upcall-dispatch.ts";
import { UpcallReader } from "./upcall-reader.ts";

/** Records of one worker before the next worker's turn. */
const RECORDS_PER_TURN = 32;
/** Packets of the policy's own in one step: half a millisecond. */
const PACKETS_PER_STEP = 32;
const SORT_MILLIS = 1000;
/** The policy's own work is due this often: delays of a bond's members are this exact. */
const TICK_MILLIS = 100;
const NO_ATTRIBUTES = new Uint8Array(0);

export interface HandlerOptions extends RevalidatorLimits {
  readonly arena: Arena;
  readonly table: TableWriter;
  readonly epochs: EpochWriter;
  readonly policy: Policy;
  readonly clock: Clock;
  readonly debugLedger: boolean;
  /** Told of neighbours' addresses that packets for the switch itself told. */
  readonly onLearned?: (neighbour: Neighbour) => void;
}

export class Handler {
  readonly pids = new PidListeners();
  readonly dispatch = new UpcallDispatch();
  readonly injector: Injector;
  readonly revalidator: Revalidator;
  /** Microseconds from a worker's sending to the answer. */
  readonly latency: RecordableHistogram = createHistogram();
  /** Flows installed for misses; misses that found no room for one. */
  installCount = 0;
  refusedCount = 0;

  readonly #arena: Arena;
  readonly #thread: number;
  readonly #ports: PortTable;
  readonly #table: TableWriter;
  readonly #epochs: EpochWriter;
  readonly #policy: Policy;
  readonly #clock: Clock;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #handover: Handover;
  readonly #counters: ThreadCounters;
  readonly #readers: readonly UpcallReader[];
  readonly #answers: readonly Answers[];
  readonly #onLearned: (neighbour: Neighbour) => void;
  #lastSortMillis: number;
  #lastTickMillis: number;
  #isTicking = false;
  #unsent: PolicyPacket | undefined;
  /** The worker whose turn it is. */
  #turn = 0;

  constructor({ arena, table, epochs, policy, clock, debugLedger, onLearned, ...limits }: HandlerOptions) {
    const thread = handlerThread(arena.plan.sizes);
    const workers = Array.from({ length: arena.plan.sizes.workerCount }, (_, worker) => worker);
    this.#arena = arena;
    this.#thread = thread;
    this.#ports = new PortTable(arena);
    this.#table = table;
    this.#epochs = epochs;
    this.#policy = policy;
    this.#onLearned = onLearned ?? ((): void => {});
    this.#clock = clock;
    this.#pool = new FramePool(arena, thread, debugLedger);
    this.#packets = new Packets(arena, this.#pool);
    this.#handover = new Handover(arena, this.#pool, thread);
    this.#counters = new ThreadCounters(arena, thread);
    this.#readers = workers.map((worker) => new UpcallReader(arena, worker));
    this.#answers = workers.map((worker) => new Answers(arena, worker, this.#handover, epochs));
    this.injector = new Injector(table, this.#pool, this.#packets, this.#counters, this.#answers);
    this.revalidator = new Revalidator(arena, table, policy, clock, limits);
    this.#lastSortMillis = clock.millis();
    this.#lastTickMillis = clock.millis();
  }

  /** Whether no worker has sent anything that was not taken. */
  get isIdle(): boolean {
    return this.#readers.every((reader) => reader.isEmpty);
  }

  /** Takes upcalls until none is left or `recordsMax` were taken. Returns how many. */
  drain(recordsMax = Number.MAX_SAFE_INTEGER): number {
    let taken = 0;
    for (let emptyTurns = 0; emptyTurns < this.#readers.length && taken < recordsMax; ) {
      const worker = this.#turn;
      this.#turn = (worker + 1) % this.#readers.length;
      const count = this.#drainWorker(
        this.#readers[worker]!,
        this.#answers[worker]!,
        Math.min(RECORDS_PER_TURN, recordsMax - taken),
      );
      taken += count;
      emptyTurns = count === 0 ? emptyTurns + 1 : 0;
    }
    return taken;
  }

  #drainWorker(reader: UpcallReader, answers: Answers, limit: number): number {
    let taken = 0;
    while (taken < limit && answers.hasRoom && reader.next()) {
      this.#handle(reader, answers);
      taken += 1;
    }
    if (taken > 0) {
      reader.release();
      answers.publish();
    }
    return taken;
  }

  /** One slice of background work. True while there is more to do at once. */
  step(): boolean {
    const now = this.#clock.millis();
    for (const answers of this.#answers) answers.collect();
    this.#epochs.reclaim();
    if (this.#isTicking || now - this.#lastTickMillis >= TICK_MILLIS) {
      this.#lastTickMillis = now;
      this.#isTicking = this.#policy.tick(now);
    }
    if (now - this.#lastSortMillis >= SORT_MILLIS) {
      this.#lastSortMillis = now;
      this.#table.sortSubtables();
    }
    const sends = this.#sendPackets();
    const tableWorks = this.#table.step();
    return this.revalidator.step() || tableWorks || this.#isTicking || sends;
  }

  /** Sends what the policy has to send, as far as there is room. True when there is more to do at once. */
  #sendPackets(): boolean {
    for (let sent = 0; sent < PACKETS_PER_STEP; sent += 1) {
      this.#unsent ??= this.#policy.nextPacket?.();
      if (this.#unsent === undefined) return false;
      // What finds no room is tried again when somebody has worked meanwhile, with the next step.
      if (!this.#sendOut(this.#unsent)) return false;
      this.#unsent = undefined;
    }
    return true;
  }

  /** As if it had come in by the port that it leaves by. */
  #sendOut({ portNo, packet }: PolicyPacket): boolean {
    const key = newKey();
    setNumber(key, "in_port", portNo);
    const output = new NlWriter();
    output.putU32(ACTION.output, portNo);
    return this.injector.inject({ packet, key, actions: output.finish() }) === null;
  }

  /** Gives frames back at the end; nothing is taken afterwards. */
  close(): void {
    this.#pool.drain();
  }

  #handle(record: UpcallReader, answers: Answers): void {
    this.#handover.receive(record.frame, ringOwner("upcall", record.worker));
    if (record.type === UPCALL.action) this.#action(record, answers);
    else if (record.type === UPCALL.psample) this.#psample(record, answers);
    else if (record.type === UPCALL.follow) answers.lookup(record);
    else this.#miss(record, answers);
    this.latency.record(Math.max(1, Math.round((this.#clock.millis() - record.millis) * 1e3)));
  }

  #action(record: UpcallReader, answers: Answers): void {
    const attributes = record.attributes();
    const found = findAttribute(attributes, USERSPACE.pid);
    const pid =
      found === undefined
        ? 0
        : new DataView(attributes.buffer, attributes.byteOffset).getUint32(found.start, true);
    this.#deliver(record, "action", this.dispatch.actionPid(record, pid), attributes);
    this.#pool.freePacket(record.frame);
    answers.done(record, REINJECT.actionDone);
  }

  #psample(record: UpcallReader, answers: Answers): void {
    this.#deliver(record, "action", PSAMPLE_PID, record.attributes());
    this.#pool.freePacket(record.frame);
    answers.done(record, REINJECT.actionDone);
  }

  /** To whoever listens on the pid; what nobody takes is the port's loss, samples apart. */
  #deliver(record: UpcallReader, kind: Upcall["kind"], pid: number, attributes: Uint8Array): void {
    const isTaken = this.pids.deliver(pid, () => ({
      kind,
      pid,
      portNo: record.portNo,
      key: record.key(),
      packet: this.#packets.toBytes(record.frame),
      packetBytes: record.packetBytes,
      hash: record.orderHash,
      probability: record.probability,
      attributes,
      actions: record.actions(),
      egressTunnelKey: record.egressTunnelKey(),
    }));
    if (isTaken || pid === PSAMPLE_PID) return;
    const slot = this.#ports.slot(record.portNo);
    if (slot >= 0) new PortCounters(this.#arena, this.#thread, slot).add(PORT_COUNTER.upcalls_lost, 1);
  }

  #miss(record: UpcallReader, answers: Answers): void {
    const key = record.key();
    const own = this.#policy.own?.(key, () => this.#packets.toBytes(record.frame));
    if (own !== undefined) {
      this.#answerOwn(record, answers, own);
      return;
    }
    if (this.#table.findMatch(key) !== 0) {
      this.#lookUpAgain(record, answers, key);
      return;
    }
    const pid = this.dispatch.missPid(record);
    const decision: Decision =
      pid !== undefined ? { kind: "pid", pid } : this.#policy.decide(key, this.#clock.millis());
    if (decision.kind === "flow") this.#install(record, answers, key, decision);
    else this.#consume(record, answers, decision);
  }

  /** A packet for the switch itself: nobody else gets it; a reply goes back by the port that it came in on. */
  #answerOwn(record: UpcallReader, answers: Answers, { reply, learned }: OwnPacket): void {
    this.#pool.freePacket(record.frame);
    answers.done(record, REINJECT.done);
    if (learned !== null) this.#onLearned(learned);
    // One that finds no room is asked for again by whoever asked.
    if (reply !== null) this.#sendOut({ portNo: record.portNo, packet: reply });
  }

  /** Keeps a packet from the datapath: to a listener, or dropped. */
  #consume(record: UpcallReader, answers: Answers, decision: Exclude<Decision, { kind: "flow" }>): void {
    if (decision.kind === "pid") {
      this.#deliver(record, "miss", decision.pid, NO_ATTRIBUTES);
    } else {
      this.#counters.add(COUNTER.reinjected, 1);
      this.#counters.drop(DROP.miss_policy, 1);
    }
    this.#pool.freePacket(record.frame);
    answers.done(record, REINJECT.done);
  }

  #install(record: UpcallReader, answers: Answers, key: Uint8Array, decision: FlowDecision): void {
    // What the key says outside the mask is of no use and would take room; only where the bare match looks like a
    // packet of another flow does it tell the two apart.
    if (
      this.revalidator.admits() &&
      (this.#put(applyMask(key, decision.mask), decision) || this.#put(key, decision))
    ) {
      this.installCount += 1;
      this.#lookUpAgain(record, answers, key);
      return;
    }
    this.refusedCount += 1;
    const { actions } = decision;
    this.#executeOnce(record, answers, isAsReceived(key) ? actions : underMetadata(key, actions));
  }

  #put(key: Uint8Array, { mask, actions, subjects }: FlowDecision): boolean {
    const nowMillis = this.#clock.millis();
    const how = { create: true, modify: false, operator: false, nowMillis };
    const put = this.#table.put({ key, mask, actions, ...how });
    if (put.error !== null) return false;
    this.revalidator.added(put.flowNo, subjects);
    return true;
  }

  /** The packet goes back to where it missed. */
  #lookUpAgain(record: UpcallReader, answers: Answers, key: Uint8Array): void {
    if (isAsReceived(key)) answers.lookup(record);
    else this.#executeOnce(record, answers, underMetadata(key, NO_ATTRIBUTES));
  }

  /** Has one packet carry a list out; it is dropped when there is no room for the list. */
  #executeOnce(record: UpcallReader, answers: Answers, actions: Uint8Array): void {
    const list = this.#table.lendActions(actions);
    if (list === 0) {
      this.#counters.add(COUNTER.reinjected, 1);
      this.#counters.drop(DROP.upcall_lost, 1);
      this.#pool.freePacket(record.frame);
      answers.done(record, REINJECT.done);
      return;
    }
    answers.execute(record, list, () => this.#table.returnActions(list));
  }
}
