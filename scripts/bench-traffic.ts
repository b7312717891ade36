// What the pipeline's benchmarks forward: exact flows over one mask, a frame for each, and ports from memory.
import { parseActions } from "../src/action/odp/parse-actions.ts";
import { KeyExtractor } from "../src/flow/extract-key.ts";
import type { FieldName } from "../src/flow/fields.ts";
import { newKey, setOnes } from "../src/flow/key.ts";
import { Arena } from "../src/memory/arena.ts";
import { PORT_UP } from "../src/memory/port-layout.ts";
import { DEFAULT_SIZES, HUGE_PAGE_BYTES } from "../src/memory/region-plan.ts";
import { native, nativeUnavailable } from "../src/native.ts";
import { buildFrame, padFrame } from "../src/packet/builder.ts";
import { ethernet } from "../src/packet/builder-link.ts";
import { ipv4 } from "../src/packet/builder-network.ts";
import { udp } from "../src/packet/builder-transport.ts";
import type { Pmd } from "../src/pmd/pmd.ts";
import { PortTable } from "../src/port/port-table.ts";
import type { FlowPut, TableWriter } from "../src/table/table-writer.ts";

/** Bytes in memory: a frame of 64 bytes on the wire, had it been captured with its checksum. */
const FRAME_BYTES = 64;
export const IN_PORT = 1;
const OUT_PORTS = [2, 3, 4];
const LONGEST_PACKET_BYTES = 1514;
const TUPLE: readonly FieldName[] = [
  "in_port",
  "eth_type",
  "nw_frag",
  "nw_proto",
  "nw_src",
  "nw_dst",
  "tp_src",
  "tp_dst",
];

/** Frame of the nth flow: UDP from an address and a port of its own. */
export function frameOf(flow: number): Uint8Array {
  const address = `10.${(flow >>> 16) & 0xff}.${(flow >>> 8) & 0xff}.${flow & 0xff}`;
  return padFrame(
    buildFrame([
      ethernet(),
      ipv4({ src: address, dst: "192.168.0.1" }),
      udp({ src: 1024 + (flow % 50000), dst: 53 }),
    ]),
    FRAME_BYTES,
  );
}

/** Flows stand in the table in the order of their making; packets must not come in that order. */
export function shuffledFrames(flowCount: number): Uint8Array[] {
  const frames = Array.from({ length: flowCount }, (_, flow) => frameOf(flow));
  let state = 1;
  for (let last = flowCount - 1; last > 0; last -= 1) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    const other = state % (last + 1);
    const frame = frames[last]!;
    frames[last] = frames[other]!;
    frames[other] = frame;
  }
  return frames;
}

/** Exact on the five-tuple and what a datapath flow always matches. */
export function tupleMask(): Uint8Array {
  const mask = newKey();
  for (const name of TUPLE) setOnes(mask, name);
  return mask;
}

/** Puts of exact flows that differ in their frames only. */
export class ExactFlows {
  readonly #extractor = new KeyExtractor(1);
  readonly #mask: Uint8Array;
  readonly #actions: Uint8Array;

  constructor(mask: Uint8Array, actions: string) {
    this.#mask = mask;
    this.#actions = parseActions(actions);
  }

  putOf(frame: Uint8Array): FlowPut {
    return {
      key: this.#extractor.extract(frame, IN_PORT),
      mask: this.#mask,
      actions: this.#actions,
      create: true,
      modify: false,
      operator: true,
      nowMillis: 1,
    };
  }
}

/** Puts a flow that the table must take. Returns its number. */
export function mustPut(table: TableWriter, put: FlowPut): number {
  const result = table.put(put);
  if (result.error !== null) throw new Error(`bench: a flow was not taken: ${result.error}`);
  return result.flowNo;
}

/** More than a worker's buffer queue (perf/memory-port.ts) and its stack hold. */
const WORKER_FRAMES = 8192;

/** @param flowCount flows that must have room */
export function createBenchArena(flowCount: number, workerCount = 1): Arena {
  const flowCountMax = Math.max(DEFAULT_SIZES.flowCountMax, flowCount);
  const arena = Arena.create({
    ...DEFAULT_SIZES,
    workerCount,
    frameCount: Math.max(65536, workerCount * WORKER_FRAMES),
    flowCountMax,
    kernelRingBytes: 64 << 20,
  });
  if (nativeUnavailable() === undefined) {
    native().pagesAdviseHuge(arena.u8, 0, arena.u8.length - (arena.u8.length % HUGE_PAGE_BYTES));
  }
  return arena;
}

/**
 * Attaches an input port and output ports of the `null` type, whose queues are memory-port.ts's.
 * @param memory where their traffic stands, for workers that have one each
 */
export function attachPorts(arena: Arena, pmd: Pmd, memory = arena.region("kernelRings").offset): void {
  const fields = { memory };
  const ports = new PortTable(arena);
  for (const [slot, portNo] of [IN_PORT, ...OUT_PORTS].entries()) {
    ports.publish(slot, portNo, PORT_UP, LONGEST_PACKET_BYTES);
    if (slot > 0) pmd.attachTx({ type: "null", portNo, slot, queue: 0, fields });
  }
  pmd.attachRx({ type: "null", portNo: IN_PORT, slot: 0, queue: 0, fields });
}
