// Handing over: a port whose one transmit queue belongs to another worker is reached through a ring, in order; a full
// ring drops and counts. (Between real threads: supervisor.test.ts.)
import t from "tap";
import { HANDOFF_RING_ENTRIES } from "../../src/memory/region-plan.ts";
import { readPortCounters } from "../../src/port/counters.ts";
import { Dataplane, FIVE_TUPLE } from "../support/dataplane.ts";
import { numberedFrame, numberOf } from "../support/numbered-frame.ts";

const numbers = (count: number): number[] => Array.from({ length: count }, (_, number) => number);

t.test("both workers reach a port with one transmit queue", async (t) => {
  const plane = new Dataplane({ sizes: { workerCount: 2 } });
  const ports = [await plane.addDummy("one"), await plane.addDummy("two")];
  const owner = await plane.addDummy("out");
  for (const port of ports) plane.putFlow(numberedFrame(0), port.portNo, `${owner.portNo}`, FIVE_TUPLE);
  for (const port of ports) {
    for (const number of numbers(300)) port.inject(numberedFrame(number));
    plane.settle();
    t.strictSame(owner.take().map(numberOf), numbers(300));
  }
  t.equal(readPortCounters(plane.arena, owner.slot).tx_packets, 600);
  t.equal(plane.books().in, plane.books().out);
  await plane.close();
});

t.test("a full ring drops", async (t) => {
  const sent = HANDOFF_RING_ENTRIES + 500;
  const plane = new Dataplane({ sizes: { workerCount: 2, frameCount: 8192 } });
  const one = await plane.addDummy("one");
  const two = await plane.addDummy("two");
  plane.putFlow(numberedFrame(0), one.portNo, `${two.portNo}`, FIVE_TUPLE);
  for (let number = 0; number < sent; ) {
    while (number < sent && one.inject(numberedFrame(number))) number += 1;
    plane.pmds[0]!.iterate();
  }
  while (plane.pmds[0]!.iterate() > 0);
  t.equal(plane.totals().drops.handoff_full, 500);
  let taken: Uint8Array[] = [];
  while (plane.turn() > 0) taken = [...taken, ...two.take()];
  t.strictSame(taken.map(numberOf), numbers(HANDOFF_RING_ENTRIES));
  t.equal(plane.books().in, plane.books().out);
  await plane.close();
  t.strictSame([...plane.frameOwners()], [["free", 8192]]);
});

t.test("packets for a port that went meanwhile are dropped", async (t) => {
  const plane = new Dataplane({ sizes: { workerCount: 2 } });
  const one = await plane.addDummy("one");
  const two = await plane.addDummy("two");
  plane.putFlow(numberedFrame(0), one.portNo, `${two.portNo}`, FIVE_TUPLE);
  for (const number of numbers(10)) one.inject(numberedFrame(number));
  plane.pmds[0]!.iterate();
  await plane.ports.remove(two.portNo);
  plane.settle();
  t.equal(plane.totals().drops.invalid_port, 10);
  t.equal(plane.books().in, plane.books().out);
  await plane.close();
  t.strictSame([...plane.frameOwners()], [["free", 2048]]);
});
