// The life of an AF_XDP port: opened and closed many times, under load, with an interface that goes and comes
// back, with a worker that dies; what is refused, and that a refusal leaves nothing behind.
import { readdirSync } from "node:fs";
import t from "tap";
import { native, XDP_ATTACH } from "../../../src/native.ts";
import { Lab, labUnavailable } from "../../support/netns.ts";
import { Peer, testFrame } from "../../support/peer.ts";
import { FRAME_COUNT, Rig } from "./rig.ts";

const skip = labUnavailable() ?? false;
const hex = (frames: readonly Uint8Array[]): string[] =>
  frames.map((frame) => Buffer.from(frame).toString("hex"));
const fdCount = (): number => readdirSync("/proc/self/fd").length;
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

t.test("100 opens and closes leave frames, pages and descriptors as they were", { skip }, async (t) => {
  const lab = new Lab(t);
  const near = lab.namespace("a");
  const far = lab.namespace("b");
  const [end] = lab.veth(near, far);
  const [otherEnd, otherFar] = lab.veth(near, far);
  const rig = new Rig();
  // A port that stays: the others come and go with its UMEM.
  const stays = await rig.open(otherEnd);
  const peer = new Peer(otherFar);
  const once = async (): Promise<void> => {
    const port = await rig.open(end, {}, 1, 1);
    port.tx[0]!.put(rig.packet(testFrame(1)));
    await rig.close(port);
  };
  await once();
  const before = { fds: fdCount(), pages: rig.pages.freeBytes, frames: rig.pooled() };
  for (let round = 0; round < 100; round += 1) await once();
  t.strictSame({ fds: fdCount(), pages: rig.pages.freeBytes, frames: rig.pooled() }, before);
  peer.send([testFrame(9)]);
  const [frame] = await rig.receive(stays, 1);
  t.strictSame(hex([rig.bytes(frame!)]), hex([testFrame(9)]), "the port that stayed still receives");
  rig.pool.freePacket(frame!);
  await rig.close(stays);
  t.equal(rig.pooled(), FRAME_COUNT);
  peer.close();
});

t.test("a port lends its UMEM and goes; the next ones find another lender", { skip }, async (t) => {
  const lab = new Lab(t);
  const near = lab.namespace("a");
  const far = lab.namespace("b");
  const pairs = [lab.veth(near, far), lab.veth(near, far), lab.veth(near, far)];
  const rig = new Rig();
  const first = await rig.open(pairs[0]![0]);
  const second = await rig.open(pairs[1]![0]);
  await rig.close(first);
  const third = await rig.open(pairs[2]![0]);
  const [sender, receiver] = [new Peer(pairs[1]![1]), new Peer(pairs[2]![1])];
  sender.send([testFrame(3)]);
  const [frame] = await rig.receive(second, 1);
  third.tx[0]!.put(frame!);
  third.tx[0]!.flush();
  t.strictSame(
    hex(await receiver.receive(1)),
    hex([testFrame(3)]),
    "a frame goes from one to the other uncopied",
  );
  // A lender whose interface vanished can't lend any more.
  lab.ip(near, "link", "del", pairs[1]![0].name);
  const again = await rig.open(pairs[0]![0]);
  for (const port of [second, third, again]) await rig.close(port);
  t.equal(rig.pooled(), FRAME_COUNT);
  for (const peer of [sender, receiver]) peer.close();
});

t.test("closed under load: nothing is lost and every page can be read", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const rig = new Rig();
  const peer = new Peer(farEnd);
  const frames = Array.from({ length: 64 }, (_, i) => testFrame(i));
  for (let round = 0; round < 5; round += 1) {
    const port = await rig.open(end, {}, 1, 0);
    for (let burst = 0; burst < 4; burst += 1) {
      peer.send(frames);
      for (const frame of rig.burst(port.rx[0]!)) port.tx[0]!.put(frame);
    }
    const closing = rig.close(port);
    for (let burst = 0; burst < 4; burst += 1) {
      peer.send(frames);
      await turn();
    }
    await closing;
    t.equal(rig.pooled(), FRAME_COUNT, `round ${round}`);
  }
  const { offset, bytes } = rig.arena.region("kernelRings");
  let sum = 0;
  for (let at = offset; at < offset + bytes; at += 4096) sum += rig.arena.u8[at]!;
  t.equal(sum, 0, "the pages of the rings are ordinary and zeroed");
  peer.close();
});

t.test("another worker takes a dead one's queue up where it stood", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const rig = new Rig();
  const first = await rig.open(end);
  const peer = new Peer(farEnd);
  peer.send([testFrame(1), testFrame(2), testFrame(3)]);
  const received: number[] = [];
  const at = rig.arena.region("batches").offset >>> 2;
  while (first.rx[0]!.rxBurst(at, 1) === 0) await turn();
  received.push(rig.arena.u32[at]!);
  // The first owner puts two packets and dies before its flush: no close() of either half.
  for (const number of [11, 12]) first.tx[0]!.put(rig.packet(testFrame(number)));
  const second = rig.queues(first.port);
  received.push(...(await rig.receive(second, 2)));
  t.strictSame(hex(received.map((frame) => rig.bytes(frame))), hex([1, 2, 3].map((n) => testFrame(n))));
  t.strictSame(hex(await peer.receive(2)), hex([testFrame(11), testFrame(12)]), "staged packets leave");
  for (const frame of received) rig.pool.freePacket(frame);
  await rig.close(second);
  t.equal(rig.pooled(), FRAME_COUNT);
  peer.close();
});

