// Port numbers and slots of ports. Control thread.

/** Numbers in use, and the lowest that is not without a walk over all of them. */
export class NumberPool {
  readonly #first: number;
  readonly #used = new Set<number>();
  /** Nothing from #first up to here is free. */
  #next: number;

  constructor(first: number) {
    this.#first = first;
    this.#next = first;
  }

  /** False when it is in use. */
  claim(number: number): boolean {
    if (this.#used.has(number)) return false;
    this.#used.add(number);
    return true;
  }

  /** Null when all up to `most` are in use. */
  claimLowest(most: number): number | null {
    while (this.#used.has(this.#next)) this.#next += 1;
    if (this.#next > most) return null;
    this.#used.add(this.#next);
    return this.#next;
  }

  release(number: number): void {
    this.#used.delete(number);
    if (number >= this.#first) this.#next = Math.min(this.#next, number);
  }
}
