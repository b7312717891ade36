// After the daemon's start only four capabilities are left: they must be enough to close a port and make it
// again, in a namespace that was opened before. Runs in a process of its own, since the drop can't be undone.
import { spawnSync } from "node:child_process";
import t from "tap";
import { Lab, labUnavailable } from "../../support/netns.ts";

const skip = labUnavailable() ?? false;
const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

t.test("a port is made again with four capabilities", { skip }, (t) => {
  const lab = new Lab(t);
  const [end, farEnd] = lab.veth(lab.namespace("a"), lab.namespace("b"));
  const script = `
    import { readFileSync } from "node:fs";
    const { native, CAPABILITY } = await import(${url("../../../src/native.js")});
    const { Peer, testFrame } = await import(${url("../../support/peer.js")});
    const { Rig } = await import(${url("./rig.js")});
    const [end, farEnd] = JSON.parse(process.argv[1]);
    native().netnsOpen(end.namespace);
    const peer = new Peer(farEnd);
    const rig = new Rig();
    const first = await rig.open(end, {}, 1, 0);
    native().privilegeDrop(Object.values(CAPABILITY));
    const forward = async (port, number) => {
      peer.send([testFrame(number)]);
      const [frame] = await rig.receive(port, 1);
      port.tx[0].put(frame);
      port.tx[0].flush();
      return Buffer.from((await peer.receive(1))[0]).equals(Buffer.from(testFrame(number)));
    };
    const before = await forward(first, 1);
    await rig.close(first);
    const second = await rig.open(end, {}, 1, 0);
    const after = await forward(second, 2);
    const refused = await rig.open(end, {}, 1, 1).then(() => "opened", (error) => error.message);
    await rig.close(second);
    const caps = /CapEff:\\s+(\\w+)/.exec(readFileSync("/proc/self/status", "utf8"))[1];
    const pooled = rig.pooled() === rig.arena.plan.sizes.frameCount;
    console.log(JSON.stringify({ before, after, refused, caps, pooled }));
    process.exit(0);`;
  const args = ["--input-type=module", "-e", script, JSON.stringify([end, farEnd])];
  const child = spawnSync(process.execPath, args, { encoding: "utf8" });
  t.equal(child.status, 0, child.stderr);
  t.match(JSON.parse(child.stdout), { before: true, after: true, caps: "0000008000007000", pooled: true });
  t.match(child.stdout, /has an XDP program already: id \d+ \(native\)/, "named as far as CAP_BPF goes");
  t.end();
});
