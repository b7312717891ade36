// One worker's rate with frames from memory: what `millrace bench` measures and checks.
//
// A figure is given only when the flows' counters sum to the packets received and every output that was looked at equals
// what the reference engine makes of the same frame.
import { readFileSync } from "node:fs";
import { ACTION } from "../action/attributes.ts";
import { type Books, readBooks } from "../control/books.ts";
import { mergeCaptures } from "../control/capture-merge.ts";
import type { Config, EngineName } from "../control/config/schema.ts";
import { PORT_DRIVERS } from "../control/drivers.ts";
import { type FlowFileEntry, parseFlowFile } from "../control/flow-file.ts";
import { installFlows } from "../control/flow-install.ts";
import { type OfflineBond, offlineBondSettings, offlinePortName } from "../control/offline-bonds.ts";
import { type OfflineOptions, OfflineSwitch } from "../control/offline-switch.ts";
import type { ProgressListener } from "../control/progress.ts";
import { attributes } from "../flow/nlattr.ts";
import { MEMORY_BUFFERS_MAX } from "../memory/queue-layout.ts";
import { DEFAULT_SIZES, PAGE_BYTES } from "../memory/region-plan.ts";
import { isDummyPort } from "../port/dummy/driver.ts";
import { PORT_NO_MAX } from "../port/port.ts";
import { QUEUE_FACTORIES } from "../port/queue-factories.ts";
import { memoryDriver, memoryQueues } from "./memory-port.ts";
import { MemoryTraffic, outputText } from "./memory-traffic.ts";

/** Frames come in here. */
export const BENCH_PORT_NO = 1;
/** Loops between two looks at the clock: some ten thousand packets. */
const LOOPS_PER_LOOK = 256;
const WARM_UP_SECONDS = 0.5;
const NO_PORTS = { numbers: new Map<string, number>(), names: new Map<number, string>() };

export interface BenchOptions {
  readonly rx: string;
  readonly flowFile: string;
  readonly seconds: number;
  readonly policy: Config["policy"];
  readonly bonds: readonly OfflineBond[];
  readonly engine: EngineName;
  readonly onProgress?: ProgressListener;
}

export interface BenchResult {
  readonly packets: number;
  readonly seconds: number;
  readonly mpps: number;
  readonly nsPerPacket: number;
  readonly frames: number;
  readonly flows: number;
  readonly masksPerPacket: number;
  readonly outputsChecked: number;
  readonly books: Books;
}

/** @throws Error when there is nothing to measure or the result does not add up */
export async function bench(options: BenchOptions): Promise<BenchResult> {
  const { rx, flowFile, seconds, bonds, onProgress = () => undefined } = options;
  const entries = parseFlowFile(readFileSync(flowFile, "utf8"), flowFile, NO_PORTS, 1);
  const frames = [...mergeCaptures([[BENCH_PORT_NO, rx]])].map(({ bytes }) => bytes);
  if (frames.length === 0) throw new Error(`${rx}: no packet to send`);
  const portNos = benchPorts(entries, bonds);
  const traffic = new MemoryTraffic(frames, await expectedOutputs(frames, entries, portNos, options));
  const offline = new OfflineSwitch({
    ...benchOptions(frames, entries.length, portNos.length, options),
    drivers: new Map([...PORT_DRIVERS, ["null", memoryDriver(traffic, BENCH_PORT_NO)]]),
    factories: new Map([...QUEUE_FACTORIES, ["null", memoryQueues(traffic)]]),
  });
  for (const portNo of portNos)
    await offline.ports.add({ name: offlinePortName(portNo), type: "null", portNo });
  await installFlows(offline.flows.writer, [entries]);
  loopFor(offline, WARM_UP_SECONDS, (done, total) =>
    onProgress({ doing: "bench: warming up", done, total, unit: "seconds" }),
  );
  const before = readBooks(offline.arena).terms.received;
  const measured = loopFor(offline, seconds, (done, total) =>
    onProgress({ doing: "bench: measuring", done, total, unit: "seconds" }),
  );
  const packets = readBooks(offline.arena).terms.received - before;
  const result = await check(offline, traffic, packets, measured);
  await offline.close();
  return { ...result, frames: frames.length, flows: entries.length };
}

