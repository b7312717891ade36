// Flow keys and masks on the control path: a Uint8Array(KEY_BYTES) with fields read and written by name. Hot code uses
// the offsets of fields.ts and never comes here.
//
// Loading this file proves the field table: no two fields share a byte, none crosses a 16-byte block unless it is
// longer than one and then begins on one, all are aligned to their width as far as the hot code stores them in one
// piece, everything that an IPv4 packet without tunnel sets lies in line 0, and the machine is little endian, as the
// fields in host order require.

import { FIELDS, type Field, type FieldName, KEY_BLOCK_BYTES, KEY_BYTES, KEY_LINE_BYTES } from "./fields.ts";

const FIELDS_BY_NAME: ReadonlyMap<FieldName, Field> = new Map(FIELDS.map((field) => [field.name, field]));

/** Fields of more bytes than a number holds exactly. */
const NUMBER_BYTES_MAX = 4;

assertLayout(FIELDS);

/** @throws RangeError that names the field and the rule it breaks */
export function assertLayout(fields: readonly Field[]): void {
  const owner = new Array<string | undefined>(KEY_BYTES);
  for (const { name, offset, bytes, group } of fields) {
    const fail = (rule: string): never => {
      throw new RangeError(
        `flow key field ${name} at ${offset}, ${bytes} bytes: ${rule}; move it in fields.ts`,
      );
    };
    if (offset + bytes > KEY_BYTES) fail(`ends behind the key's ${KEY_BYTES} bytes`);
    for (let at = offset; at < offset + bytes; at++) {
      if (owner[at] !== undefined) fail(`shares byte ${at} with ${owner[at]}`);
      owner[at] = name;
    }
    const inBlock = offset % KEY_BLOCK_BYTES;
    if (bytes > KEY_BLOCK_BYTES ? inBlock !== 0 : inBlock + bytes > KEY_BLOCK_BYTES) {
      fail(`crosses a block of ${KEY_BLOCK_BYTES} bytes`);
    }
    if (offset % alignmentOf(bytes) !== 0) fail(`is not aligned to ${alignmentOf(bytes)} bytes`);
    if (isSetByPlainIpv4(name, group) && offset + bytes > KEY_LINE_BYTES) fail("lies outside of line 0");
  }
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) {
    throw new Error("flow keys: fields in host order are little endian, and this machine is not");
  }
}

/** MAC addresses are copied by 16-bit words, addresses of IPv6 and longer things by 64-bit ones. */
function alignmentOf(bytes: number): number {
  for (const width of [8, 4, 2]) if (bytes % width === 0) return width;
  return 1;
}

function isSetByPlainIpv4(name: string, group: Field["group"]): boolean {
  if (name.startsWith("vlan2")) return false;
  return ["metadata", "ethernet", "vlan", "network", "transport"].includes(group);
}

export function newKey(): Uint8Array {
  return new Uint8Array(KEY_BYTES);
}

export function fieldOf(name: FieldName): Field {
  return FIELDS_BY_NAME.get(name)!;
}

/** The field's bytes in the key, not a copy. */
export function fieldBytes(key: Uint8Array, name: FieldName): Uint8Array {
  const { offset, bytes } = fieldOf(name);
  return key.subarray(offset, offset + bytes);
}

export function setBytes(key: Uint8Array, name: FieldName, value: Uint8Array): void {
  const { offset, bytes } = fieldOf(name);
  if (value.length !== bytes) {
    throw new RangeError(`flow key field ${name}: ${value.length} bytes given, it has ${bytes}`);
  }
  key.set(value, offset);
}

/** The value of a field of up to four bytes, whatever its byte order in the key. */
export function getNumber(key: Uint8Array, name: FieldName): number {
  const { offset, bytes, order } = numberField(name);
  let value = 0;
  for (let index = 0; index < bytes; index++) {
    value = value * 256 + key[offset + (order === "network" ? index : bytes - 1 - index)]!;
  }
  return value;
}

export function setNumber(key: Uint8Array, name: FieldName, value: number): void {
  const { offset, bytes, order } = numberField(name);
  if (!(value >= 0 && value < 256 ** bytes)) {
    throw new RangeError(`flow key field ${name}: ${value} does not fit its ${bytes} bytes`);
  }
  for (let index = 0; index < bytes; index++) {
    key[offset + (order === "network" ? bytes - 1 - index : index)] = value / 256 ** index;
  }
}

/** The value of any field as an unsigned integer. */
export function getBig(key: Uint8Array, name: FieldName): bigint {
  return readField(key, fieldOf(name));
}

export function setBig(key: Uint8Array, name: FieldName, value: bigint): void {
  writeField(key, fieldOf(name), value);
}

/** All bits set, as in a mask that matches the field exactly. */
export function setOnes(mask: Uint8Array, name: FieldName): void {
  fieldBytes(mask, name).fill(0xff);
}

export function isZero(key: Uint8Array, name: FieldName): boolean {
  return isFilledWith(key, name, 0);
}

export function isOnes(mask: Uint8Array, name: FieldName): boolean {
  return isFilledWith(mask, name, 0xff);
}

function isFilledWith(key: Uint8Array, name: FieldName, byte: number): boolean {
  const { offset, bytes } = fieldOf(name);
  for (let at = offset; at < offset + bytes; at++) if (key[at] !== byte) return false;
  return true;
}

/** A new key with the bits of `key` that `mask` has. */
export function applyMask(key: Uint8Array, mask: Uint8Array): Uint8Array {
  const masked = new Uint8Array(key.length);
  for (let index = 0; index < key.length; index += 1) masked[index] = key[index]! & mask[index]!;
  return masked;
}

export function keysEqual(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

/** Whether the keys agree in every bit of the mask. */
export function equalUnder(left: Uint8Array, right: Uint8Array, mask: Uint8Array): boolean {
  return mask.every((bits, index) => ((left[index]! ^ right[index]!) & bits) === 0);
}

function numberField(name: FieldName): Field {
  const field = fieldOf(name);
  if (field.bytes > NUMBER_BYTES_MAX) {
    throw new RangeError(
      `flow key field ${name}: ${field.bytes} bytes fit no number; use its bytes or bigint`,
    );
  }
  return field;
}

function readField(key: Uint8Array, { offset, bytes, order }: Field): bigint {
  let value = 0n;
  for (let index = 0; index < bytes; index++) {
    const at = order === "network" ? index : bytes - 1 - index;
    value = (value << 8n) | BigInt(key[offset + at]!);
  }
  return value;
}

function writeField(key: Uint8Array, { name, offset, bytes, order }: Field, value: bigint): void {
  if (value < 0n || value >> BigInt(bytes * 8) !== 0n) {
    throw new RangeError(`flow key field ${name}: ${value} does not fit its ${bytes} bytes`);
  }
  let rest = value;
  for (let index = 0; index < bytes; index++) {
    const at = order === "network" ? bytes - 1 - index : index;
    key[offset + at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
}
