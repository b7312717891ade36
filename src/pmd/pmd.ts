// A poll-mode dataplane: one worker's queues, its engine, and the loop that drives them. The thread around it (or an
// offline command, which owns several of them in one thread) calls iterate() over and over.
//
// One loop: a quiescent point, what came back from the handler, what other workers handed over, then a burst of each
// rx queue; after each burst its outputs leave, its upcalls are published and the handler is woken if it sleeps.
//
// Per packet: the engine's work. Per burst: a quiescent point, a handful of counters, one flush of each queue that got
// packets. Per loop: one read of the clock when there was work. Memory: this thread's batch, block, frame stack and
// rings. Counters: received, rx_batches; the rest is counted where it happens.
import { instantiateProgram } from "../compile/program-module.ts";
import { COUNTER, ThreadCounters } from "../datapath/counters.ts";
import type { Engine } from "../datapath/engine.ts";
import type { ProgramSlot } from "../datapath/program.ts";
import { ReferenceEngine } from "../datapath/reference-engine.ts";
import type { Arena } from "../memory/arena.ts";
import { BATCH, BATCH_BYTES, BATCH_SIZE } from "../memory/batch-layout.ts";
import type { Clock } from "../memory/clock.ts";
import { EpochReader } from "../memory/epoch.ts";
import { NO_FRAME } from "../memory/frame-layout.ts";
import { FramePool } from "../memory/frame-pool.ts";
import { Packets } from "../memory/packets.ts";
import { THREAD_BLOCK_BYTES } from "../memory/region-plan.ts";
import { THREAD } from "../memory/thread-block.ts";
import { PortCounters } from "../port/counters.ts";
import { PORT_NO_MAX, type QueueAttachment, type QueueContext, type RxQueue } from "../port/port.ts";
import { QUEUE_FACTORIES, type QueueFactories } from "../port/queue-factories.ts";
import type { Unresolved } from "../tunnel/compose.ts";
import { resolutionRequest } from "../tunnel/resolution.ts";
import type { TunnelState } from "../tunnel/state.ts";
import { TunnelEngine } from "../tunnel/tunnel-engine.ts";
import { BurstClock } from "./burst-clock.ts";
import { HandoffReceiver, HandoffSender, HandoffTxQueue } from "./handoff.ts";
import { Output } from "./output.ts";
import { PerfCounters } from "./perf-counters.ts";
import { Reinjector } from "./reinjector.ts";
import { UpcallSender } from "./upcall-sender.ts";

export interface PmdOptions {
  /** As OVS's other_config:vlan-limit. */
  readonly vlanLimit?: number;
  /** Checks every hand-over of a frame. */
  readonly debugLedger?: boolean;
  /** Time that somebody else makes; absent: the machine's. */
  readonly clock?: Clock;
  readonly factories?: QueueFactories;
  /** What processes bursts in place of the datapath: benchmarks leave the look-up out. */
  readonly makeEngine?: (output: Output, programs: ProgramSlot) => Engine;
}

const VLAN_LIMIT_DEFAULT = 1;
// Module constants, because V8 folds them and loads an imported table anew each time.
const BURST = BATCH_SIZE;
const { received: RECEIVED, rx_batches: RX_BATCHES } = COUNTER;

export class Pmd {
  readonly threadIndex: number;
  readonly pool: FramePool;
  readonly #arena: Arena;
  readonly #factories: QueueFactories;
  readonly #packets: Packets;
  readonly #counters: ThreadCounters;
  readonly #clock: BurstClock;
  readonly #perf: PerfCounters;
  readonly #epoch: EpochReader;
  readonly #upcalls: UpcallSender;
  readonly #output: Output;
  readonly #tunnels: TunnelEngine;
  readonly #engine: Engine;
  readonly #reinjector: Reinjector;
  readonly #handoffs: HandoffReceiver;
  readonly #senders = new Map<number, HandoffSender>();
  readonly #programs: ProgramSlot = { current: null };
  readonly #heartbeat: number;
  readonly #frames: number;
  /** By port number: whether addresses of ours are there. */
  readonly #isEndpoint = new Uint8Array(PORT_NO_MAX + 1);
  #rxQueues: RxQueue[] = [];

