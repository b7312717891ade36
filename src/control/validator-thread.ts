// Control's side of validation: a thread for each program that is checked, because a check takes some hundred milliseconds
// and touches some megabytes, which end with it. A program that never returns ends with it too.
import { randomInt } from "node:crypto";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { ProgramSource } from "../compile/program-module.ts";
import type { ValidationInput, Verdict } from "../compile/validate/validator.ts";
import type { Arena } from "../memory/arena.ts";
import { GLOBAL } from "../memory/thread-block.ts";
import type { ProgramValidator } from "./programs.ts";

const VALIDATOR_FILE = fileURLToPath(new URL("../../workers/validator.js", import.meta.url));
/** A check of 128 masks takes seconds on a machine that is busy; one that takes longer than this does not return. */
const CHECK_MILLIS_MAX = 120_000;
const SEED_MAX = 0x7fffffff;

export class ValidatorThread implements ProgramValidator {
  readonly #arena: Arena;
  #worker: Worker | null = null;

  /** @param arena of the switch: programs are bound to its layout and its hash seed */
  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** One at a time. @throws Error when the thread ended without a verdict, as when it is stopped */
  async check(module: WebAssembly.Module, source: ProgramSource): Promise<Verdict> {
    const arena = this.#arena;
    const input: ValidationInput = {
      module,
      source,
      sizes: arena.plan.sizes,
      hashSeed: arena.u32[(arena.region("globals").offset + GLOBAL.hashSeed) >>> 2]!,
      seed: randomInt(SEED_MAX),
    };
    const worker = new Worker(VALIDATOR_FILE, { workerData: input });
    this.#worker = worker;
    const timer = setTimeout(() => void worker.terminate(), CHECK_MILLIS_MAX);
    try {
      return await verdictOf(worker, input.seed);
    } finally {
      clearTimeout(timer);
      this.#worker = null;
    }
  }

  async stop(): Promise<void> {
    await this.#worker?.terminate();
  }
}

/** Comes with the thread's end, so that nothing of it is left when it is known. */
function verdictOf(worker: Worker, seed: number): Promise<Verdict> {
  return new Promise((resolve, reject) => {
    let verdict: Verdict | null = null;
    worker.on("message", (message: Verdict) => {
      verdict = message;
    });
    worker.on("error", reject);
    worker.on("exit", () => {
      if (verdict !== null) resolve(verdict);
      else
        reject(
          new Error(
            `validation with seed ${seed} was stopped, or took over ${CHECK_MILLIS_MAX / 1000} seconds`,
          ),
        );
    });
  });
}
