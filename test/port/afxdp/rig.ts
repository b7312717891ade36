// A switch's worth of surroundings for AF_XDP ports without workers: arena, pools with the ledger on, a port
// context, and queues that the test polls itself.

import { ThreadCounters } from "../../../src/datapath/counters.ts";
import { DROP } from "../../../src/datapath/drop-reason.ts";
import { Arena } from "../../../src/memory/arena.ts";
import { NO_FRAME } from "../../../src/memory/frame-layout.ts";
import { FramePool, fillReserve } from "../../../src/memory/frame-pool.ts";
import { Packets } from "../../../src/memory/packets.ts";
import { controlThread, DEFAULT_SIZES } from "../../../src/memory/region-plan.ts";
import { afxdpDriver } from "../../../src/port/afxdp/driver.ts";
import { afxdpQueues } from "../../../src/port/afxdp/queues.ts";
import { PortCounters } from "../../../src/port/counters.ts";
import { FrameBudget } from "../../../src/port/frame-budget.ts";
import { ArenaPages } from "../../../src/port/page-allocator.ts";
import type { OpenPort, PortContext, QueueContext, RxQueue, TxQueue } from "../../../src/port/port.ts";
import { TunnelEngine } from "../../../src/tunnel/tunnel-engine.ts";
import type { VethEnd } from "../../support/netns.ts";

export const FRAME_COUNT = 4096;
const BURST = 64;
/** Where bursts are written: the thread's own batch region. */
const BURST_REGION = "batches";

export interface RigPort {
  readonly port: OpenPort;
  readonly rx: RxQueue[];
  readonly tx: TxQueue[];
}

export class Rig {
  readonly arena: Arena;
  readonly pool: FramePool;
  readonly controlPool: FramePool;
  readonly packets: Packets;
  readonly pages: ArenaPages;
  readonly frames: FrameBudget;
  readonly context: PortContext;
  readonly log: string[] = [];
  readonly changed: number[] = [];
  readonly reappeared: number[] = [];
  #slots = 0;

  constructor(frameCount = FRAME_COUNT, kernelRingBytes = 8 << 20) {
    this.arena = Arena.create({
      ...DEFAULT_SIZES,
      frameCount,
      flowCountMax: 64,
      maskCountMax: 16,
      portCountMax: 16,
      upcallRingBytes: 1 << 17,
      kernelRingBytes,
    });
    fillReserve(this.arena);
    const control = controlThread(this.arena.plan.sizes);
    this.pool = new FramePool(this.arena, 0, true);
    this.controlPool = new FramePool(this.arena, control, true);
    this.packets = new Packets(this.arena, this.pool);
    this.pages = new ArenaPages(this.arena);
    this.frames = new FrameBudget(this.arena.plan.sizes);
    this.context = {
      arena: this.arena,
      pool: this.controlPool,
      pages: this.pages,
      frames: this.frames,
      log: (level, message) => this.log.push(`${level} ${message}`),
      counters: (slot) => new PortCounters(this.arena, control, slot),
      dropped: (packets) => new ThreadCounters(this.arena, control).drop(DROP.stopping, packets),
      changed: (slot) => this.changed.push(slot),
      reappeared: (slot) => this.reappeared.push(slot),
    };
  }

  queueContext(slot: number): QueueContext {
    const { arena, pool, packets } = this;
    return {
      arena,
      threadIndex: 0,
      pool,
      packets,
      portCounters: new PortCounters(arena, 0, slot),
      counters: new ThreadCounters(arena, 0),
      tunnels: new TunnelEngine(arena, 0, pool, packets, new Float64Array(1), () => undefined),
      forward: (portNo) => {
        throw new Error(`nothing is forwarded to port ${portNo}`);
      },
    };
  }

  /** Opens a port in a slot of its own and makes a queue object of each half. */
  async open(
    { namespace, name }: VethEnd,
    options: Record<string, unknown> = {},
    rxqCount = 1,
    slot = this.#slots,
  ): Promise<RigPort> {
    this.#slots = Math.max(this.#slots, slot + 1);
    const spec = {
      name,
      type: "afxdp" as const,
      rxqCount,
      options: { netns: namespace, "ring-size": 128, ...options },
    };
    const port = await afxdpDriver.open(this.context, spec, slot + 1, slot);
    return this.queues(port);
  }

  /** Fresh queue objects, as another worker would make them. */
  queues(port: OpenPort): RigPort {
    const context = this.queueContext(port.slot);
    const numbers = Array.from({ length: port.rxqCount }, (_, queue) => queue);
    return {
      port,
      rx: numbers.map((queue) => afxdpQueues.openRx(context, port.rxAttachment(queue))),
      tx: numbers.map((queue) => afxdpQueues.openTx(context, port.txAttachment(queue))),
    };
  }

  async close({ port, rx, tx }: RigPort): Promise<void> {
    for (const queue of [...rx, ...tx]) queue.close();
    await port.close();
    this.frames.release(port.slot);
  }

  /** One burst: the packets' first frames. */
  burst(queue: RxQueue): number[] {
    const at = this.arena.region(BURST_REGION).offset >>> 2;
    const count = queue.rxBurst(at, BURST);
    return [...this.arena.u32.subarray(at, at + count)];
  }

  /** Polls a port's queues until `count` packets came. */
  async receive({ rx, tx }: RigPort, count: number): Promise<number[]> {
    const frames: number[] = [];
    while (frames.length < count) {
      const before = frames.length;
      for (const queue of rx) frames.push(...this.burst(queue));
      for (const queue of tx) queue.flush();
      if (frames.length === before) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return frames;
  }

  bytes(frame: number): Uint8Array {
    return this.packets.toBytes(frame);
  }

  /** A packet of these bytes in frames of at most `segmentBytes`. */
  packet(bytes: Uint8Array, segmentBytes?: number): number {
    const frame = this.packets.fromBytes(bytes, 1, segmentBytes);
    if (frame === NO_FRAME) throw new Error("the rig's pool is empty");
    return frame;
  }

  /** Frames by owner; after all ports are closed only stacks and the reserve have any. */
  audit(): Record<string, number> {
    return Object.fromEntries(this.pool.ledger!.audit());
  }

  /** Frames that are in the pools. */
  pooled(): number {
    return Object.entries(this.audit())
      .filter(([owner]) => owner.startsWith("stack") || owner.startsWith("reserve"))
      .reduce((sum, [, count]) => sum + count, 0);
  }
}
