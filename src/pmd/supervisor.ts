// The workers' keeper on the control thread: starts them, tells them their queues and program, watches their heartbeats,
// and when one fails ends it, takes back what it held, lets others adopt its queues, and starts it again with them.
//
// Ports say what they want (attachRx, attachTx, setTxOwner, detachPort) and then wait for settled(); what follows from
// that and from who is alive is computed by assignment.ts and carried out in two phases, each followed by a grace
// period: first everything is let go of, then everything is taken, so that no queue ever has two owners.
import { EventEmitter } from "node:events";
import type { Piscina } from "piscina";
import { readThreadTotals, ThreadCounters } from "../datapath/counters.ts";
import type { Arena } from "../memory/arena.ts";
import type { EpochWriter } from "../memory/epoch.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import { controlThread } from "../memory/region-plan.ts";
import type { QueueAttachment } from "../port/port.ts";
import type { TunnelState } from "../tunnel/state.ts";
import { assign, type Change, difference, type Holding, NOTHING_HELD, type TxRoute } from "./assignment.ts";
import type { Fault, PmdCommand } from "./commands.ts";
import { Reclaimer } from "./reclaim.ts";
import type { SupervisedWorker, WorkerDeath } from "./supervised.ts";
import { createWorkerPool } from "./worker-pool.ts";
import { type WorkerOptions, WorkerProcess } from "./worker-process.ts";

const CHECK_MILLIS = 250;
/** Checks in a row without a heartbeat after which a worker counts as stuck: a second. */
const STUCK_CHECKS = 4;
/** How often control looks whether workers have done what it asked. */
const SETTLE_POLL_MILLIS = 1;
/** A worker that is asked to stop and has not done so by then is ended. */
const STOP_MILLIS = 800;
const START_MILLIS = 30_000;
/** Pause before a failed worker starts again; doubled each time it fails soon after. */
const RESTART_MILLIS = 20;
const RESTART_MILLIS_MAX = 5000;
const SOON_MILLIS = 10_000;

export interface SupervisorOptions {
  readonly worker: WorkerOptions;
  /** CPU of each worker; null or absent: not pinned. */
  readonly cpus?: readonly (number | null)[];
  /** Control's own. */
  readonly pool: FramePool;
  readonly epochs: EpochWriter;
  readonly log: (level: "debug" | "info" | "warn" | "error", message: string) => void;
}

interface Seat {
  process: WorkerProcess | null;
  wanted: { rx: QueueAttachment[]; tx: Map<number, TxRoute> };
  held: Holding;
  restarts: number;
  restartMillis: number;
  startedMillis: number;
  heartbeat: number;
  silentChecks: number;
}

/** Events: `died` when a worker failed, `restarted` when it has its queues again. */
export class Supervisor extends EventEmitter<{ died: [WorkerDeath]; restarted: [number] }> {
  readonly count: number;
  readonly #arena: Arena;
  readonly #options: SupervisorOptions;
  readonly #pool: Piscina | null;
  readonly #reclaimer: Reclaimer;
  readonly #seats: Seat[];
  #timer: NodeJS.Timeout | undefined;
  #isStopping = false;
  /** Reassignments run one after the other. */
  #turn: Promise<void> = Promise.resolve();
  #tunnels: TunnelState | null = null;
  #program: WebAssembly.Module | null = null;

