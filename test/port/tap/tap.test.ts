// tap ports in namespaces of the test's own: what the host sends is received, what is sent the host sees, unfinished
// checksums and long frames included; the device comes and goes with the port.
import t from "tap";
import { finishChecksum } from "../../../src/action/partial-checksum.ts";
import { NO_FRAME, PACKET_CSUM_PARTIAL } from "../../../src/memory/frame-layout.ts";
import { native } from "../../../src/native.ts";
import { readPortCounters } from "../../../src/port/counters.ts";
import { Lab, labUnavailable, type Teardown } from "../../support/netns.ts";
import { Peer, testFrame } from "../../support/peer.ts";
import { SeededRandom } from "../../support/random.ts";
import { SEED } from "../../support/seed.ts";
import { FRAME_COUNT, type RigPort } from "../afxdp/rig.ts";
import { fdCount, markPartial, partialUdpFrame, udpChecksumHolds, until } from "../kernel-port.ts";
import { hex, PortRig } from "../port-rig.ts";
import { sendsForTheDead, sharesByConversation } from "../sharing.ts";

const skip = labUnavailable() ?? false;

interface Tap {
  readonly lab: Lab;
  readonly rig: PortRig;
  readonly namespace: string;
  readonly name: string;
  open(options?: Record<string, unknown>, rxqCount?: number): Promise<RigPort>;
}

function tap(t: Teardown): Tap {
  const lab = new Lab(t);
  const rig = new PortRig();
  const namespace = lab.namespace("a");
  const name = lab.interfaceName();
  return {
    lab,
    rig,
    namespace,
    name,
    open: (options = {}, rxqCount = 1) =>
      rig.openPort({ name, type: "tap", rxqCount, options: { netns: namespace, ...options } }),
  };
}

t.test("frames of all lengths and shapes, both ways", { skip }, async (t) => {
  const { rig, namespace, name, open } = tap(t);
  const port = await open({ mtu: 9000 });
  t.match(port.port.status(), { up: true, mtu: 9000 });
  const peer = new Peer({ namespace, name });
  const random = new SeededRandom(SEED);
  let packets = 0;
  for (let round = 0; round < 40; round += 1) {
    const frames = Array.from({ length: 1 + random.below(12) }, (_, number) =>
      testFrame(round * 100 + number, 16 + random.below(9014 - 16 + 1)),
    );
    packets += frames.length;
    peer.send(frames.slice(0, 6));
    peer.send(frames.slice(6));
    const received = await rig.receive(port, frames.length);
    t.ok(received.every((frame) => rig.packets.portNo(frame) === 1));
    t.strictSame(hex(rig.takeBytes(received)), hex(frames), `round ${round}: received`);
    for (const frame of frames) port.tx[0]!.put(rig.packet(frame, 200 + random.below(1500)));
    port.tx[0]!.flush();
    t.strictSame(hex(await peer.receive(frames.length)), hex(frames), `round ${round}: sent`);
  }
  t.match(readPortCounters(rig.arena, 0), { rx_packets: packets, tx_packets: packets, tx_errors: 0 });
  await rig.close(port);
  t.equal(rig.pooled(), FRAME_COUNT);
  peer.close();
});

t.test("several queues share what comes by conversation, and all of them send", { skip }, async (t) => {
  const { rig, namespace, name, open } = tap(t);
  const before = rig.left();
  const port = await open({}, 3);
  t.match(port.port, { rxqCount: 3, txqCount: 3 });
  const peer = new Peer({ namespace, name });
  await sharesByConversation(t, rig, port, peer);
  for (const [queue, tx] of port.tx.entries()) {
    tx.put(rig.packet(testFrame(queue)));
    tx.flush();
  }
  t.strictSame(hex(await peer.receive(3)), hex([0, 1, 2].map((queue) => testFrame(queue))));
  await rig.close(port);
  t.strictSame(rig.left(), before);
  peer.close();
});

t.test("unfinished checksums are carried both ways", { skip }, async (t) => {
  const { rig, namespace, name, open } = tap(t);
  const port = await open();
  const options = { interface: name, netns: namespace };
  const host = await rig.openPort({ name: "host", type: "af_packet", options }, 1);
  for (const [from, to] of [
    [host, port],
    [port, host],
  ] as const) {
    for (const payloadBytes of [1, 64, 1001, 1472]) {
      const partial = partialUdpFrame(payloadBytes);
      const sent = rig.packet(partial, 500);
      markPartial(rig.packets, sent);
      from.tx[0]!.put(sent);
      from.tx[0]!.flush();
      const [frame] = await rig.receive(to, 1);
      t.strictSame(hex([rig.bytes(frame!)]), hex([partial]), "as it was sent");
      t.equal(rig.packets.flags(frame!), PACKET_CSUM_PARTIAL);
      t.ok(finishChecksum(rig.arena.u8, rig.packets, frame!));
      t.ok(udpChecksumHolds(rig.bytes(frame!)), `${payloadBytes} bytes`);
      rig.pool.freePacket(frame!);
    }
  }
  for (const one of [port, host]) await rig.close(one);
  t.equal(rig.pooled(), FRAME_COUNT);
});

