// Sets of named bits in text: ct_state, TCP flags, tunnel flags. Exact sets are joined by "|" (`syn|ack`, `0`), masked
// ones carry a sign per bit (`+trk-new`); both may be numbers instead (`0x12/0xfff`).

import type { TextCursor } from "./text-cursor.ts";

export interface FlagSet {
  /** Names by bit number; a bit without name has "" or none. */
  readonly names: readonly string[];
  /** Every bit that may be given. */
  readonly allowed: number;
  /** The mask under which all bits are exact when printed. */
  readonly exact: number;
}

/** OVS_CS_F_*: the bits that the flow key has. Others in a mask count as well, as long as all 32 do. */
export const CT_STATE_FLAGS: FlagSet = {
  names: ["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"],
  allowed: 0xff,
  exact: 0xffffffff,
};

export const TCP_FLAGS: FlagSet = {
  names: ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"],
  allowed: 0xfff,
  exact: 0xfff,
};

/** FLOW_TNL_F_*: the tunnel's flags as the key holds them. `options` says that there is a block of Geneve options. */
export const TUNNEL_FLAG = { oam: 1, df: 2, csum: 4, key: 8, options: 16 } as const;

export const TUNNEL_FLAGS: FlagSet = { names: ["oam", "df", "csum", "key"], allowed: 0xf, exact: 0xf };

export interface MaskedNumber {
  readonly value: number;
  readonly mask: number;
}

const ALL_ONES = 0xffffffff;

/** Reads up to ")", which stays. An unmasked set has a mask of all 32 bits. */
export function parseFlags(cursor: TextCursor, flags: FlagSet, what: string): MaskedNumber {
  const masked = cursor.take(/(?:0[xX][0-9a-fA-F]+|[0-9]+)\/(?:0[xX][0-9a-fA-F]+|[0-9]+)/y);
  if (masked !== undefined) {
    const [value, mask] = masked.split("/").map(Number);
    if (value! > flags.allowed || (mask! > flags.allowed && mask !== flags.exact)) {
      cursor.fail(`before this ${what} of at most 0x${flags.allowed.toString(16)}`);
    }
    return { value: value!, mask: mask! };
  }
  if (/[+-]/.test(cursor.peek())) return parseSigned(cursor, flags, what);
  let value = 0;
  while (cursor.peek() !== ")") {
    value |= /[0-9]/.test(cursor.peek())
      ? cursor.integer(what, flags.allowed)
      : parseName(cursor, flags, what, "");
    if (!cursor.skip("|") && cursor.peek() !== ")") cursor.fail('"|" or ")"');
  }
  return { value, mask: ALL_ONES };
}

function parseSigned(cursor: TextCursor, flags: FlagSet, what: string): MaskedNumber {
  let value = 0;
  let mask = 0;
  while (cursor.peek() !== ")") {
    const sign = cursor.take(/[+-]/y) ?? cursor.fail(`"+", "-" or ")" in ${what}`);
    const bit = parseName(cursor, flags, what, sign);
    if ((mask & bit) !== 0) cursor.fail(`before this each flag of ${what} once`);
    mask |= bit;
    if (sign === "+") value |= bit;
  }
  return { value, mask };
}

function parseName(cursor: TextCursor, { names }: FlagSet, what: string, sign: string): number {
  const from = cursor.at;
  const name = cursor.take(/[a-z]+|\[[0-9]+\]/y);
  const bit = name === undefined ? -1 : names.indexOf(name);
  if (bit < 0) {
    cursor.at = from;
    cursor.fail(`a flag of ${what} after "${sign}": ${names.join(", ")}`);
  }
  return 1 << bit;
}

/** As `a|b`, with the bits that have no name as one number at the end; "0" for none. */
export function formatFlags(flags: FlagSet, value: number): string {
  if (value === 0) return "0";
  const parts: string[] = [];
  let nameless = 0;
  for (let bit = 0; bit < 32; bit++) {
    if (((value >>> bit) & 1) === 0) continue;
    const name = flags.names[bit];
    if (name === undefined) nameless += 2 ** bit;
    else parts.push(name);
  }
  if (nameless !== 0) parts.push(`0x${nameless.toString(16)}`);
  return parts.join("|");
}

export function formatMaskedFlags(flags: FlagSet, value: number, mask: number): string {
  if (mask === flags.exact) return formatFlags(flags, value);
  if (mask === 0) return "0/0";
  let text = "";
  for (let bit = 0; bit < 32; bit++) {
    if (((mask >>> bit) & 1) === 0) continue;
    text += `${((value >>> bit) & 1) === 0 ? "-" : "+"}${flags.names[bit] ?? "[Unknown]"}`;
  }
  return text;
}
