// Numbers of masks. A subtable's id is used again for another mask after a grace period, so compiled code, which lives
// longer, knows masks by numbers that are never used twice. Equal masks have one number for the table's life.

/** Masks that have a number: compiled code jumps by it. Beyond, masks have number 0 and the general code serves them. */
export const MASK_NUMBER_MAX = 8191;

export class MaskNumbers {
  readonly #numbers = new Map<string, number>();

  /** @param mask all bytes of it */
  of(mask: Uint8Array): number {
    const text = Buffer.from(mask).toString("latin1");
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    if (this.#numbers.size === MASK_NUMBER_MAX) return 0;
    this.#numbers.set(text, this.#numbers.size + 1);
    return this.#numbers.size;
  }
}
