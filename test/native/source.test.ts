// The frame source for benchmarks: XDP frames leave an interface in the number asked for, and their flows differ.
import t from "tap";
import { native } from "../../src/native.ts";
import { Lab, labUnavailable } from "../support/netns.ts";
import { Peer, TestArena, testFrame } from "../support/peer.ts";

const skip = labUnavailable() ?? false;

t.test("live frames arrive as sent but for the random byte", { skip }, async (t) => {
  const lab = new Lab(t);
  const [near, far] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const addon = native();
  // veth takes XDP frames only for a peer that polls: GRO makes it poll.
  lab.run(far.namespace, "ethtool", "-K", far.name, "gro", "on");
  const peer = new Peer(far);
  const netns = addon.netnsOpen(near.namespace);
  const links = addon.linkOpen(netns);
  const { ifindex } = addon.linkByName(links, near.name)!;
  const program = addon.bpfSourceLoad(ifindex, 35);
  const arena = new TestArena();
  const frame = testFrame(1, 60);
  arena.u8.set(frame, 4096);
  addon.bpfSourceRun(netns, program, arena.u8, 4096, frame.length, 500);
  const got = await peer.receive(500);
  t.equal(got.length, 500);
  const randoms = new Set(got.map((bytes) => bytes[35]!));
  t.ok(randoms.size > 10 && [...randoms].every((value) => value < 64), `${randoms.size} values`);
  for (const bytes of got) bytes[35] = frame[35]!;
  t.ok(
    got.every((bytes) => Buffer.from(bytes).equals(frame)),
    "all other bytes are the frame's",
  );
  t.throws(() => addon.bpfSourceRun(netns, program, arena.u8, arena.u8.length, 60, 1), {
    name: "RangeError",
  });
  for (const fd of [program, links]) addon.fdClose(fd);
  peer.close();
});
