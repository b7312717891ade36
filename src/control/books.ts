// The books: every packet in and out of the switch. At a quiescent moment both sides are equal.
import { readTotals, type ThreadTotals } from "../datapath/counters.ts";
import type { Arena } from "../memory/arena.ts";

export interface Books {
  readonly terms: Readonly<
    Record<"received" | "copied" | "reinjected" | "originated" | "transmitted" | "consumed", number>
  >;
  readonly drops: ThreadTotals["drops"];
  /** In less out: packets in flight, 0 at rest. */
  readonly balance: number;
}

export function readBooks(arena: Arena): Books {
  const { counters, drops } = readTotals(arena);
  const { received, copied, reinjected, originated, transmitted, consumed } = counters;
  const dropped = Object.values(drops).reduce((sum, packets) => sum + packets, 0);
  return {
    terms: { received, copied, reinjected, originated, transmitted, consumed },
    drops,
    balance: received + copied + reinjected + originated - transmitted - consumed - dropped,
  };
}

/** The terms and the reasons that occurred, a line each. */
export function formatBooks({ terms, drops, balance }: Books): string {
  const rows = [
    ...Object.entries(terms),
    ...Object.entries(drops).flatMap(([reason, packets]) =>
      packets === 0 ? [] : [[`dropped: ${reason}`, packets] as const],
    ),
    ["balance", balance] as const,
  ];
  return rows.map(([name, value]) => `  ${name.padEnd(28)} ${String(value).padStart(12)}`).join("\n");
}
