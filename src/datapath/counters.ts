// Counters of one thread, 64-bit, in its thread block (THREAD.counters): this table gives order, names and help.
// Each is written by its thread alone, once a burst where that can be, and summed on read.
import type { Arena } from "../memory/arena.ts";
import { THREAD_BLOCK_BYTES, threadCount } from "../memory/region-plan.ts";
import { THREAD } from "../memory/thread-block.ts";
import { DROP_REASONS, type DropReason } from "./drop-reason.ts";

export const COUNTERS = [
  // The books: received + copied + reinjected + originated = transmitted + consumed + sum of drops.
  { name: "received", help: "packets received from ports" },
  { name: "copied", help: "copies made by actions with several outputs" },
  { name: "reinjected", help: "packets that came back from the handler to be forwarded" },
  { name: "originated", help: "packets made by the switch itself or executed by command" },
  { name: "transmitted", help: "packets handed to output ports" },
  { name: "consumed", help: "packets that went up to the handler" },

  { name: "lookup_hit", help: "packets that hit a megaflow" },
  { name: "lookup_miss", help: "packets that hit none" },
  { name: "masks_probed", help: "subtables probed for all look-ups" },
  { name: "recirculated", help: "packets looked up again after a recirculation" },
  { name: "meter_unknown", help: "packets that met a meter that does not exist, and passed" },
  { name: "upcall_miss", help: "misses sent up" },
  { name: "upcall_action", help: "userspace actions sent up" },
  { name: "upcall_follow", help: "packets sent up behind a miss of their own flow" },
  { name: "upcall_lost", help: "misses and userspace actions that could not be sent up" },

  { name: "iterations_busy", help: "loops that received at least one packet" },
  { name: "iterations_idle", help: "loops that received none" },
  { name: "nanos_busy", help: "time in busy loops" },
  { name: "nanos_idle", help: "time in idle loops" },
  { name: "nanos_asleep", help: "time asleep" },
  { name: "sleeps", help: "times the loop slept" },
  { name: "rx_batches", help: "bursts received" },
  { name: "tx_batches", help: "bursts transmitted" },
  { name: "system_calls", help: "system calls made for packets" },
  { name: "doorbells", help: "times the handler was woken" },
  { name: "cache_hit", help: "look-ups that the flow cache answered" },
  { name: "parse_fallback", help: "packets that compiled code left to the reference to extract" },
  { name: "action_fallback", help: "packets whose actions compiled code left to the reference" },
  { name: "programs", help: "programs taken over from the compiler" },
] as const;

export type CounterName = (typeof COUNTERS)[number]["name"];
export const COUNTER = Object.fromEntries(COUNTERS.map(({ name }, index) => [name, index])) as Readonly<
  Record<CounterName, number>
>;

/** One thread's counters: the writer's side. */
export class ThreadCounters {
  readonly #arena: Arena;
  readonly #counters: number;
  readonly #drops: number;

  constructor(arena: Arena, threadIndex: number) {
    const block = arena.region("threads").offset + threadIndex * THREAD_BLOCK_BYTES;
    this.#arena = arena;
    this.#counters = block + THREAD.counters;
    this.#drops = block + THREAD.drops;
  }

  /** Adds to counter COUNTER.x. */
  add(counter: number, delta: number): void {
    this.#arena.intrinsics.count(this.#counters + counter * 8, delta);
  }

  /** Counts packets dropped for reason DROP.x. */
  drop(reason: number, packets: number): void {
    this.#arena.intrinsics.count(this.#drops + reason * 8, packets);
  }
}

export interface ThreadTotals {
  readonly counters: Readonly<Record<CounterName, number>>;
  readonly drops: Readonly<Record<DropReason, number>>;
}

/** One thread's counters as read by another thread. */
export function readThreadTotals(arena: Arena, threadIndex: number): ThreadTotals {
  const block = arena.region("threads").offset + threadIndex * THREAD_BLOCK_BYTES;
  const read = (from: number, index: number): number => arena.counter(block + from + index * 8);
  return {
    counters: Object.fromEntries(
      COUNTERS.map(({ name }, i) => [name, read(THREAD.counters, i)]),
    ) as ThreadTotals["counters"],
    drops: Object.fromEntries(
      DROP_REASONS.map(({ name }, i) => [name, read(THREAD.drops, i)]),
    ) as ThreadTotals["drops"],
  };
}

/** All threads' counters summed. */
export function readTotals(arena: Arena): ThreadTotals {
  const all = Array.from({ length: threadCount(arena.plan.sizes) }, (_, index) =>
    readThreadTotals(arena, index),
  );
  const sum = <K extends string>(
    pick: (totals: ThreadTotals) => Readonly<Record<K, number>>,
  ): Record<K, number> =>
    Object.fromEntries(
      Object.keys(pick(all[0]!)).map((key) => [
        key,
        all.reduce((total, one) => total + pick(one)[key as K], 0),
      ]),
    ) as Record<K, number>;
  return { counters: sum((totals) => totals.counters), drops: sum((totals) => totals.drops) };
}
