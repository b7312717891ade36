// Megaflows set up by misses, in one thread: a packet misses, goes up with its key, the learning policy decides, the
// megaflow is put, the packet comes back, is looked up again and forwarded. Worker and handler take turns burst by burst,
// so that all of it is the time of one CPU, as it is in Open vSwitch's poll-mode thread.
//
//   node build/scripts/bench-setup.js [--flows 200000] [--engine auto|compiled|reference] [--json]
import { parseArgs } from "node:util";
import { compileOptimized } from "../src/compile/v8-flags.ts";
import { readBooks } from "../src/control/books.ts";
import type { EngineName } from "../src/control/config/schema.ts";
import { PORT_DRIVERS } from "../src/control/drivers.ts";
import { OfflineSwitch } from "../src/control/offline-switch.ts";
import { readTotals } from "../src/datapath/counters.ts";
import { MEMORY_BUFFERS_MAX } from "../src/memory/queue-layout.ts";
import { DEFAULT_SIZES, PAGE_BYTES } from "../src/memory/region-plan.ts";
import { cpuSeconds } from "../src/perf/cpu-time.ts";
import { memoryDriver, memoryQueues } from "../src/perf/memory-port.ts";
import { MemoryTraffic } from "../src/perf/memory-traffic.ts";
import { QUEUE_FACTORIES } from "../src/port/queue-factories.ts";
import { setupFrames } from "./bench-scenarios.ts";

const { values } = parseArgs({
  options: {
    flows: { type: "string", default: "200000" },
    engine: { type: "string", default: "auto" },
    json: { type: "boolean", default: false },
  },
});
const FLOW_COUNT = Number(values.flows);
const IN_PORT = 1;
const POLICY = {
  type: "learn",
  "mac-aging-seconds": 3600,
  "mac-table-size": 8192,
  "flow-idle-millis": 3_600_000,
  "flow-limit": 2 * FLOW_COUNT,
} as const;

async function open(frames: readonly Uint8Array[]): Promise<OfflineSwitch> {
  const traffic = new MemoryTraffic(frames, null);
  const offline = new OfflineSwitch({
    sizes: {
      ...DEFAULT_SIZES,
      frameCount: MEMORY_BUFFERS_MAX * 4,
      flowCountMax: Math.max(1024, 2 * FLOW_COUNT),
      kernelRingBytes: Math.ceil(traffic.bytes / PAGE_BYTES + 2) * PAGE_BYTES,
    },
    policy: POLICY,
    vlanLimit: 1,
    seed: 0,
    engine: values.engine as EngineName,
    drivers: new Map([...PORT_DRIVERS, ["null", memoryDriver(traffic, IN_PORT)]]),
    factories: new Map([...QUEUE_FACTORIES, ["null", memoryQueues(traffic)]]),
  });
  await offline.ports.add({ name: "in", type: "null", portNo: IN_PORT });
  await offline.ports.add({ name: "out", type: "null", portNo: IN_PORT + 1 });
  return offline;
}

interface SetupResult {
  readonly nsPerFlow: number;
  readonly flowsPerSecond: number;
  readonly cpuShare: number | null;
}

/** From an empty table to one flow for each frame. @throws Error when a flow is missing or a packet was lost */
async function setUp(frames: readonly Uint8Array[]): Promise<SetupResult> {
  const offline = await open(frames);
  const { pmd, handler, clock, flows, arena } = offline;
  const cpuBefore = cpuSeconds();
  const start = performance.now();
  while (flows.flowCount < FLOW_COUNT) {
    clock.advanceTo(1 + performance.now());
    if (readTotals(arena).counters.received < FLOW_COUNT) pmd.iterate();
    else pmd.drainStep();
    handler.drain();
    handler.step();
    offline.compile();
  }
  while (pmd.drainStep() + handler.drain() > 0);
  const seconds = (performance.now() - start) / 1e3;
  const cpuShare = cpuBefore === null ? null : Math.min(1, (cpuSeconds()! - cpuBefore) / seconds);
  const { terms, drops } = readBooks(arena);
  const { upcall_lost, upcall_miss } = readTotals(arena).counters;
  if (upcall_lost > 0 || terms.transmitted !== terms.received || upcall_miss < FLOW_COUNT) {
    throw new Error(
      `bench-setup: ${terms.transmitted} of ${terms.received} packets were sent, ${upcall_lost} upcalls lost, ` +
        `drops ${JSON.stringify(drops)}; no figure`,
    );
  }
  await offline.close();
  return { nsPerFlow: (seconds * 1e9) / FLOW_COUNT, flowsPerSecond: FLOW_COUNT / seconds, cpuShare };
}

compileOptimized();
const frames = setupFrames(FLOW_COUNT);
// Once for V8 to see what is hot.
await setUp(frames);
const result = await setUp(frames);
console.log(
  values.json
    ? JSON.stringify(result)
    : `${FLOW_COUNT} flows, ${result.flowsPerSecond.toFixed(0)} a second, ${result.nsPerFlow.toFixed(0)} ns each`,
);
