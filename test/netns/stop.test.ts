// SIGTERM under load: the switch ends with code 0 and leaves no XDP program, interface, socket file or process.
import { existsSync } from "node:fs";
import t from "tap";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { labUnavailable } from "../support/netns.ts";
import { FrameSender, InterfaceGoneError } from "./sender.ts";
import { type Host, type HostedPortType, SwitchRig } from "./switch-rig.ts";

const LOAD_PACKETS = 1000;
const frame = buildFrame(
  [ethernet({ src: "02:00:00:00:00:01", dst: "ff:ff:ff:ff:ff:ff", type: 0x88b5 })],
  new Uint8Array(100),
);

interface Link {
  readonly ifname: string;
  readonly xdp?: { readonly mode: number };
}

const links = (rig: SwitchRig, namespace: string): Link[] =>
  JSON.parse(rig.lab.ip(namespace, "-j", "link", "show")) as Link[];

/** Sends until it is told to stop, or until the interface goes: a tap's does, together with the switch. */
class Load {
  readonly #sender: FrameSender;
  readonly #over: Promise<void>;
  #isStopping = false;

  constructor(host: Host) {
    this.#sender = new FrameSender(host);
    this.#over = this.#run();
  }

  async #run(): Promise<void> {
    try {
      while (!this.#isStopping) await this.#sender.send(new Array<Uint8Array>(32).fill(frame));
    } catch (error) {
      if (!(error instanceof InterfaceGoneError)) throw error;
    } finally {
      this.#sender.close();
    }
  }

  stop(): Promise<void> {
    this.#isStopping = true;
    return this.#over;
  }
}

for (const type of ["afxdp", "af_packet", "tap"] as const satisfies readonly HostedPortType[]) {
  t.test(`SIGTERM under load of ${type} ports`, { skip: labUnavailable() ?? false }, async (t) => {
    const rig = new SwitchRig(t);
    const left = rig.addHost(type);
    const right = rig.addHost(type);
    await rig.start();
    const { pid } = await rig.callJson<{ pid: number }>("millrace/workers-show");
    const withXdp = (): string[] =>
      links(rig, rig.namespace).flatMap(({ ifname, xdp }) => (xdp === undefined ? [] : [ifname]));
    if (type === "afxdp")
      t.same(withXdp().sort(), [left.port, right.port].sort(), "XDP programs are attached");
    t.ok(existsSync(rig.socket), "the control socket is there");

    const load = new Load(left);
    await rig.until("traffic flows", async () => (await rig.statistics(right)).tx_packets >= LOAD_PACKETS);
    const end = await rig.signal("SIGTERM").finally(() => load.stop());
    t.same(end, { code: 0, signal: null }, "it ends with code 0");

    t.notOk(existsSync(`/proc/${pid}`), "no process is left");
    t.notOk(existsSync(rig.socket), "no control socket is left");
    t.same(withXdp(), [], "no XDP program is left");
    if (type === "tap")
      for (const { namespace, device } of [left, right])
        t.notOk(
          links(rig, namespace).some(({ ifname }) => ifname === device),
          "no tap interface is left",
        );
    else
      t.ok(
        [left, right].every(({ port }) => links(rig, rig.namespace).some(({ ifname }) => ifname === port)),
        "interfaces that were there before are there still",
      );
  });
}