  constructor(arena: Arena, threadIndex: number, options: PmdOptions = {}) {
    this.threadIndex = threadIndex;
    this.#arena = arena;
    this.#factories = options.factories ?? QUEUE_FACTORIES;
    const pool = new FramePool(arena, threadIndex, options.debugLedger ?? false);
    const packets = new Packets(arena, pool);
    const counters = new ThreadCounters(arena, threadIndex);
    this.pool = pool;
    this.#packets = packets;
    this.#counters = counters;
    this.#clock = new BurstClock(arena, threadIndex, options.clock);
    this.#perf = new PerfCounters(arena, threadIndex, counters, this.#clock);
    this.#epoch = new EpochReader(arena, threadIndex);
    const { now } = this.#clock;
    this.#tunnels = new TunnelEngine(arena, threadIndex, pool, packets, now, (composition) =>
      this.#ask(composition),
    );
    const tunnels = this.#tunnels;
    this.#upcalls = new UpcallSender({ arena, threadIndex, pool, packets, counters, now, tunnels });
    this.#output = new Output({ arena, threadIndex, pool, packets, counters, upcalls: this.#upcalls });
    const vlanLimit = options.vlanLimit ?? VLAN_LIMIT_DEFAULT;
    const programs = this.#programs;
    const engineContext = { arena, threadIndex, pool, packets, counters, vlanLimit, now, tunnels, programs };
    this.#engine =
      options.makeEngine?.(this.#output, programs) ??
      new ReferenceEngine(engineContext, { output: this.#output, misses: this.#upcalls });
    this.#reinjector = new Reinjector(arena, threadIndex, pool, packets, counters, this.#upcalls);
    this.#handoffs = new HandoffReceiver(arena, pool, this.#output, threadIndex);
    this.#heartbeat =
      (arena.region("threads").offset + threadIndex * THREAD_BLOCK_BYTES + THREAD.heartbeat) >>> 2;
    this.#frames = (arena.region("batches").offset + threadIndex * BATCH_BYTES + BATCH.frame) >>> 2;
    arena.u32.fill(NO_FRAME, this.#frames, this.#frames + BATCH_SIZE);
  }

  /** Control path: this worker polls the queue from now on. */
  attachRx(attachment: QueueAttachment): void {
    this.#rxQueues.push(this.#factory(attachment).openRx(this.#queueContext(attachment), attachment));
    this.#countPorts();
  }

  /** Control path. */
  detachRx(slot: number, queue: number): void {
    this.#closeRx((rxQueue) => rxQueue.slot === slot && rxQueue.queue === queue);
  }

  /** Control path: this worker owns the tx queue. */
  attachTx(attachment: QueueAttachment): void {
    const queue = this.#factory(attachment).openTx(this.#queueContext(attachment), attachment);
    this.#output.setRoute(attachment.slot, queue);
  }

  /** Control path: this worker reaches the port through worker `owner`. */
  setTxOwner(portNo: number, slot: number, owner: number): void {
    let sender = this.#senders.get(owner);
    if (sender === undefined) {
      sender = new HandoffSender(this.#arena, this.pool, this.#counters, this.threadIndex, owner);
      this.#senders.set(owner, sender);
    }
    this.#output.setRoute(slot, new HandoffTxQueue(sender, portNo, slot));
  }

  /** Control path: this worker does not reach the port any more. */
  detachTx(slot: number): void {
    this.#output.removeRoute(slot);
  }

  /** Control path: lets go of everything of the port. */
  detachPort(slot: number): void {
    this.#closeRx((rxQueue) => rxQueue.slot === slot);
    this.detachTx(slot);
  }

  /** Control path: what tunnels know of routes, neighbours and our own addresses. */
  setTunnels(state: TunnelState): void {
    this.#isEndpoint.fill(0);
    for (const { portNo } of state.endpoints) this.#isEndpoint[portNo] = 1;
    this.#tunnels.setState(state);
  }

  /** Control path: the program of bursts from now on; null leaves everything to the reference. */
  setProgram(module: WebAssembly.Module | null): void {
    this.#programs.current =
      module === null ? null : instantiateProgram(this.#arena, this.threadIndex, module);
    if (module !== null) this.#counters.add(COUNTER.programs, 1);
  }

  /** One loop. Returns the packets that it moved. */
  iterate(): number {
    return this.#loop(this.#rxQueues.length);
  }

  /** A loop that receives nothing: what is in flight arrives, nothing new comes in. */
  drainStep(): number {
    return this.#loop(0);
  }

  /** True when no answer of the handler is awaited. */
  get isDrained(): boolean {
    return this.#upcalls.orderedCount === 0;
  }

  /** Shows that the thread lives although it does not loop. */
  beat(): void {
    this.#arena.u32[this.#heartbeat]! += 1;
  }

  /** Time since the clock was read last was sleep. */
  countSleep(): void {
    this.#perf.countSleep();
  }

  /** Control path: the thread is about to sleep; it holds no reference to anything. The next loop is online again. */
  goOffline(): void {
    this.#epoch.goOffline();
  }

  /** Control path: closes all queues and gives all frames back. The thread is offline afterwards. */
  close(): void {
    this.#closeRx(() => true);
    this.#output.close();
    this.#upcalls.publish();
    this.pool.drain();
    this.#epoch.goOffline();
  }

  #loop(rxQueueCount: number): number {
    this.beat();
    this.#epoch.quiesce();
    let packets = 0;
    let isBusy = this.#reinjector.isReady || this.#handoffs.isReady;
    if (isBusy) {
      this.#perf.beginWork();
      packets = this.#reinjector.poll(this.#engine) + this.#handoffs.poll();
      this.#leave();
    }
    for (let index = 0; index < rxQueueCount; index += 1) {
      const queue = this.#rxQueues[index]!;
      const count = this.#receive(queue);
      if (count === 0) continue;
      if (!isBusy) {
        this.#perf.beginWork();
        isBusy = true;
      }
      this.#counters.add(RECEIVED, count);
      this.#counters.add(RX_BATCHES, 1);
      this.#engine.process(count, queue.portNo, this.#isEndpoint[queue.portNo] === 1);
      this.#leave();
      packets += count;
    }
    this.#output.flushAll();
    if (isBusy) this.#perf.endWork(packets);
    else this.#perf.endIdle();
    return packets;
  }

  /** A burst by the program, where it knows the queue's kind; else by the queue. */
  #receive(queue: RxQueue): number {
    const program = this.#programs.current;
    const { compiledRx } = queue;
    if (program !== null && compiledRx !== undefined) {
      const receive = program.receivers[compiledRx.kind];
      const count = receive(compiledRx.parameters, this.#frames << 2, BURST);
      if (count >= 0) return count;
    }
    return queue.rxBurst(this.#frames, BURST);
  }

  /** After each burst: outputs and upcalls go out, and no reference is held any more. */
  #leave(): void {
    this.#output.flush();
    this.#upcalls.publish();
    this.#epoch.quiesce();
  }

  /** Asks on the network for the address of a tunnel's next hop. */
  #ask({ endpoint, nextHop, source }: Unresolved): void {
    const frame = this.#packets.fromBytes(resolutionRequest(endpoint, nextHop, source), endpoint.portNo);
    if (frame === NO_FRAME) return;
    this.#counters.add(COUNTER.originated, 1);
    this.#output.output(endpoint.portNo, frame);
  }

  #closeRx(matches: (queue: RxQueue) => boolean): void {
    for (const queue of this.#rxQueues.filter(matches)) queue.close();
    this.#rxQueues = this.#rxQueues.filter((queue) => !matches(queue));
    this.#countPorts();
  }

  #countPorts(): void {
    this.#upcalls.setPortCount(new Set(this.#rxQueues.map((queue) => queue.slot)).size);
  }

  #factory({ type, portNo }: QueueAttachment): NonNullable<ReturnType<QueueFactories["get"]>> {
    const factory = this.#factories.get(type);
    if (factory === undefined)
      throw new Error(`pmd ${this.threadIndex}: port ${portNo} is of type ${type}, which has no queues here`);
    return factory;
  }

  #queueContext({ slot }: QueueAttachment): QueueContext {
    return {
      arena: this.#arena,
      threadIndex: this.threadIndex,
      pool: this.pool,
      packets: this.#packets,
      portCounters: new PortCounters(this.#arena, this.threadIndex, slot),
      counters: this.#counters,
      tunnels: this.#tunnels,
      forward: (portNo, frame) => this.#output.output(portNo, frame),
    };
  }
}
