// Nanoseconds a packet through ports alone, without a look-up: a burst received from memory, every packet put on the
// list of outputs, the list transmitted, the port flushed. Compiled code and the queues in JavaScript take turns.
//
//   node build/scripts/bench-ports.js [--frames 1000] [--bytes 64] [--millis 300] [--rounds 7]
//
// Time is the CPU's, not the clock's: on a busy machine the clock measures the others too.
import { parseArgs } from "node:util";
import { emitMemoryRx } from "../src/compile/emit/memory-rx.ts";
import { EmitScope } from "../src/compile/emit/scope.ts";
import { emitTransmit } from "../src/compile/emit/transmit.ts";
import type { FunctionEntry } from "../src/compile/encoder/module.ts";
import { brIf, loop } from "../src/compile/ops/control.ts";
import { emitFunction } from "../src/compile/ops/function.ts";
import { i32Memory } from "../src/compile/ops/memory.ts";
import { i32 } from "../src/compile/ops/numeric.ts";
import { ThreadCounters } from "../src/datapath/counters.ts";
import type { Arena } from "../src/memory/arena.ts";
import { BATCH_SIZE } from "../src/memory/batch-layout.ts";
import { ENGINE, OUT_ENTRY, OUT_ENTRY_BYTES } from "../src/memory/engine-layout.ts";
import { FramePool, fillReserve } from "../src/memory/frame-pool.ts";
import { Packets } from "../src/memory/packets.ts";
import { PORT_UP } from "../src/memory/port-layout.ts";
import { padFrame } from "../src/packet/builder.ts";
import { memoryQueues } from "../src/perf/memory-port.ts";
import { MemoryTraffic } from "../src/perf/memory-traffic.ts";
import { Output } from "../src/pmd/output.ts";
import { UpcallSender } from "../src/pmd/upcall-sender.ts";
import { PortCounters } from "../src/port/counters.ts";
import type { QueueContext, RxQueue } from "../src/port/port.ts";
import { PortTable } from "../src/port/port-table.ts";
import { TunnelEngine } from "../src/tunnel/tunnel-engine.ts";
import { createBenchArena, frameOf, IN_PORT } from "./bench-traffic.ts";

const OUT_PORT = 2;
const LOOPS_PER_LOOK = 1000;

interface Rings {
  readonly arena: Arena;
  readonly output: Output;
  readonly rx: RxQueue;
}

function openPorts(frames: readonly Uint8Array[]): Rings {
  const arena = createBenchArena(1);
  fillReserve(arena);
  const pool = new FramePool(arena, 0);
  const packets = new Packets(arena, pool);
  const counters = new ThreadCounters(arena, 0);
  const now = new Float64Array(1);
  const tunnels = new TunnelEngine(arena, 0, pool, packets, now, () => undefined);
  const upcalls = new UpcallSender({ arena, threadIndex: 0, pool, packets, counters, now, tunnels });
  const output = new Output({ arena, threadIndex: 0, pool, packets, counters, upcalls });
  const queues = memoryQueues(new MemoryTraffic(frames, null));
  const context = (slot: number): QueueContext => ({
    arena,
    threadIndex: 0,
    pool,
    packets,
    portCounters: new PortCounters(arena, 0, slot),
    counters,
    tunnels,
    forward: () => undefined,
  });
  const fields = { memory: arena.region("kernelRings").offset };
  const ports = new PortTable(arena);
  ports.publish(0, IN_PORT, PORT_UP, 9022);
  ports.publish(1, OUT_PORT, PORT_UP, 9022);
  output.setRoute(
    1,
    queues.openTx(context(1), { type: "null", portNo: OUT_PORT, slot: 1, queue: 0, fields }),
  );
  const rx = queues.openRx(context(0), { type: "null", portNo: IN_PORT, slot: 0, queue: 0, fields });
  return { arena, output, rx };
}

