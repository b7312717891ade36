// The worker thread of bench-put-loss.ts: a poll loop whose one rx queue is the ring of an open-loop source.
import { readFileSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { Arena, type ArenaHandle } from "../src/memory/arena.ts";
import { native } from "../src/native.ts";
import { memoryQueues } from "../src/perf/memory-port.ts";
import { MemoryTraffic } from "../src/perf/memory-traffic.ts";
import { BurstClock } from "../src/pmd/burst-clock.ts";
import { Pmd } from "../src/pmd/pmd.ts";
import type { QueueFactory, RxQueue } from "../src/port/port.ts";
import { attachPorts } from "./bench-traffic.ts";

/** What the writer's thread tells this one, 32-bit words. A new number begins a phase. */
export const PHASE = { number: 0, stop: 1, packetsPerSecond: 2 } as const;
/** What this thread tells of the phase so far, 64-bit floats: each one store, so none is read torn. */
export const RESULT = { lost: 0, longestGapMs: 1, lostToOthers: 2 } as const;

export interface PutLossStart {
  readonly arena: ArenaHandle;
  readonly phase: Int32Array;
  readonly results: Float64Array;
  readonly cpu: number | null;
  readonly frames: readonly Uint8Array[];
}

const RING_ENTRIES = 1024;

/** How often the kernel took the CPU from this thread; 0 where that is not known. */
function preemptionCount(): number {
  if (process.platform !== "linux") return 0;
  const status = readFileSync("/proc/thread-self/status", "utf8");
  return Number(/^nonvoluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1] ?? 0);
}

/**
 * A ring that a source fills by the clock, whatever the reader does. Nobody takes from it between two looks of the
 * reader, so what arrived since the last look is known at the next: what does not fit beside what was there is lost.
 */
class PacedRxQueue implements RxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly queue: number;
  readonly #frames: RxQueue;
  readonly #clock: BurstClock;
  readonly #phase: Int32Array;
  readonly #results: Float64Array;
  /** Floats in a typed array, because a field that changes would be a new heap number a burst. */
  readonly #times = new Float64Array(2);
  #phaseNumber = 0;
  /** Packets that the source sent in this phase, and those in the ring. */
  #sent = 0;
  #held = 0;
  /** Packets lost since the ring was found full; whose they are is asked when one burst empties it. */
  #lostSinceFull = 0;
  /** When a loss was last attributed, or the phase began. */
  #preemptions = 0;

  constructor(frames: RxQueue, clock: BurstClock, phase: Int32Array, results: Float64Array) {
    this.portNo = frames.portNo;
    this.slot = frames.slot;
    this.queue = frames.queue;
    this.#frames = frames;
    this.#clock = clock;
    this.#phase = phase;
    this.#results = results;
  }

  rxBurst(at: number, limit: number): number {
    if (this.#phase[PHASE.number] !== this.#phaseNumber) this.#begin();
    const packetsPerSecond = this.#phase[PHASE.packetsPerSecond]!;
    if (packetsPerSecond === 0) return this.#frames.rxBurst(at, limit);
    this.#look(packetsPerSecond);
    if (this.#lostSinceFull > 0 && this.#held <= limit) this.#attributeLoss();
    if (this.#held === 0) return 0;
    const count = this.#frames.rxBurst(at, Math.min(limit, this.#held));
    this.#held -= count;
    return count;
  }

  #begin(): void {
    this.#phaseNumber = this.#phase[PHASE.number]!;
    this.#clock.read();
    this.#times.fill(this.#clock.now[0]!);
    this.#results.fill(0);
    this.#sent = 0;
    this.#held = 0;
    this.#lostSinceFull = 0;
    this.#preemptions = preemptionCount();
  }

  #look(packetsPerSecond: number): void {
    const times = this.#times;
    const results = this.#results;
    this.#clock.read();
    const now = this.#clock.now[0]!;
    const gapMs = now - times[1]!;
    times[1] = now;
    if (gapMs > results[RESULT.longestGapMs]!) results[RESULT.longestGapMs] = gapMs;
    const sent = Math.floor(((now - times[0]!) * packetsPerSecond) / 1000);
    const held = this.#held + sent - this.#sent;
    this.#sent = sent;
    this.#held = Math.min(held, RING_ENTRIES);
    if (held > RING_ENTRIES) this.#lostSinceFull += held - RING_ENTRIES;
  }

  /**
   * Loss while the kernel ran somebody else on this CPU is the machine's, not the switch's. Asking takes as long as the
   * ring takes to fill halfway: asked of a full ring, it would be the next loss.
   */
  #attributeLoss(): void {
    const preemptions = preemptionCount();
    this.#results[preemptions === this.#preemptions ? RESULT.lost : RESULT.lostToOthers]! +=
      this.#lostSinceFull;
    this.#lostSinceFull = 0;
    this.#preemptions = preemptions;
  }

  close(): void {
    this.#frames.close();
  }
}

function run({ arena: handle, phase, results, cpu, frames }: PutLossStart): void {
  if (cpu !== null) native().threadSetAffinity([cpu]);
  const arena = new Arena(handle);
  const queues = memoryQueues(new MemoryTraffic(frames, null));
  const clock = new BurstClock(arena, 0);
  const paced: QueueFactory = {
    type: queues.type,
    openRx: (context, attachment) =>
      new PacedRxQueue(queues.openRx(context, attachment), clock, phase, results),
    openTx: queues.openTx,
  };
  const pmd = new Pmd(arena, 0, { factories: new Map([[paced.type, paced]]) });
  attachPorts(arena, pmd);
  while (phase[PHASE.stop] === 0) pmd.iterate();
  pmd.close();
}

if (workerData !== null) run(workerData as PutLossStart);
