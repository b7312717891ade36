// AF_XDP over a veth pair of the test's own: a UMEM in the arena, rings over arena pages, frames in both
// directions, chains of a jumbo frame, sharing, statistics, the drop counter of queues without a socket,
// EBUSY and what it names.
import t from "tap";
import {
  type Native,
  native,
  XDP_ATTACH,
  XDP_BIND,
  XDP_MODES,
  XSK_RING,
  type XskRing,
  type XskRingWords,
} from "../../src/native.ts";
import { Lab, labUnavailable, type VethEnd } from "../support/netns.ts";
import { Peer, TestArena, testFrame } from "../support/peer.ts";

const skip = labUnavailable() ?? false;
const CHUNK_BYTES = 2048;
const FRAME_COUNT = 256;
const RING_ENTRIES = 128;
const UMEM_AT = 4 << 20;
const UMEM_BYTES = FRAME_COUNT * CHUNK_BYTES;
const HEADROOM_BYTES = 2;
const DATA_AT = 256 + HEADROOM_BYTES;
const CONTINUES = 1;
const hex = (frames: readonly Uint8Array[]): string[] =>
  frames.map((frame) => Buffer.from(frame).toString("hex"));

interface Descriptor {
  readonly address: number;
  readonly length: number;
  readonly options: number;
}

/** One AF_XDP socket with its four rings, as plainly as the kernel's documentation describes them. */
class Socket {
  readonly addon: Native = native();
  readonly fd: number;
  readonly arena: TestArena;
  readonly rings: Record<"rx" | "tx" | "fill" | "completion", XskRingWords>;
  readonly #ringsAt: number;

  constructor(arena: TestArena, netns: number, ringsAt: number, registerUmem: boolean) {
    this.arena = arena;
    this.#ringsAt = ringsAt;
    this.fd = this.addon.xskOpen(netns);
    if (registerUmem) {
      this.addon.xskRegisterUmem(this.fd, arena.u8, UMEM_AT, UMEM_BYTES, CHUNK_BYTES, HEADROOM_BYTES);
    }
    const map = (ring: XskRing): XskRingWords => {
      this.addon.xskSetRing(this.fd, ring, RING_ENTRIES);
      const at = ringsAt + ring * 65536;
      return this.addon.xskMapRing(this.fd, ring, RING_ENTRIES, arena.u8, at, 65536);
    };
    this.rings = {
      rx: map(XSK_RING.rx),
      tx: map(XSK_RING.tx),
      fill: map(XSK_RING.fill),
      completion: map(XSK_RING.completion),
    };
  }

  fill(addresses: readonly number[]): void {
    const { u32 } = this.arena;
    const { producer, desc } = this.rings.fill;
    for (const address of addresses) {
      const at = (desc + (u32[producer / 4]! % RING_ENTRIES) * 8) / 4;
      u32.set([address, 0], at);
      u32[producer / 4] = u32[producer / 4]! + 1;
    }
  }

  send(descriptors: readonly Descriptor[]): void {
    const { u32 } = this.arena;
    const { producer, consumer, desc } = this.rings.tx;
    for (const { address, length, options } of descriptors) {
      u32.set([address, 0, length, options], (desc + (u32[producer / 4]! % RING_ENTRIES) * 16) / 4);
      u32[producer / 4] = u32[producer / 4]! + 1;
    }
    // Copy mode sends a limited number of descriptors a call (32 by default) and answers EAGAIN.
    while (u32[consumer / 4] !== u32[producer / 4]) this.addon.xskKickTx(this.fd);
  }

  /** Waits for `count` entries of the RX ring. */
  async receive(count: number): Promise<Descriptor[]> {
    const { u32 } = this.arena;
    const { producer, consumer, desc } = this.rings.rx;
    const got: Descriptor[] = [];
    while (got.length < count) {
      if (u32[producer / 4] === u32[consumer / 4]) {
        this.addon.xskKickRx(this.fd);
        await new Promise((resolve) => setTimeout(resolve, 1));
        continue;
      }
      const at = (desc + (u32[consumer / 4]! % RING_ENTRIES) * 16) / 4;
      got.push({ address: u32[at]!, length: u32[at + 2]!, options: u32[at + 3]! });
      u32[consumer / 4] = u32[consumer / 4]! + 1;
    }
    return got;
  }

