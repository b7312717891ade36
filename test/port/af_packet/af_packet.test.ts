// af_packet ports over veth pairs of the test's own: byte for byte both ways, tags and unfinished checksums included,
// through links that go down and vanish, and nothing left behind.
import t from "tap";
import { finishChecksum } from "../../../src/action/partial-checksum.ts";
import { NO_FRAME, PACKET_CSUM_PARTIAL } from "../../../src/memory/frame-layout.ts";
import { readPortCounters } from "../../../src/port/counters.ts";
import { Lab, labUnavailable, type VethEnd } from "../../support/netns.ts";
import { numberOf } from "../../support/numbered-frame.ts";
import { Peer, testFrame } from "../../support/peer.ts";
import { SeededRandom } from "../../support/random.ts";
import { SEED } from "../../support/seed.ts";
import { FRAME_COUNT, type RigPort } from "../afxdp/rig.ts";
import { fdCount, markPartial, partialUdpFrame, udpChecksumHolds, until } from "../kernel-port.ts";
import { hex, PortRig } from "../port-rig.ts";
import { sendsForTheDead, sharesByConversation } from "../sharing.ts";
import { BackgroundLoad } from "./load.ts";

const skip = labUnavailable() ?? false;

/** As many 4 MiB rings as the rig's arena has room for. */
const QUEUES = 3;

const open = (
  rig: PortRig,
  { namespace, name }: VethEnd,
  options: Record<string, unknown> = {},
  rxqCount = 1,
): Promise<RigPort> =>
  rig.openPort({
    name: "ap",
    type: "af_packet",
    rxqCount,
    options: { interface: name, netns: namespace, ...options },
  });

t.test("frames of all lengths and shapes, both ways", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"), { mtu: 9000 });
  const rig = new PortRig();
  const port = await open(rig, end);
  const peer = new Peer(farEnd);
  const random = new SeededRandom(SEED);
  t.match(port.port.status(), { up: true, mtu: 9000 });
  let packets = 0;
  for (let round = 0; round < 40; round += 1) {
    const frames = Array.from({ length: 1 + random.below(12) }, (_, number) =>
      testFrame(round * 100 + number, 60 + random.below(9014 - 60 + 1)),
    );
    packets += frames.length;
    peer.send(frames.slice(0, 6));
    peer.send(frames.slice(6));
    const received = await rig.receive(port, frames.length);
    t.strictSame(hex(rig.takeBytes(received)), hex(frames), `round ${round}: received`);
    for (const frame of frames) port.tx[0]!.put(rig.packet(frame, 100 + random.below(1600)));
    port.tx[0]!.flush();
    t.strictSame(hex(await peer.receive(frames.length)), hex(frames), `round ${round}: sent`);
  }
  t.match(readPortCounters(rig.arena, 0), {
    rx_packets: packets,
    tx_packets: packets,
    rx_dropped: 0,
    tx_errors: 0,
  });
  await rig.close(port);
  t.equal(rig.pooled(), FRAME_COUNT);
  peer.close();
});

t.test("several queues share what comes by conversation, and all of them send", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const rig = new PortRig();
  const before = rig.left();
  const port = await open(rig, end, {}, QUEUES);
  t.match(port.port, { rxqCount: QUEUES, txqCount: QUEUES });
  const peer = new Peer(farEnd);
  await sharesByConversation(t, rig, port, peer);
  for (const [queue, tx] of port.tx.entries()) {
    tx.put(rig.packet(testFrame(queue)));
    tx.flush();
  }
  t.strictSame(hex(await peer.receive(QUEUES)), hex([...port.tx.keys()].map((queue) => testFrame(queue))));
  await rig.close(port);
  t.strictSame(rig.left(), before);
  await t.rejects(open(rig, end, {}, 17), { message: /17 receive queues, 16 is the most/ });
  peer.close();
});

t.test("queues that open under load receive nothing twice", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const rig = new PortRig();
  const load = new BackgroundLoad(t, farEnd);
  for (let round = 0; round < 5; round += 1) {
    const port = await open(rig, end, {}, QUEUES);
    const seen = new Set<number>();
    await until(() => {
      for (const rx of port.rx) {
        for (const bytes of rig.takeBytes(rig.burst(rx))) {
          const number = numberOf(bytes);
          if (seen.has(number)) throw new Error(`round ${round}: packet ${number} came twice`);
          seen.add(number);
        }
      }
      return seen.size > 200;
    });
    await rig.close(port);
    t.pass(`round ${round}: ${seen.size} packets, each once`);
  }
  await load.stop();
});