t.test("an interface that goes down, vanishes and comes back", { skip }, async (t) => {
  const lab = new Lab(t);
  const near = lab.namespace("a");
  const far = lab.namespace("b");
  const [end, farEnd] = lab.veth(near, far);
  const rig = new Rig();
  const port = await rig.open(end);
  const alive = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(alive));
  const until = async (accept: () => boolean): Promise<void> => {
    while (!accept()) await turn();
  };
  lab.ip(far, "link", "set", farEnd.name, "down");
  await until(() => !port.port.status().up);
  t.match(port.port.status().notes, ["no carrier"]);
  lab.ip(far, "link", "set", farEnd.name, "up");
  await until(() => port.port.status().up);
  lab.ip(near, "link", "set", end.name, "mtu", "4000");
  await until(() => port.port.status().notes.some((note) => /MTU 4000 is over the 1768/.test(note)));
  t.equal(port.port.status().mtu, 1768);

  port.tx[0]!.put(rig.packet(testFrame(1)));
  lab.ip(near, "link", "del", end.name);
  await until(() => !port.port.status().up);
  t.match(port.port.status().notes, [/is gone/]);
  port.tx[0]!.flush();
  t.strictSame(rig.burst(port.rx[0]!), [], "a worker that still polls comes to no harm");
  t.ok(rig.changed.length >= 4, "each change was told");
  t.strictSame(rig.reappeared, []);
  lab.ip(near, "link", "add", end.name, "type", "veth", "peer", "name", farEnd.name, "netns", far);
  lab.ip(far, "link", "set", farEnd.name, "up");
  await until(() => rig.reappeared.length > 0);
  await rig.close(port);
  t.equal(rig.pooled(), FRAME_COUNT, "frames of the vanished interface are back");
  const back = await rig.open(end, {}, 1, 0);
  const peer = new Peer(farEnd);
  peer.send([testFrame(4)]);
  const [frame] = await rig.receive(back, 1);
  t.strictSame(hex([rig.bytes(frame!)]), hex([testFrame(4)]));
  rig.pool.freePacket(frame!);
  await rig.close(back);
  peer.close();
});

t.test("refusals name the cause and the mending step, and leave nothing behind", { skip }, async (t) => {
  const lab = new Lab(t);
  const near = lab.namespace("a");
  const far = lab.namespace("b");
  const [end] = lab.veth(near, far);
  const [upper] = lab.veth(near, far);
  const [wide] = lab.veth(near, far, { mtu: 9200 });
  lab.ip(near, "link", "add", "mrbr", "type", "bridge");
  lab.ip(near, "link", "set", upper.name, "master", "mrbr");
  lab.ip(near, "link", "set", "mrbr", "up");
  lab.ip(near, "addr", "add", "192.0.2.1/24", "dev", "mrbr");
  lab.ip(near, "route", "add", "default", "via", "192.0.2.2");
  const rig = new Rig();
  const before = { fds: 0, pages: rig.pages.freeBytes, frames: rig.pooled() };
  const other = { namespace: near, name: "mrbr" };
  const expect = async (what: string, open: () => Promise<unknown>, message: RegExp): Promise<void> => {
    await t.rejects(open(), { message }, what);
  };
  await expect(
    "none",
    () => rig.open({ namespace: near, name: "mrnone" }),
    /port mrnone: there is no interface mrnone/,
  );
  before.fds = fdCount();
  await expect("default route", () => rig.open(upper), /default route through mrbr.*force: true/);
  await expect("MTU", () => rig.open(wide), /MTU 9200, 9000 is the most; ip link set dev \S+ mtu 9000/);
  await expect("channels", () => rig.open(other, { force: true }, 2), /1 receive queue,.*set rx-queues to 1/);
  await expect(
    "mode",
    () => rig.open(end, { "xdp-mode": "zero-copy" }),
    /zero-copy: bind\(AF_XDP.*EOPNOTSUPP/,
  );
  await expect(
    "option",
    () => rig.open(end, { "ring-size": 100 }),
    /option ring-size: must be a power of two/,
  );
  await expect("option", () => rig.open(end, { "xdp-mode": "fast" }), /option xdp-mode/);
  await expect("option", () => rig.open(end, { speed: 1 }), /option speed/);
  await expect("queues", () => rig.open(end, {}, 0), /0 receive queues/);
  const frames = /keep 4096 frames, \d+ are left .* raise memory.frames to \d+, or lower .*ring-size/;
  await expect("frames", () => rig.open(end, { "ring-size": 2048 }), frames);
  const many = { "ring-size": 32768 };
  const taken = rig.pages.allocate(rig.pages.freeBytes - 4096);
  await expect("pages", () => rig.open(end, many), /raise memory.kernel-ring-bytes/);
  rig.pages.free(taken, before.pages - 4096);
  t.strictSame({ fds: fdCount(), pages: rig.pages.freeBytes, frames: rig.pooled() }, before);
});

t.test("an XDP program that is there is named", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const addon = native();
  const netns = addon.netnsOpen(end.namespace);
  const links = addon.linkOpen(netns);
  const program = addon.bpfXdpLoad(1, false);
  const { ifindex } = addon.linkByName(links, end.name)!;
  const link = addon.bpfXdpAttach(netns, program.programFd, ifindex, XDP_ATTACH.generic, end.name);
  const rig = new Rig();
  for (const mode of ["auto", "native", "generic"]) {
    const named = new RegExp(
      `(EBUSY|EEXIST).*has an XDP program already: id ${program.programId} "millrace_xsk".*generic`,
    );
    await t.rejects(rig.open(end, { "xdp-mode": mode }), { message: named }, mode);
  }
  addon.fdClose(link);
  const port = await rig.open(end);
  await rig.close(port);
  for (const fd of [links, program.programFd, program.socketMapFd, program.counterMapFd]) addon.fdClose(fd);
  t.equal(rig.pooled(), FRAME_COUNT);
});
