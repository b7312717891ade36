// How a worker spends its time: busy and idle nanoseconds, and histograms over busy loops.
//
// Time is read once in a busy loop, when its first packets are in hand, and once when busy turns to idle; the time
// between two reads belongs to what the worker was doing at the first of them. While idle it is read every
// IDLE_LOOPS_PER_READ loops.
//
// Per busy loop: one read of the clock, six counters. Memory: this thread's part of `threads`. Counters:
// iterations_busy, iterations_idle, nanos_busy, nanos_idle, nanos_asleep, sleeps; the histograms below.
import { COUNTER, type ThreadCounters } from "../datapath/counters.ts";
import type { Arena } from "../memory/arena.ts";
import { THREAD_BLOCK_BYTES } from "../memory/region-plan.ts";
import { THREAD } from "../memory/thread-block.ts";
import type { BurstClock } from "./burst-clock.ts";

const NANOS_PER_MILLI = 1e6;
/** One counter call takes 32 bits. */
const NANOS_MAX = 0xffffffff;
const IDLE_LOOPS_PER_READ = 64;

/** Bins of a histogram: bin n counts values below 2^n and not below 2^(n-1); the last one all above. */
export const HISTOGRAM_BINS = 32;
/** Histograms in THREAD.histograms, in order. */
export const HISTOGRAMS = [
  { name: "loop_nanos", help: "nanoseconds of a busy loop" },
  { name: "loop_packets", help: "packets of a busy loop" },
  { name: "packet_nanos", help: "nanoseconds of a busy loop for each packet" },
] as const;
export type HistogramName = (typeof HISTOGRAMS)[number]["name"];

export class PerfCounters {
  readonly #arena: Arena;
  readonly #counters: ThreadCounters;
  readonly #clock: BurstClock;
  readonly #histograms: number;
  /** [0] the last read of the clock. */
  readonly #last = new Float64Array(1);
  #isBusy = false;
  #packets = 0;
  #idleLoops = 0;

  constructor(arena: Arena, threadIndex: number, counters: ThreadCounters, clock: BurstClock) {
    this.#arena = arena;
    this.#counters = counters;
    this.#clock = clock;
    this.#histograms = arena.region("threads").offset + threadIndex * THREAD_BLOCK_BYTES + THREAD.histograms;
    this.#last[0] = clock.now[0]!;
  }

  /** A loop has its first packets in hand: the time of the burst is read. */
  beginWork(): void {
    this.#read();
    if (!this.#isBusy) this.#countIdleLoops();
    this.#isBusy = true;
  }

  /** A loop that began work is over. */
  endWork(packets: number): void {
    this.#packets = packets;
    this.#counters.add(COUNTER.iterations_busy, 1);
  }

  /** A loop without packets is over. */
  endIdle(): void {
    if (this.#isBusy) {
      this.#read();
      this.#isBusy = false;
    }
    this.#idleLoops += 1;
    if (this.#idleLoops < IDLE_LOOPS_PER_READ) return;
    this.#read();
    this.#countIdleLoops();
  }

  /** The thread slept since the end of the last loop. */
  countSleep(): void {
    this.#clock.read();
    this.#counters.add(COUNTER.nanos_asleep, this.#elapsed());
    this.#counters.add(COUNTER.sleeps, 1);
  }

  #countIdleLoops(): void {
    this.#counters.add(COUNTER.iterations_idle, this.#idleLoops);
    this.#idleLoops = 0;
  }

  #read(): void {
    this.#clock.read();
    const nanos = this.#elapsed();
    if (!this.#isBusy) {
      this.#counters.add(COUNTER.nanos_idle, nanos);
      return;
    }
    this.#counters.add(COUNTER.nanos_busy, nanos);
    this.#countIn(0, nanos);
    this.#countIn(1, this.#packets);
    // A whole number: V8 would box a fraction on its way into the call.
    if (this.#packets > 0) this.#countIn(2, (nanos / this.#packets) | 0);
  }

  /** Nanoseconds from the read before to the last one. */
  #elapsed(): number {
    const now = this.#clock.now[0]!;
    const nanos = Math.min(NANOS_MAX, Math.round((now - this.#last[0]!) * NANOS_PER_MILLI));
    this.#last[0] = now;
    return nanos;
  }

  #countIn(histogram: number, value: number): void {
    const bin = Math.min(HISTOGRAM_BINS - 1, 32 - Math.clz32(value));
    this.#arena.intrinsics.count(this.#histograms + (histogram * HISTOGRAM_BINS + bin) * 8, 1);
  }
}

/** A thread's histograms as read by another thread: counts by bin. */
export function readHistograms(arena: Arena, threadIndex: number): Record<HistogramName, number[]> {
  const base = arena.region("threads").offset + threadIndex * THREAD_BLOCK_BYTES + THREAD.histograms;
  return Object.fromEntries(
    HISTOGRAMS.map(({ name }, histogram) => [
      name,
      Array.from({ length: HISTOGRAM_BINS }, (_, bin) =>
        arena.counter(base + (histogram * HISTOGRAM_BINS + bin) * 8),
      ),
    ]),
  ) as Record<HistogramName, number[]>;
}
