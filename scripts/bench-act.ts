// Nanoseconds a packet that actions cost, compiled and by the reference, in one run by turns: bursts of 64 packets of 64
// bytes whose flows are known, from the action list to the list of outputs. What it costs to lay the packets anew is
// measured beside it and taken off.
//
//   node build/scripts/bench-act.js [--flows 64] [--rounds 301] [--bursts 100]
//
// Rounds are short, so that most of them are not interrupted. Each figure is the median of the rounds, with the first and
// the third quartile.
import { parseArgs } from "node:util";
import { BondReader } from "../src/action/bond-table.ts";
import { Meters } from "../src/action/meters.ts";
import { parseActions } from "../src/action/odp/parse-actions.ts";
import { emitAct } from "../src/compile/emit/act.ts";
import { EmitScope, threadAddresses } from "../src/compile/emit/scope.ts";
import { BatchExtractor } from "../src/datapath/batch-extractor.ts";
import { BatchStage } from "../src/datapath/batch-stage.ts";
import { ThreadCounters } from "../src/datapath/counters.ts";
import type { PacketSink } from "../src/datapath/engine.ts";
import { newKey, setNumber, setOnes } from "../src/flow/key.ts";
import type { Arena } from "../src/memory/arena.ts";
import { BatchColumns } from "../src/memory/batch-columns.ts";
import { BATCH_SIZE, NO_PORT } from "../src/memory/batch-layout.ts";
import { ENGINE } from "../src/memory/engine-layout.ts";
import { EpochWriter } from "../src/memory/epoch.ts";
import { FRAME_META_BYTES } from "../src/memory/frame-layout.ts";
import { FramePool, fillReserve } from "../src/memory/frame-pool.ts";
import { Packets } from "../src/memory/packets.ts";
import { buildFrame, padFrame } from "../src/packet/builder.ts";
import { ethernet, vlan } from "../src/packet/builder-link.ts";
import { ipv4 } from "../src/packet/builder-network.ts";
import { udp } from "../src/packet/builder-transport.ts";
import { readShapes } from "../src/table/shape-store.ts";
import { TableWriter } from "../src/table/table-writer.ts";
import { TunnelEngine } from "../src/tunnel/tunnel-engine.ts";
import { createBenchArena, mustPut } from "./bench-traffic.ts";

const FRAME_BYTES = 64;
const NOW_MILLIS = 1000;
const WARM_UP_BURSTS = 4000;

interface Scenario {
  readonly name: string;
  readonly frame: Uint8Array;
  readonly actions: (flow: number) => string;
}

const plain = padFrame(buildFrame([ethernet(), ipv4({ ttl: 64 }), udp({ src: 1, dst: 2 })]), FRAME_BYTES);
const tagged = padFrame(
  buildFrame([ethernet(), vlan({ vid: 5 }), ipv4({ ttl: 64 }), udp({ src: 1, dst: 2 })]),
  FRAME_BYTES,
);
const mac = (flow: number): string =>
  `02:00:00:00:${(flow >>> 8).toString(16).padStart(2, "0")}:${(flow & 255).toString(16).padStart(2, "0")}`;

const SCENARIOS: readonly Scenario[] = [
  { name: "output", frame: plain, actions: () => "2" },
  {
    name: "gateway: set MACs, set TTL, output",
    frame: plain,
    actions: (flow) => `set(eth(src=${mac(flow)},dst=${mac(flow + 1)})),set(ipv4(ttl=63)),2`,
  },
  {
    name: "gateway: set MACs, dec_ttl, output",
    frame: plain,
    actions: (flow) => `set(eth(src=${mac(flow)},dst=${mac(flow + 1)})),dec_ttl(le_1()),2`,
  },
  { name: "push_vlan, output", frame: plain, actions: (flow) => `push_vlan(vid=${flow & 4095},pcp=0),2` },
  { name: "pop_vlan, output", frame: tagged, actions: () => "pop_vlan,2" },
  { name: "two outputs", frame: plain, actions: () => "2,3" },
];

type Act = (batch: number, from: number, count: number, nowMillis: number) => number;

/** Takes what the reference sends as cheaply as can be: copies go back, the burst's own packets are laid anew. */
class Collector implements PacketSink {
  sent = 0;
  readonly #i32: Int32Array;
  readonly #pool: FramePool;
  readonly #own: ReadonlySet<number>;

