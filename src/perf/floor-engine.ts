// What receiving and sending cost alone: an engine that looks nothing up and sends every packet out of one port.
//
// Per packet: an entry of the thread's list of outputs. Memory: that list, the batch's `frame` column. Counters: none.
import type { Engine } from "../datapath/engine.ts";
import type { ProgramSlot } from "../datapath/program.ts";
import type { Arena } from "../memory/arena.ts";
import { BATCH, BATCH_BYTES } from "../memory/batch-layout.ts";
import { ENGINE, ENGINE_SCRATCH_BYTES, OUT_ENTRY, OUT_ENTRY_BYTES } from "../memory/engine-layout.ts";
import type { Output } from "../pmd/output.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const OUT_WORDS = OUT_ENTRY_BYTES / 4;
const OUT_FRAME = OUT_ENTRY.frame / 4;
const OUT_PORT = OUT_ENTRY.portNo / 4;
/** NO_FRAME as the signed view shows it. */
const FRAME_GONE = -1;

export interface FloorOptions {
  readonly output: Output;
  /** The program in force transmits; without one JavaScript does. */
  readonly programs: ProgramSlot;
  readonly outPortNo: number;
}

export class FloorEngine implements Engine {
  readonly #i32: Int32Array;
  readonly #output: Output;
  readonly #programs: ProgramSlot;
  readonly #outPortNo: number;
  readonly #frames: number;
  readonly #outCount: number;
  readonly #outList: number;

  constructor(arena: Arena, threadIndex: number, { output, programs, outPortNo }: FloorOptions) {
    const scratch = arena.region("engineScratch").offset + threadIndex * ENGINE_SCRATCH_BYTES;
    this.#i32 = arena.i32;
    this.#output = output;
    this.#programs = programs;
    this.#outPortNo = outPortNo;
    this.#frames = (arena.region("batches").offset + threadIndex * BATCH_BYTES + BATCH.frame) >>> 2;
    this.#outCount = (scratch + ENGINE.outCount) >>> 2;
    this.#outList = (scratch + ENGINE.outList) >>> 2;
  }

  process(count: number): void {
    const i32 = this.#i32;
    const portNo = this.#outPortNo;
    const frames = this.#frames;
    let entry = this.#outList;
    for (let slot = 0; slot < count; slot = (slot + 1) | 0) {
      i32[entry + OUT_FRAME] = i32[frames + slot]!;
      i32[entry + OUT_PORT] = portNo;
      i32[frames + slot] = FRAME_GONE;
      entry = (entry + OUT_WORDS) | 0;
    }
    i32[this.#outCount] = count;
    const program = this.#programs.current;
    if (program !== null) {
      for (let at = program.transmit(0); at >= 0; ) at = program.transmit(this.#output.outputList(at));
      return;
    }
    for (let at = 0; at < count; ) at = this.#output.outputList(at);
    i32[this.#outCount] = 0;
  }

  processReinjected(): void {
    throw new Error("floor: nothing goes up, and something came back");
  }

  execute(): void {
    throw new Error("floor: nothing goes up, and something came back");
  }
}
