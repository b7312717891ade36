// The compiled transmit pass against Output.output, packet by packet: random lists over ports of every kind, of which
// some are down, unknown or not reached, packets of all lengths, chains, and packets with unusual flags.
import fc from "fast-check";
import t from "tap";
import { emitTransmit } from "../../src/compile/emit/transmit.ts";
import { readThreadTotals } from "../../src/datapath/counters.ts";
import { PACKET_CSUM_PARTIAL, PACKET_L3, PACKET_PATCH_HOP } from "../../src/memory/frame-layout.ts";
import { PORT_TAKES_L3, PORT_TAKES_PARTIAL_CHECKSUMS, PORT_UP } from "../../src/memory/port-layout.ts";
import { MEMORY_BUFFERS_MAX, MEMORY_TRAFFIC } from "../../src/memory/queue-layout.ts";
import { memoryQueues } from "../../src/perf/memory-port.ts";
import { CHECK_INTERVAL, MemoryTraffic } from "../../src/perf/memory-traffic.ts";
import { readPortCounters } from "../../src/port/counters.ts";
import { nullQueues } from "../../src/port/null/queues.ts";
import type { TxQueue } from "../../src/port/port.ts";
import { runs } from "../support/seed.ts";
import { CompiledPorts, instantiate } from "./compiled-ports.ts";

const PACKET_BYTES_MAX = 1514;
/** By slot: number, kind of queue, flags. Slot 5 is published and not reached. */
const PORTS = [
  [1, "memory", PORT_UP],
  [2, "null", PORT_UP],
  [3, "kept", PORT_UP | PORT_TAKES_L3],
  [65535, "memory", PORT_UP | PORT_TAKES_PARTIAL_CHECKSUMS],
  [5, "null", 0],
  [6, "none", PORT_UP],
] as const;
const UNKNOWN_PORTS = [77, 65536, 0xfffffffe];

interface Sent {
  readonly portNo: number;
  readonly bytes: number;
  readonly segmentBytes: number;
  readonly flags: number;
  readonly isTagged: boolean;
}

/** A queue that remembers what it got, in order, as a queue in JavaScript would. */
class KeptQueue implements TxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly frames: number[] = [];
  flushes = 0;

  constructor(portNo: number, slot: number) {
    this.portNo = portNo;
    this.slot = slot;
  }

  put(frame: number): void {
    this.frames.push(frame);
  }

  flush(): void {
    this.flushes += 1;
  }

  close(): void {}
}

class Side {
  readonly ports = new CompiledPorts();
  readonly traffic = new MemoryTraffic([new Uint8Array(64)], new Set());
  readonly kept = new KeptQueue(3, 2);
  readonly transmit: (from: number) => number;

  constructor() {
    const fields = { memory: this.ports.arena.region("kernelRings").offset };
    const factories = { memory: memoryQueues(this.traffic), null: nullQueues };
    for (const [slot, [portNo, kind, flags]] of PORTS.entries()) {
      let queue: TxQueue | undefined;
      if (kind === "kept") queue = this.kept;
      else if (kind !== "none") {
        const attachment = { type: "null", portNo, slot, queue: 0, fields } as const;
        queue = factories[kind].openTx(this.ports.context(slot), attachment);
      }
      this.ports.addPort(portNo, slot, flags, PACKET_BYTES_MAX, queue);
    }
    this.transmit = instantiate(this.ports.arena, (scope) => [emitTransmit(scope)])["transmit"]!;
  }

  set(word: keyof typeof MEMORY_TRAFFIC, value: number): void {
    this.ports.arena.i32[(this.traffic.address + MEMORY_TRAFFIC[word]) >>> 2] = value;
  }

  packet({ bytes, segmentBytes, flags, isTagged }: Sent): number {
    const data = new Uint8Array(bytes);
    data.set(isTagged ? [0x81, 0x00] : [0x08, 0x00], 12);
    const frame = this.ports.packets.fromBytes(data, 1, segmentBytes);
    this.ports.packets.setFlags(frame, flags);
    this.ports.packets.setCsum(frame, 14, 6);
    return frame;
  }

