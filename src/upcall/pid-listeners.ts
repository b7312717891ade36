// Who listens on which pid, and how many packets each pid got.

/** Stands for the group that psample() sends to; no netlink socket has it. */
export const PSAMPLE_PID = 0xffffffff;

export interface Upcall {
  /** A packet that hit no flow, or one of a userspace() action. */
  readonly kind: "miss" | "action";
  readonly pid: number;
  readonly portNo: number;
  /** Flow key of the packet as it was extracted. */
  readonly key: Uint8Array;
  /** The packet as modified so far. */
  readonly packet: Uint8Array;
  /** Bytes of the packet before trunc cut it. */
  readonly packetBytes: number;
  /** The hash that chooses among a port's pids. */
  readonly hash: number;
  /** Nested attributes of userspace() (pid, userdata and the rest) or psample() (group, cookie). Empty for a miss. */
  readonly attributes: Uint8Array;
  /** With which packets get to the action through samples, of 2^32 - 1. */
  readonly probability: number;
  /** The flow's actions when the userspace() action asked for them, else empty. */
  readonly actions: Uint8Array;
  /** OVS_TUNNEL_KEY_ATTR_* that the packet would leave by `tunnel_out_port` under; empty when not asked for, or none. */
  readonly egressTunnelKey: Uint8Array;
}

/** Takes an upcall; false when there is no room for it. */
export type PidListener = (upcall: Upcall) => boolean;

export interface PidCounts {
  readonly delivered: number;
  /** Nobody listened. */
  readonly unheard: number;
  /** The listener had no room. */
  readonly lost: number;
}

export class PidListeners {
  readonly #listeners = new Map<number, PidListener>();
  readonly #counts = new Map<number, { delivered: number; unheard: number; lost: number }>();

  listen(pid: number, listener: PidListener): void {
    this.#listeners.set(pid, listener);
  }

  unlisten(pid: number): void {
    this.#listeners.delete(pid);
  }

  /** Packets by pid. */
  counts(): ReadonlyMap<number, PidCounts> {
    return this.#counts;
  }

  /**
   * Counts the packet, and gives it to the pid's listener if there is one; `upcall` is built only then. False when
   * nobody has it now.
   */
  deliver(pid: number, upcall: () => Upcall): boolean {
    let count = this.#counts.get(pid);
    if (count === undefined) {
      count = { delivered: 0, unheard: 0, lost: 0 };
      this.#counts.set(pid, count);
    }
    const listener = this.#listeners.get(pid);
    if (listener === undefined) {
      count.unheard += 1;
      return false;
    }
    const isTaken = listener(upcall());
    if (isTaken) count.delivered += 1;
    else count.lost += 1;
    return isTaken;
  }
}
