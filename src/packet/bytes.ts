// Big-endian reads and writes at a byte offset. Hot: every function is per packet, allocates nothing and
// inlines. Packet fields sit at any alignment, so words are put together from bytes; the 32-bit reads answer
// unsigned.

export function readBe16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

export function readBe24(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 16) | (bytes[offset + 1]! << 8) | bytes[offset + 2]!;
}

export function readBe32(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>>
    0
  );
}

export function writeBe16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}

export function writeBe32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}

/** The two bytes of a 16-bit word changed over. */
export function swap16(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
}

export function bytesToHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/**
 * Bytes of a string of hex digits; blanks between digits are allowed, anything else is an error with its
 * column.
 */
export function hexToBytes(text: string): Uint8Array {
  const digits = text.replace(/\s+/g, "");
  const wrong = /[^0-9a-fA-F]/.exec(text.replace(/\s/g, "0"));
  if (wrong !== null) {
    throw new RangeError(`hex bytes: '${wrong[0]}' at column ${wrong.index + 1} is not a hex digit`);
  }
  if (digits.length % 2 !== 0) {
    throw new RangeError(
      `hex bytes: ${digits.length} digits make no whole number of bytes; add or remove one`,
    );
  }
  const bytes = new Uint8Array(digits.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = Number.parseInt(digits.slice(index * 2, index * 2 + 2), 16);
  }
  return bytes;
}
