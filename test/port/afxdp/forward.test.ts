// AF_XDP ports over veth pairs of the test's own: what comes in one port leaves by another byte for byte, in
// every mode, from one queue or several, in one frame or in chains of any shape; and every frame is accounted
// for afterwards.
import t from "tap";
import { readTotals } from "../../../src/datapath/counters.ts";
import { readPortCounters } from "../../../src/port/counters.ts";
import { Lab, labUnavailable } from "../../support/netns.ts";
import { Peer, testFrame } from "../../support/peer.ts";
import { SeededRandom } from "../../support/random.ts";
import { SEED } from "../../support/seed.ts";
import { FRAME_COUNT, Rig } from "./rig.ts";

const skip = labUnavailable() ?? false;
const hex = (frames: readonly Uint8Array[]): string[] =>
  frames.map((frame) => Buffer.from(frame).toString("hex"));

for (const mode of ["auto", "native", "generic"]) {
  t.test(`forwarding between two ports, xdp-mode ${mode}`, { skip }, async (t) => {
    const lab = new Lab(t);
    const near = lab.namespace("a");
    const far = lab.namespace("b");
    const [leftEnd, leftFar] = lab.veth(near, far);
    const [rightEnd, rightFar] = lab.veth(near, far);
    const rig = new Rig();
    const left = await rig.open(leftEnd, { "xdp-mode": mode });
    const right = await rig.open(rightEnd, { "xdp-mode": mode });
    t.match(Object.fromEntries(left.port.shownOptions), {
      n_rxq: "1",
      "use-need-wakeup": "true",
      "xdp-mode": mode === "auto" ? "native" : mode,
    });
    t.match(left.port.status(), { up: true, mtu: 1500 });
    const sender = new Peer(leftFar);
    const receiver = new Peer(rightFar);
    // Several times around the rings of 128 descriptors.
    const rounds = 12;
    for (let round = 0; round < rounds; round += 1) {
      const frames = Array.from({ length: 64 }, (_, i) =>
        testFrame(round * 64 + i, 60 + ((round * 97 + i * 13) % 1455)),
      );
      sender.send(frames);
      const received = await rig.receive(left, frames.length);
      t.strictSame(hex(received.map((frame) => rig.bytes(frame))), hex(frames), `round ${round}: received`);
      t.ok(received.every((frame) => rig.packets.portNo(frame) === left.port.portNo));
      t.ok(
        received.every((frame) => rig.packets.head(frame) % 4 === 2),
        "the IP header is aligned",
      );
      for (const frame of received) right.tx[0]!.put(frame);
      right.tx[0]!.flush();
      t.strictSame(hex(await receiver.receive(frames.length)), hex(frames), `round ${round}: sent`);
    }
    for (const one of [left, right]) one.port.foldKernelCounters();
    const total = rounds * 64;
    t.match(readPortCounters(rig.arena, left.port.slot), { rx_packets: total, rx_dropped: 0, rx_invalid: 0 });
    t.match(readPortCounters(rig.arena, right.port.slot), {
      tx_packets: total,
      tx_dropped: 0,
      tx_invalid: 0,
    });
    t.equal(readTotals(rig.arena).counters.transmitted, total);
    for (const one of [left, right]) await rig.close(one);
    t.equal(rig.pooled(), FRAME_COUNT, "every frame is back");
    t.equal(rig.pages.freeBytes, rig.arena.region("kernelRings").bytes, "every page is back");
    for (const peer of [sender, receiver]) peer.close();
  });
}

t.test("chains of any shape leave as one frame each", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"), { mtu: 9000 });
  const rig = new Rig();
  const port = await rig.open(end);
  const peer = new Peer(farEnd);
  const random = new SeededRandom(SEED);
  t.equal(port.port.status().mtu, 9000);
  for (let round = 0; round < 60; round += 1) {
    const frame = testFrame(round, 14 + random.below(9001));
    const segmentBytes = Math.max(1 + random.below(1790), Math.ceil(frame.length / 200));
    port.tx[0]!.put(rig.packet(frame, segmentBytes));
    port.tx[0]!.flush();
    const [got] = await peer.receive(1);
    t.strictSame(
      hex([got!.subarray(0, frame.length)]),
      hex([frame]),
      `${frame.length} in parts of ${segmentBytes}`,
    );
    peer.send([frame]);
    const [received] = await rig.receive(port, 1);
    t.strictSame(hex([rig.bytes(received!)]), hex([frame]), "and back");
    rig.pool.freePacket(received!);
  }
  port.port.foldKernelCounters();
  t.match(readPortCounters(rig.arena, 0), { tx_packets: 60, rx_packets: 60, tx_invalid: 0, tx_dropped: 0 });
  await rig.close(port);
  t.equal(rig.pooled(), FRAME_COUNT);
  peer.close();
});

