// Upcalls of one pid on their way to a program outside: a bounded queue that never blocks the handler. What finds no
// room is lost and counted.
//
// Fairness. An upcall fits while its port holds no more than what is free (the dynamic threshold of Choudhury and Hahne,
// IEEE/ACM Transactions on Networking 6(2), 1998): a port alone may fill half of the queue, two floods a third each, so
// that there is always room for a port that is quiet.
import { KEY_BYTES } from "../flow/fields.ts";
import type { Upcall } from "./pid-listeners.ts";

/** As much as the receive buffers of OVS's netlink sockets. */
export const OUTLET_BYTES_MAX = 1 << 20;
/** What an upcall takes besides its parts: objects and message headers. */
const UPCALL_BYTES = 256;

/** Bytes that an upcall takes of the queue until it was written out. */
export const upcallBytes = ({ packet, attributes, actions, egressTunnelKey }: Upcall): number =>
  UPCALL_BYTES + KEY_BYTES + packet.length + attributes.length + actions.length + egressTunnelKey.length;

export class UpcallOutlet {
  readonly #bytesMax: number;
  readonly #byPort = new Map<number, number>();
  #bytes = 0;
  #upcalls: Upcall[] = [];
  #lost = 0;

  constructor(bytesMax = OUTLET_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  get isEmpty(): boolean {
    return this.#upcalls.length === 0 && this.#lost === 0;
  }

  /** Takes an upcall; false when it is lost. */
  offer(upcall: Upcall): boolean {
    const bytes = upcallBytes(upcall);
    const held = this.#byPort.get(upcall.portNo) ?? 0;
    if (held + bytes > this.#bytesMax - (this.#bytes + bytes)) {
      this.#lost += 1;
      return false;
    }
    this.#byPort.set(upcall.portNo, held + bytes);
    this.#bytes += bytes;
    this.#upcalls.push(upcall);
    return true;
  }

  /** What was taken and lost since the last call. Upcalls hold their room until `written`. */
  take(): { readonly upcalls: readonly Upcall[]; readonly lost: number } {
    const taken = { upcalls: this.#upcalls, lost: this.#lost };
    this.#upcalls = [];
    this.#lost = 0;
    return taken;
  }

  /** The program's socket has them: their room is free. */
  written(portNo: number, bytes: number): void {
    const left = (this.#byPort.get(portNo) ?? 0) - bytes;
    if (left > 0) this.#byPort.set(portNo, left);
    else this.#byPort.delete(portNo);
    this.#bytes = Math.max(0, this.#bytes - bytes);
  }
}
