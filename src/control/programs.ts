// Programs while the switch runs: asks the policy now and then, compiles beside everything else and hands modules to the
// workers, which take them over between two bursts. Compiling runs on V8's own threads; encoding takes this thread some
// microseconds for each mask and shape.

import { ProgramPolicy } from "../compile/policy.ts";
import { encodeProgram, type ProgramSource } from "../compile/program-module.ts";
import type { Arena } from "../memory/arena.ts";

/** How soon after a change of the table its program is asked for. */
const LOOK_MILLIS = 100;
/** The least time between two programs: a table that is being filled is compiled when it has taken shape. */
const PAUSE_MILLIS = 1000;

/** What is told of programs. */
export interface ProgramFigures {
  /** Programs handed to the workers. */
  readonly count: number;
  /** Of the one in force. */
  readonly masks: number;
  readonly shapes: number;
  readonly moduleBytes: number;
  readonly encodeMillis: number;
  readonly compileMillis: number;
}

export interface ProgramsContext {
  readonly arena: Arena;
  readonly vlanLimit: number;
  readonly debugLedger: boolean;
  /** Gives the module to every worker, and to those that start later. */
  readonly publish: (module: WebAssembly.Module) => void;
  readonly log: (level: "info" | "warn", message: string) => void;
}

export class Programs {
  readonly #context: ProgramsContext;
  readonly #policy: ProgramPolicy;
  #timer: NodeJS.Timeout | undefined;
  #figures: ProgramFigures | null = null;
  #lastMillis = Number.NEGATIVE_INFINITY;
  #isCompiling = false;

  constructor(context: ProgramsContext) {
    this.#context = context;
    this.#policy = new ProgramPolicy(context.arena, context.vlanLimit, context.debugLedger);
  }

  /** Null before the first program. */
  get figures(): ProgramFigures | null {
    return this.#figures;
  }

  /** Publishes the first program, then watches the table. @throws WebAssembly.CompileError when V8 refuses the module */
  async start(): Promise<void> {
    await this.#look();
    this.#timer = setInterval(() => void this.#lookAgain(), LOOK_MILLIS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #lookAgain(): Promise<void> {
    if (this.#isCompiling || performance.now() - this.#lastMillis < PAUSE_MILLIS) return;
    try {
      await this.#look();
    } catch (error) {
      // The program in force goes on; what it does not know its general parts serve.
      this.#context.log("warn", `no new program: ${(error as Error).message}`);
    }
  }

  async #look(): Promise<void> {
    const source = this.#policy.next();
    if (source === null) return;
    this.#isCompiling = true;
    try {
      await this.#compile(source);
    } finally {
      this.#isCompiling = false;
      this.#lastMillis = performance.now();
    }
  }

  async #compile(source: ProgramSource): Promise<void> {
    const { arena, publish, log } = this.#context;
    const start = performance.now();
    const bytes = encodeProgram(arena, source);
    const encodeMillis = performance.now() - start;
    const module = await WebAssembly.compile(bytes);
    const compileMillis = performance.now() - start - encodeMillis;
    publish(module);
    this.#figures = {
      count: (this.#figures?.count ?? 0) + 1,
      masks: source.masks.length,
      shapes: source.shapes.length,
      moduleBytes: bytes.length,
      encodeMillis,
      compileMillis,
    };
    log(
      "info",
      `program ${this.#figures.count}: ${source.masks.length} masks, ${source.shapes.length} action shapes, ` +
        `${bytes.length} bytes, compiled in ${compileMillis.toFixed(1)} ms`,
    );
  }
}
