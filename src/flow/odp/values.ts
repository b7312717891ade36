// Single values in text, with and without a mask behind "/": read into the bytes of an attribute, printed from them.
// What is printed when is OVS's rule: a value that the mask leaves out vanishes unless all is asked for, an exact one
// has no mask behind it, and numbers are C's %u and %#x (which writes 0 without "0x").

import { formatIpv4, formatIpv6, formatMac, parseIpv4, parseIpv6, parseMac } from "../../packet/address.ts";
import { FRAG_FIRST, FRAG_LATER, FRAG_NO } from "../fields.ts";
import type { ValueForm } from "./members.ts";
import type { TextCursor } from "./text-cursor.ts";

export const IPV6_LABEL_MAX = 0xfffff;
const LABEL_MASK = Uint8Array.of(0x00, 0x0f, 0xff, 0xff);
/** Longest value that is read as a number and not as a bigint: nearly all are, and flow files are long. */
const NUMBER_BYTES_MAX = 4;
const MAC_CHARACTERS = /[0-9a-fA-F:]+/y;
const IPV4_CHARACTERS = /[0-9.]+/y;
const IPV6_CHARACTERS = /[0-9a-fA-F:.]+/y;
const FRAG_CHARACTERS = /[a-zA-Z]+/y;
const FRAG_NAMES: ReadonlyMap<string, number> = new Map([
  ["no", FRAG_NO],
  ["first", FRAG_FIRST],
  ["later", FRAG_LATER],
]);

/** A value and its mask, of the same length, in the byte order of the payload. */
export interface MaskedBytes {
  readonly value: Uint8Array;
  readonly mask: Uint8Array;
}

export interface ScanRules {
  /** Where values stand alone, as in set() or an exact key, a mask is an error. */
  readonly allowMask: boolean;
}

/** As C's %#x: 0 has no prefix. */
export const hexadecimal = (value: number | bigint): string =>
  Number(value) === 0 ? "0" : `0x${value.toString(16)}`;

/** Masks of exact values, by their length. Shared: nobody writes to them. */
const ONES: readonly Uint8Array[] = Array.from({ length: 17 }, (_, bytes) =>
  new Uint8Array(bytes).fill(0xff),
);
export const ones = (bytes: number): Uint8Array => ONES[bytes] ?? new Uint8Array(bytes).fill(0xff);
export const isAll = (bytes: Uint8Array, value: number): boolean => bytes.every((byte) => byte === value);

/** The bytes of a number of up to 32 bits, highest first. */
export function numberToBytes(value: number, bytes: number): Uint8Array {
  const out = new Uint8Array(bytes);
  for (let at = bytes - 1, rest = value; at >= 0; at--, rest >>>= 8) out[at] = rest;
  return out;
}

/** The bytes of an integer, highest first. */
export function bigToBytes(value: bigint, bytes: number): Uint8Array {
  const out = new Uint8Array(bytes);
  for (let at = bytes - 1, rest = value; at >= 0; at--, rest >>= 8n) out[at] = Number(rest & 0xffn);
  return out;
}

