// dump-flows filter=MATCH: exact values of OpenFlow fields, in the syntax of ovs-ofctl. A flow passes when it does not
// contradict the filter: both are compared in the bits that the flow's mask looks at and the filter names. A flow that
// wildcards what the filter asks for passes therefore, as in OVS.
//
// Fields of OpenFlow that no datapath flow has (registers, metadata) are refused; OVS takes them and they filter
// nothing. tp_src and tp_dst go with udp and sctp too, not with tcp alone.

import { FILTER_FIELDS, FILTER_PROTOCOLS, type FilterField, isMet } from "./filter-fields.ts";
import { equalUnder, fieldOf, getBig, newKey, setBig, setNumber, setOnes } from "./key.ts";
import { CT_STATE_FLAGS, type FlagSet, parseFlags, TCP_FLAGS } from "./odp/flags.ts";
import type { PortNumbers } from "./odp/key-parse.ts";
import type { FlowMatch } from "./odp/match.ts";
import { OdpSyntaxError, TextCursor } from "./odp/text-cursor.ts";
import { bytesToBig, scanValue } from "./odp/values.ts";

/** What is wrong with a filter, in OVS's words as far as it has them. */
export class FlowFilterError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "FlowFilterError";
  }
}

/** The values that a filter asks for, and the bits that it names. */
export type FlowFilter = FlowMatch;

const FIELDS_BY_NAME: ReadonlyMap<string, FilterField> = new Map(
  FILTER_FIELDS.flatMap((field) => field.names.map((name) => [name, field] as const)),
);

/** @throws FlowFilterError */
export function parseFilter(text: string, ports?: PortNumbers): FlowFilter {
  const filter: FlowFilter = { key: newKey(), mask: newKey() };
  for (const term of terms(text)) {
    const protocol = FILTER_PROTOCOLS.get(term.name);
    if (protocol !== undefined) setProtocol(text, filter, protocol);
    else setField(text, filter, term, ports);
  }
  return filter;
}

/** Whether a flow's match and the filter agree wherever both look. */
export function passesFilter(flow: FlowMatch, filter: FlowFilter): boolean {
  const both = flow.mask.map((bits, index) => bits & filter.mask[index]!);
  return equalUnder(flow.key, filter.key, both);
}

interface Term {
  readonly name: string;
  /** Behind "=", or inside parentheses; "" when there is none. */
  readonly value: string;
}

function* terms(text: string): Generator<Term> {
  const cursor = new TextCursor(text);
  for (cursor.skipDelimiters(); !cursor.isAtEnd; cursor.skipDelimiters()) {
    const name = cursor.take(/[^=(,\s]+/y) ?? "";
    let value = "";
    if (cursor.skip("(")) {
      value = cursor.take(/[^)]*/y) ?? "";
      cursor.skip(")");
    } else if (cursor.skip("=")) {
      value = cursor.take(/\([^)]*\)|[^,\s]*/y) ?? "";
    }
    if (name === "") throw new FlowFilterError(`${text}: a field's name is missing`);
    yield { name, value };
  }
}

function setProtocol(
  text: string,
  { key, mask }: FlowFilter,
  { etherType, proto }: { readonly etherType: number; readonly proto: number },
): void {
  if (getBig(key, "eth_type") !== 0n) {
    throw new FlowFilterError(`${text}: Ethernet type set multiple times`);
  }
  setNumber(key, "eth_type", etherType);
  setOnes(mask, "eth_type");
  if (proto === 0) return;
  if (getBig(key, "nw_proto") !== 0n) {
    throw new FlowFilterError(`${text}: network protocol set multiple times`);
  }
  setNumber(key, "nw_proto", proto);
  setOnes(mask, "nw_proto");
}

function setField(
  text: string,
  filter: FlowFilter,
  { name, value }: Term,
  ports: PortNumbers | undefined,
): void {
  const field = FIELDS_BY_NAME.get(name);
  if (field === undefined) throw new FlowFilterError(`${text}: unknown field ${name}`);
  if (!isMet(field.needs, filter.key)) {
    throw new FlowFilterError(`${text}: prerequisites not met for setting ${name}`);
  }
  const { bits, shift = 0, also = 0 } = field;
  const width = BigInt(bits ?? fieldOf(field.field).bytes * 8);
  const named = ((1n << width) - 1n) << BigInt(shift);
  if ((getBig(filter.mask, field.field) & named) !== 0n) {
    throw new FlowFilterError(`${text}: field ${name} set multiple times`);
  }
  const parsed = parseFieldValue(text, field, name, value, ports);
  const extra = BigInt(also);
  setBig(filter.key, field.field, getBig(filter.key, field.field) | (parsed << BigInt(shift)) | extra);
  setBig(filter.mask, field.field, getBig(filter.mask, field.field) | named | extra);
}

function parseFieldValue(
  text: string,
  field: FilterField,
  name: string,
  value: string,
  ports: PortNumbers | undefined,
): bigint {
  try {
    const cursor = new TextCursor(value);
    const parsed = readValue(cursor, field, name, ports);
    if (!cursor.isAtEnd) cursor.fail("the end of an exact value, wildcards not allowed here");
    return parsed;
  } catch (error) {
    if (!(error instanceof OdpSyntaxError)) throw error;
    throw new FlowFilterError(`${text}: bad value for ${name} (${value}: ${error.message})`);
  }
}

const EXACT = { allowMask: false } as const;

function readValue(
  cursor: TextCursor,
  field: FilterField,
  name: string,
  ports: PortNumbers | undefined,
): bigint {
  const { form, bits, field: keyField } = field;
  const { bytes } = fieldOf(keyField);
  switch (form) {
    case "ipv4":
    case "ipv6":
    case "mac":
    case "frag":
      return bytesToBig(scanValue(cursor, name, form, bytes, EXACT).value);
    case "tcp_flags":
      return exactFlags(cursor, TCP_FLAGS, name);
    case "ct_state":
      return exactFlags(cursor, CT_STATE_FLAGS, name);
    case "packet_type":
      return readPacketType(cursor);
    case "tos": {
      const tos = cursor.integer(name, 0xff);
      if (tos % 4 !== 0) cursor.fail("before this a multiple of 4");
      return BigInt(tos / 4);
    }
    case "port": {
      if (/[0-9]/.test(cursor.peek())) return cursor.bigInteger(name, 0xffffffffn);
      const portNo = ports?.get(cursor.text);
      if (portNo === undefined) cursor.fail("the number or name of a port");
      cursor.at = cursor.text.length;
      return BigInt(portNo);
    }
    default: {
      const most = (1n << BigInt(bits ?? bytes * 8)) - 1n;
      return cursor.bigInteger(name, most);
    }
  }
}

/** Flags end at ")" in the grammar of keys, so one is put behind them. */
function exactFlags(cursor: TextCursor, flags: FlagSet, name: string): bigint {
  const inner = new TextCursor(`${cursor.text})`);
  const { value, mask } = parseFlags(inner, flags, name);
  if (mask !== 0xffffffff) cursor.fail("exact flags such as syn|ack, wildcards not allowed here");
  cursor.at = cursor.text.length;
  return BigInt(value);
}

/** `(ns,type)`. */
function readPacketType(cursor: TextCursor): bigint {
  const isOpen = cursor.skip("(");
  const namespace = cursor.bigInteger("namespace", 0xffffn);
  cursor.expect(",");
  const type = cursor.bigInteger("type", 0xffffn);
  if (isOpen) cursor.expect(")");
  return (namespace << 16n) | type;
}