  async completions(count: number): Promise<number[]> {
    const { u32 } = this.arena;
    const { producer, consumer, desc } = this.rings.completion;
    const got: number[] = [];
    while (got.length < count) {
      if (u32[producer / 4] === u32[consumer / 4]) {
        this.addon.xskKickTx(this.fd);
        await new Promise((resolve) => setTimeout(resolve, 1));
        continue;
      }
      got.push(u32[(desc + (u32[consumer / 4]! % RING_ENTRIES) * 8) / 4]!);
      u32[consumer / 4] = u32[consumer / 4]! + 1;
    }
    return got;
  }

  bytes(descriptor: Descriptor): Uint8Array {
    const at = UMEM_AT + descriptor.address;
    return this.arena.u8.slice(at, at + descriptor.length);
  }

  write(address: number, bytes: Uint8Array, options = 0): Descriptor {
    this.arena.u8.set(bytes, UMEM_AT + address);
    return { address, length: bytes.length, options };
  }

  close(): void {
    this.addon.fdClose(this.fd);
    this.addon.pagesMapAnonymous(this.arena.u8, this.#ringsAt, 4 * 65536);
  }
}

/** bind() is refused for a while after the queue's last socket was closed. */
async function bindPatiently(
  socket: Socket,
  ifindex: number,
  queue: number,
  flags: number,
  umemFd = 0,
): Promise<void> {
  for (;;) {
    try {
      return native().xskBind(socket.fd, ifindex, queue, flags, umemFd, "test link");
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EBUSY")) throw error;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

interface Attached {
  readonly netns: number;
  readonly ifindex: number;
  readonly program: ReturnType<Native["bpfXdpLoad"]>;
  detach(): void;
}

function attach(end: VethEnd, queueCount: number, frags: boolean, flags: number): Attached {
  const addon = native();
  const netns = addon.netnsOpen(end.namespace);
  const links = addon.linkOpen(netns);
  const { ifindex } = addon.linkByName(links, end.name)!;
  addon.fdClose(links);
  const program = addon.bpfXdpLoad(queueCount, frags);
  const link = addon.bpfXdpAttach(netns, program.programFd, ifindex, flags, end.name);
  const fds = [link, program.programFd, program.socketMapFd, program.counterMapFd];
  return { netns, ifindex, program, detach: () => fds.forEach(addon.fdClose) };
}

for (const [mode, flags] of Object.entries(XDP_ATTACH)) {
  t.test(`AF_XDP on veth, ${mode}: frames both ways`, { skip }, async (t) => {
    const lab = new Lab(t);
    const [near, far] = lab.veth(lab.namespace("a"), lab.namespace("b"));
    const peer = new Peer(far);
    const attached = attach(near, 1, false, flags);
    const arena = new TestArena();
    const socket = new Socket(arena, attached.netns, 1 << 20, true);
    await bindPatiently(socket, attached.ifindex, 0, XDP_BIND.copy | XDP_BIND.needWakeup);
    t.equal(native().xskIsZeroCopy(socket.fd), false);
    native().bpfSocketSet(attached.program.socketMapFd, 0, socket.fd);
    socket.fill(Array.from({ length: 100 }, (_, i) => i * CHUNK_BYTES));

    const frames = Array.from({ length: 64 }, (_, i) => testFrame(i, 60 + i));
    t.equal(peer.send(frames), frames.length);
    const descriptors = await socket.receive(frames.length);
    t.strictSame(hex(descriptors.map((d) => socket.bytes(d))), hex(frames), "received in order");
    t.ok(
      descriptors.every(({ address }) => address % CHUNK_BYTES === DATA_AT),
      "data starts at chunk + 258",
    );

    const outgoing = frames.map((frame, i) => socket.write((128 + i) * CHUNK_BYTES + 300, frame));
    socket.send(outgoing);
    t.strictSame(hex(await peer.receive(frames.length)), hex(frames), "sent in order");
    const completed = await socket.completions(frames.length);
    const chunk = (address: number): number => Math.floor(address / CHUNK_BYTES);
    t.strictSame(completed.map(chunk).sort(), outgoing.map(({ address }) => chunk(address)).sort());
    const quiet = { rxDropped: 0, rxInvalidDescriptors: 0, txInvalidDescriptors: 0, rxRingFull: 0 };
    t.match(native().xskStatistics(socket.fd), quiet);
    socket.close();
    attached.detach();
    peer.close();
  });
}

t.test("a jumbo frame is a chain both ways", { skip }, async (t) => {
  const lab = new Lab(t);
  const [near, far] = lab.veth(lab.namespace("a"), lab.namespace("b"), { mtu: 9000 });
  const peer = new Peer(far);
  const refused = { code: "ERANGE", syscall: "bpf", object: `BPF_LINK_CREATE, XDP on ${near.name}` };
  t.throws(() => attach(near, 1, false, XDP_ATTACH.native), refused, "without frags the MTU is too long");
  const attached = attach(near, 1, true, XDP_ATTACH.native);
  const socket = new Socket(new TestArena(), attached.netns, 1 << 20, true);
  const flags = XDP_BIND.copy | XDP_BIND.needWakeup | XDP_BIND.multiBuffer;
  await bindPatiently(socket, attached.ifindex, 0, flags);
  native().bpfSocketSet(attached.program.socketMapFd, 0, socket.fd);
  socket.fill(Array.from({ length: 100 }, (_, i) => i * CHUNK_BYTES));
  const frame = testFrame(1, 9014);
  peer.send([frame]);
  const chain: Descriptor[] = [];
  while (chain.length === 0 || chain.at(-1)!.options & CONTINUES) chain.push(...(await socket.receive(1)));
  t.ok(chain.length > 1, `it came in ${chain.length} chunks`);
  t.strictSame(hex([Buffer.concat(chain.map((d) => socket.bytes(d)))]), hex([frame]), "and is whole");
  const parts = Array.from({ length: 6 }, (_, i) => frame.subarray(i * 1700, (i + 1) * 1700));
  socket.send(parts.map((part, i) => socket.write((200 + i) * CHUNK_BYTES, part, i < 5 ? CONTINUES : 0)));
  t.strictSame(hex(await peer.receive(1)), hex([frame]), "sent as a chain it leaves as one frame");
  t.equal((await socket.completions(parts.length)).length, parts.length);
  socket.close();
  attached.detach();
  peer.close();
});

t.test("a queue without a socket drops and counts, nothing reaches the stack", { skip }, async (t) => {
  const lab = new Lab(t);
  const namespace = lab.namespace("a");
  const [near, far] = lab.veth(namespace, lab.namespace("b"));
  const peer = new Peer(far);
  const attached = attach(near, 1, false, XDP_ATTACH.native);
  const addon = native();
  const stack = new Peer(near);
  peer.send(Array.from({ length: 40 }, (_, i) => testFrame(i)));
  while (addon.bpfUnservedRead(attached.program.counterMapFd, 0) < 40) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  t.equal(addon.bpfUnservedRead(attached.program.counterMapFd, 0), 40);
  t.equal(addon.bpfUnservedRead(attached.program.counterMapFd, 1), 0);
  t.match(addon.packetStatistics(stack.fd), { packets: 0 }, "the kernel's stack saw none");
  t.throws(() => addon.bpfUnservedRead(attached.program.counterMapFd, 2), { code: "ENOENT" });

  const narrow = attach(far, 0, false, XDP_ATTACH.native);
  stack.send([testFrame(1), testFrame(2)]);
  while (addon.bpfUnservedRead(narrow.program.counterMapFd, 0) < 2) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  t.pass("queues beyond the maps are counted in the last slot");
  for (const one of [narrow, attached]) one.detach();
  for (const one of [stack, peer]) one.close();
});

t.test("sockets of one UMEM share it, and EBUSY names who is there", { skip }, async (t) => {
  const lab = new Lab(t);
  const namespace = lab.namespace("a");
  const other = lab.namespace("b");
  const [first, firstFar] = lab.veth(namespace, other);
  const [second, secondFar] = lab.veth(namespace, other);
  const addon = native();
  const one = attach(first, 1, false, XDP_ATTACH.native);
  const two = attach(second, 1, false, XDP_ATTACH.native);
  const busy = { code: "EBUSY", syscall: "bpf", object: `BPF_LINK_CREATE, XDP on ${first.name}` };
  t.throws(() => attach(first, 1, false, XDP_ATTACH.native), busy, "a second program is refused");
  const links = addon.linkOpen(one.netns);
  const link = addon.linkByName(links, first.name)!;
  addon.fdClose(links);
  t.equal(XDP_MODES[link.xdpMode], "native");
  t.equal(link.xdpProgramId, one.program.programId);
  t.match(addon.bpfProgramInfo(link.xdpProgramId), { name: "millrace_xsk", tag: /^[0-9a-f]{16}$/ });

  const arena = new TestArena();
  const owner = new Socket(arena, one.netns, 1 << 20, true);
  await bindPatiently(owner, one.ifindex, 0, XDP_BIND.copy | XDP_BIND.needWakeup);
  const sharer = new Socket(arena, two.netns, 2 << 20, false);
  const einval = { code: "EINVAL", object: `AF_XDP, ${second.name} queue 0` };
  const shareAndCopy = XDP_BIND.sharedUmem | XDP_BIND.copy;
  t.throws(() => addon.xskBind(sharer.fd, two.ifindex, 0, shareAndCopy, owner.fd, second.name), einval);
  await bindPatiently(sharer, two.ifindex, 0, XDP_BIND.sharedUmem, owner.fd);
  const third = new Socket(arena, one.netns, 3 << 20, true);
  t.throws(() => addon.xskBind(third.fd, one.ifindex, 0, XDP_BIND.copy, 0, first.name), {
    code: "EBUSY",
    message: `bind(AF_XDP, ${first.name} queue 0): EBUSY, Device or resource busy`,
  });
  third.close();

  // A frame that one socket received leaves by the other without being copied.
  addon.bpfSocketSet(one.program.socketMapFd, 0, owner.fd);
  owner.fill([5 * CHUNK_BYTES]);
  const [left, right] = [new Peer(firstFar), new Peer(secondFar)];
  left.send([testFrame(77)]);
  const received = await owner.receive(1);
  sharer.send(received);
  t.strictSame(hex(await right.receive(1)), hex([testFrame(77)]));
  t.strictSame(await sharer.completions(1), [received[0]!.address]);
  left.send([testFrame(78)]);
  while (addon.xskStatistics(owner.fd).rxFillRingEmpty + addon.xskStatistics(owner.fd).rxDropped === 0) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  t.pass("without a frame to fill the kernel counts the loss");
  addon.bpfSocketDelete(one.program.socketMapFd, 0);
  addon.bpfSocketDelete(one.program.socketMapFd, 0);

  // The UMEM outlives the socket that registered it.
  owner.close();
  sharer.send([sharer.write(9 * CHUNK_BYTES, testFrame(79))]);
  t.strictSame(hex(await right.receive(1)), hex([testFrame(79)]));
  sharer.close();
  for (const link of [one, two]) link.detach();
  for (const peer of [left, right]) peer.close();
});

t.test("rings: sizes and ranges that are refused change nothing", { skip }, (t) => {
  const addon = native();
  const arena = new TestArena();
  const fd = addon.xskOpen(0);
  t.throws(() => addon.xskSetRing(fd, XSK_RING.rx, 100), { code: "EINVAL", object: /RX ring of 100/ });
  t.throws(() => addon.xskRegisterUmem(fd, arena.u8, 0, 1 << 20, 8192, 2), { code: "EINVAL" });
  addon.xskRegisterUmem(fd, arena.u8, 0, 1 << 20, 2048, 2);
  addon.xskSetRing(fd, XSK_RING.rx, 1024);
  const bytes = addon.xskRingBytes(fd, XSK_RING.rx, 1024);
  t.ok(bytes >= 1024 * 16 + 3 * 4 && bytes % 4096 === 0, `the ring takes ${bytes} bytes`);
  const short = (): unknown => addon.xskMapRing(fd, XSK_RING.rx, 1024, arena.u8, 2 << 20, bytes - 4096);
  t.throws(short, { name: "RangeError", message: /takes \d+ bytes, \d+ are given/ });
  arena.u8[2 << 20] = 9;
  const unset = (): unknown => addon.xskMapRing(fd, XSK_RING.fill, 1024, arena.u8, 2 << 20, 65536);
  t.throws(unset, { code: "EINVAL", syscall: "mmap" }, "a ring without a size can't be mapped");
  t.ok(arena.u8[2 << 20] === 0 || arena.u8[2 << 20] === 9, "the pages can still be read");
  const words = addon.xskMapRing(fd, XSK_RING.rx, 1024, arena.u8, 2 << 20, bytes);
  t.ok(Object.values(words).every((at) => at > 0 && at % 4 === 0));
  addon.xskSetRing(fd, XSK_RING.tx, 128);
  if (addon.xskSetTxBudget(fd, 128)) t.throws(() => addon.xskSetTxBudget(fd, 256), { code: "EACCES" });
  t.equal(addon.xskKickTx(fd), -6, "an unbound socket: ENXIO, not an exception");
  addon.fdClose(fd);
  addon.pagesMapAnonymous(arena.u8, 2 << 20, bytes);
  t.throws(() => addon.fdClose(fd), { code: "EBADF" });
  t.end();
});
