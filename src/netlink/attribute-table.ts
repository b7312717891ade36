// Attribute tables: what a family's messages may hold, one row for each attribute, and the one reader and writer that
// follow them. Strict: unknown, doubled, misplaced and malformed attributes and wrong lengths are refused, with where
// and why.
//
// A value that is absent was not in the message, or is not to be written; attributes are written in the order of the
// table, which is the order of the real datapath's messages.
import {
  attributes,
  malformedAt,
  NLA_HEADER_BYTES,
  NLA_PAYLOAD_BYTES_MAX,
  NlWriter,
} from "../flow/nlattr.ts";
import { NetlinkError } from "./errno.ts";

/** Where a payload stands in its message, and its name there. */
export interface Place {
  readonly message: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly what: string;
}

/** How a payload looks and what it means. */
export interface Form<T> {
  readonly bytesMin: number;
  readonly bytesMax: number;
  /** The length is a multiple of this. */
  readonly step: number;
  /** As a refusal says it. */
  readonly accepted: string;
  /** @throws NetlinkError for a payload of the right length that is none */
  read(payload: Uint8Array, place: Place): T;
  write(out: NlWriter, type: number, value: T): void;
}

export interface Row<T> {
  readonly type: number;
  readonly form: Form<T>;
}

/** Names and rows, in the order of writing. */
export type AttributeTable = Readonly<Record<string, Row<unknown>>>;

export type Values<Table extends AttributeTable> = {
  readonly [Name in keyof Table]?: Table[Name] extends Row<infer T> ? T | undefined : never;
};

/** What a message said, and where. */
export interface Decoded<Table extends AttributeTable> {
  readonly values: Values<Table>;
  /** Offset of an attribute's payload in the message; of the message's end when it is absent. */
  payloadAt(name: keyof Table): number;
}

interface NamedRow {
  readonly name: string;
  readonly form: Form<unknown>;
}

/** Rows by attribute number, made once for each table. */
const ROWS = new WeakMap<AttributeTable, ReadonlyMap<number, NamedRow>>();

function rowsOf(table: AttributeTable): ReadonlyMap<number, NamedRow> {
  let rows = ROWS.get(table);
  if (rows === undefined) {
    rows = new Map(Object.entries(table).map(([name, { type, form }]) => [type, { name, form }]));
    ROWS.set(table, rows);
  }
  return rows;
}

/**
 * Reads the attributes between `start` and `end` of a message.
 * @param what the message, for refusals
 * @throws NetlinkError EINVAL with the offset of the first offence
 */
export function decodeAttributes<Table extends AttributeTable>(
  table: Table,
  message: Uint8Array,
  start: number,
  what: string,
  end = message.length,
): Decoded<Table> {
  const rows = rowsOf(table);
  const values: Record<string, unknown> = {};
  const places = new Map<keyof Table, number>();
  for (const attribute of attributes(message, start, end)) {
    const row = rows.get(attribute.type);
    if (row === undefined) {
      const accepted = [...rows.keys()].sort((a, b) => a - b).join(", ");
      throw invalid(what, attribute.at, `unknown attribute ${attribute.type}; accepted: ${accepted}`);
    }
    const { name, form } = row;
    if (places.has(name)) throw invalid(what, attribute.at, `${name} stands twice; accepted: once`);
    places.set(name, attribute.start);
    const place = { message, start: attribute.start, end: attribute.end, what: `${what}.${name}` };
    checkLength(form, place);
    values[name] = form.read(message.slice(attribute.start, attribute.end), place);
  }
  refuseGarbage(message, start, end, what);
  return { values: values as Values<Table>, payloadAt: (name) => places.get(name) ?? message.length };
}

function refuseGarbage(message: Uint8Array, start: number, end: number, what: string): void {
  const garbage = malformedAt(message, start, end);
  if (garbage === undefined) return;
  const rule = `${end - garbage} bytes are no whole attribute; accepted: attributes to the end`;
  throw invalid(what, garbage, rule);
}

function checkLength(form: Form<unknown>, { start, end, what }: Place): void {
  const { bytesMin, bytesMax, step, accepted } = form;
  const payloadBytes = end - start;
  if (payloadBytes >= bytesMin && payloadBytes <= bytesMax && payloadBytes % step === 0) return;
  throw invalid(what, start - NLA_HEADER_BYTES, `${payloadBytes} bytes; accepted: ${accepted}`);
}

const invalid = (what: string, byteOffset: number, rule: string): NetlinkError =>
  new NetlinkError("EINVAL", `${what} (byte ${byteOffset}): ${rule}`, byteOffset);

/** @throws RangeError for a value that its attribute cannot hold */
export function encodeAttributes<Table extends AttributeTable>(
  table: Table,
  values: Values<Table>,
): Uint8Array {
  const out = new NlWriter();
  writeAttributes(out, table, values);
  return out.finish();
}

function writeAttributes(
  out: NlWriter,
  table: AttributeTable,
  values: Readonly<Record<string, unknown>>,
): void {
  for (const [name, { type, form }] of Object.entries(table)) {
    const value = values[name];
    if (value === undefined || value === false) continue;
    form.write(out, type, value);
  }
}

