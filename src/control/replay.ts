// Replay: captures through a switch in one thread, packet by packet, on the captures' own time.
import { closeSync, openSync, readFileSync, realpathSync, statSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import { ACTION } from "../action/attributes.ts";
import { attributes } from "../flow/nlattr.ts";
import { DEFAULT_SIZES } from "../memory/region-plan.ts";
import { PcapWriter } from "../packet/pcap-writer.ts";
import { type PortCounterName, readPortCounters } from "../port/counters.ts";
import { type DummyPort, isDummyPort } from "../port/dummy/driver.ts";
import { PORT_NO_MAX } from "../port/port.ts";
import type { FlowView } from "../table/flow-reader.ts";
import { type Books, readBooks } from "./books.ts";
import { type MergedPacket, mergeCaptures } from "./capture-merge.ts";
import type { Config, EngineName } from "./config/schema.ts";
import { type FlowFileEntry, parseFlowFile } from "./flow-file.ts";
import { installFlows } from "./flow-install.ts";
import { type OfflineBond, offlineBondSettings, offlinePortName } from "./offline-bonds.ts";
import { OfflineSwitch } from "./offline-switch.ts";
import type { ProgressListener } from "./progress.ts";

export type PortFile = readonly [portNo: number, path: string];

export interface ReplayOptions {
  readonly inputs: readonly PortFile[];
  readonly outputs: readonly PortFile[];
  readonly flowFile: string | undefined;
  readonly policy: Config["policy"];
  readonly bonds: readonly OfflineBond[];
  readonly vlanLimit: number;
  readonly seed: number;
  readonly engine: EngineName;
  readonly onProgress?: ProgressListener;
}

export interface ReplayResult {
  readonly packets: number;
  readonly books: Books;
  readonly ports: readonly {
    readonly portNo: number;
    readonly counters: Readonly<Record<PortCounterName, number>>;
  }[];
  readonly flows: readonly FlowView[];
  /** Time of the last packet on the switch's clock. */
  readonly endMillis: number;
}

/** The switch's clock starts here, so that no time of use is 0, which means never. */
const CLOCK_START_MILLIS = 1000;
/** How often background work is looked at, in captured time. */
const HOUSEKEEP_MILLIS = 100;
/** The longest packets pass: captures may hold jumbo frames. */
const MTU = 9000;
const NO_PORTS = { numbers: new Map<string, number>(), names: new Map<number, string>() };

/** @throws FlowFileError, CaptureError, or the system's error; output files may be incomplete then */
export async function replay(options: ReplayOptions): Promise<ReplayResult> {
  const { flowFile, policy, bonds, vlanLimit, seed, engine } = options;
  const entries =
    flowFile === undefined
      ? []
      : parseFlowFile(readFileSync(flowFile, "utf8"), flowFile, NO_PORTS, vlanLimit);
  checkOutputs(options);
  const offline = new OfflineSwitch({
    sizes: { ...DEFAULT_SIZES, portCountMax: 1024 },
    policy,
    bonds: offlineBondSettings(bonds),
    vlanLimit,
    seed,
    engine,
  });
  const sinks = new OutputFiles(options.outputs);
  try {
    const ports = await addPorts(offline, options, entries);
    if (flowFile !== undefined) await installFlows(offline.flows.writer, [entries]);
    const run = new Run(offline, ports, sinks);
    for (const packet of mergeCaptures(options.inputs, readProgress(options))) run.packet(packet);
    const flows: FlowView[] = [];
    for await (const flow of offline.flows.all()) flows.push(flow);
    const result = {
      packets: run.packetCount,
      books: readBooks(offline.arena),
      ports: [...ports.values()].map(({ portNo, slot }) => ({
        portNo,
        counters: readPortCounters(offline.arena, slot),
      })),
      flows,
      endMillis: offline.clock.millis(),
    };
    await offline.close();
    return result;
  } finally {
    sinks.close();
  }
}

/** Tells how much of all captures has been read; of a pipe among them nobody knows the length. */
function readProgress({ inputs, onProgress }: ReplayOptions): (bytes: number) => void {
  const files = inputs.map(([, path]) => statSync(path));
  const total = files.every((file) => file.isFile()) ? files.reduce((sum, { size }) => sum + size, 0) : 0;
  let done = 0;
  return (bytes) => {
    done += bytes;
    onProgress?.({ doing: "replay", done, total, unit: "bytes" });
  };
}

/** An output file would be overwritten by a second one of its name, or would overwrite what is read. */
function checkOutputs({ inputs, outputs }: ReplayOptions): void {
  const taken = new Map(inputs.map(([portNo, path]) => [realpathSync(path), `--in ${portNo}=${path}`]));
  for (const [portNo, path] of outputs) {
    const option = `--out ${portNo}=${path}`;
    const file = statSync(path, { throwIfNoEntry: false });
    // Devices and pipes may be written to by many.
    if (file !== undefined && !file.isFile()) continue;
    const place = file === undefined ? resolve(path) : realpathSync(path);
    const other = taken.get(place);
    if (other !== undefined) throw new Error(`replay: ${option}: the file belongs to ${other}; name another`);
    taken.set(place, option);
  }
}

/** Ports that frames come from or go to by an option, members of bonds, and those that a flow sends to. */
async function addPorts(
  offline: OfflineSwitch,
  { inputs, outputs, bonds }: ReplayOptions,
  entries: readonly FlowFileEntry[],
): Promise<Map<number, DummyPort>> {
  const numbers = new Set([...inputs, ...outputs].map(([portNo]) => portNo));
  for (const { portNos } of bonds) for (const portNo of portNos) numbers.add(portNo);
  for (const { entry } of entries)
    for (const portNo of outputPorts(entry.actions)) if (portNo <= PORT_NO_MAX) numbers.add(portNo);
  const ports = new Map<number, DummyPort>();
  for (const portNo of [...numbers].sort((a, b) => a - b)) {
    const port = await offline.ports.add({
      name: offlinePortName(portNo),
      type: "dummy",
      portNo,
      options: { mtu: MTU },
    });
    if (isDummyPort(port)) ports.set(portNo, port);
  }
  return ports;
}

/** Port numbers that an action list sends to. */
export function outputPorts(actions: Uint8Array): number[] {
  const view = new DataView(actions.buffer, actions.byteOffset, actions.length);
  return [...attributes(actions)].flatMap(({ type, start }) =>
    type === ACTION.output ? [view.getUint32(start, true)] : [],
  );
}

class Run {
  packetCount = 0;
  readonly #offline: OfflineSwitch;
  readonly #ports: ReadonlyMap<number, DummyPort>;
  readonly #sinks: OutputFiles;
  #originMillis: number | undefined;
  #housekeptMillis = CLOCK_START_MILLIS;

  constructor(offline: OfflineSwitch, ports: ReadonlyMap<number, DummyPort>, sinks: OutputFiles) {
    this.#offline = offline;
    this.#ports = ports;
    this.#sinks = sinks;
    offline.clock.advanceTo(CLOCK_START_MILLIS);
  }

  packet(packet: MergedPacket): void {
    const millis = packet.seconds * 1e3 + packet.nanoseconds / 1e6;
    this.#originMillis ??= millis - CLOCK_START_MILLIS;
    const { clock } = this.#offline;
    clock.advanceTo(millis - this.#originMillis);
    if (clock.millis() - this.#housekeptMillis >= HOUSEKEEP_MILLIS) {
      this.#housekeptMillis = clock.millis();
      this.#offline.housekeep();
    }
    this.packetCount += 1;
    if (!this.#ports.get(packet.portNo)!.inject(packet.bytes))
      throw new Error(`packet ${this.packetCount}: no frame is free; the switch holds packets back`);
    this.#offline.settle();
    for (const [portNo, port] of this.#ports) {
      for (const bytes of port.take()) this.#sinks.write(portNo, packet, bytes);
    }
  }
}

/** The files behind --out. */
class OutputFiles {
  readonly #files: { readonly portNo: number; readonly fd: number; readonly writer: PcapWriter }[] = [];

  constructor(outputs: readonly PortFile[]) {
    for (const [portNo, path] of outputs) {
      const fd = openSync(path, "w");
      const writer = new PcapWriter((bytes) => {
        for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
      });
      this.#files.push({ portNo, fd, writer });
    }
  }

  write(portNo: number, { seconds, nanoseconds }: MergedPacket, bytes: Uint8Array): void {
    for (const file of this.#files) {
      if (file.portNo === portNo)
        file.writer.write(0, seconds, nanoseconds, bytes.length, bytes, 0, bytes.length);
    }
  }

  close(): void {
    for (const { fd, writer } of this.#files) {
      writer.flush();
      closeSync(fd);
    }
  }
}
