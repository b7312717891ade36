// The life of a worker thread: waits for its first queues, loops until the stop word is set, lets what is in flight
// arrive, and gives everything back. Words: writes state and commandDone, reads stop and commandEpoch of its own block.
//
// Per loop: one ordered load (commandEpoch), one plain one (stop), Pmd.iterate().
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { Arena } from "../memory/arena.ts";
import { THREAD_BLOCK_BYTES } from "../memory/region-plan.ts";
import { THREAD, THREAD_STATE } from "../memory/thread-block.ts";
import { type CommandFailure, carryOut, type Fault, type PmdCommand } from "./commands.ts";
import type { Pmd } from "./pmd.ts";
import { SleepPolicy } from "./sleep.ts";

/** How long a stopping worker waits for the handler's answers: stopping takes less than a second altogether. */
const DRAIN_MILLIS = 400;
/** Loops without packets after which a drained worker takes its rings for empty. */
const DRAIN_QUIET_LOOPS = 64;
/** A thread that waits for its first queues shows a sign of life so often. */
const START_WAIT_MILLIS = 20;

export interface LoopOptions {
  readonly sleepMicrosMax: number;
  /** Carries `fault` commands out. */
  readonly faults: boolean;
}

export class PmdLoop {
  readonly #arena: Arena;
  readonly #pmd: Pmd;
  readonly #port: MessagePort;
  readonly #faults: boolean;
  readonly #sleep: SleepPolicy;
  readonly #block: number;
  #commandDone: number;
  #isStarted = false;

  constructor(arena: Arena, pmd: Pmd, port: MessagePort, options: LoopOptions) {
    this.#arena = arena;
    this.#pmd = pmd;
    this.#port = port;
    this.#faults = options.faults;
    this.#sleep = new SleepPolicy(arena, pmd, options.sleepMicrosMax);
    this.#block = arena.region("threads").offset + pmd.threadIndex * THREAD_BLOCK_BYTES;
    this.#commandDone = arena.i32[(this.#block + THREAD.commandDone) >>> 2]!;
  }

  /** Returns when the worker was stopped and everything given back. @throws whatever ended the loop otherwise */
  run(): void {
    this.#setState(THREAD_STATE.running);
    try {
      this.#waitForStart();
      while (!this.#isStopping()) {
        this.#commands();
        this.#sleep.afterLoop(this.#pmd.iterate(), this.#commandDone);
      }
      this.#setState(THREAD_STATE.draining);
      this.#drain();
      this.#pmd.close();
    } catch (error) {
      this.#setState(THREAD_STATE.failed);
      // What is staged in rings becomes visible and what queues hold is given back; the supervisor finds the rest.
      this.#pmd.close();
      throw error;
    }
    this.#setState(THREAD_STATE.stopped);
  }

  #waitForStart(): void {
    const commandEpoch = (this.#block + THREAD.commandEpoch) >>> 2;
    while (!this.#isStarted && !this.#isStopping()) {
      this.#pmd.beat();
      Atomics.wait(this.#arena.i32, commandEpoch, this.#commandDone, START_WAIT_MILLIS);
      this.#commands();
    }
  }

  #drain(): void {
    const until = performance.now() + DRAIN_MILLIS;
    let quietLoops = 0;
    while (performance.now() < until && (quietLoops < DRAIN_QUIET_LOOPS || !this.#pmd.isDrained)) {
      quietLoops = this.#pmd.drainStep() === 0 ? quietLoops + 1 : 0;
    }
  }

  #isStopping(): boolean {
    return this.#arena.i32[(this.#block + THREAD.stop) >>> 2] !== 0;
  }

  #setState(state: number): void {
    this.#arena.intrinsics.store(this.#block + THREAD.state, state);
  }

  #commands(): void {
    // Pairs with control's raising it after posting.
    const epoch = this.#arena.intrinsics.load(this.#block + THREAD.commandEpoch);
    if (epoch === this.#commandDone) return;
    for (;;) {
      const received = receiveMessageOnPort(this.#port) as { message: PmdCommand } | undefined;
      if (received === undefined) break;
      this.#carryOut(received.message);
    }
    this.#commandDone = epoch;
    this.#arena.intrinsics.store(this.#block + THREAD.commandDone, epoch);
  }

  #carryOut(command: PmdCommand): void {
    if (command.type === "fault") {
      if (this.#faults) this.#fail(command.fault);
      return;
    }
    try {
      if (command.type === "start") this.#isStarted = true;
      else if (command.type === "set-sleep") this.#sleep.setLimit(command.microsMax);
      else carryOut(this.#pmd, command);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#port.postMessage({ type: "failure", command: command.type, message } satisfies CommandFailure);
    }
  }

  #fail(fault: Fault): void {
    if (fault === "throw") throw new Error("planted: a worker throws");
    if (fault === "trap") this.#arena.intrinsics.load(this.#arena.u8.length);
    else for (;;) this.#commandDone ^= 0;
  }
}
