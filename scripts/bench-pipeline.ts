// Nanoseconds a packet through one worker's whole pipeline: a burst copied from memory into fresh buffers, extraction,
// look-up, actions, output counted and freed. What comes free waits behind 8,192 others before it is used again, so
// that every packet lies in buffers that the L2 cache has forgotten.
//
//   node build/scripts/bench-pipeline.js [--flows 10000] [--seconds 1] [--rounds 5] [--actions 2] [--mask tuple|full]
//
// The figure is the best round: what the code costs when nothing disturbs it.
import { parseArgs } from "node:util";
import { parseActions } from "../src/action/odp/parse-actions.ts";
import { COUNTER, readTotals, type ThreadCounters } from "../src/datapath/counters.ts";
import { KeyExtractor } from "../src/flow/extract-key.ts";
import { FIELDS, type FieldName } from "../src/flow/fields.ts";
import { newKey, setOnes } from "../src/flow/key.ts";
import { Arena } from "../src/memory/arena.ts";
import { EpochWriter } from "../src/memory/epoch.ts";
import { FRAME_HEADROOM_BYTES, NO_FRAME as NONE } from "../src/memory/frame-layout.ts";
import { type FramePool, fillReserve } from "../src/memory/frame-pool.ts";
import type { Packets } from "../src/memory/packets.ts";
import { DEFAULT_SIZES, HUGE_PAGE_BYTES } from "../src/memory/region-plan.ts";
import { native, nativeUnavailable } from "../src/native.ts";
import { buildFrame, padFrame } from "../src/packet/builder.ts";
import { ethernet } from "../src/packet/builder-link.ts";
import { ipv4 } from "../src/packet/builder-network.ts";
import { udp } from "../src/packet/builder-transport.ts";
import { Pmd } from "../src/pmd/pmd.ts";
import { PORT_COUNTER } from "../src/port/counters.ts";
import type { QueueAttachment, QueueContext, QueueFactory, RxQueue, TxQueue } from "../src/port/port.ts";
import { PORT_UP, PortTable } from "../src/port/port-table.ts";
import { TableWriter } from "../src/table/table-writer.ts";

const FRAME_BYTES = 64;
// Module constants, because V8 folds them and loads an imported table anew each time.
const HEADROOM_BYTES = FRAME_HEADROOM_BYTES;
const NO_FRAME = NONE;
const { rx_packets: RX_PACKETS, rx_bytes: RX_BYTES } = PORT_COUNTER;
const TEMPLATE_STRIDE = 64;
const IN_PORT = 1;
const OUT_PORTS = [2, 3, 4];
/** Buffers between being freed and being used again: 16 MiB of them. */
const DELAY_FRAMES = 8192;
const LOOPS_PER_LOOK = 1000;
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

function frameOf(flow: number): Uint8Array {
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

/** Frames from memory, each copied into a fresh buffer. */
class MemoryRxQueue implements RxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly queue: number;
  readonly #context: QueueContext;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #templates: number;
  readonly #templateCount: number;
  #next = 0;

  constructor(context: QueueContext, { portNo, slot, queue, fields }: QueueAttachment) {
    this.portNo = portNo;
    this.slot = slot;
    this.queue = queue;
    this.#context = context;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#templates = fields["at"] as number;
    this.#templateCount = fields["count"] as number;
  }

  rxBurst(at: number, limit: number): number {
    const { arena, portCounters } = this.#context;
    const { i32, intrinsics } = arena;
    const packets = this.#packets;
    const templates = this.#templates;
    let next = this.#next;
    const count = this.#pool.takeBurst(at, limit);
    for (let index = 0; index < count; index += 1) {
      const frame = i32[at + index]!;
      packets.setSingle(frame, HEADROOM_BYTES, FRAME_BYTES);
      packets.setPortNo(frame, IN_PORT);
      intrinsics.copy(
        packets.frameStart(frame) + HEADROOM_BYTES,
        templates + next * TEMPLATE_STRIDE,
        FRAME_BYTES,
      );
      next = next + 1 === this.#templateCount ? 0 : next + 1;
    }
    this.#next = next;
    portCounters.add(RX_PACKETS, count);
    portCounters.add(RX_BYTES, count * FRAME_BYTES);
    return count;
  }

  close(): void {}
}

