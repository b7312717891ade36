// A kernel, or a driver, that takes no packet in several buffers.
import t from "tap";
import { Lab, labUnavailable } from "../../support/netns.ts";
import { kernelRefusal, plant } from "../../support/plant.ts";
import { FRAME_COUNT, Rig } from "./rig.ts";

const skip = labUnavailable() ?? false;

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
