// The compiled AF_XDP rings against the queues in JavaScript, over rings whose other side is played: random arrivals and
// chains, random bursts, everything sent back out of the port, random progress of the kernel. What is received, what
// leaves, every counter and every frame must be the same.
import fc from "fast-check";
import t from "tap";
import { emitAfxdpRx } from "../../src/compile/emit/afxdp-rx.ts";
import { emitTransmit } from "../../src/compile/emit/transmit.ts";
import { readThreadTotals } from "../../src/datapath/counters.ts";
import { reserveCount } from "../../src/memory/frame-pool.ts";
import { PORT_UP } from "../../src/memory/port-layout.ts";
import { afxdpQueues } from "../../src/port/afxdp/queues.ts";
import { markedFrameCount } from "../../src/port/afxdp/reclaim.ts";
import { readPortCounters } from "../../src/port/counters.ts";
import type { RxQueue } from "../../src/port/port.ts";
import { runs } from "../support/seed.ts";
import { CompiledPorts, type Exports, instantiate } from "./compiled-ports.ts";
import { type ArrivingPacket, FakeXsk } from "./fake-xsk.ts";

const PORT_NO = 9;
const SLOT = 0;
const FRAME_COUNT = 512;
const PACKET_BYTES_MAX = 9022;
/** Flushes after which JavaScript takes completions that compiled code did not come for. */
const FLUSHES = 20;
const STACK_FRAMES = 128;

interface Round {
  readonly arrivals: readonly (readonly number[])[];
  readonly limit: number;
  /** How much the kernel transmits after the burst, descriptors. */
  readonly sent: number;
  /** The compiled side leaves this round to JavaScript. */
  readonly isCompiled: boolean;
}

class Side {
  readonly ports = new CompiledPorts(FRAME_COUNT);
  readonly kernel = new FakeXsk(this.ports.arena);
  readonly rx: RxQueue;
  readonly code: Exports;
  /** Bursts that compiled code received, and those that it left. */
  readonly bursts = { compiled: 0, left: 0 };
  /** What a queue in JavaScript has to be told to receive the same as the last burst. */
  limit = 0;

  constructor(index: number) {
    this.kernel.startAt(index);
    const context = this.ports.context(SLOT);
    const attachment = {
      type: "afxdp",
      portNo: PORT_NO,
      slot: SLOT,
      queue: 0,
      fields: { ...this.kernel.fields },
    } as const;
    this.rx = afxdpQueues.openRx(context, attachment);
    this.ports.addPort(PORT_NO, SLOT, PORT_UP, PACKET_BYTES_MAX, afxdpQueues.openTx(context, attachment));
    this.code = instantiate(this.ports.arena, (scope) => [emitAfxdpRx(scope), emitTransmit(scope)]);
  }

