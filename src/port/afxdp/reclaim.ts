// Taking back the frames of a closed port. Control thread.
//
// Frames in rings or in the kernel carry their queue's mark (layout.ts). In copy mode the kernel touches no
// frame once close() has returned: packets received are copied before they are handed over, packets to send
// have been copied into buffers of the kernel's own. A zero-copy driver goes on until its hardware queue is
// stopped, which happens later in a work queue. Until then the frames are in quarantine: the sign that it is
// over is that the queue can be bound again.
import type { Arena } from "../../memory/arena.ts";
import { FRAME_META_BYTES, META32 } from "../../memory/frame-layout.ts";
import { ownerWord } from "../../memory/frame-ledger.ts";
import type { FramePool } from "../../memory/frame-pool.ts";
import { controlThread, PAGE_BYTES } from "../../memory/region-plan.ts";
import { isNativeError, native, XDP_BIND, XSK_RING } from "../../native.ts";
import type { PageAllocator } from "../port.ts";
import { markedSlot } from "./layout.ts";

/** Milliseconds between looks at a queue that a zero-copy driver still holds. */
const QUARANTINE_DELAYS_MILLIS = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560];
/** In a portNo word: in quarantine for ever; no port has this slot. */
const LOST_MARK = 0xffff_ff00;

/** Calls back for every frame that carries a mark of the slot. Returns their number. */
function eachMarked(arena: Arena, slot: number, visit: (frame: number, word: number) => void): number {
  const base = (arena.region("frameMeta").offset >>> 2) + META32.portNo;
  let count = 0;
  for (let frame = 0; frame < arena.plan.sizes.frameCount; frame += 1) {
    const word = base + frame * (FRAME_META_BYTES / 4);
    if (markedSlot(arena.u32[word]!) !== slot) continue;
    visit(frame, word);
    count += 1;
  }
  return count;
}

/** Frees every frame that a port's rings or the kernel had. Returns how many. */
export function reclaimFrames(arena: Arena, pool: FramePool, slot: number): number {
  const held = ownerWord("held", controlThread(arena.plan.sizes));
  return eachMarked(arena, slot, (frame, word) => {
    arena.u32[word] = 0;
    pool.ledger?.seize(frame, held);
    pool.free(frame);
  });
}

/** Frames that a port's rings and the kernel have now. */
export const markedFrameCount = (arena: Arena, slot: number): number => eachMarked(arena, slot, () => {});

/** Takes frames out of use for good: a driver that never lets go may write into them at any time. */
export function loseFrames(arena: Arena, pool: FramePool, slot: number): number {
  return eachMarked(arena, slot, (frame, word) => {
    arena.u32[word] = LOST_MARK;
    pool.ledger?.seize(frame, ownerWord("quarantine", slot));
  });
}

/**
 * Waits until `isFree` says yes, with growing pauses. Returns false when it never did.
 * @param pause how to wait; tests pass their own
 */
export async function quarantine(
  isFree: () => boolean,
  pause: (millis: number) => Promise<void> = (millis) =>
    new Promise((resolve) => setTimeout(resolve, millis)),
): Promise<boolean> {
  for (const millis of QUARANTINE_DELAYS_MILLIS) {
    if (isFree()) return true;
    await pause(millis);
  }
  return isFree();
}

/**
 * True when no socket's buffer pool is bound to the queue: a socket of one page can be, or the interface is
 * gone.
 */
export function queueIsFree(
  arena: Arena,
  pages: PageAllocator,
  netns: number,
  ifindex: number,
  queue: number,
): boolean {
  const addon = native();
  const page = pages.allocate(PAGE_BYTES);
  const fd = addon.xskOpen(netns);
  try {
    addon.xskRegisterUmem(fd, arena.u8, page, PAGE_BYTES, 2048, 0);
    for (const ring of [XSK_RING.rx, XSK_RING.fill, XSK_RING.completion]) addon.xskSetRing(fd, ring, 2);
    addon.xskBind(fd, ifindex, queue, XDP_BIND.copy, 0, `ifindex ${ifindex}`);
    return true;
  } catch (error) {
    if (!isNativeError(error)) throw error;
    if (error.code === "EBUSY") return false;
    if (error.code === "ENODEV" || error.code === "ENETDOWN") return true;
    throw error;
  } finally {
    addon.fdClose(fd);
    pages.free(page, PAGE_BYTES);
  }
}
