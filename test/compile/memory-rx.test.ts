// The compiled memory port against the queue in JavaScript: the same bursts of the same frames into the same buffers.
import fc from "fast-check";
import t from "tap";
import { emitMemoryRx } from "../../src/compile/emit/memory-rx.ts";
import { MEMORY_BUFFERS_MIN, MEMORY_TRAFFIC } from "../../src/memory/queue-layout.ts";
import { memoryQueues } from "../../src/perf/memory-port.ts";
import { MemoryTraffic } from "../../src/perf/memory-traffic.ts";
import { readPortCounters } from "../../src/port/counters.ts";
import type { RxQueue } from "../../src/port/port.ts";
import { runs } from "../support/seed.ts";
import { CompiledPorts, instantiate } from "./compiled-ports.ts";

const PORT_NO = 7;
/** What the queue of buffers is filled with, and as many as bursts take meanwhile. */
const FRAME_COUNT = MEMORY_BUFFERS_MIN + 1024;
const ROOM_BYTES = 2048 - 258;
const VECTOR_BYTES = 16;

class Side {
  readonly ports = new CompiledPorts(FRAME_COUNT);
  readonly traffic: MemoryTraffic;
  readonly queue: RxQueue;
  readonly memoryRx: (parameters: number, frames: number, limit: number) => number;

  constructor(frames: readonly Uint8Array[], garbage: number) {
    const { arena } = this.ports;
    this.traffic = new MemoryTraffic(frames, null);
    const { offset, bytes } = arena.region("frames");
    arena.u8.fill(garbage, offset, offset + bytes);
    this.queue = memoryQueues(this.traffic).openRx(this.ports.context(0), {
      type: "null",
      portNo: PORT_NO,
      slot: 0,
      queue: 0,
      fields: { memory: arena.region("kernelRings").offset },
    });
    this.memoryRx = instantiate(arena, (scope) => [emitMemoryRx(scope)])["memory_rx"]!;
  }

  get column(): number {
    return this.ports.arena.region("batches").offset;
  }

  frames(count: number): number[] {
    return [...this.ports.arena.u32.subarray(this.column >>> 2, (this.column >>> 2) + count)];
  }

  receive(limit: number): number[] {
    return this.frames(this.queue.rxBurst(this.column >>> 2, limit));
  }

  /** As an engine does: what compiled code leaves is the queue's. */
  receiveCompiled(limit: number): number[] {
    const { kind, parameters } = this.queue.compiledRx!;
    t.equal(kind, "memory");
    const count = this.memoryRx(parameters, this.column, limit);
    return count === -1 ? this.receive(limit) : this.frames(count);
  }

  give(frames: readonly number[]): void {
    for (const frame of frames) this.traffic.giveBuffer(frame, this.ports.pool);
  }

  block(): number[] {
    const from = this.traffic.address >>> 2;
    return [...this.ports.arena.u32.subarray(from, from + MEMORY_TRAFFIC.buffers / 4)];
  }

  /** A packet and what stands around it in its buffer. */
  packet(frame: number) {
    const { packets, arena } = this.ports;
    const [start, head, bytes] = [packets.frameStart(frame), packets.head(frame), packets.packetBytes(frame)];
    const end = head + Math.max(bytes, VECTOR_BYTES);
    return {
      bytes: Buffer.from(packets.toBytes(frame)).toString("hex"),
      around: Buffer.concat([arena.u8.subarray(start, head), arena.u8.subarray(end, start + 2048)]).toString(
        "hex",
      ),
      dataBytes: packets.dataBytes(frame),
      segmentCount: packets.segmentCount(frame),
      nextFrame: packets.nextFrame(frame),
      flags: packets.flags(frame),
      portNo: packets.portNo(frame),
    };
  }
}

const frame = fc
  .oneof(fc.constant(64), fc.integer({ min: 1, max: 130 }), fc.integer({ min: 1, max: ROOM_BYTES }))
  .chain((bytes) => fc.uint8Array({ minLength: bytes, maxLength: bytes }));

t.test("the same bursts as the queue in JavaScript", (t) => {
  fc.assert(
    fc.property(
      fc.array(frame, { minLength: 1, maxLength: 20 }),
      fc.array(fc.record({ limit: fc.integer({ min: 1, max: 64 }), isCompiled: fc.boolean() }), {
        maxLength: 30,
      }),
      fc.integer({ min: 0, max: 300 }),
      fc.nat(255),
      (frames, bursts, missing, garbage) => {
        const [mixed, reference] = [new Side(frames, garbage), new Side(frames, garbage)];
        for (const side of [mixed, reference]) {
          const taken: number[] = [];
          while (taken.length < MEMORY_BUFFERS_MIN - 100 + missing) taken.push(side.ports.pool.take());
          side.give(taken);
        }
        for (const { limit, isCompiled } of bursts) {
          const got = isCompiled ? mixed.receiveCompiled(limit) : mixed.receive(limit);
          t.same(got, reference.receive(limit));
          t.same(
            got.map((one) => mixed.packet(one)),
            got.map((one) => reference.packet(one)),
          );
          for (const side of [mixed, reference]) side.give(got.slice(0, limit - (limit % 3)));
        }
        t.same(mixed.block(), reference.block());
        t.same(readPortCounters(mixed.ports.arena, 0), readPortCounters(reference.ports.arena, 0));
        return true;
      },
    ),
    runs(15),
  );
  t.end();
});

t.test("a frame that no buffer holds is refused", (t) => {
  t.throws(
    () => new Side([new Uint8Array(64), new Uint8Array(ROOM_BYTES + 1)], 0),
    /frame 2 is 1791 bytes long/,
  );
  t.end();
});