  constructor(arena: Arena, pool: FramePool, own: ReadonlySet<number>) {
    this.#i32 = arena.i32;
    this.#pool = pool;
    this.#own = own;
  }

  output(_portNo: number, frame: number): void {
    this.sent += 1;
    if (!this.#own.has(frame)) this.#pool.free(frame);
  }
  outputRun({ frames, outPorts }: BatchColumns, from: number, to: number): number {
    for (let slot = from; slot < to; slot = (slot + 1) | 0) {
      if (this.#i32[(outPorts + slot) | 0] === (NO_PORT | 0)) return slot;
      this.#i32[(frames + slot) | 0] = -1;
      this.sent += 1;
    }
    return to;
  }
  outputList(from: number): number {
    return from;
  }
  drop(): void {}
  upcall(): void {}
}

class Rig {
  readonly #arena: Arena;
  readonly #columns: BatchColumns;
  readonly #stage: BatchStage;
  readonly #act: Act;
  readonly #scratch: number;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #frames: number[];
  readonly #own: ReadonlySet<number>;
  readonly #heads: number[];
  /** Of the burst's frames, and where they stand. */
  readonly #records: Uint8Array;
  readonly #recordsAt: number;
  readonly #frameColumn: Uint32Array;
  readonly #savedBytes: number;
  readonly #flowSets: Uint32Array[];
  readonly #now = new Float64Array([NOW_MILLIS]);
  #turn = 0;

  constructor({ frame, actions }: Scenario, flowCount: number) {
    const arena = createBenchArena(flowCount);
    this.#arena = arena;
    const epochs = new EpochWriter(arena);
    epochs.initialise();
    fillReserve(arena);
    const table = new TableWriter(arena, epochs);
    const pool = new FramePool(arena, 0);
    const packets = new Packets(arena, pool);
    this.#pool = pool;
    this.#packets = packets;
    this.#columns = new BatchColumns(arena, 0);
    this.#scratch = threadAddresses(arena, 0).scratch;
    const context = this.#context();
    this.#frames = Array.from({ length: BATCH_SIZE }, () => packets.fromBytes(frame, 1));
    this.#own = new Set(this.#frames);
    const misses = { orderedCount: 0, isBehindMiss: () => false, miss: () => {}, follow: () => {} };
    const output = new Collector(arena, pool, this.#own);
    const nothing = (): void => {};
    const none = { add: () => 0, addLines: nothing, flush: nothing, lend: nothing, takeBack: nothing };
    this.#stage = new BatchStage(context, { output, misses }, this.#columns, none, false);
    arena.u32.set(this.#frames, this.#columns.frames);
    new BatchExtractor({ ...context, columns: this.#columns }).extract(BATCH_SIZE, 1);
    this.#frameColumn = Uint32Array.from(this.#frames);
    this.#heads = this.#frames.map((index) => packets.head(index));
    // The frame behind the burst's own keeps the bytes.
    this.#savedBytes = packets.head(packets.fromBytes(frame, 1));
    // A bundle's frames stand side by side.
    this.#recordsAt = arena.region("frameMeta").offset + Math.min(...this.#frames) * FRAME_META_BYTES;
    this.#records = arena.u8.slice(this.#recordsAt, this.#recordsAt + BATCH_SIZE * FRAME_META_BYTES);
    const flowNos = Array.from({ length: flowCount }, (_, flow) => putFlow(table, flow, actions(flow)));
    this.#flowSets = Array.from({ length: Math.ceil(flowCount / BATCH_SIZE) }, (_, set) =>
      Uint32Array.from({ length: BATCH_SIZE }, (_, slot) => flowNos[(set * BATCH_SIZE + slot) % flowCount]!),
    );
    const frames = Array.from({ length: 200 }, () => pool.take());
    for (const taken of frames) pool.free(taken);
    this.#act = this.#compile();
  }

  #context(): ConstructorParameters<typeof BatchStage>[0] {
    const arena = this.#arena;
    return {
      arena,
      threadIndex: 0,
      pool: this.#pool,
      packets: this.#packets,
      counters: new ThreadCounters(arena, 0),
      vlanLimit: 1,
      now: this.#now,
      tunnels: new TunnelEngine(arena, 0, this.#pool, this.#packets, this.#now, () => undefined),
      bonds: new BondReader(arena, 0),
      meters: new Meters(arena, this.#now),
      programs: { current: null },
    };
  }

  #compile(): Act {
    const scope = new EmitScope(this.#arena, "bench-act");
    scope.module.exportFunction("act", emitAct(scope, readShapes(this.#arena)));
    const module = new WebAssembly.Module(scope.module.encode());
    return new WebAssembly.Instance(module, EmitScope.imports(this.#arena, 0)).exports["act"] as Act;
  }

  /** The packets as they came, and which flows they hit. */
  lay(): void {
    const { u8, u32, intrinsics } = this.#arena;
    u32.set(this.#frameColumn, this.#columns.frames);
    u8.set(this.#records, this.#recordsAt);
    u32.set(this.#flowSets[this.#turn]!, this.#columns.flows);
    this.#turn = (this.#turn + 1) % this.#flowSets.length;
    for (const head of this.#heads) intrinsics.copy(head, this.#savedBytes, FRAME_BYTES);
  }

  reference(): void {
    this.lay();
    this.#stage.actOnHits(BATCH_SIZE);
  }

  compiled(): void {
    this.lay();
    const stopped = this.#act(this.#columns.batch, 0, BATCH_SIZE, NOW_MILLIS);
    if (stopped !== BATCH_SIZE) throw new Error(`compiled code stopped at packet ${stopped}`);
    this.#takeOutputs();
  }

  #takeOutputs(): void {
    const { u32 } = this.#arena;
    const count = u32[(this.#scratch + ENGINE.outCount) >>> 2]!;
    u32[(this.#scratch + ENGINE.outCount) >>> 2] = 0;
    if (count === BATCH_SIZE) return;
    for (let index = 0; index < count; index += 1) {
      const frame = u32[((this.#scratch + ENGINE.outList) >>> 2) + index * 2]!;
      if (!this.#own.has(frame)) this.#pool.free(frame);
    }
  }
}

function putFlow(table: TableWriter, flow: number, actions: string): number {
  const key = newKey();
  const mask = newKey();
  setNumber(key, "in_port", 1 + flow);
  setOnes(mask, "in_port");
  const request = { key, mask, actions: parseActions(actions), nowMillis: 0 };
  return mustPut(table, { ...request, create: true, modify: true, operator: true });
}

function nanosPerPacket(burst: () => void, bursts: number): number {
  const start = process.hrtime.bigint();
  for (let turn = 0; turn < bursts; turn += 1) burst();
  return Number(process.hrtime.bigint() - start) / (bursts * BATCH_SIZE);
}

interface Figures {
  readonly median: number;
  readonly text: string;
}

function figures(rounds: readonly number[]): Figures {
  const sorted = [...rounds].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)]!;
  const [first, third] = [1, 3].map((quarter) => sorted[Math.floor((sorted.length * quarter) / 4)]!);
  return { median, text: `${median.toFixed(1)} (${first!.toFixed(1)} to ${third!.toFixed(1)})` };
}

const { values } = parseArgs({
  options: {
    flows: { type: "string", default: "64" },
    rounds: { type: "string", default: "301" },
    bursts: { type: "string", default: "100" },
  },
});
const bursts = Number(values.bursts);
for (const scenario of SCENARIOS) {
  const rig = new Rig(scenario, Number(values.flows));
  const arms = [() => rig.lay(), () => rig.reference(), () => rig.compiled()];
  for (const arm of arms) nanosPerPacket(arm, WARM_UP_BURSTS);
  const rounds = arms.map((): number[] => []);
  for (let round = 0; round < Number(values.rounds); round += 1)
    for (const [index, arm] of arms.entries()) rounds[index]!.push(nanosPerPacket(arm, bursts));
  const [reference, compiled] = [rounds[1]!, rounds[2]!].map((all) =>
    figures(all.map((nanos, round) => nanos - rounds[0]![round]!)),
  );
  const ratio = (reference!.median / compiled!.median).toFixed(1);
  console.log(
    `${scenario.name}: reference ${reference!.text}, compiled ${compiled!.text} ns, ratio ${ratio}`,
  );
}
