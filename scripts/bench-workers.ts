// How throughput grows with workers: the same look-ups over one table by one worker, two, four ... each on a CPU of its
// own with frames from memory.
//
//   node build/scripts/bench-workers.js [--flows 10000] [--seconds 1] [--rounds 3] [--most 15] [--json]
//
// CPU 0 stays with the main thread. Counts of workers alternate round by round; the figure is the median, with the
// spread beside it, and how much of n single workers' rate n workers reach.
import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { readTotals } from "../src/datapath/counters.ts";
import { EpochWriter } from "../src/memory/epoch.ts";
import { fillReserve } from "../src/memory/frame-pool.ts";
import { native, nativeUnavailable } from "../src/native.ts";
import { TableWriter } from "../src/table/table-writer.ts";
import { createBenchArena, ExactFlows, frameOf, mustPut, tupleMask } from "./bench-traffic.ts";
import type { ScalingStart } from "./bench-workers.thread.ts";

const WARM_UP_MS = 1000;

const { values } = parseArgs({
  options: {
    flows: { type: "string", default: "10000" },
    seconds: { type: "string", default: "1" },
    rounds: { type: "string", default: "3" },
    most: { type: "string", default: "15" },
    json: { type: "boolean", default: false },
  },
});
const flowCount = Number(values.flows);

const cpus = nativeUnavailable() === undefined ? native().threadAffinity() : [];
const workerCpus = cpus.slice(1, 1 + Number(values.most));
if (cpus.length > 0) native().threadSetAffinity([cpus[0]!]);
const most = Math.max(1, workerCpus.length);
const counts = [...new Set([1, 2, 4, 8, 16, most])].filter((count) => count <= most).sort((a, b) => a - b);

const arena = createBenchArena(flowCount, most);
const epochs = new EpochWriter(arena);
epochs.initialise();
fillReserve(arena);
const table = new TableWriter(arena, epochs);
const flows = new ExactFlows(tupleMask(), "2");
for (let flow = 0; flow < flowCount; flow += 1) mustPut(table, flows.putOf(frameOf(flow)));

/** Million packets a second of `count` workers together. */
async function measure(count: number): Promise<number> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const ended = Array.from({ length: count }, (_, index) => {
    const start: ScalingStart = {
      arena: arena.handle(),
      stop,
      index,
      cpu: workerCpus[index] ?? null,
      flowCount,
    };
    return once(
      new Worker(new URL("./bench-workers.thread.js", import.meta.url), { workerData: start }),
      "exit",
    );
  });
  const received = (): number => readTotals(arena).counters.received;
  const before = received();
  while (received() === before) await setTimeout(10);
  await setTimeout(WARM_UP_MS);
  const from = received();
  const start = performance.now();
  await setTimeout(Number(values.seconds) * 1000);
  const packets = received() - from;
  const elapsedMs = performance.now() - start;
  Atomics.store(stop, 0, 1);
  await Promise.all(ended);
  return packets / elapsedMs / 1000;
}

const rates = new Map(counts.map((count) => [count, [] as number[]]));
for (let round = 0; round < Number(values.rounds); round += 1) {
  for (const count of counts) rates.get(count)!.push(await measure(count));
}
const { counters } = readTotals(arena);
if (counters.lookup_hit !== counters.received)
  throw new Error(`bench: ${counters.lookup_miss} packets missed although their flows stood all the time`);

const median = (sorted: readonly number[]): number => sorted[Math.floor(sorted.length / 2)]!;
const results = counts.map((workers) => {
  const sorted = rates.get(workers)!.sort((a, b) => a - b);
  return { workers, mpps: median(sorted), least: sorted[0]!, most: sorted.at(-1)! };
});
if (values.json) {
  console.log(JSON.stringify({ flows: flowCount, results }));
} else {
  for (const { workers, mpps, least, most: best } of results) {
    const share = (mpps / (workers * results[0]!.mpps)) * 100;
    console.log(
      `${workers} workers: ${mpps.toFixed(2)} Mpps (${least.toFixed(2)}..${best.toFixed(2)}), ` +
        `${share.toFixed(0)} % of ${workers} times one; ${flowCount} exact flows`,
    );
  }
}