t.test("another worker goes on where the last one stood", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const rig = new PortRig();
  let port = await open(rig, end);
  const peer = new Peer(farEnd);
  const word = rig.arena.region("batches").offset >>> 2;
  for (let round = 0; round < 6; round += 1) {
    const frames = [0, 1, 2].map((number) => testFrame(round * 3 + number));
    peer.send(frames);
    await until(() => port.rx[0]!.rxBurst(word, 1) === 1);
    const first = rig.arena.u32[word]!;
    for (const queue of [...port.rx, ...port.tx]) queue.close();
    port = rig.queuesOf(port.port);
    const received = [first, ...(await rig.receive(port, 2))];
    t.strictSame(hex(rig.takeBytes(received)), hex(frames), `round ${round}`);
  }
  await rig.close(port);
  t.equal(rig.pooled(), FRAME_COUNT);
  peer.close();
});

t.test("packets of a dead worker are sent by its successor, or come back", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const rig = new PortRig();
  const before = rig.left();
  const port = await open(rig, end);
  const peer = new Peer(farEnd);
  await sendsForTheDead(
    t,
    rig,
    port,
    peer,
    [1, 2, 3].map((number) => testFrame(number, 1400)),
  );
  t.strictSame(rig.left(), before);
  peer.close();
});

t.test("a tag that the kernel took off is put back", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const rig = new PortRig();
  const port = await open(rig, end);
  const peer = new Peer(farEnd);
  for (const tpid of [0x8100, 0x88a8]) {
    const tagged = testFrame(7, 300);
    tagged.set([tpid >> 8, tpid & 0xff, 0x60, 0x65, 0x88, 0xb5], 12);
    peer.send([tagged]);
    t.strictSame(hex(rig.takeBytes(await rig.receive(port, 1))), hex([tagged]), tpid.toString(16));
  }
  await rig.close(port);
  peer.close();
});

t.test("an unfinished checksum is carried through and finished", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const rig = new PortRig();
  const port = await open(rig, end);
  const far = await rig.openPort(
    { name: "far", type: "af_packet", options: { interface: farEnd.name, netns: farEnd.namespace } },
    1,
  );
  t.ok(port.port.takesPartialChecksums);
  for (const payloadBytes of [1, 64, 1001, 1472]) {
    const partial = partialUdpFrame(payloadBytes);
    t.notOk(udpChecksumHolds(partial));
    const sent = rig.packet(partial, 500);
    markPartial(rig.packets, sent);
    port.tx[0]!.put(sent);
    port.tx[0]!.flush();
    const [frame] = await rig.receive(far, 1);
    t.strictSame(hex([rig.bytes(frame!)]), hex([partial]), "as it was sent");
    t.equal(rig.packets.flags(frame!), PACKET_CSUM_PARTIAL);
    t.ok(finishChecksum(rig.arena.u8, rig.packets, frame!));
    t.ok(udpChecksumHolds(rig.bytes(frame!)), `${payloadBytes} bytes`);
    rig.pool.freePacket(frame!);
  }
  for (const one of [port, far]) await rig.close(one);
  t.equal(rig.pooled(), FRAME_COUNT);
});

t.test("what can't be sent is dropped and counted; an empty pool makes packets wait", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const rig = new PortRig();
  const port = await open(rig, end);
  const peer = new Peer(farEnd);
  const tx = port.tx[0]!;
  tx.put(rig.packet(testFrame(1)));
  tx.put(rig.packet(testFrame(2, 5000)));
  tx.put(rig.packet(testFrame(3, 1400), 2));
  tx.put(rig.packet(testFrame(4)));
  tx.flush();
  t.strictSame(hex(await peer.receive(2)), hex([testFrame(1), testFrame(4)]));
  t.match(rig.totals().drops, { tx_error: 2 });
  t.match(readPortCounters(rig.arena, 0), { tx_packets: 2, tx_errors: 2 });
  const held: number[] = [];
  for (let frame = rig.pool.alloc(); frame !== NO_FRAME; frame = rig.pool.alloc()) held.push(frame);
  peer.send([testFrame(5), testFrame(6)]);
  for (let index = 0; index < 20; index += 1) t.strictSame(rig.burst(port.rx[0]!), []);
  for (const frame of held) rig.pool.free(frame);
  t.strictSame(hex(rig.takeBytes(await rig.receive(port, 2))), hex([testFrame(5), testFrame(6)]));
  await rig.close(port);
  t.equal(rig.pooled(), FRAME_COUNT);
  peer.close();
});