/** `forward(frames, count)`: every packet of the burst goes on the list, to OUT_PORT. */
const emitForward = ({ module, thread }: EmitScope): FunctionEntry =>
  emitFunction(
    module,
    "forward",
    { frames: "i32", count: "i32" },
    [],
    ({ params: { frames, count }, locals }) => {
      const end = locals.i32("end");
      const entry = locals.i32("entry");
      return [
        i32Memory.store(thread.scratch, count.get, ENGINE.outCount),
        end.set(i32.add(frames.get, i32.shl(count.get, i32.const(2)))),
        entry.set(thread.scratch),
        loop("each", (next) => [
          i32Memory.store(entry.get, i32Memory.load(frames.get), ENGINE.outList + OUT_ENTRY.frame),
          i32Memory.store(entry.get, i32.const(OUT_PORT), ENGINE.outList + OUT_ENTRY.portNo),
          entry.set(i32.add(entry.get, i32.const(OUT_ENTRY_BYTES))),
          brIf(next, i32.ne(frames.tee(i32.add(frames.get, i32.const(4))), end.get)),
        ]),
      ];
    },
  );

interface PortCode {
  memory_rx(parameters: number, frames: number, limit: number): number;
  forward(frames: number, count: number): void;
  transmit(from: number): number;
}

function compile(arena: Arena): PortCode {
  const scope = new EmitScope(arena, "ports");
  for (const entry of [emitMemoryRx(scope), emitForward(scope), emitTransmit(scope)])
    scope.module.exportFunction(entry.name, entry);
  const instance = new WebAssembly.Instance(
    new WebAssembly.Module(scope.module.encode()),
    EmitScope.imports(arena, 0),
  );
  return { ...(instance.exports as unknown as PortCode) };
}

/** A burst through compiled code; JavaScript where it asks for it. */
function compiledBurst({ arena, output, rx }: Rings): () => number {
  const code = compile(arena);
  const frames = arena.region("batches").offset;
  const { parameters } = rx.compiledRx!;
  return () => {
    let count = code.memory_rx(parameters, frames, BATCH_SIZE);
    if (count === -1) count = rx.rxBurst(frames >>> 2, BATCH_SIZE);
    code.forward(frames, count);
    for (let at = code.transmit(0); at !== -1; at = code.transmit(output.outputList(at)));
    output.flush();
    return count;
  };
}

function javascriptBurst({ arena, output, rx }: Rings): () => number {
  const frames = arena.region("batches").offset >>> 2;
  return () => {
    const count = rx.rxBurst(frames, BATCH_SIZE);
    for (let slot = 0; slot < count; slot += 1) output.output(OUT_PORT, arena.u32[frames + slot]!);
    output.flush();
    return count;
  };
}

function cpuMillis(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function measure(burst: () => number, millis: number): number {
  const start = cpuMillis();
  let packets = 0;
  let elapsed = 0;
  while (elapsed < millis) {
    for (let loops = 0; loops < LOOPS_PER_LOOK; loops += 1) packets += burst();
    elapsed = cpuMillis() - start;
  }
  return (elapsed * 1e6) / packets;
}

const { values } = parseArgs({
  options: {
    frames: { type: "string", default: "1000" },
    bytes: { type: "string", default: "64" },
    millis: { type: "string", default: "300" },
    rounds: { type: "string", default: "7" },
  },
});
const frames = Array.from({ length: Number(values.frames) }, (_, flow) =>
  padFrame(frameOf(flow), Number(values.bytes)),
);
const contestants = [
  { name: "compiled", burst: compiledBurst(openPorts(frames)), nanos: [] as number[] },
  { name: "JavaScript", burst: javascriptBurst(openPorts(frames)), nanos: [] as number[] },
];
// Once more than asked for: the first round warms up.
for (let round = 0; round <= Number(values.rounds); round += 1) {
  for (const { burst, nanos } of contestants) {
    const nanosPerPacket = measure(burst, Number(values.millis));
    if (round > 0) nanos.push(nanosPerPacket);
  }
}
for (const { name, nanos } of contestants) {
  const sorted = nanos.toSorted((a, b) => a - b);
  console.log(
    `${name}: median ${sorted[sorted.length >>> 1]!.toFixed(2)} ns a packet ` +
      `(${sorted[0]!.toFixed(2)} to ${sorted.at(-1)!.toFixed(2)}), ${values.frames} frames of ${values.bytes} bytes`,
  );
}
