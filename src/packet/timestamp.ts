// 64-bit packet times of pcapng in the units of if_tsresol, split into seconds and nanoseconds, exactly and
// without BigInt: long division over 16-bit digits in numbers that stay below 2^53. A resolution finer than a
// nanosecond is cut. Seconds past 2^53 (only units of a second or longer reach them) are rounded as numbers
// are.
//
// Hot: `split` runs per packet and writes its answer into the object's own two fields.

import { NANOSECONDS_PER_SECOND } from "./capture.ts";

/** if_tsresol when the option is missing: microseconds (pcapng draft section 4.2). */
export const TSRESOL_DEFAULT = 6;
export const TSRESOL_NANO = 9;
/** The option's top bit: the rest is an exponent of 2, not of 10. */
const TSRESOL_BINARY = 0x80;

const TWO_TO_32 = 0x1_0000_0000;
const DIGIT = 0x1_0000;
const TICK_DIGITS = 4;
/** 64 bits of ticks times 30 bits of nanoseconds. */
const PRODUCT_DIGITS = 6;
const NANO_EXPONENT = 9;

export class TimestampResolution {
  seconds = 0;
  nanoseconds = 0;
  readonly #binary: boolean;
  readonly #exponent: number;
  readonly #offsetSeconds: number;
  /** Digits of 16 bits, the lowest first. */
  readonly #digits = new Float64Array(PRODUCT_DIGITS);

  /** `tsresol` is the option's byte; `offsetSeconds` is if_tsoffset, added to every time. */
  constructor(tsresol: number = TSRESOL_DEFAULT, offsetSeconds = 0) {
    this.#binary = (tsresol & TSRESOL_BINARY) !== 0;
    this.#exponent = tsresol & ~TSRESOL_BINARY;
    this.#offsetSeconds = offsetSeconds;
  }

  /** Splits the time `high` * 2^32 + `low`; the answer is in `seconds` and `nanoseconds`. */
  split(high: number, low: number): void {
    const digits = this.#digits;
    digits[0] = low % DIGIT;
    digits[1] = Math.floor(low / DIGIT);
    digits[2] = high % DIGIT;
    digits[3] = Math.floor(high / DIGIT);
    if (this.#binary) this.#splitBinary(high, low);
    else this.#splitDecimal();
    this.seconds += this.#offsetSeconds;
  }

  #splitDecimal(): void {
    for (let excess = this.#exponent - NANO_EXPONENT; excess > 0; excess -= NANO_EXPONENT) {
      this.#divide(10 ** Math.min(excess, NANO_EXPONENT));
    }
    const exponent = Math.min(this.#exponent, NANO_EXPONENT);
    this.nanoseconds = this.#divide(10 ** exponent) * 10 ** (NANO_EXPONENT - exponent);
    this.seconds = this.#value(0);
  }

  #splitBinary(high: number, low: number): void {
    const exponent = this.#exponent;
    if (exponent >= 64) this.seconds = 0;
    else if (exponent >= 32) this.seconds = Math.floor(high / 2 ** (exponent - 32));
    else this.seconds = high * 2 ** (32 - exponent) + Math.floor(low / 2 ** exponent);
    this.#keepLowBits(exponent);
    this.#multiply(NANOSECONDS_PER_SECOND);
    this.nanoseconds = this.#value(exponent);
  }

  /** Divides the ticks in place and answers the remainder. */
  #divide(divisor: number): number {
    let remainder = 0;
    for (let index = TICK_DIGITS - 1; index >= 0; index--) {
      const part = remainder * DIGIT + this.#digits[index]!;
      this.#digits[index] = Math.floor(part / divisor);
      remainder = part % divisor;
    }
    return remainder;
  }

  #keepLowBits(bitCount: number): void {
    for (let index = 0; index < TICK_DIGITS; index++) {
      const kept = Math.min(Math.max(bitCount - index * 16, 0), 16);
      this.#digits[index] = this.#digits[index]! % 2 ** kept;
    }
  }

  #multiply(factor: number): void {
    let carry = 0;
    for (let index = 0; index < PRODUCT_DIGITS; index++) {
      const part = (index < TICK_DIGITS ? this.#digits[index]! : 0) * factor + carry;
      this.#digits[index] = part % DIGIT;
      carry = Math.floor(part / DIGIT);
    }
  }

  /** The digits shifted right by `shift` bits; after a product they fit into 30 bits by construction. */
  #value(shift: number): number {
    const first = Math.floor(shift / 16);
    const bits = shift % 16;
    const count = shift === 0 ? TICK_DIGITS : PRODUCT_DIGITS;
    let value = 0;
    for (let index = count - 1; index > first; index--) value = value * DIGIT + this.#digits[index]!;
    const lowest = first < count ? this.#digits[first]! : 0;
    return value * 2 ** (16 - bits) + Math.floor(lowest / 2 ** bits);
  }
}

/** A time in ticks of 10^-9 seconds as the two words of a packet block: [0] high, [1] low. */
export function joinNanoseconds(seconds: number, nanoseconds: number, words: Uint32Array): void {
  // The product passes 2^53, so it is made of two exact halves, the seconds split at 16 bits.
  const low16 = (seconds % DIGIT) * NANOSECONDS_PER_SECOND + nanoseconds;
  const rest = Math.floor(seconds / DIGIT) * NANOSECONDS_PER_SECOND + Math.floor(low16 / DIGIT);
  words[1] = (rest % DIGIT) * DIGIT + (low16 % DIGIT);
  words[0] = Math.floor(rest / DIGIT) % TWO_TO_32;
}
