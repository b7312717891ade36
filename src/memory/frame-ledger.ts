// The debug ledger: every frame has exactly one owner at any time, and this proves it. Each hand-over is checked
// against the owner recorded in the frame's `ledger` word; a frame freed twice, used after free or owned by two throws
// at the hand-over that went wrong. Off by default (`debug.ledger`): one load and one store for each hand-over.
import type { Arena } from "./arena.ts";
import { FRAME_META_BYTES, META32 } from "./frame-layout.ts";

/** Kinds of owner; the owner word is kind << 24 | number (thread, port slot or ring). */
export const OWNER = { none: 0, reserve: 1, stack: 2, held: 3, kernel: 4, ring: 5, quarantine: 6 } as const;
export type OwnerKind = keyof typeof OWNER;

export const ownerWord = (kind: OwnerKind, number: number): number =>
  (OWNER[kind] << 24) | (number & 0xffffff);

export class FrameLedger {
  readonly #u32: Uint32Array;
  readonly #base: number;
  readonly #frameCount: number;

  constructor(arena: Arena) {
    this.#u32 = arena.u32;
    this.#base = (arena.region("frameMeta").offset >>> 2) + META32.ledger;
    this.#frameCount = arena.plan.sizes.frameCount;
  }

  /** Hands a frame from one owner to another. @throws Error naming frame, expected and found owner. */
  move(frame: number, from: number, to: number): void {
    const index = this.#base + frame * (FRAME_META_BYTES / 4);
    if (frame >= this.#frameCount || this.#u32[index] !== from) {
      throw new Error(
        `frame ledger: frame ${frame} goes from ${describeOwner(from)} to ${describeOwner(to)}, ` +
          `but ${frame >= this.#frameCount ? "there is no such frame" : `${describeOwner(this.#u32[index]!)} owns it`}`,
      );
    }
    this.#u32[index] = to;
  }

  /** Takes a frame whatever its owner was: for adoption after a worker's death. */
  seize(frame: number, to: number): void {
    this.#u32[this.#base + frame * (FRAME_META_BYTES / 4)] = to;
  }

  owner(frame: number): number {
    return this.#u32[this.#base + frame * (FRAME_META_BYTES / 4)]!;
  }

  /** Frames by owner. Exact only while nothing moves. The counts sum to the number of frames. */
  audit(): Map<string, number> {
    const counts = new Map<string, number>();
    for (let frame = 0; frame < this.#frameCount; frame += 1) {
      const owner = describeOwner(this.owner(frame));
      counts.set(owner, (counts.get(owner) ?? 0) + 1);
    }
    return counts;
  }
}

export function describeOwner(word: number): string {
  const kind = Object.entries(OWNER).find(([, value]) => value === word >>> 24)?.[0] ?? `unknown ${word}`;
  return `${kind} ${word & 0xffffff}`;
}
