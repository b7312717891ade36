// One worker's rate with frames from memory: what `millrace bench` measures and checks.
//
// A figure is given only when the flows' counters sum to the packets received and every output that was looked at equals
// what the reference engine makes of the same frame.

import { createReadStream } from "node:fs";
import { type Books, readBooks } from "../control/books.ts";
import { mergeCaptures } from "../control/capture-merge.ts";
import type { Config, EngineName } from "../control/config/schema.ts";
import { PORT_DRIVERS } from "../control/drivers.ts";
import type { FlowFileEntry } from "../control/flow-file.ts";
import { FlowFileReader } from "../control/flow-file-reader.ts";
import { installFlows } from "../control/flow-install.ts";
import { type OfflineBond, offlineBondSettings, offlinePortName } from "../control/offline-bonds.ts";
import { type OfflineOptions, OfflineSwitch } from "../control/offline-switch.ts";
import type { ProgressListener } from "../control/progress.ts";
import { outputPorts } from "../control/replay.ts";
import { readTotals } from "../datapath/counters.ts";
import type { ProgramSlot } from "../datapath/program.ts";
import type { Arena } from "../memory/arena.ts";
import { MEMORY_BUFFERS_MAX } from "../memory/queue-layout.ts";
import { DEFAULT_SIZES, PAGE_BYTES } from "../memory/region-plan.ts";
import type { Output } from "../pmd/output.ts";
import { type DummyPort, isDummyPort } from "../port/dummy/driver.ts";
import { PORT_NO_MAX } from "../port/port.ts";
import { QUEUE_FACTORIES } from "../port/queue-factories.ts";
import { cpuSeconds } from "./cpu-time.ts";
import { FloorEngine } from "./floor-engine.ts";
import { memoryDriver, memoryQueues } from "./memory-port.ts";
import { MemoryTraffic, outputText } from "./memory-traffic.ts";

/** Frames come in here. */
export const BENCH_PORT_NO = 1;
/** Where they leave when nothing is looked up. */
const FLOOR_PORT_NO = 2;
/** Loops between two looks at the clock: some ten thousand packets. */
const LOOPS_PER_LOOK = 256;
const WARM_UP_SECONDS = 0.5;
/** Of more frames the reference is not asked one by one; the flows' counters still have to add up. */
const CHECKED_FRAMES_MAX = 200_000;
const LINE_END = 0x0a;
const NO_PORTS = { numbers: new Map<string, number>(), names: new Map<number, string>() };

export interface BenchOptions {
  readonly rx: string;
  /** Null: no look-up, every frame leaves by FLOOR_PORT_NO. */
  readonly flowFile: string | null;
  readonly seconds: number;
  readonly policy: Config["policy"];
  readonly bonds: readonly OfflineBond[];
  readonly engine: EngineName;
  /** Number of a VXLAN port for tnl_push and tnl_pop to name. */
  readonly tunnelPortNo?: number | undefined;
  readonly onProgress?: ProgressListener;
}

export interface BenchResult {
  readonly packets: number;
  readonly seconds: number;
  readonly mpps: number;
  readonly nsPerPacket: number;
  /** How much of its CPU this thread got while it was measured; null where the kernel doesn't tell. */
  readonly cpuShare: number | null;
  readonly frames: number;
  readonly flows: number;
  readonly masksPerPacket: number;
  readonly outputsChecked: number;
  readonly books: Books;
}

/** @throws Error when there is nothing to measure or the result does not add up */
export async function bench(options: BenchOptions): Promise<BenchResult> {
  const { rx, flowFile, seconds, bonds, onProgress = () => undefined } = options;
  const lineCount = flowFile === null ? 0 : await countLines(flowFile);
  const frames = [...mergeCaptures([[BENCH_PORT_NO, rx]])].map(({ bytes }) => bytes);
  if (frames.length === 0) throw new Error(`${rx}: no packet to send`);
  const traffic = new MemoryTraffic(frames, await expectedOutputs(frames, lineCount, options));
  const offline = new OfflineSwitch({
    ...benchOptions(frames, lineCount, options),
    drivers: new Map([...PORT_DRIVERS, ["null", memoryDriver(traffic, BENCH_PORT_NO)]]),
    factories: new Map([...QUEUE_FACTORIES, ["null", memoryQueues(traffic)]]),
    makeEngine: flowFile === null ? makeFloor : undefined,
  });
  const installed = new InstalledFlows(flowFile, bonds);
  await installFlows(offline.flows.writer, installed.slices());
  for (const portNo of installed.portNos)
    await offline.ports.add({ name: offlinePortName(portNo), type: "null", portNo });
  await addTunnel(offline, options);
  loopFor(offline, WARM_UP_SECONDS, (done, total) =>
    onProgress({ doing: "bench: warming up", done, total, unit: "seconds" }),
  );
  const before = readBooks(offline.arena).terms.received;
  const cpuBefore = cpuSeconds();
  const measured = loopFor(offline, seconds, (done, total) =>
    onProgress({ doing: "bench: measuring", done, total, unit: "seconds" }),
  );
  const packets = readBooks(offline.arena).terms.received - before;
  const cpuShare = cpuBefore === null ? null : Math.min(1, (cpuSeconds()! - cpuBefore) / measured);
  await checkFlows(offline, flowFile === null);
  const result = checkOutputs(offline, traffic, packets, measured);
  await offline.close();
  return { ...result, cpuShare, frames: frames.length, flows: installed.count };
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

/** @throws Error when a packet is in no counter that it should be in */
async function checkFlows(offline: OfflineSwitch, isFloor: boolean): Promise<void> {
  const books = readBooks(offline.arena);
  const { received, transmitted } = books.terms;
  if (isFloor && transmitted !== received)
    throw new Error(`bench: ${transmitted} of ${received} packets were sent; no figure`);
  if (isFloor) return;
  let counted = 0;
  for await (const flow of offline.flows.all()) counted += flow.stats.packets;
  const missed = books.drops.miss_policy;
  const lookups = received + readTotals(offline.arena).counters.recirculated;
  if (counted + missed !== lookups) {
    throw new Error(
      `bench: flows counted ${counted} packets and ${missed} missed, but ${lookups} were received or recirculated; no figure`,
    );
  }
}

/** @throws Error when an output was wrong */
function checkOutputs(offline: OfflineSwitch, traffic: MemoryTraffic, packets: number, seconds: number) {
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
    books: readBooks(offline.arena),
  };
}

