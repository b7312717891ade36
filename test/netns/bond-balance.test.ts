// balance-tcp from end to end: two switches with a bond of two links between them, a host behind either. TCP streams run
// over both links when one of them goes down: every stream goes on over the other one, every byte arrives, and nothing
// is sent to the lost member any more once its bond has noticed. By recirculation and by lb_output, over both port types.
import t from "tap";
import type { BondView } from "../../src/bridge/bond/bond-view.ts";
import { labUnavailable } from "../support/netns.ts";
import { SwitchRig } from "./switch-rig.ts";
import { transfer } from "./transfer.ts";

const MEMBER_PORTS = [11, 12] as const;
/** Ports, addresses and the switches' seed are given, so these spread over both members the same way each time. */
const STREAMS = 6;
const STREAM_BYTES = 15_000_000;
/** Frames that each member has sent before one loses its link: few, beside those of all streams. */
const FRAMES_BEFORE = 200;

interface Ways {
  readonly type: "afxdp" | "af_packet";
  readonly lbOutput: boolean;
}

class BondedRigs {
  readonly near: SwitchRig;
  readonly far: SwitchRig;

  constructor(t: ConstructorParameters<typeof SwitchRig>[0]) {
    this.near = new SwitchRig(t, 1);
    this.far = new SwitchRig(t, 2);
  }

  get both(): readonly SwitchRig[] {
    return [this.near, this.far];
  }

  async start({ type, lbOutput }: Ways): Promise<void> {
    const links = MEMBER_PORTS.map(() => this.near.lab.veth(this.near.namespace, this.far.namespace));
    for (const [index, rig] of this.both.entries()) {
      rig.addHost(type);
      for (const [at, portNo] of MEMBER_PORTS.entries())
        rig.addPort(`{ name: ${links[at]![index]!.name}, type: ${type}, port-no: ${portNo} }`);
      const members = links.map((ends) => ends[index]!.name).join(", ");
      const bond = `name: bond0, members: [${members}], mode: balance-tcp, lb-output-action: ${lbOutput}`;
      await rig.start(`bonds: [{ ${bond} }]`, "seed: 1");
    }
  }

  /** Frames that a member has sent. */
  async sent(rig: SwitchRig, portNo: number): Promise<number> {
    const { ports } = await rig.show();
    return ports.find((port) => port.portNo === portNo)!.statistics.tx_packets;
  }
}

async function members(rig: SwitchRig): Promise<BondView["members"]> {
  const [bond] = await rig.callJson<BondView[]>("bond/show", "bond0");
  return bond!.members;
}

for (const type of ["afxdp", "af_packet"] as const) {
  for (const lbOutput of [false, true]) {
    const name = `balance-tcp over ${type} ${lbOutput ? "by lb_output" : "by recirculation"}`;
    t.test(`${name} loses a member under load`, { skip: labUnavailable() ?? false }, async (t) => {
      const rigs = new BondedRigs(t);
      const { near, far } = rigs;
      await rigs.start({ type, lbOutput });
      for (const rig of rigs.both) {
        const buckets = (await members(rig)).map((member) => member.buckets.length);
        t.same(buckets, [128, 128], "the members share the buckets from the start");
      }
      const [from, to] = [near.hosts[0]!, far.hosts[0]!];
      const streams = Array.from({ length: STREAMS }, (_, index) =>
        transfer(near, from, to, { index, bytes: STREAM_BYTES }),
      );
      const lost = MEMBER_PORTS[0];
      for (const portNo of MEMBER_PORTS)
        await near.until("both members carry", async () => (await rigs.sent(near, portNo)) > FRAMES_BEFORE);
      const lostName = (await members(near)).find(({ portNo }) => portNo === lost)!.name;
      const lostAt = performance.now();
      near.lab.ip(near.namespace, "link", "set", lostName, "down");
      for (const rig of rigs.both) {
        await rig.until("the bond has moved what the member had", async () => {
          const member = (await members(rig)).find(({ portNo }) => portNo === lost)!;
          const flows = await rig.call("dpctl/dump-flows");
          return !member.enabled && member.buckets.length === 0 && !flows.includes(`actions:${lost}\n`);
        });
      }
      t.comment(`moved within ${Math.round(performance.now() - lostAt)} ms, looks included`);
      const atLoss = await Promise.all(rigs.both.map((rig) => rigs.sent(rig, lost)));
      for (const { sent, received } of await Promise.all(streams)) t.same(received, sent);
      t.same(
        await Promise.all(rigs.both.map((rig) => rigs.sent(rig, lost))),
        atLoss,
        "nothing more goes there",
      );
      const ping = near.lab.run(from.namespace, "ping", "-c", "20", "-i", "0.05", "-W", "5", "10.8.0.2");
      t.match(ping, /20 packets transmitted, 20 received/, "no loss remains");
      for (const rig of rigs.both) {
        await rig.until(
          "the books balance",
          async () => (await rig.callJson<{ balance: number }>("millrace/drops-show")).balance === 0,
        );
        t.equal(await rig.stop(), 0, "the switch ends with code 0");
      }
    });
  }
}
