// Nanoseconds a packet through one worker's whole pipeline: a burst copied from memory into fresh buffers, extraction,
// look-up, actions, output counted and freed. Buffers come from memory-port.ts's queue, so every packet lies in some
// that the L2 cache has forgotten.
//
//   node build/scripts/bench-pipeline.js [--flows 10000] [--seconds 1] [--rounds 5] [--actions 2] [--mask tuple|full]
//
// Rounds are printed with their median and range. The best one is what the code costs when nothing disturbs it.
import { parseArgs } from "node:util";
import { readTotals } from "../src/datapath/counters.ts";
import { FIELDS } from "../src/flow/fields.ts";
import { newKey, setOnes } from "../src/flow/key.ts";
import type { Arena } from "../src/memory/arena.ts";
import { EpochWriter } from "../src/memory/epoch.ts";
import { fillReserve } from "../src/memory/frame-pool.ts";
import { memoryQueues } from "../src/perf/memory-port.ts";
import { MemoryTraffic } from "../src/perf/memory-traffic.ts";
import { Pmd } from "../src/pmd/pmd.ts";
import { TableWriter } from "../src/table/table-writer.ts";
import {
  attachPorts,
  createBenchArena,
  ExactFlows,
  mustPut,
  shuffledFrames,
  tupleMask,
} from "./bench-traffic.ts";

const LOOPS_PER_LOOK = 1000;

function fullMask(): Uint8Array {
  const mask = newKey();
  for (const { name, offset } of FIELDS) if (offset < 64 && name !== "dp_hash") setOnes(mask, name);
  return mask;
}

function build(flowCount: number, mask: Uint8Array, actions: string): { arena: Arena; pmd: Pmd } {
  const arena = createBenchArena(flowCount);
  const epochs = new EpochWriter(arena);
  epochs.initialise();
  fillReserve(arena);
  const table = new TableWriter(arena, epochs);
  const flows = new ExactFlows(mask, actions);
  const frames = shuffledFrames(flowCount);
  for (const frame of [...frames].sort(Buffer.compare)) mustPut(table, flows.putOf(frame));
  const pmd = new Pmd(arena, 0, {
    factories: new Map([["null", memoryQueues(new MemoryTraffic(frames, null))]]),
  });
  attachPorts(arena, pmd);
  return { arena, pmd };
}

/** Time on the CPU, not on the clock: on a busy machine the clock measures the others too. */
function cpuMillis(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function round(pmd: Pmd, millis: number): { packets: number; nanosPerPacket: number } {
  const start = cpuMillis();
  let packets = 0;
  let elapsed = 0;
  while (elapsed < millis) {
    for (let loop = 0; loop < LOOPS_PER_LOOK; loop += 1) packets += pmd.iterate();
    elapsed = cpuMillis() - start;
  }
  return { packets, nanosPerPacket: (elapsed * 1e6) / packets };
}

const { values } = parseArgs({
  options: {
    flows: { type: "string", default: "10000" },
    seconds: { type: "string", default: "1" },
    rounds: { type: "string", default: "5" },
    actions: { type: "string", default: "2" },
    mask: { type: "string", default: "tuple" },
  },
});
const mask = values.mask === "full" ? fullMask() : tupleMask();
const { arena, pmd } = build(Number(values.flows), mask, values.actions);
const rounds: number[] = [];
for (let count = Number(values.rounds); count > 0; count -= 1) {
  const { packets, nanosPerPacket } = round(pmd, Number(values.seconds) * 1000);
  console.log(`${packets} packets, ${nanosPerPacket.toFixed(1)} ns a packet`);
  rounds.push(nanosPerPacket);
}
const { counters } = readTotals(arena);
if (counters.lookup_hit !== counters.received)
  throw new Error(`bench: ${counters.lookup_miss} packets missed`);
rounds.sort((a, b) => a - b);
const best = rounds[0]!;
console.log(
  `best: ${best.toFixed(1)} ns a packet, ${(1e3 / best).toFixed(2)} Mpps; median ` +
    `${rounds[rounds.length >>> 1]!.toFixed(1)} ns, slowest ${rounds.at(-1)!.toFixed(1)}; ` +
    `${values.flows} flows, actions ${values.actions}`,
);
