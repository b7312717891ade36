// The handler thread's loop: upcalls first, then a slice of control's changes, then a slice of background work; asleep
// at the doorbell when there is none of them. The event loop runs between rounds, so requests come in.
import type { MessagePort } from "node:worker_threads";
import { takeRows } from "../bridge/learn/mac-rows.ts";
import { COUNTER, ThreadCounters } from "../datapath/counters.ts";
import { Arena } from "../memory/arena.ts";
import { MonotonicClock } from "../memory/clock.ts";
import { handlerThread } from "../memory/region-plan.ts";
import { DoorbellListener, DoorbellRinger } from "../ring/doorbell.ts";
import { applyFlowChange, type FlowOutcome } from "../upcall/flow-change.ts";
import { createHandlerCore, type HandlerCore } from "./handler-core.ts";
import { HandlerOutlets } from "./handler-outlets.ts";
import type {
  HandlerAnswer,
  HandlerMessage,
  HandlerRequest,
  HandlerRequestName,
  HandlerSettings,
} from "./handler-protocol.ts";
import { type AtOnce, requestsAtOnce, type SlicedRequest } from "./handler-requests.ts";

/** Upcalls of one round: some milliseconds at the most. */
const UPCALLS_PER_ROUND = 256;
/** Changes of one round: half a millisecond. */
const CHANGES_PER_ROUND = 64;
/** Addresses of one round: a tenth of a millisecond. */
const MACS_PER_ROUND = 1024;
/** Longest sleep: how late background work may begin. */
const SLEEP_MILLIS_MAX = 100;
/** One counter call takes 32 bits. */
const NANOS_MAX = 0xffffffff;

/** A request that is carried out in slices. Returns true when it is done and answered. */
type Job = () => boolean;

export class HandlerLoop {
  readonly #port: MessagePort;
  readonly #core: HandlerCore;
  readonly #clock = new MonotonicClock();
  readonly #doorbell: DoorbellListener;
  readonly #ringer: DoorbellRinger;
  readonly #counters: ThreadCounters;
  readonly #outlets: HandlerOutlets;
  readonly #atOnce: AtOnce;
  readonly #jobs: Job[] = [];
  #isStopping = false;

  constructor({ handle, policy, bonds, debugLedger }: HandlerSettings, port: MessagePort) {
    const arena = new Arena(handle);
    this.#port = port;
    this.#core = createHandlerCore(arena, policy, this.#clock, debugLedger, bonds, {
      onLearned: (neighbour) => port.postMessage({ neighbour } satisfies HandlerMessage),
      onBondNotice: (bondNotice) => port.postMessage({ bondNotice } satisfies HandlerMessage),
    });
    this.#doorbell = new DoorbellListener(arena);
    this.#ringer = new DoorbellRinger(arena);
    this.#counters = new ThreadCounters(arena, handlerThread(arena.plan.sizes));
    this.#outlets = new HandlerOutlets(this.#core.handler, this.#core.table, (output) =>
      port.postMessage({ output } satisfies HandlerMessage),
    );
    this.#atOnce = requestsAtOnce(this.#core, this.#outlets, this.#clock, () => {
      this.#isStopping = true;
    });
    port.on("message", (request: HandlerRequest) => {
      this.#jobs.push(this.#job(request));
      this.#ringer.ring();
    });
  }

  async run(): Promise<void> {
    const { handler } = this.#core;
    while (!this.#isStopping) {
      const taken = this.#drain();
      const worked = this.#work();
      const isBusy = handler.step() || worked || taken > 0;
      this.#outlets.flush();
      if (isBusy) await new Promise((resume) => setImmediate(resume));
      else await this.#doorbell.sleep(() => handler.isIdle && this.#jobs.length === 0, SLEEP_MILLIS_MAX);
    }
    while (handler.drain() > 0);
    handler.close();
    this.#port.close();
  }

  /** One round of upcalls, its time counted. */
  #drain(): number {
    const begun = performance.now();
    const taken = this.#core.handler.drain(UPCALLS_PER_ROUND);
    if (taken > 0) {
      const nanos = Math.round((performance.now() - begun) * 1e6);
      this.#counters.add(COUNTER.nanos_busy, Math.min(nanos, NANOS_MAX));
    }
    return taken;
  }

  /** One slice of the oldest request. */
  #work(): boolean {
    const job = this.#jobs[0];
    if (job === undefined) return false;
    if (job()) this.#jobs.shift();
    return true;
  }

  #job(request: HandlerRequest): Job {
    if (request.name === "apply") return this.#applyJob(request as HandlerRequest<"apply">);
    if (request.name === "flush") return this.#flushJob(request.id);
    if (request.name === "macs") return this.#macsJob(request.id);
    const answer = this.#atOnce[request.name as Exclude<HandlerRequestName, SlicedRequest>] as (
      args: unknown,
    ) => unknown;
    return () => {
      this.#answer(request.id, answer(request.args));
      return true;
    };
  }

  #applyJob({ id, args: { changes, brief } }: HandlerRequest<"apply">): Job {
    const outcomes: FlowOutcome[] = [];
    return () => {
      const end = Math.min(outcomes.length + CHANGES_PER_ROUND, changes.length);
      while (outcomes.length < end) {
        const outcome = applyFlowChange(this.#core.table, changes[outcomes.length]!, this.#clock.millis());
        outcomes.push(brief && outcome.error === null ? { ...outcome, flow: null } : outcome);
      }
      if (end < changes.length) return false;
      this.#answer(id, outcomes);
      return true;
    };
  }

  #flushJob(id: number): Job {
    const { table } = this.#core;
    let begun = false;
    return () => {
      if (!begun) table.flush();
      begun = true;
      table.step();
      if (table.flushing) return false;
      this.#answer(id, null);
      return true;
    };
  }

  #macsJob(id: number): Job {
    const entries = this.#core.learn?.rows() ?? [].values();
    const numbers: number[] = [];
    return () => {
      if (!takeRows(entries, numbers, MACS_PER_ROUND)) return false;
      const rows = Float64Array.from(numbers);
      this.#answer(id, rows, [rows.buffer]);
      return true;
    };
  }

  #answer(id: number, answer: unknown, transfer: readonly ArrayBuffer[] = []): void {
    this.#port.postMessage({ id, answer } satisfies HandlerAnswer, transfer);
  }
}
