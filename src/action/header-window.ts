// A packet's headers in one piece, wherever its frames end: the first frame itself in the usual case, else a
// gathered copy in the thread's `linear` area that is written back when the action is done. Sizes never
// change in between. Hot: one compare for packets whose headers lie in their first frame. Owns the batch's
// `linear` area while open.
import { LINEAR_BYTES } from "../memory/batch-layout.ts";
import type { Packets } from "../memory/packets.ts";

/** No window: the headers are longer than the linear area. */
export const NO_WINDOW = 0;

export class HeaderWindow {
  readonly #packets: Packets;
  readonly #linear: number;
  #gatheredBytes = 0;

  /** @param linear arena offset of LINEAR_BYTES bytes that this thread alone uses */
  constructor(packets: Packets, linear: number) {
    this.#packets = packets;
    this.#linear = linear;
  }

  /** Arena offset at which the packet's first `bytes` bytes stand in one piece, or NO_WINDOW. */
  open(frame: number, bytes: number): number {
    this.#gatheredBytes = 0;
    if (bytes <= this.#packets.dataBytes(frame)) return this.#packets.head(frame);
    if (bytes > LINEAR_BYTES) return NO_WINDOW;
    this.#gatheredBytes = this.#packets.gather(frame, this.#linear, bytes);
    return this.#linear;
  }

  /** Writes a gathered copy back. */
  close(frame: number): void {
    if (this.#gatheredBytes !== 0) this.#packets.scatter(frame, this.#linear, this.#gatheredBytes);
  }
}
