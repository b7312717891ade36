// Where the executor hands packets that are to be looked up again. The datapath implements it; one for each depth.
import type { BatchColumns } from "../memory/batch-columns.ts";

export interface Recirculator {
  /**
   * Takes the packet over for a look-up of its own. Its key there begins as that of the slot it is in, of which the
   * metadata count; the caller overwrites what changed.
   * @returns arena offset of the key; 0 when the packet was dropped instead, because it recirculated too often
   */
  add(columns: BatchColumns, slot: number, frame: number): number;
  /** Lines that the caller wrote into the key of the packet added last, bit n for line n. */
  addLines(lines: number): void;
  /**
   * Looks up and carries out what was added. The caller does so before an output that has to come behind theirs; what
   * is left at the end of the burst is flushed by the datapath.
   */
  flush(): void;

  /**
   * Before compiled actions: tells them, in the thread's scratch (memory/engine-layout.ts), the batch that takes what
   * recirculates and how many packets wait there; takeBack() behind them knows what they added.
   */
  lend(): void;
  takeBack(): void;
}