const view = (payload: Uint8Array): DataView =>
  new DataView(payload.buffer, payload.byteOffset, payload.byteLength);

const exactly = (bytes: number, accepted = `${bytes} bytes`) => ({
  bytesMin: bytes,
  bytesMax: bytes,
  step: 1,
  accepted,
});

/** Present or not. */
export const flag: Form<boolean> = {
  ...exactly(0, "no payload"),
  read: () => true,
  write: (out, type) => out.putFlag(type),
};

export const u8: Form<number> = {
  ...exactly(1),
  read: (payload) => payload[0]!,
  write: (out, type, value) => out.putU8(type, value),
};

export const u16: Form<number> = {
  ...exactly(2),
  read: (payload) => view(payload).getUint16(0, true),
  write: (out, type, value) => out.putU16(type, value),
};

export const u32: Form<number> = {
  ...exactly(4),
  read: (payload) => view(payload).getUint32(0, true),
  write: (out, type, value) => out.putU32(type, value),
};

export const u64: Form<bigint> = {
  ...exactly(8),
  read: (payload) => view(payload).getBigUint64(0, true),
  write: (out, type, value) => out.putU64(type, value),
};

/** Any bytes, or a number of them between two bounds. */
export const blob = (bytesMin = 0, bytesMax = NLA_PAYLOAD_BYTES_MAX): Form<Uint8Array> => ({
  bytesMin,
  bytesMax,
  step: 1,
  accepted: `${bytesMin} to ${bytesMax} bytes`,
  read: (payload) => payload,
  write: (out, type, value) => out.put(type, value),
});

/** A name: UTF-8 and a zero behind it, which the string does not have. */
export const text = (bytesMax: number): Form<string> => {
  const accepted = `a name of 1 to ${bytesMax - 1} bytes and a zero`;
  return {
    bytesMin: 2,
    bytesMax,
    step: 1,
    accepted,
    read: (payload, { start, what }) => {
      try {
        const name = new TextDecoder("utf-8", { fatal: true }).decode(payload);
        if (name.indexOf("\0") === name.length - 1) return name.slice(0, -1);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
      throw invalid(what, start - NLA_HEADER_BYTES, `no name; accepted: ${accepted}`);
    },
    write: (out, type, value) => out.put(type, new TextEncoder().encode(`${value}\0`)),
  };
};

/** One or more 32-bit numbers. */
export const u32Array: Form<readonly number[]> = {
  bytesMin: 4,
  bytesMax: NLA_PAYLOAD_BYTES_MAX - 3,
  step: 4,
  accepted: "one or more words of 4 bytes",
  read: (payload) => {
    const words = view(payload);
    return Array.from({ length: payload.length / 4 }, (_, index) => words.getUint32(index * 4, true));
  },
  write: (out, type, value) => {
    const mark = out.begin(type);
    for (const word of value) out.putBytes(Uint8Array.of(word, word >>> 8, word >>> 16, word >>> 24));
    out.end(mark);
  },
};

/** A C struct of 32-bit and 64-bit words, by their names in order. */
export const struct = <Name extends string>(
  fields: readonly (readonly [name: Name, bytes: 4 | 8])[],
): Form<Readonly<Record<Name, bigint>>> => {
  const total = fields.reduce((sum, [, bytes]) => sum + bytes, 0);
  return {
    ...exactly(total),
    read: (payload) => {
      const values = {} as Record<Name, bigint>;
      let at = 0;
      for (const [name, bytes] of fields) {
        values[name] =
          bytes === 8 ? view(payload).getBigUint64(at, true) : BigInt(view(payload).getUint32(at, true));
        at += bytes;
      }
      return values;
    },
    write: (out, type, value) => {
      const payload = new Uint8Array(total);
      let at = 0;
      for (const [name, bytes] of fields) {
        if (bytes === 8) view(payload).setBigUint64(at, value[name], true);
        else view(payload).setUint32(at, Number(value[name]), true);
        at += bytes;
      }
      out.put(type, payload);
    },
  };
};

/** Any number of one form, each in an attribute of number 0. */
export const list = <T>(element: Form<T>): Form<readonly T[]> => ({
  ...blob(),
  read: (_payload, { message, start, end, what }) => {
    const values: T[] = [];
    for (const attribute of attributes(message, start, end)) {
      const name = `${what}[${values.length}]`;
      if (attribute.type !== 0)
        throw invalid(name, attribute.at, `unknown attribute ${attribute.type}; accepted: 0`);
      const place = { message, start: attribute.start, end: attribute.end, what: name };
      checkLength(element, place);
      values.push(element.read(message.slice(attribute.start, attribute.end), place));
    }
    refuseGarbage(message, start, end, what);
    return values;
  },
  write: (out, type, value) => {
    const mark = out.begin(type);
    for (const each of value) element.write(out, 0, each);
    out.end(mark);
  },
});

/** Attributes of a table of their own. */
export const nested = <Table extends AttributeTable>(table: Table): Form<Values<Table>> => ({
  ...blob(),
  read: (_payload, { message, start, end, what }) =>
    decodeAttributes(table, message, start, what, end).values,
  write: (out, type, value) => {
    const mark = out.begin(type);
    writeAttributes(out, table, value);
    out.end(mark);
  },
});
