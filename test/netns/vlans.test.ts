// VLANs of the learning switch with real hosts: two access ports of one VLAN reach each other, a third VLAN is apart,
// and a trunk carries both, tagged. The trunk's host asks by ARP in tagged frames of the test's making, and tcpdump
// shows what comes back: a kernel may come without VLAN devices.
import t from "tap";
import { buildFrame, padFrame } from "../../src/packet/builder.ts";
import { arp, ethernet, vlan } from "../../src/packet/builder-link.ts";
import { labUnavailable } from "../support/netns.ts";
import { FrameSender } from "./sender.ts";
import { type Host, SwitchRig } from "./switch-rig.ts";

const TRUNK_MAC = "02:00:00:00:77:01";
const TRUNK_ADDRESS = "10.8.0.210";

const addressOf = ({ portNo }: Host): string => `10.8.0.${portNo}`;

function reaches(rig: SwitchRig, from: Host, to: Host, waitSeconds: number): boolean {
  try {
    const ping = ["ping", "-c", "2", "-i", "0.2", "-W", `${waitSeconds}`, addressOf(to)] as const;
    return /[1-9] received/.test(rig.lab.run(from.namespace, ...ping));
  } catch {
    // ping says by its exit code that nobody answered.
    return false;
  }
}

/** The trunk's host: asks for addresses in a VLAN and remembers every ARP answer with the tag it came with. */
class TrunkHost {
  readonly #rig: SwitchRig;
  readonly #sender: FrameSender;
  #seen = "";

  private constructor(rig: SwitchRig, host: Host) {
    this.#rig = rig;
    this.#sender = new FrameSender(host);
  }

  static async open(rig: SwitchRig, host: Host): Promise<TrunkHost> {
    const trunk = new TrunkHost(rig, host);
    const capture = rig.lab.spawn(host.namespace, "tcpdump", ["-i", host.device, "-n", "-e", "-l"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let notes = "";
    capture.stdout!.on("data", (chunk: Buffer) => (trunk.#seen += chunk));
    capture.stderr!.on("data", (chunk: Buffer) => (notes += chunk));
    await rig.until("tcpdump listens", async () => notes.includes("listening on"));
    return trunk;
  }

  async ask(vid: number, address: string): Promise<void> {
    const layers = [
      ethernet({ src: TRUNK_MAC, dst: "ff:ff:ff:ff:ff:ff" }),
      vlan({ vid }),
      arp({ sha: TRUNK_MAC, spa: TRUNK_ADDRESS, tpa: address }),
    ];
    await this.#sender.send([padFrame(buildFrame(layers))]);
  }

  /** VLANs of the answers for this address that have arrived. */
  answeredIn(address: string): Set<number> {
    const answer = new RegExp(`vlan (\\d+),.* Reply ${address.replaceAll(".", "\\.")} is-at`, "g");
    return new Set([...this.#seen.matchAll(answer)].map(([, vid]) => Number(vid)));
  }

  async askUntilAnswered(vid: number, address: string): Promise<void> {
    await this.#rig.until(`${address} answers in VLAN ${vid} of the trunk`, async () => {
      await this.ask(vid, address);
      return this.answeredIn(address).has(vid);
    });
  }

  close(): void {
    this.#sender.close();
  }
}

t.test("access ports and a trunk", { skip: labUnavailable() ?? false }, async (t) => {
  const rig = new SwitchRig(t);
  const ten = rig.addHost("afxdp", ", vlan: { mode: access, tag: 10 }");
  const tenToo = rig.addHost("afxdp", ", vlan: { mode: access, tag: 10 }");
  const twenty = rig.addHost("af_packet", ", vlan: { mode: access, tag: 20 }");
  const trunkPort = rig.addHost("af_packet", ", vlan: { mode: trunk, trunks: [10, 20] }");
  await rig.start();

  t.ok(reaches(rig, ten, tenToo, 5), "access to access in one VLAN");
  t.notOk(reaches(rig, ten, twenty, 1), "not into another VLAN");

  const trunk = await TrunkHost.open(rig, trunkPort);
  t.teardown(() => trunk.close());
  // Questions that must stay unanswered go first; the answers to later ones say that these have been through.
  await trunk.ask(20, addressOf(ten));
  await trunk.ask(10, addressOf(twenty));
  await trunk.ask(30, addressOf(ten));
  await trunk.askUntilAnswered(10, addressOf(ten));
  await trunk.askUntilAnswered(10, addressOf(tenToo));
  await trunk.askUntilAnswered(20, addressOf(twenty));
  t.same([...trunk.answeredIn(addressOf(ten))], [10], "the trunk reaches VLAN 10 by tag 10 alone");
  t.same([...trunk.answeredIn(addressOf(tenToo))], [10], "every access port of it");
  t.same([...trunk.answeredIn(addressOf(twenty))], [20], "and VLAN 20 by tag 20 alone");
  t.equal(await rig.stop(), 0);
});
