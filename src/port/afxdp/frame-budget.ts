// Frames that AF_XDP ports may hold. Rings keep what they were given: ports that took more than the arena has
// beside the threads' stacks would starve each other, slowly and under load only. So a port that doesn't fit
// is refused when it is opened. Control thread.
import type { Arena } from "../../memory/arena.ts";
import { BUNDLE_FRAMES, FRAME_STACK_CAPACITY } from "../../memory/frame-layout.ts";
import { threadCount } from "../../memory/region-plan.ts";

export class FrameBudget {
  static readonly #ofArena = new WeakMap<Arena, FrameBudget>();
  readonly #frameCount: number;
  /** Every thread's stack can be full, and a bundle for each is on its way through the reserve. */
  readonly #threads: number;
  #taken = 0;

  private constructor({ plan: { sizes } }: Arena) {
    this.#frameCount = sizes.frameCount;
    this.#threads = threadCount(sizes) * (FRAME_STACK_CAPACITY + BUNDLE_FRAMES);
  }

  /** The one budget of an arena. */
  static of(arena: Arena): FrameBudget {
    const known = FrameBudget.#ofArena.get(arena);
    if (known !== undefined) return known;
    const budget = new FrameBudget(arena);
    FrameBudget.#ofArena.set(arena, budget);
    return budget;
  }

  /** @throws Error that says how many frames it takes */
  take(frames: number): void {
    const wanted = this.#threads + this.#taken + frames;
    if (wanted > this.#frameCount) {
      const left = Math.max(0, this.#frameCount - this.#threads - this.#taken);
      throw new Error(
        `its rings hold ${frames} frames, ${left} are left ` +
          `beside the other ports' and the threads' own; raise memory.frames to ${wanted} or lower ring-size`,
      );
    }
    this.#taken += frames;
  }

  giveBack(frames: number): void {
    this.#taken -= frames;
  }
}