export function bytesToBig(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

export function scanValue(
  cursor: TextCursor,
  name: string,
  form: ValueForm,
  bytes: number,
  rules: ScanRules,
): MaskedBytes {
  if (form === "frag") return { value: scanFrag(cursor), mask: ones(1) };
  const value = scanOne(cursor, name, form, bytes);
  if (rules.allowMask && cursor.skip("/")) return { value, mask: scanMask(cursor, name, form, bytes) };
  // OVS leaves the label's other bits out of the mask.
  return { value, mask: form === "label" ? LABEL_MASK : ones(bytes) };
}

function scanOne(cursor: TextCursor, name: string, form: ValueForm, bytes: number): Uint8Array {
  const from = cursor.at;
  let found: Uint8Array | undefined;
  if (form === "mac") {
    found = parseMac(cursor.take(MAC_CHARACTERS) ?? "");
  } else if (form === "ipv4") {
    found = parseIpv4(cursor.take(IPV4_CHARACTERS) ?? "");
  } else if (form === "ipv6") {
    found = parseIpv6(cursor.take(IPV6_CHARACTERS) ?? "");
  } else if (bytes <= NUMBER_BYTES_MAX) {
    const most = form === "label" ? IPV6_LABEL_MAX : 2 ** (bytes * 8) - 1;
    return numberToBytes(cursor.number(name, most), bytes);
  } else {
    return bigToBytes(cursor.bigInteger(name, (1n << BigInt(bytes * 8)) - 1n), bytes);
  }
  if (found !== undefined) return found;
  cursor.at = from;
  cursor.fail(`${name}, ${ADDRESS_KINDS[form]}`);
}

const ADDRESS_KINDS = { mac: "a MAC address", ipv4: "an IPv4 address", ipv6: "an IPv6 address" } as const;

/** Addresses take a prefix length too, which OVS does not read. */
function scanMask(cursor: TextCursor, name: string, form: ValueForm, bytes: number): Uint8Array {
  if (form === "ipv4" || form === "ipv6") {
    const prefix = cursor.take(/[0-9]+(?![0-9a-fA-F:.])/y);
    if (prefix !== undefined) {
      const bits = BigInt(bytes * 8);
      if (BigInt(prefix) > bits) cursor.fail(`before this a prefix length of at most ${bits} for ${name}`);
      return bigToBytes(((1n << BigInt(prefix)) - 1n) << (bits - BigInt(prefix)), bytes);
    }
  }
  return scanOne(cursor, `mask of ${name}`, form, bytes);
}

function scanFrag(cursor: TextCursor): Uint8Array {
  const from = cursor.at;
  const frag = FRAG_NAMES.get((cursor.take(FRAG_CHARACTERS) ?? "").toLowerCase());
  if (frag === undefined) {
    cursor.at = from;
    cursor.fail('"no", "first" or "later"');
  }
  return Uint8Array.of(frag);
}

/**
 * `name=value/mask`, or undefined when the mask leaves it out and `verbose` does not ask for it.
 * @param mask undefined prints the value as an exact one
 */
export function formatValue(
  name: string,
  form: ValueForm,
  value: Uint8Array,
  mask: Uint8Array | undefined,
  verbose: boolean,
): string | undefined {
  const isEmpty = mask !== undefined && isAll(mask, 0);
  if (form === "frag") return isEmpty ? undefined : formatFrag(name, value[0]!, mask?.[0]);
  if (isEmpty && !verbose) return undefined;
  const text = `${name}=${formatOne(form, value)}`;
  if (mask === undefined || isExact(form, mask)) return text;
  return `${text}/${formatMask(form, mask)}`;
}

function isExact(form: ValueForm, mask: Uint8Array): boolean {
  if (form !== "label") return isAll(mask, 0xff);
  return (bytesToBig(mask) & BigInt(IPV6_LABEL_MAX)) === BigInt(IPV6_LABEL_MAX);
}

function formatOne(form: ValueForm, value: Uint8Array): string {
  if (form === "mac") return formatMac(value);
  if (form === "ipv4") return formatIpv4(value);
  if (form === "ipv6") return formatIpv6(value);
  if (form === "decimal") return bytesToBig(value).toString();
  if (form === "word") return `0x${bytesToBig(value).toString(16)}`;
  return hexadecimal(bytesToBig(value));
}

function formatMask(form: ValueForm, mask: Uint8Array): string {
  if (form === "decimal") return hexadecimal(bytesToBig(mask));
  return formatOne(form, mask);
}

/** Fragments are an enumeration: half a mask has no meaning, and only a hostile attribute can have one. */
function formatFrag(name: string, value: number, mask: number | undefined): string {
  if (mask !== undefined && mask !== 0xff) {
    return `error: partial mask not supported for frag (${hexadecimal(mask)})`;
  }
  for (const [text, frag] of FRAG_NAMES) if (frag === value) return `${name}=${text}`;
  return `${name}=<unknown>`;
}

/** Bytes as one hexadecimal number without leading zeros, as OVS prints Geneve data and conntrack labels. */
export const formatHexNumber = (bytes: Uint8Array): string => hexadecimal(bytesToBig(bytes));
