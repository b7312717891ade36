// Offloads that hide bytes of a packet from a port or leave them unfinished: those of its own interface, and, on a veth,
// those of the peer, which leaves to a device that isn't there what it would leave to hardware. `ethtool -K` changes
// them at any time, so they are read each time that a port tells its state. Control thread.
import { type EthtoolFeature, isNativeError, type Link, native } from "../native.ts";

export interface Offload {
  /** Names of the kernel; on when one of them is. */
  readonly features: readonly string[];
  readonly effect: string;
  /** What `ethtool -K INTERFACE` takes to end it. */
  readonly setting: string;
}

/** The offloads that matter to one port; which those are depends on its type and mode. */
export interface OffloadRules {
  readonly own: readonly Offload[];
  readonly peer: readonly Offload[];
}

export const NO_OFFLOADS: OffloadRules = { own: [], peer: [] };

export const OWN_OFFLOADS = {
  vlanStripping: {
    features: ["rx-vlan-hw-parse"],
    effect: "takes VLAN tags off before the port sees the frame",
    setting: "rxvlan off",
  },
  gro: {
    features: ["rx-gro"],
    effect: "merges received segments to frames longer than the MTU",
    setting: "gro off",
  },
  hardwareGro: {
    features: ["rx-gro-hw"],
    effect: "merges received segments in the device",
    setting: "rx-gro-hw off",
  },
  lro: { features: ["rx-lro"], effect: "merges received segments in the device", setting: "lro off" },
} as const satisfies Record<string, Offload>;

export const PEER_OFFLOADS = {
  checksum: {
    features: ["tx-checksum-ip-generic", "tx-checksum-ipv4", "tx-checksum-ipv6", "tx-checksum-sctp"],
    effect: "leaves transport checksums unfinished",
    setting: "tx off",
  },
  vlanInsertion: {
    features: ["tx-vlan-hw-insert", "tx-vlan-stag-hw-insert"],
    effect: "keeps VLAN tags beside the packet",
    setting: "txvlan off tx-vlan-stag-hw-insert off",
  },
  tcpSegmentation: {
    features: ["tx-tcp-segmentation", "tx-tcp6-segmentation"],
    effect: "sends TCP segments longer than the MTU",
    setting: "tso off",
  },
  udpSegmentation: {
    features: ["tx-udp-segmentation"],
    effect: "sends UDP segments longer than the MTU",
    setting: "tx-udp-segmentation off",
  },
} as const satisfies Record<string, Offload>;

type Features = Readonly<Record<string, EthtoolFeature>>;

/** A line for each offload that is on: which feature of what does what, and the command that ends it. */
export function offloadNotes(
  offloads: readonly Offload[],
  features: Features,
  name: string,
  what = name,
): string[] {
  return offloads.flatMap(({ features: names, effect, setting }) => {
    const on = names.find((feature) => features[feature]?.active);
    return on === undefined ? [] : [`${on} of ${what} ${effect}; ethtool -K ${name} ${setting}`];
  });
}

/** The interface whose offloads are asked for, and the descriptors to ask with. */
export interface OffloadTarget {
  readonly ethtoolFd: number;
  readonly linkFd: number;
  readonly name: string;
}

/** Notes on an interface's offloads as they are now. */
export function readOffloadNotes(target: OffloadTarget, link: Link, { own, peer }: OffloadRules): string[] {
  const notes =
    own.length === 0 ? [] : offloadNotes(own, readFeatures(target.ethtoolFd, target.name), target.name);
  if (link.kind !== "veth" || peer.length === 0) return notes;
  const peerLink = link.lowerElsewhere ? undefined : native().linkByIndex(target.linkFd, link.lower);
  // `link` is as old as its last event: the peer may have moved away, and its number may be another's by now.
  if (peerLink?.lower !== link.ifindex) return [...notes, peerElsewhereNote(target.name, peer)];
  const { name } = peerLink;
  return [...notes, ...offloadNotes(peer, readFeatures(target.ethtoolFd, name), name, `the peer ${name}`)];
}

/** The kernel tells features of this namespace's interfaces only. */
function peerElsewhereNote(name: string, peer: readonly Offload[]): string {
  const feared = peer.map(({ effect, features: [feature] }) => `${feature} ${effect}`).join(", ");
  const settings = peer.map(({ setting }) => setting).join(" ");
  return `the peer of ${name} is in another namespace; what of its offloads is on can't be seen here: ${feared}; there, ethtool -K PEER ${settings}`;
}

/** Features of an interface; of one that has just vanished, none. */
function readFeatures(fd: number, name: string): Features {
  try {
    return native().ethtoolFeatures(fd, name);
  } catch (error) {
    if (isNativeError(error) && error.code === "ENODEV") return {};
    throw error;
  }
}
