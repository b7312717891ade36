// Unfinished checksums at the way out: finished for a port that can't carry them, left alone for one that can.
import t from "tap";
import { readPortCounters } from "../../src/port/counters.ts";
import type { PortType, RxQueue } from "../../src/port/port.ts";
import { QUEUE_FACTORIES } from "../../src/port/queue-factories.ts";
import { markPartial, partialUdpFrame, UDP_START, udpChecksumHolds } from "../port/kernel-port.ts";
import { Dataplane } from "../support/dataplane.ts";

const dummy = QUEUE_FACTORIES.get("dummy")!;

/** Everything that dummy ports receive has a checksum for us to finish, as from an af_packet port or a tap. */
const factories = new Map<PortType, typeof dummy>([
  ...QUEUE_FACTORIES,
  [
    "dummy",
    {
      ...dummy,
      openRx: (context, attachment): RxQueue => {
        const queue = dummy.openRx(context, attachment);
        return {
          portNo: queue.portNo,
          slot: queue.slot,
          queue: queue.queue,
          close: () => queue.close(),
          rxBurst: (at, limit) => {
            const count = queue.rxBurst(at, limit);
            for (let index = 0; index < count; index += 1)
              markPartial(context.packets, context.arena.u32[at + index]!);
            return count;
          },
        };
      },
    },
  ],
]);

t.test("a partial checksum is finished before a port that can't carry it", async (t) => {
  const plane = new Dataplane({ factories });
  const source = await plane.addDummy("in");
  const target = await plane.addDummy("out", { options: { mtu: 9000 } });
  const sink = await plane.addPort({ name: "sink", type: "null" });
  t.notOk(target.takesPartialChecksums);
  t.ok(sink.takesPartialChecksums);
  const finished = (slot: number): number => readPortCounters(plane.arena, slot).csum_finished;
  plane.putFlow(partialUdpFrame(1), source.portNo, `${target.portNo},${sink.portNo},${target.portNo}`, [
    "in_port",
  ]);
  let packets = 0;
  for (const [payloadBytes, segmentBytes] of [
    [0, undefined],
    [1, 40],
    [1001, 100],
    [1472, undefined],
    [8900, 1700],
    [8901, 333],
  ] as const) {
    const partial = partialUdpFrame(payloadBytes);
    t.notOk(udpChecksumHolds(partial));
    t.ok(source.inject(partial, 0, segmentBytes));
    plane.settle();
    const sent = target.take();
    packets += 2;
    t.equal(sent.length, 2);
    for (const frame of sent) {
      t.ok(udpChecksumHolds(frame), `${payloadBytes} bytes`);
      const rest = (bytes: Uint8Array): Buffer =>
        Buffer.concat([bytes.subarray(0, UDP_START + 6), bytes.subarray(UDP_START + 8)]);
      t.ok(rest(frame).equals(rest(partial)), "nothing else changes");
    }
    t.equal(finished(target.slot), packets);
    t.equal(finished(sink.slot), 0);
  }
  await plane.close();
});

t.test("a checksum that can't be finished is dropped under its reason", async (t) => {
  const plane = new Dataplane({ factories });
  const source = await plane.addDummy("in");
  const target = await plane.addDummy("out");
  // Shorter than where its checksum is said to stand.
  const short = partialUdpFrame(0).subarray(0, UDP_START);
  plane.putFlow(short, source.portNo, `${target.portNo}`, ["in_port"]);
  t.ok(source.inject(short));
  plane.settle();
  t.strictSame(target.take(), []);
  t.match(plane.totals().drops, { csum_unfinished: 1 });
  t.equal(readPortCounters(plane.arena, target.slot).tx_dropped, 1);
  await plane.close();
});
