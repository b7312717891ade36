// Packets on a queue that has no socket, and a kernel that takes no packet in several buffers.
import t from "tap";
import { readPortCounters } from "../../../src/port/counters.ts";
import { Lab, labUnavailable } from "../../support/netns.ts";
import { numberedFrame } from "../../support/numbered-frame.ts";
import { Peer, testFrame } from "../../support/peer.ts";
import { kernelRefusal, plant } from "../../support/plant.ts";
import { until } from "../kernel-port.ts";
import { FRAME_COUNT, Rig } from "./rig.ts";

const skip = labUnavailable() ?? false;
const PACKETS = 60;

t.test(
  "packets on a queue without a socket are counted and dropped, never passed up",
  { skip },
  async (t) => {
    const lab = new Lab(t);
    const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"), { queues: 2 });
    const rig = new Rig();
    // A driver that says yes and keeps its two channels. A veth can't stand for one that grows a channel later: Linux
    // 6.18 runs no program on it.
    plant(t, "ethtoolSetChannels", () => () => {});
    const port = await rig.open(end);
    const host = new Peer(end);
    const peer = new Peer(farEnd);
    peer.send(Array.from({ length: PACKETS }, (_, number) => numberedFrame(number, number + 1)));
    let received = 0;
    const counters = (): Record<string, number> => readPortCounters(rig.arena, port.port.slot);
    await until(() => {
      for (const frame of rig.burst(port.rx[0]!)) {
        received += 1;
        rig.pool.freePacket(frame);
      }
      port.port.foldKernelCounters();
      return received + counters()["rx_no_socket"]! >= PACKETS;
    });
    t.ok(received > 0 && received < PACKETS, `${received} of ${PACKETS} on the queue with a socket`);
    t.match(counters(), { rx_packets: received, rx_no_socket: PACKETS - received });
    await rig.close(port);
    // Without the program the interface's packets do go up: this one is the first that the host sees.
    peer.send([testFrame(7)]);
    t.strictSame(await host.receive(1), [testFrame(7)]);
    for (const one of [host, peer]) one.close();
  },
);

t.test(
  "where the kernel takes no chains the port is refused with the MTU that it can have",
  { skip },
  async (t) => {
    const lab = new Lab(t);
    const [end] = lab.veth(lab.namespace("a"), lab.namespace("b"), { mtu: 9000 });
    const rig = new Rig();
    const before = { frames: rig.pooled(), pages: rig.pages.freeBytes };
    // Linux before 6.6: no program with BPF_F_XDP_HAS_FRAGS, no XDP_USE_SG at bind.
    plant(t, "bpfXdpLoad", (load) => (queueCount, multiBuffer) => {
      if (multiBuffer) throw kernelRefusal("bpf", "BPF_PROG_LOAD", "EINVAL", 22);
      return load(queueCount, multiBuffer);
    });
    const refusal = new RegExp(
      `AF_XDP can't be had on ${end.name}: native: bpf.*EINVAL.*generic: bpf.*EINVAL.*` +
        `MTU 9000 needs packets in several buffers.* ip link set dev ${end.name} mtu 1768`,
    );
    await t.rejects(rig.open(end), { message: refusal });
    t.strictSame({ frames: rig.pooled(), pages: rig.pages.freeBytes }, before);
    lab.ip(end.namespace, "link", "set", "dev", end.name, "mtu", "1768");
    const port = await rig.open(end);
    t.equal(port.port.status().mtu, 1768, "with the MTU of the message it opens");
    await rig.close(port);
    t.equal(rig.pooled(), FRAME_COUNT);
  },
);

t.test("where a driver takes no chains at bind", { skip }, async (t) => {
  const lab = new Lab(t);
  const [end] = lab.veth(lab.namespace("a"), lab.namespace("b"), { mtu: 9000 });
  const rig = new Rig();
  plant(t, "xskBind", () => () => {
    throw kernelRefusal("bind", "AF_XDP", "EOPNOTSUPP", 95);
  });
  await t.rejects(rig.open(end, { "xdp-mode": "native" }), {
    message: /native: bind.*EOPNOTSUPP.*MTU 9000 needs packets in several buffers/,
  });
  t.equal(rig.pooled(), FRAME_COUNT);
  t.equal(rig.pages.freeBytes, rig.arena.region("kernelRings").bytes);
});
