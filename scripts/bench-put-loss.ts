// Packets lost while flows are put: an open-loop source feeds a 1,024-entry ring at half the peak rate, a worker thread
// on a CPU of its own takes the ring through the whole pipeline, and this thread, on another CPU, puts flows through
// the table's writer and deletes them again, as many a second as it is asked to.
//
//   node build/scripts/bench-put-loss.js [--flows 10000] [--puts 100000] [--seconds 2] [--rounds 5]
//
// Rounds without and with puts alternate, so that what the machine does to both can be told from what the puts do.
// The source takes no CPU: what it has put into the ring, and what found the ring full, follows from the clock
// (bench-put-loss.thread.ts), which asks of the worker what a third, busy thread would. On a machine that runs other
// things too the kernel takes the worker's CPU away now and then; what is lost then is counted apart.
import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { readTotals } from "../src/datapath/counters.ts";
import { EpochWriter } from "../src/memory/epoch.ts";
import { fillReserve } from "../src/memory/frame-pool.ts";
import { native, nativeUnavailable } from "../src/native.ts";
import { TableWriter } from "../src/table/table-writer.ts";
import { PHASE, type PutLossStart, RESULT } from "./bench-put-loss.thread.ts";
import {
  createBenchArena,
  ExactFlows,
  frameOf,
  mustPut,
  shuffledFrames,
  tupleMask,
} from "./bench-traffic.ts";

/** Flows that live at a time beside those of the traffic: each put deletes the one that is so many puts old. */
const WINDOW_FLOWS = 10_000;
/** Puts between two looks at the clock: a third of a millisecond's at the default rate. */
const PUTS_PER_LOOK = 32;
const WARM_UP_MS = 2000;

const { values } = parseArgs({
  options: {
    flows: { type: "string", default: "10000" },
    puts: { type: "string", default: "100000" },
    seconds: { type: "string", default: "2" },
    rounds: { type: "string", default: "5" },
  },
});
const flowCount = Number(values.flows);
const putRate = Number(values.puts);
const seconds = Number(values.seconds);

const cpus = nativeUnavailable() === undefined ? native().threadAffinity() : [];
const [writerCpu, workerCpu] = cpus.length > 1 ? cpus : [null, null];
if (writerCpu !== null) native().threadSetAffinity([writerCpu!]);
else console.log("writer and worker share what CPUs there are: lost packets then say little");

const arena = createBenchArena(flowCount + 2 * WINDOW_FLOWS);
const epochs = new EpochWriter(arena);
epochs.initialise();
fillReserve(arena);
const table = new TableWriter(arena, epochs);
const flows = new ExactFlows(tupleMask(), "2");
for (let flow = 0; flow < flowCount; flow += 1) mustPut(table, flows.putOf(frameOf(flow)));

const phase = new Int32Array(new SharedArrayBuffer(64));
const results = new Float64Array(new SharedArrayBuffer(64));
const worker = new Worker(new URL("./bench-put-loss.thread.js", import.meta.url), {
  workerData: {
    arena: arena.handle(),
    phase,
    results,
    cpu: workerCpu ?? null,
    frames: shuffledFrames(flowCount),
  } satisfies PutLossStart,
});
const ended = once(worker, "exit");

function spin(): void {}

/**
 * One phase of the worker's; `work` runs in this thread meanwhile, over and over, until its time is over. Without
 * puts it spins: where two CPUs are threads of one core, a busy neighbour alone costs the worker a third of its rate.
 */
async function runPhase(packetsPerSecond: number, millis: number, work: (elapsedMs: number) => void = spin) {
  const before = readTotals(arena).counters.received;
  phase[PHASE.packetsPerSecond] = packetsPerSecond;
  Atomics.add(phase, PHASE.number, 1);
  const start = performance.now();
  await setTimeout(0);
  while (performance.now() - start < millis) work(performance.now() - start);
  const elapsedMs = performance.now() - start;
  const received = readTotals(arena).counters.received - before;
  return {
    received,
    elapsedMs,
    lost: results[RESULT.lost]!,
    lostToOthers: results[RESULT.lostToOthers]!,
    gapMs: results[RESULT.longestGapMs]!,
  };
}

let putCount = 0;
const window: number[] = new Array<number>(WINDOW_FLOWS).fill(0);
/** Other addresses than any packet's. Each comes again long after its flow was deleted. */
const puts = Array.from({ length: 4 * WINDOW_FLOWS }, (_, index) => flows.putOf(frameOf(flowCount + index)));

function putAndDelete(): void {
  const place = putCount % WINDOW_FLOWS;
  if (putCount >= WINDOW_FLOWS) table.remove(window[place]!);
  window[place] = mustPut(table, puts[putCount % puts.length]!);
  putCount += 1;
}

/** As many puts as the rate makes due, however late this thread is. */
function putsUntil(elapsedMs: number, startCount: number): void {
  const due = Math.floor((elapsedMs * putRate) / 1000);
  for (let done = 0; done < PUTS_PER_LOOK && putCount - startCount < due; done += 1) putAndDelete();
  table.step();
}

await runPhase(0, WARM_UP_MS);
const peak = await runPhase(0, seconds * 1000);
const rate = Math.floor(peak.received / (peak.elapsedMs / 1000) / 2);
console.log(
  `peak ${(rate / 5e5).toFixed(2)} Mpps with no puts; the source runs at ${(rate / 1e6).toFixed(2)} Mpps, ` +
    `its ring of 1,024 fills in ${((1024 / rate) * 1000).toFixed(2)} ms`,
);
for (let round = 1; round <= Number(values.rounds); round += 1) {
  const without = await runPhase(rate, seconds * 1000);
  const startCount = putCount;
  const beside = await runPhase(rate, seconds * 1000, (elapsedMs) => putsUntil(elapsedMs, startCount));
  const putsPerSecond = ((putCount - startCount) / beside.elapsedMs) * 1000;
  const text = ({ lost, lostToOthers, received, gapMs }: typeof beside): string =>
    `${lost} of ${received + lost + lostToOthers} lost, ${lostToOthers} more while the kernel ran others there, ` +
    `longest gap ${gapMs.toFixed(2)} ms`;
  console.log(
    `round ${round}: without puts ${text(without)}; with ${putsPerSecond.toFixed(0)} puts and deletes a second ${text(beside)}`,
  );
}
Atomics.store(phase, PHASE.stop, 1);
await ended;
const { counters } = readTotals(arena);
if (counters.lookup_hit !== counters.received)
  throw new Error(`bench: ${counters.lookup_miss} packets missed although their flows stood all the time`);
