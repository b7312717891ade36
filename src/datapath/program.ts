// What compiled code does for an engine, pass by pass, and which program is in force. The passes equal the reference's;
// what a program does not know it leaves alone, packet by packet, and the reference carries that out in its place.
//
// All passes work on the batch at arena offset `batch` (memory/batch-layout.ts) and on the thread's list of outputs
// (memory/engine-layout.ts).

import type { CompiledRxKind } from "../memory/engine-layout.ts";

export interface Program {
  /**
   * Extracts packets 0 .. count - 1, received on `portNo`. Returns how many it left: their entries of the `flow` column
   * are -1, those of all others 0.
   */
  parse(batch: number, count: number, portNo: number): number;
  /** Extracts packets 0 .. count - 1 again under the metadata in their key slots. Returns how many it left, as parse. */
  parseAgain(batch: number, count: number): number;
  /** Looks packets 0 .. count - 1 up, counts it and writes the `flow` column. Returns the hits. */
  lookup(batch: number, count: number): number;
  /**
   * Counts packets `from` .. `to` - 1 in their flows' statistics and carries their action lists out; outputs are
   * appended to the list. Returns where it stopped: `to`, or a packet that it left alone.
   */
  act(batch: number, from: number, to: number, nowMillis: number): number;
  /**
   * Transmits the list of outputs from entry `from` on. Returns an entry that JavaScript has to transmit, and the list
   * has to go on behind it; -1 when nothing is left and the list is empty.
   */
  transmit(from: number): number;
  /**
   * By kind: receives up to `limit` packets from the queue whose parameters stand at `parameters`, as rxBurst does, with
   * `frames` a byte address. -1, and nothing done, when the queue has to receive this burst itself.
   */
  readonly receivers: Readonly<
    Record<CompiledRxKind, (parameters: number, frames: number, limit: number) => number>
  >;
}

/** Where a thread finds its program; null while there is none. It changes between bursts only. */
export interface ProgramSlot {
  current: Program | null;
}
