// A network interface of the kernel as a port sees it: found by name in a namespace, refused when the host lives on
// it, watched while the port is open. Shared by the port types that take an interface over (af_packet, afxdp).
// Control thread.
import { type Link, type Native, native } from "../native.ts";
import { NO_OFFLOADS, type OffloadRules, readOffloadNotes } from "./offloads.ts";
import type { PortStatus } from "./port.ts";

/** The namespace that the process itself is in. */
export const OWN_NETNS = 0;

export interface InterfaceOptions {
  readonly port: string;
  readonly interfaceName: string;
  /** Name or path of a network namespace; absent: the process's own. */
  readonly netns?: string;
  /** Takes the interface although it carries the default route. */
  readonly force: boolean;
  /** The state may have changed. */
  readonly changed: () => void;
  /** The interface vanished and another of its name came. */
  readonly reappeared: () => void;
}

export class KernelInterface {
  readonly name: string;
  readonly netns: number;
  readonly ifindex: number;
  readonly #native: Native;
  readonly #linkFd: number;
  readonly #eventFd: number;
  readonly #ethtoolFd: number;
  readonly #unwatch: () => void;
  readonly #options: InterfaceOptions;
  #link: Link | undefined;

  /** @throws Error naming port, interface and what would help; nothing stays open */
  constructor(options: InterfaceOptions) {
    this.#options = options;
    this.#native = native();
    this.name = options.interfaceName;
    this.netns = options.netns === undefined ? OWN_NETNS : this.#native.netnsOpen(options.netns);
    this.#linkFd = this.#native.linkOpen(this.netns);
    try {
      this.#link = this.#native.linkByName(this.#linkFd, this.name);
      if (this.#link === undefined)
        throw new Error(this.#text(`there is no interface ${this.#where()}; see "ip link"`));
      this.ifindex = this.#link.ifindex;
      if (!options.force) this.#refuseDefaultRoute(this.#link);
    } catch (error) {
      this.#native.fdClose(this.#linkFd);
      throw error;
    }
    this.#ethtoolFd = this.#native.ethtoolOpen(this.netns);
    this.#eventFd = this.#native.linkEventsOpen(this.netns);
    this.#unwatch = this.#native.fdWatch(this.#eventFd, () => this.#readEvents());
  }

  /** File descriptor for the native ethtool functions. */
  get ethtoolFd(): number {
    return this.#ethtoolFd;
  }

  /** File descriptor for the native link functions. */
  get linkFd(): number {
    return this.#linkFd;
  }

  /** The link as last told by the kernel; undefined when it is gone. */
  get link(): Link | undefined {
    return this.#link;
  }

  /** Up and with a carrier, as of the last link event. */
  get isUp(): boolean {
    return this.#link?.up === true && this.#link.carrier;
  }

  /** Asks the kernel for the link's state now; what events told so far may be older. */
  refresh(): void {
    const now = this.#native.linkByName(this.#linkFd, this.name);
    this.#link = now?.ifindex === this.ifindex ? now : undefined;
  }

  /** The state as of the last link event, with notes on offloads as they are now. */
  status(offloads: OffloadRules = NO_OFFLOADS): PortStatus {
    const link = this.#link;
    if (link === undefined) return { up: false, mtu: 0, notes: [`interface ${this.#where()} is gone`] };
    const up = this.isUp;
    const notes = [
      ...(up ? [] : [link.up ? "no carrier" : `interface is down; ip link set ${this.name} up`]),
      ...readOffloadNotes(this, link, offloads),
    ];
    return { up, mtu: link.mtu, mac: link.mac, notes };
  }

  close(): void {
    this.#unwatch();
    this.#native.fdClose(this.#eventFd);
    this.#native.fdClose(this.#ethtoolFd);
    this.#native.fdClose(this.#linkFd);
  }

  #readEvents(): void {
    const events = this.#native.linkEventsRead(this.#eventFd);
    if (
      events !== null &&
      !events.some(({ link }) => link.name === this.name || link.ifindex === this.ifindex)
    )
      return;
    const before = this.#link;
    const now = this.#native.linkByName(this.#linkFd, this.name);
    this.#link = now?.ifindex === this.ifindex ? now : undefined;
    if (before !== undefined || this.#link !== undefined) this.#options.changed();
    if (now !== undefined && now.ifindex !== this.ifindex) this.#options.reappeared();
  }

  /** Refuses an interface below the one that a default route leaves through: the host would lose its network. */
  #refuseDefaultRoute(link: Link): void {
    const links = this.#native.linkList(this.#linkFd);
    const above = interfacesAbove(link.ifindex, links);
    const route = this.#native.defaultRouteList(this.#linkFd).find(({ ifindex }) => above.has(ifindex));
    if (route === undefined) return;
    const carrier =
      links.find(({ ifindex }) => ifindex === route.ifindex)?.name ?? `interface ${route.ifindex}`;
    const through = route.ifindex === link.ifindex ? "" : ` through ${carrier}, which stands on it`;
    throw new Error(
      this.#text(
        `interface ${this.#where()} carries the ${route.family} default route${through}; the host would lose its network. Choose another interface, or set option force: true`,
      ),
    );
  }

  #where(): string {
    return this.#options.netns === undefined ? this.name : `${this.name} in namespace ${this.#options.netns}`;
  }

  #text(message: string): string {
    return `port ${this.#options.port}: ${message}`;
  }
}

/** The interface and all that stand on it: its bond or bridge, VLANs on it, and so on upwards. */
export function interfacesAbove(ifindex: number, links: readonly Link[]): Set<number> {
  const above = new Set([ifindex]);
  for (let before = 0; before !== above.size; ) {
    before = above.size;
    for (const link of links) {
      if (above.has(link.ifindex) && link.master !== 0) above.add(link.master);
      if (link.kind !== "veth" && !link.lowerElsewhere && above.has(link.lower)) above.add(link.ifindex);
    }
  }
  return above;
}