  constructor(arena: Arena, options: SupervisorOptions) {
    super();
    const { workerCount } = arena.plan.sizes;
    this.count = workerCount;
    this.#arena = arena;
    this.#options = options;
    this.#pool = workerCount === 0 ? null : createWorkerPool(workerCount);
    const counters = new ThreadCounters(arena, controlThread(arena.plan.sizes));
    this.#reclaimer = new Reclaimer(arena, options.pool, counters);
    this.#reclaimer.clearBatches();
    this.#seats = Array.from({ length: workerCount }, () => ({
      process: null,
      wanted: { rx: [], tx: new Map() },
      held: NOTHING_HELD,
      restarts: 0,
      restartMillis: RESTART_MILLIS,
      startedMillis: 0,
      heartbeat: 0,
      silentChecks: 0,
    }));
  }

  /** Starts all workers; resolves when they loop. @throws Error when one does not start; then none is left running */
  async start(): Promise<void> {
    for (let worker = 0; worker < this.count; worker += 1) this.#launch(worker);
    try {
      await Promise.all(this.#seats.map((_, worker) => this.#untilRunning(worker)));
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#timer = setInterval(() => this.#checkHeartbeats(), CHECK_MILLIS);
    await this.settled();
  }

  workers(): SupervisedWorker[] {
    return this.#seats.map(({ process, restarts }, index) => ({
      index,
      cpu: this.#cpu(index),
      state: process?.state ?? "stopped",
      restarts,
    }));
  }

  attachRx(worker: number, attachment: QueueAttachment): void {
    this.#seats[worker]!.wanted.rx.push(attachment);
  }

  attachTx(worker: number, attachment: QueueAttachment): void {
    this.#seats[worker]!.wanted.tx.set(attachment.slot, { kind: "own", attachment });
  }

  setTxOwner(worker: number, portNo: number, slot: number, owner: number): void {
    this.#seats[worker]!.wanted.tx.set(slot, { kind: "via", owner, portNo, slot });
  }

  detachPort(worker: number, slot: number): void {
    const { wanted } = this.#seats[worker]!;
    wanted.rx = wanted.rx.filter((attachment) => attachment.slot !== slot);
    wanted.tx.delete(slot);
  }

  /**
   * Resolves when every live worker holds what was asked for and has passed a quiescent point.
   * @throws Error with what workers could not do; what they could do is done
   */
  settled(): Promise<void> {
    const turn = this.#turn.then(() => this.#reassign());
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Longest sleep of idle workers, 0 for none. */
  setSleep(microsMax: number): void {
    this.#postAll({ type: "set-sleep", microsMax });
  }

  /** What the workers' tunnels know, those that start later included. */
  setTunnels(state: TunnelState): void {
    this.#tunnels = state;
    this.#postAll({ type: "set-tunnels", state });
  }

  /** The workers' program from now on, of those that start later too. */
  setProgram(module: WebAssembly.Module): void {
    this.#program = module;
    for (const { process } of this.#seats) process?.post({ type: "set-program", module });
  }

  /** Lets a worker fail; nothing happens unless the option `faults` is set. */
  plantFault(worker: number, fault: Fault): void {
    this.#seats[worker]!.process?.post({ type: "fault", fault });
  }

  /** Ends all workers: they drain, give everything back and are gone within a second. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#timer);
    await this.#turn;
    for (const { process } of this.#seats) process?.askToStop();
    await Promise.all(this.#seats.map((_, worker) => this.#untilOver(worker)));
    await this.#pool?.destroy();
  }

  /** After stop(), when the handler has ended too: takes back what stands in rings. Returns the packets dropped. */
  reclaimRings(): number {
    return this.#reclaimer.reclaimRings();
  }

  #cpu(worker: number): number | null {
    return this.#options.cpus?.[worker] ?? null;
  }

  #launch(worker: number): void {
    const seat = this.#seats[worker]!;
    const process = new WorkerProcess(
      this.#arena,
      this.#pool!,
      worker,
      this.#cpu(worker),
      this.#options.worker,
    );
    if (this.#program !== null) process.post({ type: "set-program", module: this.#program });
    seat.process = process;
    seat.held = NOTHING_HELD;
    seat.startedMillis = performance.now();
    seat.silentChecks = 0;
    void process.ended.then((error) => {
      if (error !== undefined && seat.process === process && !this.#isStopping)
        void this.#bury(worker, process, error);
    });
  }

  async #untilRunning(worker: number): Promise<void> {
    const until = performance.now() + START_MILLIS;
    const process = this.#seats[worker]!.process!;
    while (process.state !== "running") {
      if (process.isOver)
        throw new Error(`worker ${worker}: it did not start: ${describe(await process.ended)}`);
      if (performance.now() > until)
        throw new Error(
          `worker ${worker}: it did not start within ${START_MILLIS / 1000} s; is the machine overloaded?`,
        );
      await sleep(SETTLE_POLL_MILLIS);
    }
  }

  async #untilOver(worker: number): Promise<void> {
    const { process } = this.#seats[worker]!;
    if (process === null) return;
    const timer = setTimeout(() => {
      this.#options.log("error", `worker ${worker}: it did not stop within ${STOP_MILLIS} ms and is ended`);
      process.terminate("it did not stop");
    }, STOP_MILLIS);
    const error = await process.ended;
    await process.gone();
    clearTimeout(timer);
    if (error !== undefined) this.#reclaim(worker);
  }

  #alive(): number[] {
    return this.#seats.flatMap(({ process }, worker) =>
      process !== null && !process.isOver && process.state === "running" ? [worker] : [],
    );
  }

  async #reassign(): Promise<void> {
    const alive = this.#alive();
    const goals = assign(
      this.#seats.map(({ wanted }) => wanted),
      alive,
    );
    const changes = alive.map((worker) => ({
      worker,
      change: difference(this.#seats[worker]!.held, goals[worker]!),
    }));
    for (const worker of alive)
      this.#seats[worker]!.held = { rx: [...goals[worker]!.rx], tx: new Map(goals[worker]!.tx) };
    const letGo = changes.map(({ worker, change }) => this.#letGo(worker, change));
    const failures = letGo.includes(true) ? await this.#quiet(alive) : [];
    for (const { worker, change } of changes) this.#take(worker, change);
    failures.push(...(await this.#quiet(alive)));
    if (failures.length > 0) throw new Error(failures.join("; "));
  }

  /** True when there was anything to let go of. */
  #letGo(worker: number, { detachRx, detachTx, via }: Change): boolean {
    for (const { slot, queue } of detachRx) this.#post(worker, { type: "detach-rx", slot, queue });
    for (const slot of detachTx) this.#post(worker, { type: "detach-tx", slot });
    for (const { portNo, slot, owner } of via)
      this.#post(worker, { type: "set-tx-owner", portNo, slot, owner });
    return detachRx.length + detachTx.length + via.length > 0;
  }

  #take(worker: number, { attachTx, attachRx }: Change): void {
    for (const attachment of attachTx) this.#post(worker, { type: "attach-tx", attachment });
    for (const attachment of attachRx) this.#post(worker, { type: "attach-rx", attachment });
    if (this.#tunnels !== null) this.#post(worker, { type: "set-tunnels", state: this.#tunnels });
    this.#post(worker, { type: "start" });
  }

  #post(worker: number, command: PmdCommand): void {
    this.#seats[worker]!.process?.post(command);
  }

  #postAll(command: PmdCommand): void {
    for (const worker of this.#alive()) this.#post(worker, command);
  }

  /** Waits until these workers, as far as they live, have done everything and passed a quiescent point. */
  async #quiet(workers: readonly number[]): Promise<string[]> {
    const processes = workers.map((worker) => this.#seats[worker]!.process!);
    while (!processes.every((process) => process.isOver || process.isDone)) await sleep(SETTLE_POLL_MILLIS);
    const { epochs } = this.#options;
    const epoch = epochs.advance();
    while (!epochs.isSafe(epoch)) await sleep(SETTLE_POLL_MILLIS);
    return processes.flatMap((process) =>
      process.takeFailures().map(({ command, message }) => `worker ${process.index}: ${command}: ${message}`),
    );
  }

  #checkHeartbeats(): void {
    for (const [worker, seat] of this.#seats.entries()) {
      const { process } = seat;
      if (process === null || process.isOver || process.state !== "running") continue;
      const { heartbeat } = process;
      seat.silentChecks = heartbeat === seat.heartbeat ? seat.silentChecks + 1 : 0;
      seat.heartbeat = heartbeat;
      if (seat.silentChecks === STUCK_CHECKS)
        void process.terminate(`worker ${worker} stood still for a second`);
    }
  }

  /** A worker failed and its thread runs no more: reports it, lets the others adopt, starts it again. */
  async #bury(worker: number, process: WorkerProcess, error: unknown): Promise<void> {
    await process.gone();
    const totals = readThreadTotals(this.#arena, worker);
    const packets = this.#reclaim(worker);
    const reason = describe(error);
    const seat = this.#seats[worker]!;
    this.#options.log(
      "error",
      `worker ${worker} ended: ${reason}; received ${totals.counters.received}, transmitted ` +
        `${totals.counters.transmitted}, ${packets} packets in hand dropped; its queues go to the others, it starts again`,
    );
    this.emit("died", { worker, reason, totals, packets });
    await this.settled().catch((failure: unknown) => this.#options.log("error", describe(failure)));
    const livedMillis = performance.now() - seat.startedMillis;
    seat.restartMillis =
      livedMillis > SOON_MILLIS ? RESTART_MILLIS : Math.min(RESTART_MILLIS_MAX, seat.restartMillis * 2);
    await sleep(seat.restartMillis);
    if (!this.#isStopping) await this.#restart(worker);
  }

  async #restart(worker: number): Promise<void> {
    this.#launch(worker);
    this.#seats[worker]!.restarts += 1;
    try {
      await this.#untilRunning(worker);
      await this.settled();
      this.emit("restarted", worker);
    } catch (failure) {
      this.#options.log("error", `worker ${worker}: restart: ${describe(failure)}`);
    }
  }

  #reclaim(worker: number): number {
    this.#options.epochs.setOffline(worker);
    return this.#reclaimer.reclaimWorker(worker);
  }
}

const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis));

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
