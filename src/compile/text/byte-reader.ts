// Reads what encoder/byte-writer.ts writes.

const decoder = new TextDecoder();

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end;
  }

  byte(): number {
    if (this.isAtEnd)
      throw new Error(`wasm text: the part ends at byte ${this.#at}, where another one was expected`);
    this.#at += 1;
    return this.#bytes[this.#at - 1]!;
  }

  take(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.byte());
  }

  unsigned(): number {
    return Number(this.#leb().value);
  }

  signed(): bigint {
    const { value, bits } = this.#leb();
    return BigInt.asIntN(bits, value);
  }

  name(): string {
    return decoder.decode(this.take(this.unsigned()));
  }

  /** A vector: its count, then each entry. */
  vector<T>(read: () => T): T[] {
    return Array.from({ length: this.unsigned() }, read);
  }

  /** The part that follows with its size before it. */
  sized(): ByteReader {
    const bytes = this.unsigned();
    const part = new ByteReader(this.#bytes, this.#at, this.#at + bytes);
    this.#at += bytes;
    return part;
  }

  #leb(): { value: bigint; bits: number } {
    let value = 0n;
    for (let bits = 0; ; bits += 7) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << BigInt(bits);
      if ((byte & 0x80) === 0) return { value, bits: bits + 7 };
    }
  }
}