t.test("an interface that goes down, vanishes and comes back", { skip }, async (t) => {
  const lab = new Lab(t);
  const [near, far] = [lab.namespace("a"), lab.namespace("b")];
  const [end, farEnd] = lab.veth(near, far);
  const rig = new PortRig();
  const port = await open(rig, end);
  const tx = port.tx[0]!;
  lab.ip(far, "link", "set", farEnd.name, "down");
  await until(() => !port.port.status().up);
  lab.ip(far, "link", "set", farEnd.name, "up");
  await until(() => port.port.status().up);
  lab.ip(near, "link", "set", end.name, "down");
  await until(() => !port.port.status().up);
  t.match(port.port.status().notes, [/is down; ip link set/]);
  tx.put(rig.packet(testFrame(1)));
  tx.flush();
  t.equal(rig.totals().counters.transmitted, 0, "nothing leaves a link that is down");
  t.strictSame(rig.burst(port.rx[0]!), []);
  lab.ip(near, "link", "del", end.name);
  await until(() => /is gone/.test(port.port.status().notes.join()));
  tx.put(rig.packet(testFrame(2)));
  tx.flush();
  t.strictSame(rig.burst(port.rx[0]!), []);
  t.equal(readPortCounters(rig.arena, 0).tx_errors, 2);
  lab.ip(near, "link", "add", end.name, "type", "veth", "peer", "name", farEnd.name, "netns", far);
  for (const one of [end, farEnd]) lab.ip(one.namespace, "link", "set", one.name, "up");
  await until(() => rig.reappeared.length > 0);
  await rig.close(port);
  const back = await open(rig, end);
  const peer = new Peer(farEnd);
  peer.send([testFrame(4)]);
  t.strictSame(hex(rig.takeBytes(await rig.receive(back, 1))), hex([testFrame(4)]));
  await rig.close(back);
  t.equal(rig.pooled(), FRAME_COUNT);
  peer.close();
});

t.test("100 opens and closes under load leave everything as it was", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const rig = new PortRig();
  const peer = new Peer(farEnd);
  const once = async (): Promise<void> => {
    const port = await open(rig, end);
    peer.send(Array.from({ length: 40 }, (_, number) => testFrame(number)));
    for (const frame of await rig.receive(port, 1)) port.tx[0]!.put(frame);
    await rig.close(port);
  };
  await once();
  const before = { ...rig.left(), fds: fdCount() };
  for (let round = 0; round < 100; round += 1) await once();
  t.strictSame({ ...rig.left(), fds: fdCount() }, before);
  t.equal(before.pages, rig.arena.region("kernelRings").bytes);
  peer.close();
});

t.test("the host's way out is refused unless forced", { skip }, async (t) => {
  const lab = new Lab(t);
  const near = lab.namespace("a");
  const [end] = lab.veth(near, lab.namespace("b"));
  lab.ip(near, "addr", "add", "192.0.2.1/24", "dev", end.name);
  lab.ip(near, "route", "add", "default", "via", "192.0.2.2");
  const rig = new PortRig();
  const before = rig.left();
  await t.rejects(open(rig, { namespace: near, name: "mrnone" }), {
    message: /port ap: there is no interface mrnone/,
  });
  const fds = fdCount();
  await t.rejects(open(rig, end), { message: /port ap: .*carries the IPv4 default route.*force: true/i });
  await t.rejects(open(rig, end, { forse: true }), { message: /port ap: option forse/ });
  t.equal(fdCount(), fds);
  const port = await open(rig, end, { force: true });
  t.ok(port.port.status().up);
  await rig.close(port);
  t.strictSame(rig.left(), before);
});
