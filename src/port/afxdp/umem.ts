// UMEM classes: the frames region is registered once for each class of mode, and every socket of the class
// shares that registration, so that any port transmits what any other received without a copy.
//
// A socket that shares inherits copy or zero-copy, multi-buffer and need_wakeup of the one that lends, and
// may say none of them itself (EINVAL): sockets that differ in any need a registration of their own. The
// lender may be any live socket of the class; "the first" may be gone, while its registration lives as long
// as one socket of the class does.
import type { Arena } from "../../memory/arena.ts";
import { FRAME_HEADROOM_BYTES } from "../../memory/frame-layout.ts";
import { PAGE_BYTES } from "../../memory/region-plan.ts";
import { isNativeError, native, XDP_BIND } from "../../native.ts";

/** What the kernel keeps in front of each frame's data on its own account (XDP_PACKET_HEADROOM). */
const XDP_HEADROOM_BYTES = 256;

export interface UmemClass {
  readonly zeroCopy: boolean;
  readonly multiBuffer: boolean;
  readonly needWakeup: boolean;
}

const classKey = ({ zeroCopy, multiBuffer, needWakeup }: UmemClass): string =>
  `${zeroCopy ? "zero-copy" : "copy"}${multiBuffer ? "+multi" : ""}${needWakeup ? "+wakeup" : ""}`;

const bindFlags = ({ zeroCopy, multiBuffer, needWakeup }: UmemClass): number =>
  (zeroCopy ? XDP_BIND.zeroCopy : XDP_BIND.copy) |
  (multiBuffer ? XDP_BIND.multiBuffer : 0) |
  (needWakeup ? XDP_BIND.needWakeup : 0);

/**
 * How a socket comes to its UMEM: the flags for bind and the socket that lends, -1 when it registers for
 * itself.
 */
export interface UmemShare {
  readonly flags: number;
  readonly lenderFd: number;
}

export class UmemClasses {
  static readonly #ofArena = new WeakMap<Arena, UmemClasses>();
  readonly #arena: Arena;
  readonly #live = new Map<string, Set<number>>();

  private constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** The one register of an arena. */
  static of(arena: Arena): UmemClasses {
    const known = UmemClasses.#ofArena.get(arena);
    if (known !== undefined) return known;
    const classes = new UmemClasses(arena);
    UmemClasses.#ofArena.set(arena, classes);
    return classes;
  }

  /** Ways to the class's UMEM, to be tried in order: live lenders first, a registration of its own last. */
  shares(umemClass: UmemClass): UmemShare[] {
    const lenders = [...(this.#live.get(classKey(umemClass)) ?? [])];
    return [
      ...lenders.map((lenderFd) => ({ flags: XDP_BIND.sharedUmem, lenderFd })),
      { flags: bindFlags(umemClass), lenderFd: -1 },
    ];
  }

  /** True when a lender can't lend any more: its interface vanished under it. */
  static isLenderGone(error: unknown, share: UmemShare): boolean {
    return share.lenderFd >= 0 && isNativeError(error) && error.code === "EBADF";
  }

  /** Registers the frames region with a socket. @throws when the region can't be registered whole */
  register(fd: number): void {
    const { offset, bytes } = this.#arena.region("frames");
    const { frameBytes, frameCount } = this.#arena.plan.sizes;
    if (bytes % PAGE_BYTES !== 0) {
      throw new Error(`${frameCount} frames are not a whole number of pages; make memory.frames even`);
    }
    const headroom = FRAME_HEADROOM_BYTES - XDP_HEADROOM_BYTES;
    native().xskRegisterUmem(fd, this.#arena.u8, offset, bytes, frameBytes, headroom);
  }

  add(umemClass: UmemClass, fd: number): void {
    const key = classKey(umemClass);
    const live = this.#live.get(key);
    if (live === undefined) this.#live.set(key, new Set([fd]));
    else live.add(fd);
  }

  remove(umemClass: UmemClass, fd: number): void {
    this.#live.get(classKey(umemClass))?.delete(fd);
  }
}
