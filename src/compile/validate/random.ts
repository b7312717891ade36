// A small generator of 32-bit numbers (mulberry32): the same seed gives the same numbers on every machine.

export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  next32(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** An integer from 0 up to `limit`, `limit` left out. */
  below(limit: number): number {
    return Math.floor((this.next32() / 0x1_0000_0000) * limit);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }

  chance(probability: number): boolean {
    return this.next32() < probability * 0x1_0000_0000;
  }

  bytes(count: number): Uint8Array {
    const words = new Uint32Array((count + 3) >>> 2);
    for (let word = 0; word < words.length; word += 1) words[word] = this.next32();
    return new Uint8Array(words.buffer, 0, count);
  }
}
