// Inputs for fuzz targets: a seed, damaged a few times. The same seed number gives the same inputs.

/** Mutations of one input. */
const MUTATIONS_MAX = 8;
const INPUT_BYTES_MAX = 4096;
/** Bytes that parsers look at: borders of numbers and what texts nest and separate by. */
const TELLING = [0, 1, 0x7f, 0x80, 0xff, 4, 8, ...Buffer.from("(),=/:|+-{}[]\"'\n0x%~")];

export class Mutator {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** Mulberry32: a number below `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % Math.max(1, limit);
  }

  input(seeds: readonly Uint8Array[]): Uint8Array {
    let bytes = Uint8Array.from(seeds[this.below(seeds.length)] ?? []);
    for (let left = this.below(MUTATIONS_MAX); left >= 0; left -= 1) bytes = this.#mutate(bytes, seeds);
    return bytes.subarray(0, INPUT_BYTES_MAX);
  }

  #mutate(bytes: Uint8Array, seeds: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
    const at = this.below(bytes.length + 1);
    const span = 1 + this.below(this.below(4) === 0 ? bytes.length : 4);
    const head = bytes.subarray(0, at);
    switch (this.below(7)) {
      case 0:
        return Uint8Array.of(...head, this.below(256), ...bytes.subarray(at + 1));
      case 1:
        return Uint8Array.of(...head, TELLING[this.below(TELLING.length)]!, ...bytes.subarray(at + 1));
      case 2:
        return Uint8Array.of(...head, TELLING[this.below(TELLING.length)]!, ...bytes.subarray(at));
      case 3:
        return Uint8Array.of(...head, ...bytes.subarray(at + span));
      case 4:
        return Uint8Array.of(...head, ...bytes.subarray(at, at + span), ...bytes.subarray(at));
      case 5:
        return Uint8Array.from(head);
      default: {
        const other = seeds[this.below(seeds.length)]!;
        return Uint8Array.of(...head, ...other.subarray(this.below(other.length)));
      }
    }
  }
}
