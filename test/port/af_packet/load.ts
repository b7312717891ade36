// Numbered frames that arrive on an interface all the while, whatever the test's own thread does: sent by a thread.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { VethEnd } from "../../support/netns.ts";

const THREAD = new URL("./load.thread.js", import.meta.url);

export interface LoadOptions {
  readonly end: VethEnd;
  /** Not 0: stop. */
  readonly stop: Int32Array;
}

export class BackgroundLoad {
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker: Worker;
  readonly #exited: Promise<unknown>;

  /** @param t the test that the load must not outlive */
  constructor(t: { teardown(work: () => Promise<void>): unknown }, end: VethEnd) {
    const workerData: LoadOptions = { end, stop: this.#stop };
    this.#worker = new Worker(THREAD, { workerData });
    this.#exited = once(this.#worker, "exit");
    t.teardown(() => this.stop());
  }

  async stop(): Promise<void> {
    Atomics.store(this.#stop, 0, 1);
    await this.#exited;
  }
}
