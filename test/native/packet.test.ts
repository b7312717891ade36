// AF_PACKET and tap over links of the test's own: what one end sends, gathered from several segments or not,
// arrives at the other byte for byte, in order and completely.
import t from "tap";
import { native, PACKET_FANOUT, SEGMENT_CONTINUES, TAP_PACKET_BYTES } from "../../src/native.ts";
import { Lab, labUnavailable } from "../support/netns.ts";
import { Peer, TestArena, testFrame } from "../support/peer.ts";

const skip = labUnavailable() ?? false;
const hex = (frames: readonly Uint8Array[]): string[] =>
  frames.map((frame) => Buffer.from(frame).toString("hex"));

t.test("AF_PACKET: a burst arrives whole through the ring", { skip }, async (t) => {
  const lab = new Lab(t);
  const [left, right] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const sender = new Peer(left);
  const receiver = new Peer(right);
  const frames = Array.from({ length: 200 }, (_, i) => testFrame(i, 60 + i));
  t.equal(sender.send(frames), frames.length);
  t.strictSame(hex(await receiver.receive(frames.length)), hex(frames));
  const long = testFrame(999, 1514);
  t.equal(sender.send([[long.subarray(0, 13), long.subarray(13, 700), long.subarray(700)]]), 1);
  t.strictSame(hex(await receiver.receive(1)), hex([long]), "a frame in three segments");
  t.equal(sender.send([testFrame(1, 1600)]), -90, "over the MTU: EMSGSIZE");
  t.equal(sender.send([testFrame(1), testFrame(2, 1600), testFrame(3)]), 1, "sent until the first refusal");
  t.equal((await receiver.receive(1)).length, 1);
  const counted = native().packetStatistics(receiver.fd);
  t.match(counted, { packets: frames.length + 2, drops: 0 });
  t.match(native().packetStatistics(receiver.fd), { packets: 0 }, "reading clears");
  receiver.close();
  sender.close();
  t.equal(sender.arena.u8[1 << 20], 0, "the ring's pages can be read after it is gone");
});

t.test("AF_PACKET: fanout spreads, a virtio header travels", { skip }, async (t) => {
  const lab = new Lab(t);
  const [left, right] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const addon = native();
  const peers = [new Peer(right), new Peer(right)];
  const group = addon.packetNewFanout(peers[0]!.fd, PACKET_FANOUT.hash);
  addon.packetJoinFanout(peers[1]!.fd, group, PACKET_FANOUT.hash);
  const stranger = new Peer(right);
  t.not(addon.packetNewFanout(stranger.fd, PACKET_FANOUT.hash), group, "a group is one's own");
  addon.packetMute(stranger.fd);
  const sender = new Peer(left, true);
  const withHeader = (frame: Uint8Array): readonly Uint8Array[] => [new Uint8Array(10), frame];
  const frames = Array.from({ length: 64 }, (_, i) => testFrame(i));
  t.equal(sender.send(frames.map(withHeader)), frames.length);
  let total = 0;
  while (total < frames.length) {
    for (const { fd } of peers) total += addon.packetStatistics(fd).packets;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  t.equal(total, frames.length, "each frame reached one of the two");
  t.match(addon.packetStatistics(stranger.fd), { packets: 0, drops: 0 }, "a mute socket receives nothing");
  addon.packetUnmute(stranger.fd);
  sender.send([withHeader(testFrame(64))]);
  t.strictSame(hex(await stranger.receive(1)), hex([testFrame(64)]), "until it is unmuted");
  t.throws(() => addon.packetBind(sender.fd, 9999, "no-such-link"), {
    code: "ENODEV",
    message: /bind\(AF_PACKET, no-such-link\): ENODEV/,
  });
  for (const peer of [sender, stranger, ...peers]) peer.close();
});

t.test("tap: bursts both ways with headers, chains and cut frames", { skip }, async (t) => {
  const lab = new Lab(t);
  const namespace = lab.namespace("a");
  const addon = native();
  const netns = addon.netnsOpen(namespace);
  const name = lab.interfaceName();
  const queues = [addon.tapOpen(netns, name, true), addon.tapOpen(netns, name, true)];
  t.teardown(() => {
    for (const queue of queues) addon.fdClose(queue);
  });
  const [fd] = queues as [number, number];
  lab.ip(namespace, "link", "set", name, "mtu", "9000", "up");
  const peer = new Peer({ namespace, name });
  t.teardown(() => peer.close());
  const arena = new TestArena();
  const [framesAt, packetsAt, dataAt] = [0x1000, 0x2000, 0x10000];
  const segmentBytes = 512;
  const read = (count: number, segments: number): number => {
    for (let i = 0; i < count * segments; i += 1) arena.u32[framesAt / 4 + i] = dataAt + i * segmentBytes;
    return queues.reduce(
      (done, queue) =>
        done > 0 ? done : addon.tapRead(queue, arena.u8, framesAt, count, segments, segmentBytes, packetsAt),
      0,
    );
  };
  t.equal(read(4, 1), 0, "nothing waits: no error");

  const sent = [testFrame(1, 60), testFrame(2, 512), testFrame(3, 513), testFrame(4, 1500), testFrame(5, 60)];
  // One flow has one transmit hash, so that all frames wait on one queue.
  t.equal(peer.send(sent), sent.length);
  t.equal(read(8, 3), sent.length, "one call reads what waits and stops at the empty queue");
  const got = sent.map((_, i) => {
    const length = arena.u32[(packetsAt + i * TAP_PACKET_BYTES) / 4]!;
    return arena.u8.slice(dataAt + i * 3 * segmentBytes, dataAt + i * 3 * segmentBytes + length);
  });
  t.strictSame(hex(got), hex(sent), "chains of three segments hold them in order");
  t.equal(peer.send([testFrame(6, 1537), testFrame(7, 1536)]), 2);
  t.equal(read(8, 3), 2);
  const lengths = [0, 1].map((i) => arena.u32[(packetsAt + i * TAP_PACKET_BYTES) / 4]!);
  t.strictSame(lengths, [(1536 | SEGMENT_CONTINUES) >>> 0, 1536], "a frame over its chain is marked as cut");

  const back = [testFrame(11, 60), testFrame(12, 1400)];
  arena.u8.fill(0, packetsAt, packetsAt + 2 * TAP_PACKET_BYTES);
  arena.u8.set(back[0]!, dataAt);
  arena.u8.set(back[1]!, dataAt + 2000);
  arena.u32.set([dataAt, 60, dataAt + 2000, 1000 + SEGMENT_CONTINUES, dataAt + 3000, 400], framesAt / 4);
  t.equal(addon.tapWrite(fd, arena.u8, framesAt, 3, packetsAt), 2);
  t.strictSame(hex(await peer.receive(2)), hex(back), "written bursts arrive");
  lab.ip(namespace, "link", "set", name, "down");
  t.equal(addon.tapWrite(fd, arena.u8, framesAt, 3, packetsAt), -5, "a tap that is down says EIO");
  t.equal(addon.tapRead(fd, arena.u8, framesAt, 1, 1, 512, packetsAt), 0, "and has nothing to read");
  t.throws(() => addon.tapOpen(netns, "lo", true), { code: "EINVAL", object: "TUNSETIFF, lo" });
});
