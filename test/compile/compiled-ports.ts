// A worker's Output over ports of several kinds, with the compiled transmit and receive functions instantiated over the
// same arena: what the tests of this folder hold against the queues in JavaScript.
import { EmitScope } from "../../src/compile/emit/scope.ts";
import type { FunctionEntry } from "../../src/compile/encoder/module.ts";
import { ThreadCounters } from "../../src/datapath/counters.ts";
import { Arena } from "../../src/memory/arena.ts";
import { ENGINE, ENGINE_SCRATCH_BYTES, OUT_ENTRY_BYTES } from "../../src/memory/engine-layout.ts";
import { FramePool, fillReserve } from "../../src/memory/frame-pool.ts";
import { Packets } from "../../src/memory/packets.ts";
import { DEFAULT_SIZES } from "../../src/memory/region-plan.ts";
import { Output } from "../../src/pmd/output.ts";
import { UpcallSender } from "../../src/pmd/upcall-sender.ts";
import { PortCounters } from "../../src/port/counters.ts";
import type { QueueContext, TxQueue } from "../../src/port/port.ts";
import { PortTable } from "../../src/port/port-table.ts";
import { TunnelEngine } from "../../src/tunnel/tunnel-engine.ts";

const THREAD = 0;

export type Exports = Readonly<Record<string, (...args: number[]) => number>>;

/** The functions that `emit` adds to a module, over the arena. */
export function instantiate(arena: Arena, emit: (scope: EmitScope) => readonly FunctionEntry[]): Exports {
  const scope = new EmitScope(arena, "test");
  for (const entry of emit(scope)) scope.module.exportFunction(entry.name, entry);
  const module = new WebAssembly.Module(scope.module.encode());
  return new WebAssembly.Instance(module, EmitScope.imports(arena, THREAD)).exports as Exports;
}

export class CompiledPorts {
  readonly arena: Arena;
  readonly pool: FramePool;
  readonly packets: Packets;
  readonly output: Output;
  readonly ports: PortTable;
  readonly #tunnels: TunnelEngine;

  constructor(frameCount = 16384) {
    this.arena = Arena.create({
      ...DEFAULT_SIZES,
      frameCount,
      flowCountMax: 64,
      maskCountMax: 16,
      portCountMax: 32,
      upcallRingBytes: 1 << 17,
      kernelRingBytes: 4 << 20,
    });
    fillReserve(this.arena);
    const { arena } = this;
    this.pool = new FramePool(arena, THREAD);
    this.packets = new Packets(arena, this.pool);
    this.ports = new PortTable(arena);
    const { pool, packets } = this;
    const counters = new ThreadCounters(arena, THREAD);
    const now = new Float64Array(1);
    const tunnels = new TunnelEngine(arena, THREAD, pool, packets, now, () => undefined);
    const threadIndex = THREAD;
    const upcalls = new UpcallSender({ arena, threadIndex, pool, packets, counters, now, tunnels });
    this.output = new Output({ arena, threadIndex, pool, packets, counters, upcalls });
    this.#tunnels = tunnels;
  }

  context(slot: number): QueueContext {
    const { arena, pool, packets } = this;
    return {
      arena,
      threadIndex: THREAD,
      pool,
      packets,
      portCounters: new PortCounters(arena, THREAD, slot),
      counters: new ThreadCounters(arena, THREAD),
      tunnels: this.#tunnels,
      forward: (portNo, frame) => this.output.output(portNo, frame),
    };
  }

  addPort(portNo: number, slot: number, flags: number, packetBytesMax: number, queue?: TxQueue): void {
    this.ports.publish(slot, portNo, flags, packetBytesMax);
    if (queue !== undefined) this.output.setRoute(slot, queue);
  }

  /** Appends to the engine's list of outputs. */
  list(portNo: number, frame: number): void {
    const { i32 } = this.arena;
    const scratch = this.arena.region("engineScratch").offset + THREAD * ENGINE_SCRATCH_BYTES;
    const count = i32[(scratch + ENGINE.outCount) >>> 2]!;
    i32[(scratch + ENGINE.outList + count * OUT_ENTRY_BYTES) >>> 2] = frame;
    i32[(scratch + ENGINE.outList + count * OUT_ENTRY_BYTES + 4) >>> 2] = portNo;
    i32[(scratch + ENGINE.outCount) >>> 2] = count + 1;
  }
}
