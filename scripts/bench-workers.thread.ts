// A worker thread of bench-workers.ts: a poll loop over frames from memory, until it is told to stop.
import { workerData } from "node:worker_threads";
import { Arena, type ArenaHandle } from "../src/memory/arena.ts";
import { PAGE_BYTES } from "../src/memory/region-plan.ts";
import { native } from "../src/native.ts";
import { memoryQueues } from "../src/perf/memory-port.ts";
import { MemoryTraffic } from "../src/perf/memory-traffic.ts";
import { Pmd } from "../src/pmd/pmd.ts";
import { attachPorts, shuffledFrames } from "./bench-traffic.ts";

export interface ScalingStart {
  readonly arena: ArenaHandle;
  /** [0] is not zero when it is over. */
  readonly stop: Int32Array;
  readonly index: number;
  readonly cpu: number | null;
  readonly flowCount: number;
}

function run({ arena: handle, stop, index, cpu, flowCount }: ScalingStart): void {
  if (cpu !== null) native().threadSetAffinity([cpu]);
  const arena = new Arena(handle);
  const traffic = new MemoryTraffic(shuffledFrames(flowCount), null);
  const queues = memoryQueues(traffic);
  const pmd = new Pmd(arena, index, { factories: new Map([[queues.type, queues]]) });
  const bytes = Math.ceil(traffic.bytes / PAGE_BYTES) * PAGE_BYTES;
  attachPorts(arena, pmd, arena.region("kernelRings").offset + index * bytes);
  while (stop[0] === 0) pmd.iterate();
  traffic.giveBack(pmd.pool);
  pmd.close();
}

if (workerData !== null) run(workerData as ScalingStart);
