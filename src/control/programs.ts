// Programs while the switch runs: asks the policy now and then, compiles beside everything else, has the program held
// against the reference and hands its module to the workers, which take it over between two bursts. Compiling runs on V8's
// own threads, validation on one of its own; encoding takes this thread some microseconds for each mask and shape.
//
// Until there is a program the reference forwards; a program that is refused is not used, and the one before goes on.

import { printActions } from "../action/odp/print-actions.ts";
import { ProgramPolicy } from "../compile/policy.ts";
import { encodeProgram, type ProgramSource } from "../compile/program-module.ts";
import { formatDifference } from "../compile/validate/difference.ts";
import type { Verdict } from "../compile/validate/validator.ts";
import type { Arena } from "../memory/arena.ts";

/** How soon after a change of the table its program is asked for. */
const LOOK_MILLIS = 100;
/** The least time between two programs: a table that is being filled is compiled when it has taken shape. */
const PAUSE_MILLIS = 1000;

/** What is told of programs. */
export interface ProgramFigures {
  /** Programs handed to the workers. */
  readonly count: number;
  /** Programs that did not do as the reference does, and were not used. */
  readonly refused: number;
  /** Of the one in force. */
  readonly masks: number;
  readonly shapes: number;
  readonly moduleBytes: number;
  readonly encodeMillis: number;
  readonly compileMillis: number;
  readonly validateMillis: number;
}

/** Holds programs against the reference (validator-thread.ts). */
export interface ProgramValidator {
  check(module: WebAssembly.Module, source: ProgramSource): Promise<Verdict>;
  stop(): Promise<void>;
}

export interface ProgramsContext {
  readonly arena: Arena;
  readonly vlanLimit: number;
  readonly debugLedger: boolean;
  /** Gives the module to every worker, and to those that start later. */
  readonly publish: (module: WebAssembly.Module) => void;
  readonly validator: ProgramValidator;
  readonly log: (level: "info" | "warn", message: string) => void;
  /** Absent: encodeProgram. Tests plant faults here. */
  readonly encode?: (arena: Arena, source: ProgramSource) => Uint8Array<ArrayBuffer>;
}

export class Programs {
  readonly #context: ProgramsContext;
  readonly #policy: ProgramPolicy;
  #timer: NodeJS.Timeout | undefined;
  #figures: ProgramFigures | null = null;
  #lastMillis = Number.NEGATIVE_INFINITY;
  #isCompiling = false;
  #looking: Promise<void> = Promise.resolve();
  #isStopped = false;
  #refused = 0;

  constructor(context: ProgramsContext) {
    this.#context = context;
    this.#policy = new ProgramPolicy(context.arena, context.vlanLimit, context.debugLedger);
  }

  /** Null before the first program. */
  get figures(): ProgramFigures | null {
    return this.#figures;
  }

  /** Programs that were not used because they did not do as the reference does. */
  get refused(): number {
    return this.#refused;
  }

  /** Watches the table; the first program is on its way when this returns. */
  start(): void {
    const look = (): void => {
      if (!this.#isCompiling && performance.now() - this.#lastMillis >= PAUSE_MILLIS)
        this.#looking = this.#lookAgain();
    };
    look();
    this.#timer = setInterval(look, LOOK_MILLIS);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#context.validator.stop();
    await this.#looking;
  }

  async #lookAgain(): Promise<void> {
    try {
      await this.#look();
    } catch (error) {
      // The program in force goes on; what it does not know its general parts serve.
      if (!this.#isStopped) this.#context.log("warn", `no new program: ${(error as Error).message}`);
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
    const { arena, publish, log, validator, encode = encodeProgram } = this.#context;
    const start = performance.now();
    const bytes = encode(arena, source);
    const encodeMillis = performance.now() - start;
    const module = await WebAssembly.compile(bytes);
    if (this.#isStopped) return;
    const compileMillis = performance.now() - start - encodeMillis;
    const verdict = await validator.check(module, source);
    if (this.#isStopped) return;
    if (verdict.difference !== null) {
      this.#refuse(source, verdict);
      return;
    }
    publish(module);
    this.#figures = {
      count: (this.#figures?.count ?? 0) + 1,
      masks: source.masks.length,
      shapes: source.shapes.length,
      moduleBytes: bytes.length,
      encodeMillis,
      compileMillis,
      refused: this.#refused,
      validateMillis: verdict.millis,
    };
    log(
      "info",
      `program ${this.#figures.count}: ${source.masks.length} masks, ${source.shapes.length} action shapes, ` +
        `${bytes.length} bytes, compiled in ${compileMillis.toFixed(1)} ms, ` +
        `held against the reference with ${verdict.packetCount} packets and ${verdict.keyCount} keys`,
    );
  }

  /** Said whole, because what is wrong with a compiler shows once and is to be repeated from the log. */
  #refuse({ masks, shapes }: ProgramSource, { difference, seed }: Verdict): void {
    this.#refused += 1;
    this.#context.log(
      "warn",
      [
        `program refused, it does not do as the reference does (validation seed ${seed}); the one in force goes on`,
        ...formatDifference(difference!),
        `  masks: ${masks.map(({ number, name }) => `${number} ${name}`).join(", ")}`,
        `  action shapes: ${shapes.map(({ number, example }) => `${number} ${printActions(example)}`).join("; ")}`,
      ].join("\n"),
    );
  }
}
