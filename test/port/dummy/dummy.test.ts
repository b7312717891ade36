// The dummy port: what is injected is received, what is transmitted can be taken, and full rings drop by the book.
import t from "tap";
import { readPortCounters } from "../../../src/port/counters.ts";
import { type DummyPort, isDummyPort } from "../../../src/port/dummy/driver.ts";
import { DUMMY_RING_ENTRIES } from "../../../src/port/dummy/layout.ts";
import { testFrame } from "../../support/peer.ts";
import { FRAME_COUNT, type RigPort } from "../afxdp/rig.ts";
import { hex, PortRig } from "../port-rig.ts";

async function openDummy(
  rig: PortRig,
  options: Record<string, unknown> = {},
  rxqCount = 1,
): Promise<[RigPort, DummyPort]> {
  const port = await rig.openPort({ name: "d", type: "dummy", rxqCount, options });
  if (!isDummyPort(port.port)) throw new Error("not a dummy port");
  return [port, port.port];
}

t.test("injected in any segments, received; transmitted, taken", async (t) => {
  const rig = new PortRig();
  const [port, dummy] = await openDummy(rig, { "tx-queues": 2 }, 2);
  const frames = [64, 1514, 4000, 9022].map((bytes, number) => testFrame(number, bytes));
  for (const [index, frame] of frames.entries()) t.ok(dummy.inject(frame, index % 2, 700));
  const received = port.rx.flatMap((queue) => rig.burst(queue));
  t.strictSame(
    hex(received.map((frame) => rig.bytes(frame))),
    hex([frames[0]!, frames[2]!, frames[1]!, frames[3]!]),
    "queue by queue",
  );
  for (const frame of received) port.tx[1]!.put(frame);
  port.tx[1]!.flush();
  t.strictSame(hex(dummy.take()), hex([frames[0]!, frames[2]!, frames[1]!, frames[3]!]));
  t.strictSame(dummy.take(), []);
  t.match(readPortCounters(rig.arena, 0), { rx_packets: 4, tx_packets: 4, rx_bytes: 14600, tx_bytes: 14600 });
  await rig.close(port);
  t.equal(rig.pooled(), FRAME_COUNT);
});

t.test("full rings drop and count; closing gives everything back", async (t) => {
  const rig = new PortRig();
  const before = rig.left();
  const [port, dummy] = await openDummy(rig);
  for (let number = 0; number < DUMMY_RING_ENTRIES; number += 1) t.ok(dummy.inject(testFrame(number)));
  t.notOk(dummy.inject(testFrame(1)), "no place in the queue");
  t.equal(readPortCounters(rig.arena, 0).rx_dropped, 1);
  for (let number = 0; number < DUMMY_RING_ENTRIES + 3; number += 1) {
    port.tx[0]!.put(rig.packet(testFrame(number)));
  }
  port.tx[0]!.flush();
  t.match(rig.totals().drops, { tx_full: 3 });
  t.match(readPortCounters(rig.arena, 0), { tx_packets: DUMMY_RING_ENTRIES, tx_dropped: 3 });
  await rig.close(port);
  t.strictSame(rig.left(), before);
});

t.test("state and refusals", async (t) => {
  const rig = new PortRig();
  const before = rig.left();
  const [port, dummy] = await openDummy(rig, { mtu: 9000 });
  t.match(dummy.status(), { up: true, mtu: 9000 });
  dummy.setUp(false);
  t.match(dummy.status(), { up: false, notes: ["set down"] });
  t.strictSame(rig.changed, [0]);
  t.throws(() => dummy.inject(testFrame(1), 1), /port d: rx queue 1 of 1/);
  t.throws(() => dummy.inject(new Uint8Array(9023)), /9022 are the most/);
  await t.rejects(openDummy(rig, { mtu: 9001 }), /port d: option mtu/);
  await t.rejects(openDummy(rig, {}, 17), /lower rx-queues/);
  await t.rejects(openDummy(rig, { tx_pcap: "x", "tx-queues": 2 }), /lower tx-queues to 1/);
  await t.rejects(openDummy(rig, { tx_pcap: "/nowhere/x" }), /ENOENT/);
  await rig.close(port);
  t.strictSame(rig.left(), before);
});
