// One worker as control sees it: its piscina task, its command port, and the words of its thread block. Control thread.
//
// Writes stop and commandEpoch; reads epoch, heartbeat, state, commandDone.
import { MessageChannel, type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { Piscina } from "piscina";
import type { Arena, ArenaHandle } from "../memory/arena.ts";
import { THREAD_BLOCK_BYTES } from "../memory/region-plan.ts";
import { THREAD, THREAD_STATE } from "../memory/thread-block.ts";
import type { CommandFailure, PmdCommand } from "./commands.ts";
import type { LoopOptions } from "./loop.ts";

export interface WorkerOptions extends LoopOptions {
  /** As OVS's other_config:vlan-limit. */
  readonly vlanLimit: number;
  readonly debugLedger: boolean;
}

/** What a worker's thread is started with. */
export interface PmdTask {
  readonly handle: ArenaHandle;
  readonly worker: number;
  readonly cpu: number | null;
  readonly options: WorkerOptions;
}

/** First message of a thread: which of the pool's it is. */
export interface WorkerHello {
  readonly type: "hello";
  readonly threadId: number;
}

export type WorkerState = "starting" | "running" | "draining" | "stopped" | "failed";
const STATES: readonly WorkerState[] = ["stopped", "starting", "running", "draining", "failed"];

export class WorkerProcess {
  readonly index: number;
  readonly cpu: number | null;
  /** Settles when the thread's task is over: undefined when it was stopped, else why it ended. */
  readonly ended: Promise<unknown>;
  readonly #arena: Arena;
  readonly #pool: Piscina;
  readonly #port: MessagePort;
  readonly #block: number;
  readonly #abort = new AbortController();
  readonly #failures: CommandFailure[] = [];
  #threadId: number | undefined;
  /** Of a thread that was terminated. */
  #exited: Promise<void> = Promise.resolve();
  #isOver = false;

  constructor(arena: Arena, pool: Piscina, index: number, cpu: number | null, options: WorkerOptions) {
    this.index = index;
    this.cpu = cpu;
    this.#arena = arena;
    this.#pool = pool;
    this.#block = arena.region("threads").offset + index * THREAD_BLOCK_BYTES;
    this.#store(THREAD.stop, 0);
    this.#store(THREAD.state, THREAD_STATE.starting);
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const task: PmdTask & { port: MessagePort } = {
      handle: arena.handle(),
      worker: index,
      cpu,
      options,
      port: port2,
    };
    this.ended = pool.run(task, { transferList: [port2], signal: this.#abort.signal }).then(
      () => this.#over(undefined),
      (error: unknown) => this.#over(error ?? new Error("the worker ended for no known reason")),
    );
  }

  get state(): WorkerState {
    return STATES[this.#load(THREAD.state)]!;
  }

  get heartbeat(): number {
    return this.#load(THREAD.heartbeat);
  }

  /** Its task is over. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether it has carried out every command. */
  get isDone(): boolean {
    return this.#load(THREAD.commandDone) === this.#load(THREAD.commandEpoch);
  }

  post(command: PmdCommand): void {
    this.#port.postMessage(command);
    const word = (this.#block + THREAD.commandEpoch) >>> 2;
    // Raised after posting; pairs with the worker's load before it looks into its port.
    Atomics.add(this.#arena.i32, word, 1);
    Atomics.notify(this.#arena.i32, word);
  }

  /** What went wrong with commands since the last call. */
  takeFailures(): CommandFailure[] {
    this.#receive();
    return this.#failures.splice(0);
  }

  /** Asks the thread to drain and end. */
  askToStop(): void {
    this.#store(THREAD.stop, 1);
    Atomics.notify(this.#arena.i32, (this.#block + THREAD.commandEpoch) >>> 2);
  }

  /** Ends the thread wherever it is. */
  terminate(reason: string): void {
    this.#receive();
    const thread = this.#pool.threads.find((candidate) => candidate.threadId === this.#threadId);
    if (thread !== undefined) this.#exited = new Promise((resolve) => thread.once("exit", () => resolve()));
    this.#abort.abort(new Error(reason));
  }

  /** Resolves when nothing of the task runs any more: a task that was aborted is over before its thread is. */
  async gone(): Promise<void> {
    await this.ended;
    await this.#exited;
  }

  #over(error: unknown): unknown {
    this.#receive();
    this.#port.close();
    this.#isOver = true;
    if (error !== undefined) this.#store(THREAD.state, THREAD_STATE.failed);
    return error;
  }

  #receive(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port) as
        | { message: WorkerHello | CommandFailure }
        | undefined;
      if (received === undefined) return;
      if (received.message.type === "hello") this.#threadId = received.message.threadId;
      else this.#failures.push(received.message);
    }
  }

  #load(word: number): number {
    return this.#arena.intrinsics.load(this.#block + word);
  }

  #store(word: number, value: number): void {
    this.#arena.intrinsics.store(this.#block + word, value);
  }
}
