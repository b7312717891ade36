// What the printers of single actions share. Control path.

import { type Attribute, attributes } from "../../flow/nlattr.ts";
import type { PortNames } from "../../flow/odp/format-key.ts";

export type { PortNames };

/** Prints a nested list of actions. */
export type ListPrinter = (bytes: Uint8Array, start: number, end: number) => string;

export function printPort(portNo: number, names: PortNames | undefined): string {
  return names?.get(portNo) ?? String(portNo);
}

/** A required attribute of any length. */
export const ANY_LENGTH = -1;

/**
 * The nested attributes by type; undefined when they are malformed, or when one of `required` (type and payload
 * bytes) is missing or of another length.
 */
export function nestedByType(
  bytes: Uint8Array,
  start: number,
  end: number,
  required: readonly (readonly [type: number, payloadBytes: number])[] = [],
): ReadonlyMap<number, Attribute> | undefined {
  const byType = new Map<number, Attribute>();
  let next = start;
  for (const attribute of attributes(bytes, start, end)) {
    byType.set(attribute.type, attribute);
    next = attribute.next;
  }
  if (next < end) return undefined;
  for (const [type, payloadBytes] of required) {
    const found = byType.get(type);
    if (found === undefined) return undefined;
    if (payloadBytes !== ANY_LENGTH && found.end - found.start !== payloadBytes) return undefined;
  }
  return byType;
}

export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (readU16(bytes, at) | (readU16(bytes, at + 2) << 16)) >>> 0;
}

/** All bytes as hexadecimal digits, leading zeros too, so that reading them gives the same bytes. */
export function printHexBytes(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString("hex");
}

/** As C's %#x: 0 has no prefix. */
export function printHex(value: number | bigint): string {
  return value === 0 || value === 0n ? "0" : `0x${value.toString(16)}`;
}
