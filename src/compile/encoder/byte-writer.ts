// Bytes of a module as they are written: LEB128 integers, names and counted vectors (WebAssembly core specification,
// section 5.2).

const START_BYTES = 1024;
const encoder = new TextEncoder();

export class ByteWriter {
  #bytes = new Uint8Array(START_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  bytes(values: Uint8Array | readonly number[]): void {
    this.#reserve(values.length);
    this.#bytes.set(values, this.#length);
    this.#length += values.length;
  }

  /** @param value 0 to 2^32 - 1 */
  unsigned(value: number): void {
    for (const byte of unsignedLeb(value)) this.byte(byte);
  }

  name(text: string): void {
    const bytes = encoder.encode(text);
    this.unsigned(bytes.length);
    this.bytes(bytes);
  }

  /** A vector: its count, then each entry. */
  vector<T>(entries: readonly T[], write: (entry: T) => void): void {
    this.unsigned(entries.length);
    for (const entry of entries) write(entry);
  }

  /** A part that is preceded by its own size. */
  sized(write: (part: ByteWriter) => void): void {
    const part = new ByteWriter();
    write(part);
    this.unsigned(part.length);
    this.bytes(part.take());
  }

  take(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** @param value 0 to 2^32 - 1 */
export function unsignedLeb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
}

export function signedLeb(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    const isLast = (rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0);
    bytes.push(isLast ? low : low | 0x80);
    if (isLast) return bytes;
  }
}
