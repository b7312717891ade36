// A bond that loses a member under load. A host behind a port of its own sends a TCP stream to a host behind the bond,
// whose members end in a Linux bridge that knows nothing of it. The member that carries the stream loses its link: the
// stream goes on through the other one, every byte arrives, and counters tell who carried what. Both modes that such a
// bridge stands, over both port types.
import { once } from "node:events";
import { resolve } from "node:path";
import t from "tap";
import type { BondView } from "../../src/bridge/bond/bond-view.ts";
import { labUnavailable } from "../support/netns.ts";
import { type Host, SwitchRig } from "./switch-rig.ts";

const TRANSFER = resolve(import.meta.dirname, "tcp-transfer.js");
const TRANSFER_BYTES = 100_000_000;
const TCP_PORT = 9000;
const MEMBER_PORTS = [11, 12] as const;
const FAR_ADDRESS = "10.8.0.200";
/** Frames that a member has sent before it loses its link: few, beside those of the whole stream. */
const FRAMES_BEFORE = 1000;

interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

interface Member {
  readonly port: string;
  /** The bridge's end. */
  readonly peer: string;
}

class BondRig extends SwitchRig {
  readonly far: string;
  readonly members: readonly Member[];

  constructor(t: ConstructorParameters<typeof SwitchRig>[0], type: "afxdp" | "af_packet") {
    super(t);
    this.far = this.lab.namespace("far");
    this.lab.ip(this.far, "link", "add", "br0", "type", "bridge");
    this.members = MEMBER_PORTS.map((portNo) => {
      const [bridgeEnd, switchEnd] = this.lab.veth(this.far, this.namespace);
      this.lab.ip(this.far, "link", "set", bridgeEnd.name, "master", "br0");
      this.lab.run(this.far, "ethtool", "-K", bridgeEnd.name, "tx", "off", "tso", "off", "gso", "off");
      this.addPort(`{ name: ${switchEnd.name}, type: ${type}, port-no: ${portNo} }`);
      return { port: switchEnd.name, peer: bridgeEnd.name };
    });
    this.lab.ip(this.far, "link", "set", "br0", "up");
    this.lab.ip(this.far, "addr", "add", `${FAR_ADDRESS}/24`, "dev", "br0");
  }

  async sent(port: string): Promise<number> {
    const { ports } = await this.show();
    return ports.find(({ name }) => name === port)!.statistics.tx_packets;
  }

  /** Starts the stream; resolves with what was sent and what arrived. */
  async stream(from: Host): Promise<{ readonly ended: Promise<{ sent: Digest; received: Digest }> }> {
    const node = process.execPath;
    const stdio: ["ignore", "pipe", "inherit"] = ["ignore", "pipe", "inherit"];
    const server = this.lab.spawn(this.far, node, [TRANSFER, "server", "0.0.0.0", `${TCP_PORT}`], { stdio });
    let output = "";
    server.stdout!.on("data", (chunk: Buffer) => (output += chunk));
    await this.until("the server listens", async () => output.includes("listening"));
    const args = [TRANSFER, "client", FAR_ADDRESS, `${TCP_PORT}`, `${TRANSFER_BYTES}`];
    const client = this.lab.spawn(from.namespace, node, args, { stdio });
    let sent = "";
    client.stdout!.on("data", (chunk: Buffer) => (sent += chunk));
    const ended = Promise.all([once(client, "exit"), once(server, "exit")]).then(() => ({
      sent: JSON.parse(sent) as Digest,
      received: JSON.parse(output.split("\n")[1]!) as Digest,
    }));
    return { ended };
  }
}

for (const type of ["afxdp", "af_packet"] as const) {
  for (const mode of ["active-backup", "balance-slb"] as const) {
    t.test(`${mode} over ${type} loses a member`, { skip: labUnavailable() ?? false }, async (t) => {
      const rig = new BondRig(t, type);
      const host = rig.addHost(type);
      const names = rig.members.map(({ port }) => port).join(", ");
      await rig.start(`bonds: [{ name: bond0, members: [${names}], mode: ${mode} }]`);
      const ping = rig.lab.run(host.namespace, "ping", "-c", "3", "-i", "0.2", "-W", "5", FAR_ADDRESS);
      t.match(ping, /3 packets transmitted, 3 received/, "no duplicates, nothing lost");
      t.notMatch(ping, /DUP/);

      const before = await Promise.all(rig.members.map(({ port }) => rig.sent(port)));
      const { ended } = await rig.stream(host);
      const grown = async (index: number): Promise<number> =>
        (await rig.sent(rig.members[index]!.port)) - before[index]!;
      let carrier = -1;
      await rig.until("a member carries the stream", async () => {
        carrier = (await grown(0)) > FRAMES_BEFORE ? 0 : (await grown(1)) > FRAMES_BEFORE ? 1 : -1;
        return carrier >= 0;
      });
      const lost = rig.members[carrier]!;
      rig.lab.ip(rig.far, "link", "set", lost.peer, "down");
      await rig.until("the bond has noticed", async () => {
        const [bond] = await rig.callJson<BondView[]>("bond/show", "bond0");
        return bond!.members.find(({ name }) => name === lost.port)!.enabled === false;
      });
      const atLoss = await grown(carrier);
      await rig.until("the other member carries it", async () => (await grown(1 - carrier)) > FRAMES_BEFORE);
      const { sent, received } = await ended;
      t.equal(received.bytes, TRANSFER_BYTES, "all bytes arrive");
      t.equal(received.sha256, sent.sha256, "they are the bytes that were sent");
      t.equal(await grown(carrier), atLoss, "the lost member sent nothing more");
      await rig.until(
        "the books balance",
        async () => (await rig.callJson<{ balance: number }>("millrace/drops-show")).balance === 0,
      );
      t.equal(await rig.stop(), 0, "the switch ends with code 0");
    });
  }
}
