// What a table can run out of, and how a refused put says so: with the counts, and the configuration's number to raise.
import type { ArenaSizes } from "../memory/region-plan.ts";

export type TableLimit = "flows" | "masks" | "buckets" | "keys" | "actions";

export interface TableCounts {
  readonly flowCount: number;
  /** Removed flows whose numbers wait for readers. */
  readonly deadCount: number;
  readonly maskCount: number;
  /** Different action lists. */
  readonly listCount: number;
}

export function limitMessage(limit: TableLimit, sizes: ArenaSizes, counts: TableCounts): string {
  const { flowCount, deadCount, maskCount, listCount } = counts;
  const waiting = deadCount > 0 ? `, ${deadCount} removed ones wait for readers` : "";
  const messages: Readonly<Record<TableLimit, string>> = {
    flows: `the table is full: ${flowCount} of ${sizes.flowCountMax} flows${waiting}; raise memory.flows`,
    masks: `the table has ${maskCount} of ${sizes.maskCountMax} masks; raise memory.masks`,
    buckets: `no room for a larger bucket array at ${flowCount} flows; raise memory.flows`,
    keys: `no room for long keys at ${flowCount} flows; raise memory.flows`,
    actions: `no room for ${listCount} different action lists; raise memory.flows`,
  };
  return `flow put: ${messages[limit]}`;
}
