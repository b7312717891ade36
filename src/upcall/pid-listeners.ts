// Who listens for packets of userspace(pid), and how many packets each pid got.

export interface ActionUpcall {
  readonly pid: number;
  readonly portNo: number;
  /** Flow key of the packet as it was extracted. */
  readonly key: Uint8Array;
  /** The packet as modified so far. */
  readonly packet: Uint8Array;
  /** Bytes of the packet before trunc cut it. */
  readonly packetBytes: number;
  /** The userspace() action's nested attributes: pid, userdata and the rest. Empty for a miss. */
  readonly attributes: Uint8Array;
}

export type PidListener = (upcall: ActionUpcall) => void;

export class PidListeners {
  readonly #listeners = new Map<number, PidListener>();
  readonly #counts = new Map<number, { delivered: number; unheard: number }>();

  listen(pid: number, listener: PidListener): void {
    this.#listeners.set(pid, listener);
  }

  unlisten(pid: number): void {
    this.#listeners.delete(pid);
  }

  /** Packets by pid, those that nobody listened to apart. */
  counts(): ReadonlyMap<number, { readonly delivered: number; readonly unheard: number }> {
    return this.#counts;
  }

  /** Counts the packet, and gives it to the pid's listener if there is one; `upcall` is built only then. */
  deliver(pid: number, upcall: () => ActionUpcall): void {
    let count = this.#counts.get(pid);
    if (count === undefined) {
      count = { delivered: 0, unheard: 0 };
      this.#counts.set(pid, count);
    }
    const listener = this.#listeners.get(pid);
    if (listener === undefined) {
      count.unheard += 1;
      return;
    }
    count.delivered += 1;
    listener(upcall());
  }
}
