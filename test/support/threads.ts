// Real threads for tests of what threads share: a compiled worker file each, pinned to CPUs in turn, started together,
// asked to stop by a word, and always joined, also when the test fails. A worker file calls runThread() and nothing else.
import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Arena, type ArenaHandle } from "../../src/memory/arena.ts";
import { native, nativeUnavailable } from "../../src/native.ts";

/** Words that the threads of a test share beside the arena. */
const WORD = { go: 0, stop: 1, ready: 2 } as const;
/** A thread that was asked to stop and has not after this time hangs, however slow the machine is. */
const JOIN_MS_MAX = 120_000;

interface Start<Options> {
  readonly arena: ArenaHandle;
  readonly words: Int32Array;
  readonly cpu: number | undefined;
  readonly options: Options;
}

/** What a thread's body is given. */
export interface ThreadContext<Options> {
  readonly arena: Arena;
  readonly options: Options;
  /** True once the test wants this thread to end. */
  stopping(): boolean;
}

/** CPUs that threads may be pinned to; none where the addon cannot be had, and threads then run where they like. */
export const CPUS: readonly number[] = nativeUnavailable() === undefined ? native().threadAffinity() : [];

/** A group of threads over one arena. */
export class Threads {
  readonly #arena: Arena;
  readonly #words = new Int32Array(new SharedArrayBuffer(64));
  readonly #workers: Worker[] = [];
  readonly #results: Promise<unknown>[] = [];

  /** @param t the test that the threads must not outlive */
  constructor(t: { teardown(work: () => Promise<void>): unknown }, arena: Arena) {
    this.#arena = arena;
    t.teardown(() => this.#end());
  }

  /** Starts a thread that runs a compiled file, named from the calling test's import.meta.url. It waits for go(). */
  add<Options>(file: URL, options: Options): void {
    const cpu = CPUS[this.#workers.length % CPUS.length];
    const start: Start<Options> = { arena: this.#arena.handle(), words: this.#words, cpu, options };
    const worker = new Worker(file, { workerData: start });
    this.#workers.push(worker);
    const result = Promise.race([
      once(worker, "message").then(([message]: unknown[]) => message),
      once(worker, "exit").then(([code]) => {
        throw new Error(`thread ${file.pathname} ended with ${code} and no result`);
      }),
    ]);
    // Whoever awaits results() sees the failure; until then it is not unhandled.
    result.catch(() => undefined);
    this.#results.push(result);
  }

  /** Lets all threads run, when each of them is ready. */
  async go(): Promise<void> {
    for (;;) {
      const ready = Atomics.load(this.#words, WORD.ready);
      if (ready === this.#workers.length) break;
      const change = Atomics.waitAsync(this.#words, WORD.ready, ready);
      await Promise.race([change.value, ...this.#results]);
    }
    Atomics.store(this.#words, WORD.go, 1);
    Atomics.notify(this.#words, WORD.go);
  }

  /** Asks all threads to end. */
  stop(): void {
    Atomics.store(this.#words, WORD.stop, 1);
  }

  /** What each thread's body returned, in the order of add(). @throws what a thread threw */
  results<Result>(): Promise<Result[]> {
    return Promise.all(this.#results) as Promise<Result[]>;
  }

  /** Settles when the first thread has ended, for whatever reason. */
  async firstEnd(): Promise<void> {
    await Promise.allSettled([Promise.race(this.#results)]);
  }

  async #end(): Promise<void> {
    this.stop();
    Atomics.store(this.#words, WORD.go, 1);
    Atomics.notify(this.#words, WORD.go);
    for (const worker of this.#workers) {
      const timer = setTimeout(() => void worker.terminate(), JOIN_MS_MAX);
      await Promise.allSettled([worker.threadId === -1 ? undefined : once(worker, "exit")]);
      clearTimeout(timer);
    }
  }
}

/** A worker file's only call. */
export function runThread<Options>(body: (context: ThreadContext<Options>) => unknown): void {
  if (isMainThread || parentPort === null) throw new Error("a thread file runs in a worker only");
  const { arena, words, cpu, options } = workerData as Start<Options>;
  if (cpu !== undefined) native().threadSetAffinity([cpu]);
  const context: ThreadContext<Options> = {
    arena: new Arena(arena),
    options,
    stopping: () => Atomics.load(words, WORD.stop) !== 0,
  };
  Atomics.add(words, WORD.ready, 1);
  Atomics.notify(words, WORD.ready);
  Atomics.wait(words, WORD.go, 0);
  parentPort.postMessage(body(context));
}
