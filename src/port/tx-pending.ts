// Packets that a transmit queue has taken and not yet sent, for queues that send by system call (tap, af_packet). They
// stand in the queue's arena pages, so that none is lost with a worker that is ended in the middle of a burst: the
// queue's next owner sends them, or control frees them when the port closes.
//
// Words from `offset`: packets taken, packets done with, then their first frames. Per packet: two stores.
import type { Arena } from "../memory/arena.ts";
import { NO_FRAME } from "../memory/frame-layout.ts";
import { ownerWord } from "../memory/frame-ledger.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import { Packets } from "../memory/packets.ts";
import { controlThread } from "../memory/region-plan.ts";
import type { PortContext } from "./port.ts";

const HEADER_WORDS = 2;

export const txPendingBytes = (packetCountMax: number): number => (HEADER_WORDS + packetCountMax) * 4;

export class TxPending {
  readonly #u32: Uint32Array;
  readonly #base: number;

  constructor(arena: Arena, offset: number) {
    this.#u32 = arena.u32;
    this.#base = offset >>> 2;
  }

  /** Packets taken since the last clear(). */
  get count(): number {
    return this.#u32[this.#base]!;
  }

  add(frame: number): void {
    const count = this.#u32[this.#base]!;
    this.#u32[this.#base + HEADER_WORDS + count] = frame;
    this.#u32[this.#base] = count + 1;
  }

  frame(index: number): number {
    return this.#u32[this.#base + HEADER_WORDS + index]!;
  }

  /** The packet at `index` is about to be freed: nobody else may find it here. */
  setDone(index: number): void {
    this.#u32[this.#base + 1] = index + 1;
  }

  /** All packets are done with. The count first: between the two stores there is nothing to be found. */
  clear(): void {
    this.#u32[this.#base] = 0;
    this.#u32[this.#base + 1] = 0;
  }

  /** Control path: frees what a dead owner left in a port that closes. */
  reclaim({ arena, pool, dropped }: PortContext): void {
    const frames = this.adopt(pool, new Packets(arena, pool), controlThread(arena.plan.sizes));
    for (const frame of frames) pool.freePacket(frame);
    if (frames.length > 0) dropped(frames.length);
  }

  /**
   * Control path: takes over what a dead owner left and clears the list.
   * @param pool the new owner's: its ledger, if any, is told
   */
  adopt(pool: FramePool, packets: Packets, threadIndex: number): number[] {
    const frames: number[] = [];
    for (let index = this.#u32[this.#base + 1]!; index < this.count; index += 1)
      frames.push(this.frame(index));
    this.clear();
    const hand = ownerWord("held", threadIndex);
    for (const frame of frames) {
      for (let part = frame; part !== NO_FRAME; part = packets.nextFrame(part))
        pool.ledger?.seize(part, hand);
    }
    return frames;
  }
}
