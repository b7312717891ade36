// Control's side of the handler thread: starts it, asks it, stops it.
import { EventEmitter } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { readRows } from "../bridge/learn/mac-rows.ts";
import type { FlowView } from "../table/flow-reader.ts";
import type { Neighbour } from "../tunnel/neighbours.ts";
import type { FlowChange, FlowOutcome } from "../upcall/flow-change.ts";
import type { BondsView } from "./commands/bond.ts";
import type { FdbView } from "./commands/fdb.ts";
import type { FlowWriter } from "./flow-service.ts";
import type {
  HandlerMessage,
  HandlerOutput,
  HandlerRequestName,
  HandlerRequests,
  HandlerSettings,
} from "./handler-protocol.ts";

const HANDLER_FILE = fileURLToPath(new URL("../../workers/handler.js", import.meta.url));
/** Changes of one message. The handler copies a message whole, and upcalls wait meanwhile: some hundred microseconds. */
const CHANGES_PER_MESSAGE = 128;
/** Messages on their way at a time, so that the handler finds the next one when it has answered. */
const MESSAGES_IN_FLIGHT = 2;

/**
 * Events: `failed` when the thread ended by itself, `output` with what nobody asked for, `neighbour` when one told its
 * address at a tunnel endpoint, `bondNotice` with what became of a bond.
 */
export class HandlerLink
  extends EventEmitter<{
    failed: [Error];
    output: [HandlerOutput];
    neighbour: [Neighbour];
    bondNotice: [string];
  }>
  implements FlowWriter
{
  readonly #worker: Worker;
  readonly #waiting = new Map<
    number,
    { resolve: (answer: unknown) => void; reject: (error: Error) => void }
  >();
  readonly #exited: Promise<void>;
  #nextId = 1;
  #isStopping = false;

  constructor(settings: HandlerSettings) {
    super();
    this.#worker = new Worker(HANDLER_FILE, { workerData: settings });
    this.#worker.on("message", (message: HandlerMessage) => {
      if ("output" in message) {
        this.emit("output", message.output);
        return;
      }
      if ("neighbour" in message) {
        this.emit("neighbour", message.neighbour);
        return;
      }
      if ("bondNotice" in message) {
        this.emit("bondNotice", message.bondNotice);
        return;
      }
      this.#waiting.get(message.id)?.resolve(message.answer);
      this.#waiting.delete(message.id);
    });
    this.#exited = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
    this.#worker.on("error", (error) =>
      this.#fail(error instanceof Error ? error : new Error(String(error))),
    );
  }

  ask<Name extends HandlerRequestName>(
    name: Name,
    args: HandlerRequests[Name]["args"],
  ): Promise<HandlerRequests[Name]["answer"]> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (answer: unknown) => void, reject });
      this.#worker.postMessage({ id, name, args });
    });
  }

  async apply(changes: readonly FlowChange[]): Promise<readonly FlowOutcome[]> {
    const outcomes: FlowOutcome[] = [];
    const brief = changes.length > 1;
    const ask = (from: number) =>
      this.ask("apply", { changes: changes.slice(from, from + CHANGES_PER_MESSAGE), brief });
    for (let from = 0; from < changes.length; from += MESSAGES_IN_FLIGHT * CHANGES_PER_MESSAGE) {
      const messages = Array.from(
        { length: MESSAGES_IN_FLIGHT },
        (_, index) => from + index * CHANGES_PER_MESSAGE,
      );
      const answers = await Promise.all(messages.filter((at) => at < changes.length).map(ask));
      outcomes.push(...answers.flat());
    }
    return outcomes;
  }

  find(ufid: Uint8Array | undefined, key?: Uint8Array): Promise<FlowView | null> {
    return this.ask("find", { ufid, key });
  }

  async flush(): Promise<void> {
    await this.ask("flush", {});
  }

  /** The MAC table of the learning policy. */
  readonly fdb: FdbView = {
    entries: async () => readRows(await this.ask("macs", {})),
    counts: () => this.ask("macCounts", {}),
    flush: async () => {
      await this.ask("flushMacs", {});
    },
  };

  readonly bonds: BondsView = {
    list: () => this.ask("bonds", {}),
    change: (change) => this.ask("changeBond", change),
  };

  /** Ends the thread after it has taken what is in the rings. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.ask("stop", {});
    await this.#exited;
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    if (!this.#isStopping) this.emit("failed", error);
  }
}
