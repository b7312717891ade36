// What an interface must be like before AF_XDP takes it over: channels equal to the port's queues, an MTU
// that frames hold, offloads that hide nothing. Control thread.
import { FRAME_HEADROOM_BYTES } from "../../memory/frame-layout.ts";
import { type EthtoolChannels, isNativeError, type Link, native } from "../../native.ts";
import type { KernelInterface } from "../kernel-interface.ts";
import { type OffloadRules, OWN_OFFLOADS, PEER_OFFLOADS } from "../offloads.ts";
import type { UsedMode } from "./options.ts";

/** The longest MTU that passes through the switch. */
export const MTU_MAX = 9000;
/** Ethernet header and two VLAN tags stand before what the MTU counts. */
const LINK_HEADER_BYTES = 14 + 2 * 4;

/** The longest MTU whose packets fit one frame. */
export const singleFrameMtu = (frameBytes: number): number =>
  frameBytes - FRAME_HEADROOM_BYTES - LINK_HEADER_BYTES;

/** @throws Error when packets of the interface could be longer than the switch passes */
export function checkMtu({ name, mtu }: Link): void {
  if (mtu > MTU_MAX) {
    throw new Error(`${name} has MTU ${mtu}, ${MTU_MAX} is the most; ip link set dev ${name} mtu ${MTU_MAX}`);
  }
}

/**
 * Sets the interface's channels to the port's queues: packets on other queues would only be counted and
 * dropped.
 * @throws Error with the command or the number to change when that can't be had
 */
export function setChannels({ ethtoolFd, name, link }: KernelInterface, wanted: number): void {
  const channels = readChannels(ethtoolFd, name);
  if (channels === undefined) {
    const count = link?.rxQueues ?? 1;
    if (count === wanted) return;
    throw new Error(
      `${name} has ${count} receive queue${count === 1 ? "" : "s"}, which its driver can't change; ` +
        `set rx-queues to ${count}`,
    );
  }
  const combined = channels.maxCombined > 0;
  const most = combined ? channels.maxCombined : Math.min(channels.maxRx, channels.maxTx);
  if (wanted > most) {
    throw new Error(`${name} has at most ${most} queues; set rx-queues to ${most} or less`);
  }
  const { rx, tx } = combined ? { rx: 0, tx: 0 } : { rx: wanted, tx: wanted };
  const count = combined ? wanted : 0;
  if (channels.combined === count && channels.rx === rx && channels.tx === tx) return;
  const command = combined
    ? `ethtool -L ${name} combined ${wanted}`
    : `ethtool -L ${name} rx ${wanted} tx ${wanted}`;
  try {
    native().ethtoolSetChannels(ethtoolFd, name, rx, tx, count);
  } catch (error) {
    if (!isNativeError(error)) throw error;
    throw new Error(`${error.message}; the port needs ${wanted} channels: ${command}`, { cause: error });
  }
}

function readChannels(ethtoolFd: number, name: string): EthtoolChannels | undefined {
  try {
    return native().ethtoolChannels(ethtoolFd, name);
  } catch (error) {
    if (isNativeError(error) && error.code === "EOPNOTSUPP") return undefined;
    throw error;
  }
}

/** A driver's XDP hook comes before software GRO, the generic one after; a veth strips no tags before either. */
export function offloadRules(mode: UsedMode, kind: string): OffloadRules {
  const { vlanStripping, gro, hardwareGro, lro } = OWN_OFFLOADS;
  return {
    own: [
      ...(kind === "veth" ? [] : [vlanStripping]),
      ...(mode === "generic" ? [gro] : []),
      hardwareGro,
      lro,
    ],
    peer: Object.values(PEER_OFFLOADS),
  };
}
