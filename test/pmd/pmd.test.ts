// The poll loop end to end in one thread: dummy ports, the reference engine, a handler that the test steers.
import t from "tap";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { ipv4 } from "../../src/packet/builder-network.ts";
import { udp } from "../../src/packet/builder-transport.ts";
import { readPortCounters } from "../../src/port/counters.ts";
import { Dataplane, FIVE_TUPLE, maskOf } from "../support/dataplane.ts";

const packet = (srcPort: number, payloadBytes = 20): Uint8Array =>
  buildFrame(
    [ethernet(), ipv4({ src: "10.0.0.1", dst: "10.0.0.2" }), udp({ src: srcPort, dst: 53 })],
    new Uint8Array(payloadBytes).fill(srcPort & 0xff),
  );

const allFree = (plane: Dataplane): Map<string, number> =>
  new Map([["free", plane.arena.plan.sizes.frameCount]]);

t.test("forwards what a flow says", async (t) => {
  const plane = new Dataplane();
  const one = await plane.addDummy("one");
  const two = await plane.addDummy("two");
  const three = await plane.addDummy("three");
  plane.putFlow(packet(1), one.portNo, `${two.portNo},${three.portNo}`);
  const frame = packet(1);
  for (let count = 0; count < 100; count += 1) one.inject(frame);
  plane.settle();
  const sent = [two.take(), three.take()];
  for (const frames of sent) {
    t.equal(frames.length, 100);
    t.ok(frames.every((bytes) => Buffer.from(bytes).equals(frame)));
  }
  const { counters } = plane.totals();
  t.match(counters, { received: 100, copied: 100, transmitted: 200, lookup_hit: 100, lookup_miss: 0 });
  t.match(readPortCounters(plane.arena, one.slot), { rx_packets: 100, rx_bytes: 100 * frame.length });
  t.match(readPortCounters(plane.arena, two.slot), { tx_packets: 100, tx_bytes: 100 * frame.length });
  t.equal(plane.books().in, plane.books().out);
  await plane.close();
  t.strictSame(plane.frameOwners(), allFree(plane));
});

t.test("a new flow: one install however many packets, all of them forwarded in order", async (t) => {
  const plane = new Dataplane();
  const one = await plane.addDummy("one");
  const two = await plane.addDummy("two");
  plane.handler.decide = () => ({ mask: maskOf(FIVE_TUPLE), actions: String(two.portNo) });
  const frames = Array.from({ length: 200 }, (_, index) => packet(7, 20 + (index % 50)));
  for (const frame of frames.slice(0, 100)) one.inject(frame);
  plane.pmds[0]!.iterate();
  plane.handler.budget = 1;
  plane.handler.drain();
  for (const frame of frames.slice(100)) one.inject(frame);
  for (let loop = 0; loop < 20; loop += 1) plane.turn();
  plane.handler.budget = Number.MAX_SAFE_INTEGER;
  plane.settle();
  t.equal(plane.handler.installCount, 1);
  t.strictSame(
    two.take().map((bytes) => bytes.length),
    frames.map((frame) => frame.length),
  );
  const { counters } = plane.totals();
  t.equal(counters.consumed, counters.reinjected);
  t.ok(counters.upcall_follow > 0, "packets that hit went up behind the miss");
  t.equal(plane.books().in, plane.books().out);
  await plane.close();
  t.strictSame(plane.frameOwners(), allFree(plane));
});