  /** As an engine does before a burst: frames for actions, and for the fill ring. */
  #prepare(): void {
    const { pool } = this.ports;
    const frames = Array.from({ length: STACK_FRAMES }, () => pool.take());
    for (const frame of frames) pool.free(frame);
  }

  burst(limit: number, isCompiled: boolean): number[] {
    const { arena } = this.ports;
    this.#prepare();
    const column = arena.region("batches").offset;
    let count = -1;
    if (isCompiled) {
      count = this.code["afxdp_rx"]!(this.rx.compiledRx!.parameters, column, limit);
      this.bursts[count === -1 ? "left" : "compiled"] += 1;
    }
    // Compiled code ends its burst before a chain.
    this.limit = count === -1 ? limit : Math.max(count, 1);
    if (count === -1) count = this.rx.rxBurst(column >>> 2, limit);
    return [...arena.u32.subarray(column >>> 2, (column >>> 2) + count)];
  }

  /** A packet as actions see it. */
  describe(frame: number): string {
    const { packets, arena } = this.ports;
    const parts: string[] = [];
    for (let part = frame; part !== 0xffffffff; part = packets.nextFrame(part))
      parts.push(`${packets.dataOffset(part)}+${packets.dataBytes(part)}@${packets.portNo(part)}`);
    const head = packets.head(frame);
    const total = `${packets.packetBytes(frame)}/${packets.segmentCount(frame)}/${packets.flags(frame)}`;
    return `${arena.u8[head]! | (arena.u8[head + 1]! << 8)} ${total} ${parts.join(" ")}`;
  }

  send(frames: readonly number[], isCompiled: boolean): void {
    const { output } = this.ports;
    for (const frame of frames) {
      if (isCompiled) this.ports.list(PORT_NO, frame);
      else output.output(PORT_NO, frame);
    }
    for (let at = this.code["transmit"]!(0); at !== -1; ) at = this.code["transmit"]!(output.outputList(at));
    output.flush();
  }

  /** The round's packets, as both sides must see them. */
  play({ sent }: Round, arrivals: readonly ArrivingPacket[], limit: number, isCompiled: boolean): string[] {
    const taken = arrivals.map((packet) => this.kernel.receive(packet));
    const frames = this.burst(limit, isCompiled);
    const described = frames.map((frame) => this.describe(frame));
    this.send(frames, isCompiled);
    this.kernel.transmit(sent);
    return [taken.join(), ...described];
  }

  state() {
    const { arena, pool, output } = this.ports;
    for (let flush = 0; flush < FLUSHES; flush += 1) {
      this.kernel.transmit(FRAME_COUNT);
      output.flushAll();
    }
    const marked = markedFrameCount(arena, SLOT);
    return {
      sent: this.kernel.sent,
      port: readPortCounters(arena, SLOT),
      totals: readThreadTotals(arena, 0),
      frames: pool.stackCount + reserveCount(arena) + marked,
      posted:
        (arena.u32[this.kernel.fields.fillProducer >>> 2]! -
          arena.u32[this.kernel.fields.rxConsumer >>> 2]!) >>>
          0 ===
        marked,
    };
  }
}

const segments = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 60, max: 1514 }).map((bytes) => [bytes]) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 60 }).map((bytes) => [bytes]) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.integer({ min: 60, max: 1790 }), fc.integer({ min: 1, max: 1790 })),
  },
  { weight: 1, arbitrary: fc.constant([1790, 1790, 1790, 1790, 1790, 500]) },
);
const round: fc.Arbitrary<Round> = fc.record({
  arrivals: fc.array(segments, { maxLength: 70, size: "max" }),
  limit: fc.integer({ min: 1, max: 64 }),
  sent: fc.oneof(fc.constant(64), fc.integer({ min: 0, max: 80 })),
  isCompiled: fc.oneof(
    { weight: 4, arbitrary: fc.constant(true) },
    { weight: 1, arbitrary: fc.constant(false) },
  ),
});

t.test("the same packets, counters and frames as the queues in JavaScript", (t) => {
  const bursts = { compiled: 0, left: 0 };
  fc.assert(
    fc.property(
      fc.array(round, { minLength: 1, maxLength: 30 }),
      fc.constantFrom(0, 0xffff_ffe0, 0x7fff_fff0),
      (rounds, index) => {
        const [mixed, reference] = [new Side(index), new Side(index)];
        let number = 0;
        for (const one of rounds) {
          const arrivals = one.arrivals.map((parts) => {
            number += 1;
            return { number, segments: parts };
          });
          const got = mixed.play(one, arrivals, one.limit, one.isCompiled);
          t.same(got, reference.play(one, arrivals, mixed.limit, false));
        }
        const state = mixed.state();
        t.same(state, reference.state());
        t.ok(state.posted, "only buffers of the fill ring are the kernel's");
        t.equal(state.frames, FRAME_COUNT, "no frame is lost");
        bursts.compiled += mixed.bursts.compiled;
        bursts.left += mixed.bursts.left;
      },
    ),
    runs(40),
  );
  t.ok(bursts.compiled > bursts.left, `${bursts.compiled} bursts compiled, ${bursts.left} left`);
  t.end();
});

t.test("a driver that wants to be woken is JavaScript's", (t) => {
  const side = new Side(0);
  const { fields } = side.kernel;
  side.ports.arena.u32[fields.fillFlags >>> 2] = 1;
  side.kernel.receive({ number: 1, segments: [60] });
  t.equal(
    side.code["afxdp_rx"]!(side.rx.compiledRx!.parameters, side.ports.arena.region("batches").offset, 64),
    -1,
  );
  side.ports.arena.u32[fields.fillFlags >>> 2] = 0;
  t.equal(side.burst(64, true).length, 1);
  t.end();
});
