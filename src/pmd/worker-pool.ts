// The threads that host workers: a piscina pool whose every task lives as long as its thread.
import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";

const WORKER_FILE = fileURLToPath(new URL("../../workers/pmd.js", import.meta.url));

export function createWorkerPool(workerCount: number): Piscina {
  return new Piscina({
    filename: WORKER_FILE,
    minThreads: workerCount,
    maxThreads: workerCount,
    idleTimeout: Number.POSITIVE_INFINITY,
    // A worker never waits for piscina while its task runs: the task is its life.
    atomics: "disabled",
    recordTiming: false,
  });
}