  /** Everything that a transmit may change. */
  state() {
    const { arena, output } = this.ports;
    const flushesBefore = this.kept.flushes;
    output.flush();
    return {
      isKeptFlushed: this.kept.frames.length === 0 || this.kept.flushes > flushesBefore,
      kept: this.kept.frames,
      ports: PORTS.map((_, slot) => readPortCounters(arena, slot)),
      totals: readThreadTotals(arena, 0),
      stack: stackOf(this.ports),
      traffic: [...arena.u32.subarray(this.traffic.address >>> 2, (this.traffic.address >>> 2) + 4096 + 64)],
      checked: [this.traffic.checkedCount, this.traffic.wrongCount],
    };
  }
}

function stackOf({ arena, pool }: CompiledPorts): number[] {
  const stack = arena.region("frameStacks").offset >>> 2;
  return [...arena.u32.subarray(stack, stack + pool.stackCount)];
}

const sent: fc.Arbitrary<Sent> = fc.record({
  portNo: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...PORTS.map(([portNo]) => portNo)) },
    { weight: 1, arbitrary: fc.constantFrom(...UNKNOWN_PORTS) },
  ),
  bytes: fc.oneof(
    { weight: 4, arbitrary: fc.constant(64) },
    { weight: 2, arbitrary: fc.integer({ min: 60, max: 1600 }) },
    { weight: 1, arbitrary: fc.integer({ min: PACKET_BYTES_MAX - 1, max: PACKET_BYTES_MAX + 5 }) },
  ),
  segmentBytes: fc.oneof(
    { weight: 5, arbitrary: fc.constant(4096) },
    { weight: 1, arbitrary: fc.constant(50) },
  ),
  flags: fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        PACKET_CSUM_PARTIAL,
        PACKET_L3,
        PACKET_L3 | PACKET_CSUM_PARTIAL,
        PACKET_PATCH_HOP,
      ),
    },
  ),
  isTagged: fc.boolean(),
});
/** Runs to one port, as bursts have them, and lone packets. */
const sentList = fc
  .array(fc.tuple(sent, fc.integer({ min: 1, max: 12 })), { minLength: 1, maxLength: 24 })
  .map((list) => list.flatMap(([one, times]) => new Array<Sent>(times).fill(one)));

t.test("a list leaves as packet by packet, whatever is in it", (t) => {
  let compiledCount = 0;
  let listedCount = 0;
  fc.assert(
    fc.property(
      sentList,
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 0, max: 40 }),
      (list, untilCheck, room) => {
        const [compiled, reference] = [new Side(), new Side()];
        const { ports } = compiled;
        for (const side of [compiled, reference]) {
          side.set("untilCheck", untilCheck);
          side.set("count", MEMORY_BUFFERS_MAX - room);
        }
        const twins = list.map((one) => reference.packet(one));
        for (const one of list) ports.list(one.portNo, compiled.packet(one));
        for (const [index, frame] of twins.entries())
          reference.ports.output.output(list[index]!.portNo, frame);
        let javascript = 0;
        for (let at = compiled.transmit(0); at !== -1; at = compiled.transmit(at)) {
          const next = ports.output.outputList(at);
          t.ok(next > at && next <= list.length);
          javascript += next - at;
          at = next;
        }
        listedCount += list.length;
        compiledCount += list.length - javascript;
        t.equal(compiled.transmit(0), -1, "the list is empty");
        t.same(compiled.state(), reference.state());
        return true;
      },
    ),
    runs(60),
  );
  t.ok(compiledCount > listedCount / 8, `${compiledCount} of ${listedCount} packets left in compiled code`);
  t.end();
});

t.test("one output in so many is compared, whoever transmits it", (t) => {
  const side = new Side();
  const { ports } = side;
  const bytes = { bytes: 64, segmentBytes: 4096, flags: 0, isTagged: false, portNo: 1 };
  let taken = 0;
  for (let left = CHECK_INTERVAL * 2; left > 0; left -= 1) {
    ports.list(1, side.packet(bytes));
    if (left % 64 !== 1) continue;
    for (let at = side.transmit(0); at !== -1; at = side.transmit(at)) {
      at = ports.output.outputList(at);
      taken += 1;
    }
    ports.output.flush();
    side.traffic.giveBack(ports.pool);
  }
  t.equal(taken, 2);
  t.equal(side.traffic.checkedCount, 2);
  t.equal(side.traffic.wrongCount, 2, "none is expected here");
  t.equal(readPortCounters(ports.arena, 0).tx_packets, CHECK_INTERVAL * 2);
  t.end();
});