/** Counts, and frees the packet that came DELAY_FRAMES packets before. */
class DelayedTxQueue implements TxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly #pool: FramePool;
  readonly #counters: ThreadCounters;
  readonly #delay = new Uint32Array(DELAY_FRAMES).fill(NO_FRAME);
  #place = 0;
  #pending = 0;

  constructor(context: QueueContext, { portNo, slot }: QueueAttachment) {
    this.portNo = portNo;
    this.slot = slot;
    this.#pool = context.pool;
    this.#counters = context.counters;
  }

  put(frame: number): void {
    const oldest = this.#delay[this.#place]!;
    this.#delay[this.#place] = frame;
    this.#place = (this.#place + 1) & (DELAY_FRAMES - 1);
    this.#pending += 1;
    if (oldest !== NO_FRAME) this.#pool.freePacket(oldest);
  }

  flush(): void {
    if (this.#pending === 0) return;
    this.#counters.add(COUNTER.transmitted, this.#pending);
    this.#pending = 0;
  }

  close(): void {
    for (const frame of this.#delay) if (frame !== NO_FRAME) this.#pool.freePacket(frame);
    this.#delay.fill(NO_FRAME);
  }
}

const memoryQueues: QueueFactory = {
  type: "dummy",
  openRx: (context, attachment) => new MemoryRxQueue(context, attachment),
  openTx: (context, attachment) => new DelayedTxQueue(context, attachment),
};

interface Settings {
  readonly flowCount: number;
  readonly actions: string;
  readonly mask: Uint8Array;
}

function build({ flowCount, actions, mask }: Settings): { arena: Arena; pmd: Pmd } {
  const arena = Arena.create({ ...DEFAULT_SIZES, frameCount: 65536, kernelRingBytes: 64 << 20 });
  if (nativeUnavailable() === undefined) {
    native().pagesAdviseHuge(arena.u8, 0, arena.u8.length - (arena.u8.length % HUGE_PAGE_BYTES));
  }
  const epochs = new EpochWriter(arena);
  epochs.initialise();
  fillReserve(arena);
  const table = new TableWriter(arena, epochs);
  const extractor = new KeyExtractor(1);
  const at = arena.region("kernelRings").offset;
  for (let flow = 0; flow < flowCount; flow += 1) {
    const frame = frameOf(flow);
    arena.u8.set(frame, at + flow * TEMPLATE_STRIDE);
    const put = table.put({
      key: extractor.extract(frame, IN_PORT),
      mask,
      actions: parseActions(actions),
      create: true,
      modify: false,
      operator: true,
      nowMillis: 1,
    });
    if (put.error !== null) throw new Error(`bench: flow ${flow}: ${put.error}`);
  }
  shuffle(arena, at, flowCount);
  const pmd = new Pmd(arena, 0, { factories: new Map([["dummy", memoryQueues]]) });
  const ports = new PortTable(arena);
  for (const [slot, portNo] of [IN_PORT, ...OUT_PORTS].entries()) {
    ports.publish(slot, portNo, PORT_UP, LONGEST_PACKET_BYTES);
    if (slot > 0) pmd.attachTx({ type: "dummy", portNo, slot, queue: 0, fields: {} });
  }
  pmd.attachRx({ type: "dummy", portNo: IN_PORT, slot: 0, queue: 0, fields: { at, count: flowCount } });
  return { arena, pmd };
}

/** Flows stand in the table in the order of their making; packets must not come in that order. */
function shuffle(arena: Arena, at: number, count: number): void {
  let state = 1;
  for (let last = count - 1; last > 0; last -= 1) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    const other = state % (last + 1);
    const frame = arena.u8.slice(at + last * TEMPLATE_STRIDE, at + (last + 1) * TEMPLATE_STRIDE);
    arena.u8.copyWithin(
      at + last * TEMPLATE_STRIDE,
      at + other * TEMPLATE_STRIDE,
      at + (other + 1) * TEMPLATE_STRIDE,
    );
    arena.u8.set(frame, at + other * TEMPLATE_STRIDE);
  }
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
const mask = newKey();
const full = FIELDS.filter((field) => field.offset < 64 && field.name !== "dp_hash").map(
  (field) => field.name,
);
for (const name of values.mask === "full" ? full : TUPLE) setOnes(mask, name);
const { arena, pmd } = build({ flowCount: Number(values.flows), actions: values.actions, mask });
let best = Number.POSITIVE_INFINITY;
for (let count = Number(values.rounds); count > 0; count -= 1) {
  const { packets, nanosPerPacket } = round(pmd, Number(values.seconds) * 1000);
  console.log(`${packets} packets, ${nanosPerPacket.toFixed(1)} ns a packet`);
  best = Math.min(best, nanosPerPacket);
}
const { counters } = readTotals(arena);
if (counters.lookup_hit !== counters.received)
  throw new Error(`bench: ${counters.lookup_miss} packets missed`);
console.log(
  `best: ${best.toFixed(1)} ns a packet, ${(1e3 / best).toFixed(2)} Mpps; ${values.flows} flows, actions ${values.actions}`,
);
