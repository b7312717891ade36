// A host that floods until it is told to stop, and what a switch that ended may have left on its interfaces.
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { FrameSender, InterfaceGoneError } from "./sender.ts";
import type { Host, SwitchRig } from "./switch-rig.ts";

const frame = buildFrame(
  [ethernet({ src: "02:00:00:00:00:01", dst: "ff:ff:ff:ff:ff:ff", type: 0x88b5 })],
  new Uint8Array(100),
);

export interface IpLink {
  readonly ifname: string;
  readonly xdp?: { readonly mode: number };
}

/** The interfaces of a namespace as `ip` shows them. */
export const linksOf = (rig: SwitchRig, namespace: string): IpLink[] =>
  JSON.parse(rig.lab.ip(namespace, "-j", "link", "show")) as IpLink[];

/** Interfaces of the switch's namespace that have an XDP program. */
export const withXdp = (rig: SwitchRig): string[] =>
  linksOf(rig, rig.namespace).flatMap(({ ifname, xdp }) => (xdp === undefined ? [] : [ifname]));

/** Sends until it is told to stop, or until the interface goes: a tap's does, together with the switch. */
export class Load {
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
