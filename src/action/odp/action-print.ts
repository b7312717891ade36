// What the printers of single actions share. Control path.

import { type Attribute, attributes } from "../../flow/nlattr.ts";
import type { PortNames } from "../../flow/odp/format-key.ts";

export type { PortNames };

/** Prints a nested list of actions. */
export type ListPrinter = (bytes: Uint8Array, start: number, end: number) => string;

export function printPort(portNo: number, names: PortNames | undefined): string {
  return names?.get(portNo) ?? String(portNo);
}

/** Payload bytes by type, for attributes that have a fixed length. */
export type PayloadLengths = Readonly<Record<number, number>>;

/**
 * The nested attributes by type, or undefined when they are malformed: one does not fit, has another length
 * than `lengths` says, or is missing although `required`.
 */
export function nestedByType(
  bytes: Uint8Array,
  start: number,
  end: number,
  lengths: PayloadLengths = {},
  required: readonly number[] = [],
): ReadonlyMap<number, Attribute> | undefined {
  const byType = new Map<number, Attribute>();
  let next = start;
  for (const attribute of attributes(bytes, start, end)) {
    const expected = lengths[attribute.type];
    if (expected !== undefined && attribute.end - attribute.start !== expected) return undefined;
    byType.set(attribute.type, attribute);
    next = attribute.next;
  }
  return next < end || required.some((type) => !byType.has(type)) ? undefined : byType;
}

/** All bytes as hexadecimal digits, leading zeros too, so that reading them gives the same bytes. */
export function printHexBytes(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString("hex");
}

/** As C's %#x: 0 has no prefix. */
export function printHex(value: number | bigint): string {
  return value === 0 || value === 0n ? "0" : `0x${value.toString(16)}`;
}
