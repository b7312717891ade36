// MAC, IPv4 and IPv6 addresses between text and bytes. Control path. IPv6 is printed in the form of RFC 5952,
// which is also what inet_ntop of the C library gives: the longest run of two or more zero words is
// shortened, the first of equals; ::a.b.c.d and ::ffff:a.b.c.d keep their dotted tail.

const MAC = /^[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}$/;
const IPV4 = /^(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})$/;
const DOT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;

export function formatMac(bytes: Uint8Array, offset = 0): string {
  const parts: string[] = [];
  for (let index = 0; index < 6; index++) parts.push(bytes[offset + index]!.toString(16).padStart(2, "0"));
  return parts.join(":");
}

/** The six bytes of `xx:xx:xx:xx:xx:xx`; undefined when the text is no MAC address. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!MAC.test(text)) return undefined;
  const bytes = new Uint8Array(6);
  for (let index = 0, at = 0; index < 6; index++) {
    let digit = hexDigit(text.charCodeAt(at++));
    for (; digit >= 0; digit = hexDigit(text.charCodeAt(at++))) bytes[index] = bytes[index]! * 16 + digit;
  }
  return bytes;
}

/** The value of a hexadecimal digit; negative for ":" and behind the end of the text. */
function hexDigit(code: number): number {
  if (code < COLON) return code - ZERO;
  // "a" and "A" end in the same three bits, 1.
  return code > COLON ? (code & 7) + 9 : -1;
}

export function formatIpv4(bytes: Uint8Array, offset = 0): string {
  return `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`;
}

/** The four bytes of a dotted quad without leading zeros; undefined when the text is none. */
export function parseIpv4(text: string): Uint8Array | undefined {
  if (!IPV4.test(text)) return undefined;
  const bytes = new Uint8Array(4);
  for (let index = 0, at = 0; index < 4; index++, at++) {
    let value = 0;
    for (; at < text.length && text.charCodeAt(at) !== DOT; at++) {
      value = value * 10 + text.charCodeAt(at) - ZERO;
    }
    if (value > 255) return undefined;
    bytes[index] = value;
  }
  return bytes;
}

export function formatIpv6(bytes: Uint8Array, offset = 0): string {
  const words: number[] = [];
  for (let index = 0; index < 16; index += 2) {
    words.push((bytes[offset + index]! << 8) | bytes[offset + index + 1]!);
  }
  const { start, count } = longestZeroRun(words);
  if (start === 0 && (count === 6 || (count === 5 && words[5] === 0xffff))) {
    return `${count === 6 ? "::" : "::ffff:"}${formatIpv4(bytes, offset + 12)}`;
  }
  const hex = words.map((word) => word.toString(16));
  if (count < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + count).join(":")}`;
}

function longestZeroRun(words: readonly number[]): { start: number; count: number } {
  const longest = { start: -1, count: 0 };
  let count = 0;
  for (let index = 0; index < words.length; index++) {
    count = words[index] === 0 ? count + 1 : 0;
    if (count > longest.count) {
      longest.start = index - count + 1;
      longest.count = count;
    }
  }
  return longest;
}

/**
 * The sixteen bytes of an IPv6 address in any form of RFC 4291 section 2.2; undefined when the text is none.
 */
export function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseWords(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseWords(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const words = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const bytes = new Uint8Array(16);
  for (let index = 0; index < 8; index++) {
    bytes[index * 2] = words[index]! >>> 8;
    bytes[index * 2 + 1] = words[index]!;
  }
  return bytes;
}

function parseWords(text: string, mayEndDotted: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const words: number[] = [];
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index]!;
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      words.push(Number.parseInt(part, 16));
      continue;
    }
    const quad = mayEndDotted && index === parts.length - 1 ? parseIpv4(part) : undefined;
    if (quad === undefined) return undefined;
    words.push((quad[0]! << 8) | quad[1]!, (quad[2]! << 8) | quad[3]!);
  }
  return words;
}
