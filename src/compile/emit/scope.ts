// What every emitter writes into: one module over one arena. Regions are constants of the code, because all threads have
// the same arena; what differs from thread to thread is an imported global, so that one module serves all workers.
import type { Arena } from "../../memory/arena.ts";
import { ENGINE_SCRATCH_BYTES, FLOW_CACHE_BYTES, TX_ROUTE_BYTES } from "../../memory/engine-layout.ts";
import { FRAME_STACK_CAPACITY } from "../../memory/frame-layout.ts";
import { ownerWord } from "../../memory/frame-ledger.ts";
import { PORT_COUNTER_BYTES, THREAD_BLOCK_BYTES } from "../../memory/region-plan.ts";
import { THREAD } from "../../memory/thread-block.ts";
import { subtableHitsOffset, workerStatsOffset } from "../../table/layout.ts";
import { unsignedLeb } from "../encoder/byte-writer.ts";
import { ModuleBuilder } from "../encoder/module.ts";
import { expression, type I32 } from "../ops/expression.ts";

/** Byte addresses of what one thread alone writes. */
export interface ThreadAddresses {
  /** The thread's block (memory/thread-block.ts). */
  readonly threadBlock: number;
  readonly frameStack: number;
  /** The word that counts the frames on it. */
  readonly frameStackCount: number;
  /** memory/engine-layout.ts, ENGINE. */
  readonly scratch: number;
  /** memory/engine-layout.ts, FLOW_CACHE_SET. */
  readonly flowCache: number;
  /** memory/engine-layout.ts, TX_ROUTE: one for each port slot. */
  readonly txRoutes: number;
  /** Sixteen 64-bit counters for each port slot (port/counters.ts). */
  readonly portCounters: number;
  /** Hits and probes of each subtable, f64 both. */
  readonly subtableHits: number;
  /** Statistics of each flow; 0 in threads that are no workers. */
  readonly flowStats: number;
  /** Words of the debug ledger (memory/frame-ledger.ts): frames on this thread's stack, and in its hand. */
  readonly stackOwner: number;
  readonly heldOwner: number;
}

const GLOBAL_NAMES = [
  "threadBlock",
  "frameStack",
  "frameStackCount",
  "scratch",
  "flowCache",
  "txRoutes",
  "portCounters",
  "subtableHits",
  "flowStats",
  "stackOwner",
  "heldOwner",
] as const satisfies readonly (keyof ThreadAddresses)[];

export function threadAddresses(arena: Arena, threadIndex: number): ThreadAddresses {
  const threadBlock = arena.region("threads").offset + threadIndex * THREAD_BLOCK_BYTES;
  const { portCountMax, workerCount } = arena.plan.sizes;
  return {
    threadBlock,
    frameStack: arena.region("frameStacks").offset + threadIndex * FRAME_STACK_CAPACITY * 4,
    frameStackCount: threadBlock + THREAD.frameStackCount,
    scratch: arena.region("engineScratch").offset + threadIndex * ENGINE_SCRATCH_BYTES,
    flowCache: arena.region("flowCaches").offset + threadIndex * FLOW_CACHE_BYTES,
    txRoutes: arena.region("txRoutes").offset + threadIndex * portCountMax * TX_ROUTE_BYTES,
    portCounters: arena.region("portCounters").offset + threadIndex * portCountMax * PORT_COUNTER_BYTES,
    subtableHits: subtableHitsOffset(arena, threadIndex, 0),
    flowStats: threadIndex < workerCount ? workerStatsOffset(arena, threadIndex) : 0,
    stackOwner: ownerWord("stack", threadIndex),
    heldOwner: ownerWord("held", threadIndex),
  };
}

const OP_GLOBAL_GET = 0x23;
const WASM_PAGE_BYTES = 65536;

export class EmitScope {
  readonly module: ModuleBuilder;
  /** Whether code that moves frames writes their owners into the debug ledger. */
  readonly keepsLedger: boolean;
  readonly #arena: Arena;
  readonly thread: Readonly<Record<keyof ThreadAddresses, I32>>;

  constructor(arena: Arena, name: string, keepsLedger = false) {
    this.#arena = arena;
    this.keepsLedger = keepsLedger;
    this.module = new ModuleBuilder(name);
    const pages = Math.ceil(arena.plan.bytes / WASM_PAGE_BYTES);
    this.module.importMemory("env", "memory", { initial: pages, maximum: pages });
    this.thread = Object.fromEntries(
      GLOBAL_NAMES.map((global) => {
        const index = this.module.importGlobal("thread", global, "i32");
        return [global, expression("i32", [OP_GLOBAL_GET, ...unsignedLeb(index)])];
      }),
    ) as Record<keyof ThreadAddresses, I32>;
  }

  get arena(): Arena {
    return this.#arena;
  }

  /** Byte offset of a region: what a load's static offset takes. */
  region(name: string): number {
    return this.#arena.region(name).offset;
  }

  /** What the module is instantiated with in one thread. */
  static imports(arena: Arena, threadIndex: number): WebAssembly.Imports {
    const thread = Object.entries(threadAddresses(arena, threadIndex)).map(
      ([name, value]) => [name, value | 0] as const,
    );
    return { env: { memory: arena.memory }, thread: Object.fromEntries(thread) };
  }
}