t.test("what is longer than passes and what has too many parts is dropped", { skip }, async (t) => {
  const { lab, rig, namespace, name, open } = tap(t);
  const port = await open({ mtu: 9000 });
  const peer = new Peer({ namespace, name });
  lab.ip(namespace, "link", "set", name, "mtu", "15000");
  peer.send([testFrame(1, 9023), testFrame(2, 9022), testFrame(3, 14000)]);
  t.strictSame(hex(rig.takeBytes(await rig.receive(port, 1))), hex([testFrame(2, 9022)]));
  await until(() => {
    rig.burst(port.rx[0]!);
    return rig.totals().drops["rx_long"] === 2;
  });
  t.match(readPortCounters(rig.arena, 0), { rx_packets: 3, rx_dropped: 2 });
  port.tx[0]!.put(rig.packet(testFrame(4, 1400), 16));
  port.tx[0]!.put(rig.packet(testFrame(5, 1400), 22));
  port.tx[0]!.flush();
  t.strictSame(hex(await peer.receive(1)), hex([testFrame(5, 1400)]));
  t.match(rig.totals().drops, { tx_error: 1 });
  await rig.close(port);
  t.equal(rig.pooled(), FRAME_COUNT);
  peer.close();
});

t.test("an empty pool makes packets wait; stock of a dead worker comes back", { skip }, async (t) => {
  const { rig, namespace, name, open } = tap(t);
  const before = rig.left();
  const port = await open();
  const peer = new Peer({ namespace, name });
  const held: number[] = [];
  for (let frame = rig.pool.alloc(); frame !== NO_FRAME; frame = rig.pool.alloc()) held.push(frame);
  peer.send([testFrame(5), testFrame(6)]);
  for (let index = 0; index < 20; index += 1) t.strictSame(rig.burst(port.rx[0]!), []);
  for (const frame of held) rig.pool.free(frame);
  t.strictSame(hex(rig.takeBytes(await rig.receive(port, 2))), hex([testFrame(5), testFrame(6)]));
  t.not(rig.pooled(), FRAME_COUNT, "the queue has a stock");
  const successor = rig.queuesOf(port.port);
  peer.send([testFrame(7)]);
  t.strictSame(hex(rig.takeBytes(await rig.receive(successor, 1))), hex([testFrame(7)]));
  // Neither owner closes its queues: control finds the stock.
  await port.port.close();
  rig.controlPool.drain();
  t.strictSame(rig.left(), before);
  peer.close();
});

t.test("packets of a dead worker are sent by its successor, or come back", { skip }, async (t) => {
  const { rig, namespace, name, open } = tap(t);
  const before = rig.left();
  const port = await open();
  const peer = new Peer({ namespace, name });
  const frames = [1, 2, 3].map((number) => testFrame(number, 1400));
  await sendsForTheDead(t, rig, port, peer, frames);
  t.strictSame(rig.left(), before);
  peer.close();
});

t.test("down, deleted under the port, and gone when closed", { skip }, async (t) => {
  const { lab, rig, namespace, name, open } = tap(t);
  const port = await open();
  lab.ip(namespace, "link", "set", name, "down");
  await until(() => !port.port.status().up);
  port.tx[0]!.put(rig.packet(testFrame(1)));
  port.tx[0]!.flush();
  t.equal(rig.totals().counters.transmitted, 0);
  t.equal(readPortCounters(rig.arena, 0).tx_errors, 1);
  lab.ip(namespace, "link", "set", name, "up");
  await until(() => port.port.status().up);
  lab.ip(namespace, "link", "del", name);
  await until(() => /is gone/.test(port.port.status().notes.join()));
  port.tx[0]!.put(rig.packet(testFrame(2)));
  port.tx[0]!.flush();
  t.strictSame(rig.burst(port.rx[0]!), []);
  await rig.close(port);
  const again = await open();
  t.ok(again.port.status().up);
  await rig.close(again);
  t.notMatch(lab.ip(namespace, "link"), new RegExp(name), "the device went with the port");
  t.equal(rig.pooled(), FRAME_COUNT);
});

t.test("100 opens and closes leave everything as it was; refusals too", { skip }, async (t) => {
  const { rig, open } = tap(t);
  const once = async (): Promise<void> => {
    const port = await open({}, 2);
    for (const queue of port.rx) rig.takeBytes(rig.burst(queue));
    port.tx[1]!.put(rig.packet(testFrame(1)));
    await rig.close(port);
  };
  await once();
  const before = { ...rig.left(), fds: fdCount() };
  for (let round = 0; round < 100; round += 1) await once();
  t.strictSame({ ...rig.left(), fds: fdCount() }, before);
  await t.rejects(open({ mtu: 9001 }), { message: /option mtu/ });
  await t.rejects(open({}, 17), { message: /17 queues, 16 is the most/ });
  await t.rejects(rig.openPort({ name: "lo", type: "tap", options: { netns: "mr-no-such" } }), {
    message: /^port lo: .*mr-no-such/,
  });
  t.strictSame({ ...rig.left(), fds: fdCount() }, before);
});

t.test("without a namespace the device is the process's own", { skip }, async (t) => {
  const lab = new Lab(t);
  const rig = new PortRig();
  const name = lab.interfaceName();
  const port = await rig.openPort({ name, type: "tap" });
  const links = native().linkOpen(0);
  t.equal(native().linkByName(links, name)?.up, true);
  await rig.close(port);
  t.equal(native().linkByName(links, name), undefined);
  native().fdClose(links);
});