function loopFor(
  offline: OfflineSwitch,
  seconds: number,
  onLook: (done: number, total: number) => void,
): number {
  const start = performance.now();
  for (;;) {
    offline.clock.advanceTo(1 + performance.now());
    for (let loop = 0; loop < LOOPS_PER_LOOK; loop += 1) offline.pmd.iterate();
    offline.handler.drain();
    offline.compile();
    const elapsed = (performance.now() - start) / 1e3;
    onLook(elapsed, seconds);
    if (elapsed >= seconds) return elapsed;
  }
}

async function check(offline: OfflineSwitch, traffic: MemoryTraffic, packets: number, seconds: number) {
  const books = readBooks(offline.arena);
  let counted = 0;
  for await (const flow of offline.flows.all()) counted += flow.stats.packets;
  const missed = books.drops.miss_policy;
  if (counted + missed !== books.terms.received) {
    throw new Error(
      `bench: flows counted ${counted} packets and ${missed} missed, but ${books.terms.received} were received; no figure`,
    );
  }
  if (traffic.wrongCount > 0) {
    throw new Error(
      `bench: ${traffic.wrongCount} of ${traffic.checkedCount} outputs differ from the reference's; no figure`,
    );
  }
  const { hits, probes } = offline.flows.stats();
  return {
    packets,
    seconds,
    mpps: packets / seconds / 1e6,
    nsPerPacket: (seconds * 1e9) / packets,
    masksPerPacket: hits === 0 ? 0 : probes / hits,
    outputsChecked: traffic.checkedCount,
    books,
  };
}

/** The source, members of bonds, and every port that a flow sends to. */
function benchPorts(entries: readonly FlowFileEntry[], bonds: readonly OfflineBond[]): number[] {
  const numbers = new Set([BENCH_PORT_NO, ...bonds.flatMap(({ portNos }) => portNos)]);
  for (const { entry } of entries) {
    const view = new DataView(entry.actions.buffer, entry.actions.byteOffset, entry.actions.length);
    for (const { type, start } of attributes(entry.actions)) {
      const portNo = type === ACTION.output ? view.getUint32(start, true) : 0;
      if (portNo > 0 && portNo <= PORT_NO_MAX) numbers.add(portNo);
    }
  }
  return [...numbers].sort((a, b) => a - b);
}

function benchOptions(
  frames: readonly Uint8Array[],
  flowCount: number,
  portCount: number,
  { policy, bonds, engine }: BenchOptions,
): OfflineOptions {
  const sizes = {
    ...DEFAULT_SIZES,
    frameCount: MEMORY_BUFFERS_MAX * 4,
    flowCountMax: Math.max(1024, flowCount * 2),
    portCountMax: Math.max(16, portCount + 1),
    kernelRingBytes: Math.ceil(new MemoryTraffic(frames, null).bytes / PAGE_BYTES + 2) * PAGE_BYTES,
  };
  return { sizes, policy, bonds: offlineBondSettings(bonds), vlanLimit: 1, seed: 0, engine };
}

/** What the switch makes of each frame, one by one over dummy ports. */
async function expectedOutputs(
  frames: readonly Uint8Array[],
  entries: readonly FlowFileEntry[],
  portNos: readonly number[],
  bench: BenchOptions,
): Promise<Set<string>> {
  const { onProgress = () => undefined } = bench;
  const options = benchOptions(frames, entries.length, portNos.length, bench);
  const ringBytes = (portNos.length + 1) * 65536;
  const offline = new OfflineSwitch({
    ...options,
    sizes: { ...options.sizes, kernelRingBytes: ringBytes },
    engine: "reference",
  });
  const expected = new Set<string>();
  const ports = [];
  for (const portNo of portNos) {
    const port = await offline.ports.add({
      name: offlinePortName(portNo),
      type: "dummy",
      portNo,
      options: { mtu: 9000 },
    });
    if (isDummyPort(port)) ports.push(port);
  }
  await installFlows(offline.flows.writer, [entries]);
  const source = ports.find(({ portNo }) => portNo === BENCH_PORT_NO)!;
  for (const [index, frame] of frames.entries()) {
    onProgress({
      doing: "bench: what the reference answers",
      done: index + 1,
      total: frames.length,
      unit: "frames",
    });
    source.inject(frame);
    offline.settle();
    for (const port of ports) for (const bytes of port.take()) expected.add(outputText(port.portNo, bytes));
  }
  await offline.close();
  return expected;
}