t.test("what the kernel would refuse is dropped with a reason, never posted", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const rig = new Rig();
  const port = await rig.open(end);
  const peer = new Peer(farEnd);
  const tx = port.tx[0]!;
  for (const bytes of [0, 1, 13]) tx.put(rig.packet(new Uint8Array(bytes)));
  tx.put(rig.packet(testFrame(1, 5000)));
  t.match(readTotals(rig.arena).drops, { tx_error: 4 });
  const small = testFrame(2, 300);
  tx.put(rig.packet(small, 5));
  tx.put(rig.packet(testFrame(3, 1514), 1000));
  tx.flush();
  t.strictSame(
    hex(await peer.receive(2)),
    hex([small, testFrame(3, 1514)]),
    "chains are packed for one buffer",
  );

  lab.ip(end.namespace, "link", "set", end.name, "down");
  for (let i = 0; i < 300; i += 1) tx.put(rig.packet(testFrame(i)));
  t.match(readTotals(rig.arena).drops, { tx_full: 300 - 128 }, "a ring that nobody empties fills up");
  lab.ip(end.namespace, "link", "set", end.name, "up");
  tx.flush();
  const waited = await peer.receive(128);
  t.strictSame(
    hex(waited),
    hex(Array.from({ length: 128 }, (_, i) => testFrame(i))),
    "what waited goes out then",
  );
  port.port.foldKernelCounters();
  t.match(readPortCounters(rig.arena, 0), { tx_invalid: 0, tx_packets: 2 + 128, tx_dropped: 4 + 300 - 128 });
  await rig.close(port);
  t.equal(rig.pooled(), FRAME_COUNT);
  peer.close();
});

t.test("several queues: each has its socket, channels follow", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"), { queues: 4 });
  lab.run(farEnd.namespace, "ethtool", "-L", farEnd.name, "rx", "2", "tx", "2");
  const rig = new Rig();
  await t.rejects(rig.open(end, {}, 9), /at most 4 queues; set rx-queues to 4 or less/);
  const port = await rig.open(end, {}, 2);
  const shown = lab.run(end.namespace, "ethtool", "-l", end.name);
  t.match(shown, /Current hardware settings:\s+RX:\s+2\s+TX:\s+2/, "channels are set to rx-queues");
  const peer = new Peer(farEnd);
  for (const [queue, tx] of port.tx.entries()) {
    tx.put(rig.packet(testFrame(queue)));
    tx.flush();
  }
  t.equal((await peer.receive(2)).length, 2, "both queues transmit");
  const frames = Array.from({ length: 200 }, (_, i) => testFrame(i));
  for (let sent = 0; sent < frames.length; sent += 40) {
    peer.send(frames.slice(sent, sent + 40));
    const got = await rig.receive(port, 40);
    for (const frame of got) rig.pool.freePacket(frame);
  }
  t.equal(readPortCounters(rig.arena, port.port.slot).rx_packets, frames.length);
  await rig.close(port);
  t.equal(rig.pooled(), FRAME_COUNT);
  peer.close();
});

t.test("an empty pool loses packets to a counter, not to memory", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const rig = new Rig();
  const port = await rig.open(end);
  const peer = new Peer(farEnd);
  const held: number[] = [];
  for (let frame = rig.pool.alloc(); frame !== 0xffffffff; frame = rig.pool.alloc()) held.push(frame);
  t.equal(held.length, FRAME_COUNT - 128, "the others are posted");
  for (let i = 0; i < 10; i += 1) peer.send(Array.from({ length: 20 }, (_, n) => testFrame(n)));
  const received = await rig.receive(port, 128);
  port.port.foldKernelCounters();
  const counters = readPortCounters(rig.arena, 0);
  t.equal(counters.rx_packets, 128);
  t.ok(counters.rx_dropped >= 200 - 128 && counters.rx_fill_ring_empty > 0, `dropped ${counters.rx_dropped}`);
  for (const frame of [...held, ...received]) rig.pool.free(frame);
  peer.send([testFrame(5)]);
  while (rig.burst(port.rx[0]!).length === 0) peer.send([testFrame(5)]);
  t.pass("with frames again it receives again");
  port.port.foldKernelCounters();
  port.port.foldKernelCounters();
  t.ok(readPortCounters(rig.arena, 0).rx_dropped >= counters.rx_dropped, "folding twice counts once");
  await rig.close(port);
  peer.close();
});