const makeFloor = (arena: Arena) => (output: Output, programs: ProgramSlot) =>
  new FloorEngine(arena, 0, { output, programs, outPortNo: FLOOR_PORT_NO });

/** A flow file on its way into a table, a slice at a time. */
class InstalledFlows {
  count = 0;
  readonly #flowFile: string | null;
  readonly #portNos: Set<number>;

  constructor(flowFile: string | null, bonds: readonly OfflineBond[]) {
    this.#flowFile = flowFile;
    this.#portNos = new Set([BENCH_PORT_NO, FLOOR_PORT_NO, ...bonds.flatMap(({ portNos }) => portNos)]);
  }

  /** The source, the floor's, members of bonds, and every port that a flow sends to. */
  get portNos(): number[] {
    return [...this.#portNos].sort((a, b) => a - b);
  }

  async *slices(): AsyncGenerator<readonly FlowFileEntry[]> {
    if (this.#flowFile === null) return;
    const reader = await FlowFileReader.open(this.#flowFile);
    try {
      for await (const { entries } of reader.slices(NO_PORTS, 1, "add")) {
        this.count += entries.length;
        for (const { entry } of entries) {
          for (const portNo of outputPorts(entry.actions))
            if (portNo > 0 && portNo <= PORT_NO_MAX) this.#portNos.add(portNo);
        }
        yield entries;
      }
    } finally {
      await reader.close();
    }
  }
}

/** At least as many as there are flows. */
async function countLines(path: string): Promise<number> {
  let count = 1;
  for await (const chunk of createReadStream(path)) {
    for (const byte of chunk as Buffer) if (byte === LINE_END) count += 1;
  }
  return count;
}

async function addTunnel(offline: OfflineSwitch, { tunnelPortNo }: BenchOptions): Promise<void> {
  if (tunnelPortNo === undefined) return;
  await offline.ports.add({ name: "tunnel", type: "vxlan", portNo: tunnelPortNo });
}

function benchOptions(
  frames: readonly Uint8Array[],
  flowCount: number,
  { policy, bonds, engine }: BenchOptions,
): OfflineOptions {
  const sizes = {
    ...DEFAULT_SIZES,
    frameCount: MEMORY_BUFFERS_MAX * 4,
    flowCountMax: Math.max(1024, flowCount * 2),
    kernelRingBytes: Math.ceil(new MemoryTraffic(frames, null).bytes / PAGE_BYTES + 2) * PAGE_BYTES,
  };
  return { sizes, policy, bonds: offlineBondSettings(bonds), vlanLimit: 1, seed: 0, engine };
}

/** What the switch makes of each frame, one by one over dummy ports; null for so many frames that it would take too long. */
async function expectedOutputs(
  frames: readonly Uint8Array[],
  flowCount: number,
  bench: BenchOptions,
): Promise<Set<string> | null> {
  if (frames.length > CHECKED_FRAMES_MAX) return null;
  if (bench.flowFile === null) return new Set(frames.map((frame) => outputText(FLOOR_PORT_NO, frame)));
  const { flowFile, bonds, onProgress = () => undefined } = bench;
  const options = benchOptions(frames, flowCount, bench);
  const sizes = { ...options.sizes, kernelRingBytes: DEFAULT_SIZES.kernelRingBytes };
  const offline = new OfflineSwitch({ ...options, sizes, engine: "reference" });
  const installed = new InstalledFlows(flowFile, bonds);
  await installFlows(offline.flows.writer, installed.slices());
  const ports = await addDummyPorts(offline, installed.portNos);
  await addTunnel(offline, bench);
  const expected = new Set<string>();
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

async function addDummyPorts(offline: OfflineSwitch, portNos: readonly number[]): Promise<DummyPort[]> {
  const ports: DummyPort[] = [];
  for (const portNo of portNos) {
    const name = offlinePortName(portNo);
    const port = await offline.ports.add({ name, type: "dummy", portNo, options: { mtu: 9000 } });
    if (isDummyPort(port)) ports.push(port);
  }
  return ports;
}
