// A port's counters in one thread: sixteen 64-bit words (PORT_COUNTER_BYTES), written by that thread alone, summed on
// read. Control's part holds what only the kernel counts.
import type { Arena } from "../memory/arena.ts";
import { PORT_COUNTER_BYTES, threadCount } from "../memory/region-plan.ts";

export const PORT_COUNTERS = [
  "rx_packets",
  "rx_bytes",
  "rx_dropped",
  "rx_errors",
  "tx_packets",
  "tx_bytes",
  "tx_dropped",
  "tx_errors",
  "rx_ring_full",
  "rx_fill_ring_empty",
  "rx_invalid",
  "tx_invalid",
  "rx_no_socket",
  "upcalls",
  "upcalls_lost",
  "csum_finished",
] as const;

export type PortCounterName = (typeof PORT_COUNTERS)[number];
export const PORT_COUNTER = Object.fromEntries(PORT_COUNTERS.map((name, index) => [name, index])) as Readonly<
  Record<PortCounterName, number>
>;

export class PortCounters {
  readonly #arena: Arena;
  readonly #base: number;

  constructor(arena: Arena, threadIndex: number, slot: number) {
    this.#arena = arena;
    this.#base =
      arena.region("portCounters").offset +
      (threadIndex * arena.plan.sizes.portCountMax + slot) * PORT_COUNTER_BYTES;
  }

  /** Arena address of a counter. */
  address(counter: number): number {
    return this.#base + counter * 8;
  }

  add(counter: number, delta: number): void {
    this.#arena.intrinsics.count(this.#base + counter * 8, delta);
  }

  /** Control path: sets a counter that the kernel keeps. */
  set(counter: number, value: number): void {
    this.#arena.u64[(this.#base >>> 3) + counter] = BigInt(value);
  }

  /** Control path: when the slot gets a new port, before any worker knows it. */
  clear(): void {
    this.#arena.intrinsics.zero(this.#base, PORT_COUNTER_BYTES);
  }
}

/** One counter of a port as one thread keeps it. */
export function readThreadPortCounter(
  arena: Arena,
  threadIndex: number,
  slot: number,
  name: PortCounterName,
): number {
  const block = threadIndex * arena.plan.sizes.portCountMax + slot;
  return arena.counter(
    arena.region("portCounters").offset + block * PORT_COUNTER_BYTES + PORT_COUNTER[name] * 8,
  );
}

/** A port's counters summed over all threads. */
export function readPortCounters(arena: Arena, slot: number): Record<PortCounterName, number> {
  const { portCountMax } = arena.plan.sizes;
  const base = arena.region("portCounters").offset;
  const totals = Object.fromEntries(PORT_COUNTERS.map((name) => [name, 0])) as Record<
    PortCounterName,
    number
  >;
  for (let thread = 0; thread < threadCount(arena.plan.sizes); thread += 1) {
    const at = base + (thread * portCountMax + slot) * PORT_COUNTER_BYTES;
    for (const [index, name] of PORT_COUNTERS.entries()) totals[name] += arena.counter(at + index * 8);
  }
  return totals;
}
