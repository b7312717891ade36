// Frames that ports may keep. A ring keeps what it was given for as long as the port is open: ports that took more than
// the arena has beside the threads' own would starve each other, slowly and under load only. So a configuration, and a
// port that is opened, is refused unless
//
//   frames >= what the kernel's rings and the ports' stocks keep + threads x (stack + a bundle on its way to the reserve)
//
// Rings between threads (dummy, patch, hand-off, upcall) don't count: they are empty when nothing moves, their other end
// empties them once a loop, and a full one drops. Control thread.
import { BUNDLE_FRAMES, FRAME_STACK_CAPACITY } from "../memory/frame-layout.ts";
import { type ArenaSizes, threadCount } from "../memory/region-plan.ts";

/** The least memory.frames that serves ports which keep so many frames together. */
export const framesNeeded = (sizes: ArenaSizes, keptByPorts: number): number =>
  threadCount(sizes) * (FRAME_STACK_CAPACITY + BUNDLE_FRAMES) + keptByPorts;

export class FrameBudget {
  readonly #sizes: ArenaSizes;
  readonly #claims = new Map<number, number>();
  #lost = 0;

  constructor(sizes: ArenaSizes) {
    this.#sizes = sizes;
  }

  /**
   * The port in this slot keeps so many frames from now on, instead of what it claimed before.
   * @throws Error that says how many frames it takes; the claim is as it was
   */
  claim(slot: number, frames: number): void {
    const taken = framesNeeded(this.#sizes, this.#claimedBeside(slot) + this.#lost);
    const { frameCount } = this.#sizes;
    if (frames > 0 && taken + frames > frameCount) {
      const left = Math.max(0, frameCount - taken);
      throw new Error(
        `its queues keep ${frames} frames, ${left} are left beside the other ports' and the threads' own; ` +
          `raise memory.frames to ${taken + frames}, or lower rx-queues or option ring-size`,
      );
    }
    this.#claims.set(slot, frames);
  }

  release(slot: number): void {
    this.#claims.delete(slot);
  }

  /** Frames that no port gets any more: a driver never let them go. */
  lose(frames: number): void {
    this.#lost += frames;
  }

  #claimedBeside(slot: number): number {
    let total = 0;
    for (const [other, frames] of this.#claims) if (other !== slot) total += frames;
    return total;
  }
}
