// What the supervisor tells of its workers.
import type { ThreadTotals } from "../datapath/counters.ts";
import type { WorkerState } from "./worker-process.ts";

export interface WorkerDeath {
  readonly worker: number;
  readonly reason: string;
  /** The worker's counters when it ended. */
  readonly totals: ThreadTotals;
  /** Packets that it had in hand; they were dropped. */
  readonly packets: number;
}

export interface SupervisedWorker {
  readonly index: number;
  readonly cpu: number | null;
  readonly state: WorkerState;
  readonly restarts: number;
}
