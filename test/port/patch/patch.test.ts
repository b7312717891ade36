// Patch ports: what leaves by one end arrives at the other, a lone end is down, and a loop of patches ends.
import t from "tap";
import { DROP_REASONS } from "../../../src/datapath/drop-reason.ts";
import { readPortCounters } from "../../../src/port/counters.ts";
import { PATCH_HOPS_MAX, PATCH_RING_ENTRIES } from "../../../src/port/patch/layout.ts";
import { Dataplane } from "../../support/dataplane.ts";
import { testFrame } from "../../support/peer.ts";
import type { RigPort } from "../afxdp/rig.ts";
import { hex, PortRig } from "../port-rig.ts";

const openEnd = async (rig: PortRig, name: string, peer: string, slot: number): Promise<RigPort> =>
  rig.openPort({ name, type: "patch", options: { peer } }, slot);

t.test("packets of all lengths cross, under the number of the port that they arrive at", async (t) => {
  const rig = new PortRig();
  const before = rig.left();
  const left = await openEnd(rig, "left", "right", 0);
  const right = await openEnd(rig, "right", "left", 1);
  const frames = [60, 1514, 5000, 9022].map((bytes, number) => testFrame(number, bytes));
  for (const [from, to] of [
    [left, right],
    [right, left],
  ] as const) {
    for (const frame of frames) from.tx[0]!.put(rig.packet(frame, 1000));
    t.strictSame(rig.burst(to.rx[0]!), [], "nothing before the flush");
    from.tx[0]!.flush();
    const received = rig.burst(to.rx[0]!);
    t.ok(received.every((frame) => rig.packets.portNo(frame) === to.port.portNo));
    t.strictSame(hex(rig.takeBytes(received)), hex(frames));
  }
  const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
  for (const slot of [0, 1]) {
    t.match(readPortCounters(rig.arena, slot), {
      rx_packets: frames.length,
      rx_bytes: bytes,
      tx_packets: frames.length,
      tx_bytes: bytes,
    });
  }
  await rig.close(left);
  await rig.close(right);
  t.strictSame(rig.left(), before);
});

t.test("an end without its peer is down; what was on its way is freed", async (t) => {
  const rig = new PortRig();
  const before = rig.left();
  const left = await openEnd(rig, "left", "right", 0);
  t.match(left.port.status(), { up: false, notes: [/there is no patch port right that names it/] });
  const other = await openEnd(rig, "right", "elsewhere", 2);
  t.match(left.port.status(), { up: false }, "a port of that name which names another is no peer");
  await rig.close(other);
  const right = await openEnd(rig, "right", "left", 1);
  t.strictSame(rig.changed, [0], "the first end hears of it");
  t.match([left.port.status(), right.port.status()], [{ up: true }, { up: true }]);
  left.tx[0]!.put(rig.packet(testFrame(1)));
  left.tx[0]!.flush();
  await rig.close(right);
  t.strictSame(rig.changed, [0, 0]);
  t.match(left.port.status(), { up: false });
  // The worker had not learned yet that the peer went.
  left.tx[0]!.put(rig.packet(testFrame(2)));
  left.tx[0]!.flush();
  await rig.close(left);
  t.strictSame(rig.left(), before);
});

t.test("a full ring drops and counts", async (t) => {
  const rig = new PortRig();
  const left = await openEnd(rig, "left", "right", 0);
  const right = await openEnd(rig, "right", "left", 1);
  for (let number = 0; number < PATCH_RING_ENTRIES + 3; number += 1)
    left.tx[0]!.put(rig.packet(testFrame(number)));
  left.tx[0]!.flush();
  t.match(rig.totals().drops, { tx_full: 3 });
  t.match(readPortCounters(rig.arena, 0), { tx_packets: PATCH_RING_ENTRIES, tx_dropped: 3 });
  await rig.close(left);
  await rig.close(right);
});

t.test("what it refuses", async (t) => {
  const rig = new PortRig();
  const before = rig.left();
  await t.rejects(
    rig.openPort({ name: "p", type: "patch" }),
    /port p: option peer: .*the other patch port's name/,
  );
  await t.rejects(openEnd(rig, "p", "p", 0), /port p: option peer: it names the port itself/);
  await t.rejects(
    rig.openPort({ name: "p", type: "patch", rxqCount: 2, options: { peer: "q" } }),
    /port p: .*remove rx-queues/,
  );
  t.strictSame(rig.left(), before);
});

t.test("through a patch a packet is looked up anew, by any number of workers", async (t) => {
  const plane = new Dataplane({ sizes: { workerCount: 3 } });
  const [first, second] = [await plane.addDummy("first", { rxqCount: 3 }), await plane.addDummy("second")];
  const left = await plane.addPort({ name: "left", type: "patch", options: { peer: "right" } });
  const right = await plane.addPort({ name: "right", type: "patch", options: { peer: "left" } });
  t.strictSame(
    plane.ports.rxqs().flatMap(({ port, queue, worker }) => (port === left ? [[queue, worker]] : [])),
    [
      [0, 0],
      [1, 1],
      [2, 2],
    ],
  );
  const frame = testFrame(1);
  plane.putFlow(frame, first.portNo, `${left.portNo}`, ["in_port"]);
  plane.putFlow(frame, right.portNo, `${second.portNo}`, ["in_port"]);
  for (let queue = 0; queue < 3; queue += 1) first.inject(frame, queue);
  plane.settle();
  t.strictSame(hex(second.take()), hex([frame, frame, frame]));
  const books = plane.books();
  t.equal(books.in, books.out);
  await plane.close();
});

t.test("a loop of patches ends with a counted drop", async (t) => {
  t.ok(DROP_REASONS.some(({ name }) => name === "patch_loop"));
  const plane = new Dataplane();
  const dummy = await plane.addDummy("d");
  const left = await plane.addPort({ name: "left", type: "patch", options: { peer: "right" } });
  const right = await plane.addPort({ name: "right", type: "patch", options: { peer: "left" } });
  const frame = testFrame(1);
  plane.putFlow(frame, dummy.portNo, `${left.portNo}`, ["in_port"]);
  plane.putFlow(frame, right.portNo, `${right.portNo}`, ["in_port"]);
  plane.putFlow(frame, left.portNo, `${left.portNo},${dummy.portNo}`, ["in_port"]);
  dummy.inject(frame);
  plane.settle();
  t.match(plane.totals().drops, { patch_loop: 1 });
  t.equal(dummy.take().length, PATCH_HOPS_MAX / 2 - 1, "it came to the left end every second hop");
  const books = plane.books();
  t.equal(books.in, books.out);
  await plane.close();
});
