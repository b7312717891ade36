// Packets that change owners through a ring, reported to the debug ledger frame by frame. Without a ledger each call
// is one compare. Per packet; owns nothing.

import type { Arena } from "./arena.ts";
import { FRAME_META_BYTES, META32, NO_FRAME } from "./frame-layout.ts";
import type { FrameLedger } from "./frame-ledger.ts";
import { ownerWord } from "./frame-ledger.ts";
import type { FramePool } from "./frame-pool.ts";

/** The kinds of ring that packets pass through; the ledger shows a frame's ring as kind << 16 | number. */
export const RING_KIND = { port: 0, upcall: 1, reinject: 2, handoff: 3, patch: 4 } as const;
export type RingKind = keyof typeof RING_KIND;

/** The owner word of a ring: `number` is the slot of a port, the worker of an upcall or reinject ring, an end of a patch. */
export const ringOwner = (kind: RingKind, number: number): number =>
  ownerWord("ring", (RING_KIND[kind] << 16) | (number & 0xffff));

/** One instance a thread. */
export class Handover {
  readonly #ledger: FrameLedger | null;
  readonly #u32: Uint32Array;
  readonly #meta32: number;
  readonly #hand: number;

  constructor(arena: Arena, pool: FramePool, threadIndex: number) {
    this.#ledger = pool.ledger;
    this.#u32 = arena.u32;
    this.#meta32 = arena.region("frameMeta").offset >>> 2;
    this.#hand = ownerWord("held", threadIndex);
  }

  /** The packet leaves this thread's hands for a ring. Before the ring's entry is published. */
  give(frame: number, ring: number): void {
    if (this.#ledger !== null) this.#move(this.#ledger, frame, this.#hand, ring);
  }

  /** The packet was taken out of a ring. Before anything else is done with it. */
  receive(frame: number, ring: number): void {
    if (this.#ledger !== null) this.#move(this.#ledger, frame, ring, this.#hand);
  }

  #move(ledger: FrameLedger, frame: number, from: number, to: number): void {
    for (let part = frame; part !== NO_FRAME; ) {
      ledger.move(part, from, to);
      part = this.#u32[this.#meta32 + part * (FRAME_META_BYTES / 4) + META32.nextFrame]!;
    }
  }
}
