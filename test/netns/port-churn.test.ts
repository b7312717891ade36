// A port is deleted and added again while traffic of others and its own runs; another loses its interface and gets it
// back. The other ports go on, frames and descriptors are what they were, and every page of the arena can be read.
import { readdirSync } from "node:fs";
import t from "tap";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { labUnavailable } from "../support/netns.ts";
import { ArenaPages } from "./arena-pages.ts";
import { FrameSender } from "./sender.ts";
import { SwitchRig } from "./switch-rig.ts";

const CYCLES = 20;
/** By how many frames the rings may hold more than at another time: sent, their completion not yet taken. */
const IN_FLIGHT_MAX = 256;

const frame = buildFrame(
  [ethernet({ src: "02:00:00:00:00:01", dst: "ff:ff:ff:ff:ff:ff", type: 0x88b5 })],
  new Uint8Array(100),
);
const burst = (count: number): Uint8Array[] => new Array<Uint8Array>(count).fill(frame);

/** Frames at rest in the pool and those that AF_XDP rings hold; any others are in somebody's hands. */
async function framesByPlace(rig: SwitchRig): Promise<{ total: number; resting: number; kernel: number }> {
  const { frames } = await rig.callJson<{ frames: { total: number; byOwner: Record<string, number> } }>(
    "millrace/workers-show",
  );
  const sum = (...kinds: string[]): number =>
    Object.entries(frames.byOwner)
      .filter(([owner]) => kinds.includes(owner.split(" ")[0]!))
      .reduce((total, [, count]) => total + count, 0);
  return { total: frames.total, resting: sum("reserve", "stack"), kernel: sum("kernel") };
}

for (const type of ["afxdp", "af_packet"] as const) {
  t.test(`${type} ports come and go under load`, { skip: labUnavailable() ?? false }, async (t) => {
    const rig = new SwitchRig(t);
    const steady = rig.addHost(type);
    const other = rig.addHost(type);
    const churned = rig.addHost(type);
    await rig.start("policy: { type: learn }");
    const sender = new FrameSender(steady);
    t.teardown(() => sender.close());
    const { pid } = await rig.callJson<{ pid: number }>("millrace/workers-show");
    const descriptors = (): number => readdirSync(`/proc/${pid}/fd`).length;
    const cycle = async (): Promise<void> => {
      await rig.call("dpctl/del-if", "millrace", churned.port);
      await sender.send(burst(64));
      await rig.call("dpctl/add-if", "millrace", `${churned.port},type=${type},port_no=${churned.portNo}`);
    };

    await cycle();
    const before = descriptors();
    const pages = new ArenaPages(pid);
    const ringBytes = pages.ringBytes();
    const { kernel: kernelBefore } = await framesByPlace(rig);
    for (let round = 0; round < CYCLES; round += 1) {
      const sending = sender.send(burst(256));
      await cycle();
      await sending;
    }
    // The daemon closes its end of a finished command's connection when it gets round to it.
    await rig.until("no descriptor is left behind", async () => descriptors() <= before);
    t.pass("no descriptor is left behind");
    t.equal(pages.ringBytes(), ringBytes, "as many pages as before are the kernel's");
    t.ok(pages.readAll() > 0, "every page of the arena can be read");
    await rig.call("dpctl/del-if", "millrace", churned.port);
    t.equal(pages.ringBytes(), (ringBytes / 3) * 2, "pages of a port that is gone are ordinary ones");
    t.ok(pages.readAll() > 0, "and can be read");
    await rig.call("dpctl/add-if", "millrace", `${churned.port},type=${type},port_no=${churned.portNo}`);

    const seen = (await rig.statistics(other)).tx_packets;
    await sender.send(burst(32));
    await rig.until(
      "the other port goes on",
      async () => (await rig.statistics(other)).tx_packets >= seen + 32,
    );
    const returned = (await rig.statistics(churned)).tx_packets;
    await sender.send(burst(32));
    await rig.until(
      "the port that came back forwards",
      async () => (await rig.statistics(churned)).tx_packets > returned,
    );
    await rig.until("no frame is left in hands, rings or quarantine", async () => {
      const { total, resting, kernel } = await framesByPlace(rig);
      return resting + kernel === total && kernel <= kernelBefore + IN_FLIGHT_MAX;
    });
    t.pass("every frame is back or with a port");
    t.equal(await rig.stop(), 0);
  });

  t.test(
    `an interface of an ${type} port vanishes and comes back`,
    { skip: labUnavailable() ?? false },
    async (t) => {
      const rig = new SwitchRig(t);
      const steady = rig.addHost(type);
      const other = rig.addHost(type);
      const lost = rig.addHost(type);
      await rig.start();
      const isUp = async (): Promise<boolean> =>
        (await rig.show()).ports.find(({ portNo }) => portNo === lost.portNo)!.up;

      rig.lab.ip(rig.namespace, "link", "set", lost.port, "down");
      await rig.until("the port is down", async () => !(await isUp()));
      rig.lab.ip(rig.namespace, "link", "set", lost.port, "up");
      await rig.until("the port is up again", isUp);

      rig.lab.ip(rig.namespace, "link", "del", lost.port);
      await rig.until("the port is down without its interface", async () => !(await isUp()));
      t.match(
        rig.lab.run(steady.namespace, "ping", "-c", "2", "-W", "5", `10.8.0.${other.portNo}`),
        /2 received/,
        "the others forward",
      );
      rig.lab.ip(
        rig.namespace,
        "link",
        "add",
        lost.port,
        "type",
        "veth",
        "peer",
        "name",
        lost.device,
        "netns",
        lost.namespace,
      );
      rig.lab.ip(rig.namespace, "link", "set", lost.port, "up");
      rig.lab.run(lost.namespace, "ethtool", "-K", lost.device, "tx", "off", "tso", "off", "gso", "off");
      rig.lab.ip(lost.namespace, "addr", "add", `10.8.0.${lost.portNo}/24`, "dev", lost.device);
      rig.lab.ip(lost.namespace, "link", "set", lost.device, "up");
      await rig.until("the port is back", isUp);
      await rig.until("its host answers", async () => {
        try {
          return / 1 received/.test(
            rig.lab.run(steady.namespace, "ping", "-c", "1", "-W", "1", `10.8.0.${lost.portNo}`),
          );
        } catch {
          // ping says by its exit code that nobody answered yet.
          return false;
        }
      });
      t.equal(await rig.stop(), 0);
    },
  );
}
