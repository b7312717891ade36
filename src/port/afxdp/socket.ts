// One AF_XDP socket with its four rings over arena pages. Control thread.
//
// After a queue's last socket was closed the kernel takes some milliseconds to let the queue go; until then
// bind says EBUSY. The same errno stands for another process's socket, so binding is tried again for
// BIND_PATIENCE and refused then.
import type { Arena } from "../../memory/arena.ts";
import {
  isNativeError,
  type Native,
  native,
  XSK_RING,
  type XskRing,
  type XskRingWords,
} from "../../native.ts";
import { fillEntries, type QueuePages, type QueueRings, type RingPages } from "./layout.ts";
import { type UmemClass, UmemClasses, type UmemShare } from "./umem.ts";

/** Milliseconds between attempts to bind: 14 ms were seen to be enough, a loaded machine takes longer. */
const BIND_DELAYS_MILLIS = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
/** Milliseconds that a closing socket waits for the kernel to transmit what is in its ring. */
const DRAIN_MILLIS = 100;

export interface SocketOptions {
  readonly arena: Arena;
  readonly netns: number;
  readonly ifindex: number;
  readonly interfaceName: string;
  readonly queue: number;
  readonly ringEntries: number;
  /** Where the rings go, arena offsets. */
  readonly pages: QueuePages;
  readonly umemClass: UmemClass;
}

const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis));

export class AfxdpSocket {
  readonly fd: number;
  readonly rings: QueueRings;
  readonly #native: Native = native();
  readonly #options: SocketOptions;

  private constructor(options: SocketOptions, fd: number, rings: QueueRings) {
    this.#options = options;
    this.fd = fd;
    this.rings = rings;
  }

  /** Opens, maps and binds. @throws NativeError; nothing stays open or mapped */
  static async open(options: SocketOptions): Promise<AfxdpSocket> {
    const classes = UmemClasses.of(options.arena);
    const shares = classes.shares(options.umemClass);
    for (const [index, share] of shares.entries()) {
      try {
        const socket = await AfxdpSocket.#openWith(options, share, classes);
        classes.add(options.umemClass, socket.fd);
        return socket;
      } catch (error) {
        if (index === shares.length - 1 || !UmemClasses.isLenderGone(error, share)) throw error;
      }
    }
    throw new Error("unreachable: the last share registers for itself");
  }

  static async #openWith(
    options: SocketOptions,
    share: UmemShare,
    classes: UmemClasses,
  ): Promise<AfxdpSocket> {
    const addon = native();
    const { arena, pages, ringEntries } = options;
    const fd = addon.xskOpen(options.netns);
    const map = (ring: XskRing, entries: number, { offset, bytes }: RingPages): XskRingWords => {
      addon.xskSetRing(fd, ring, entries);
      return addon.xskMapRing(fd, ring, entries, arena.u8, offset, bytes);
    };
    try {
      if (share.lenderFd < 0) classes.register(fd);
      const rings = {
        rx: map(XSK_RING.rx, ringEntries, pages.rx),
        tx: map(XSK_RING.tx, ringEntries, pages.tx),
        fill: map(XSK_RING.fill, fillEntries(ringEntries), pages.fill),
        completion: map(XSK_RING.completion, ringEntries, pages.completion),
      };
      // One kick sends the whole ring; kernels without the option send 32 descriptors a kick.
      addon.xskSetTxBudget(fd, ringEntries);
      await bindPatiently(options, fd, share);
      return new AfxdpSocket(options, fd, rings);
    } catch (error) {
      addon.fdClose(fd);
      unmapRings(arena, pages);
      throw error;
    }
  }

  get zeroCopy(): boolean {
    return this.#native.xskIsZeroCopy(this.fd);
  }

  /** Kicks until the kernel is done with what is in the tx ring, or DRAIN_MILLIS are over. */
  async drain(): Promise<void> {
    const { intrinsics } = this.#options.arena;
    const { tx, completion } = this.rings;
    for (let left = DRAIN_MILLIS; left > 0; left -= 1) {
      const posted = intrinsics.load(tx.producer);
      if (intrinsics.load(tx.consumer) === posted && intrinsics.load(completion.producer) === posted) return;
      this.#native.xskKickTx(this.fd);
      await sleep(1);
    }
  }

  /**
   * Closes the socket and puts ordinary pages over its rings: the mappings keep the socket alive otherwise.
   */
  close(): void {
    UmemClasses.of(this.#options.arena).remove(this.#options.umemClass, this.fd);
    this.#native.fdClose(this.fd);
    unmapRings(this.#options.arena, this.#options.pages);
  }
}

function unmapRings(arena: Arena, pages: QueuePages): void {
  for (const { offset, bytes } of Object.values(pages) as RingPages[]) {
    native().pagesMapAnonymous(arena.u8, offset, bytes);
  }
}

async function bindPatiently(options: SocketOptions, fd: number, share: UmemShare): Promise<void> {
  const { ifindex, queue, interfaceName } = options;
  for (const delay of [...BIND_DELAYS_MILLIS, 0]) {
    try {
      native().xskBind(fd, ifindex, queue, share.flags, Math.max(share.lenderFd, 0), interfaceName);
      return;
    } catch (error) {
      if (!isNativeError(error) || error.code !== "EBUSY") throw error;
      if (delay === 0) {
        throw new Error(
          `${error.message}; another AF_XDP socket owns queue ${queue} of ${interfaceName}: ` +
            "end the program that has it, or choose another interface",
          { cause: error },
        );
      }
      await sleep(delay);
    }
  }
}
