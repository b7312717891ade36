// The nat part of ct(): text to attributes and back. Control path.
import type { NlWriter } from "../../flow/nlattr.ts";
import { OdpSyntaxError, type TextCursor } from "../../flow/odp/text-cursor.ts";
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from "../../packet/address.ts";
import { CT, NAT } from "../attributes.ts";
import { readU16 } from "../host-words.ts";
import { U16_MAX } from "./action-parse.ts";
import { nestedByType, type PayloadLengths } from "./action-print.ts";

/** The members of a nat part as they were read. */
export interface NatMembers {
  direction: "src" | "dst" | undefined;
  addressMin: Uint8Array | undefined;
  addressMax: Uint8Array | undefined;
  protoMin: number;
  protoMax: number;
  readonly flags: Set<number>;
}

const FLAGS: ReadonlyMap<string, number> = new Map([
  ["persistent", NAT.persistent],
  ["hash", NAT.protoHash],
  ["random", NAT.protoRandom],
]);

/** What follows the word `nat`. */
export function parseNat(cursor: TextCursor): NatMembers {
  const from = cursor.at;
  const nat: NatMembers = {
    direction: undefined,
    addressMin: undefined,
    addressMax: undefined,
    protoMin: 0,
    protoMax: 0,
    flags: new Set(),
  };
  if (cursor.skip("(")) {
    for (cursor.skipDelimiters(); !cursor.skip(")"); cursor.skipDelimiters()) parseMember(cursor, nat);
  }
  if (nat.direction === undefined && nat.flags.size > 0) {
    throw new OdpSyntaxError(cursor.text, from, '"src" or "dst" with persistent, hash or random');
  }
  if (nat.flags.has(NAT.protoHash) && nat.flags.has(NAT.protoRandom)) {
    throw new OdpSyntaxError(cursor.text, from, '"hash" or "random", not both');
  }
  return nat;
}

function parseMember(cursor: TextCursor, nat: NatMembers): void {
  const from = cursor.at;
  const word = cursor.take(/[a-z]+/y);
  if (word === "src" || word === "dst") {
    if (nat.direction !== undefined) throw new OdpSyntaxError(cursor.text, from, 'one of "src" and "dst"');
    nat.direction = word;
    if (cursor.skip("=")) parseRange(cursor, nat);
    return;
  }
  const flag = FLAGS.get(word ?? "");
  if (flag === undefined) {
    cursor.at = from;
    cursor.fail('"src", "dst", "persistent", "hash", "random" or ")"');
  }
  nat.flags.add(flag);
}

function parseRange(cursor: TextCursor, nat: NatMembers): void {
  const from = cursor.at;
  nat.addressMin = parseAddress(cursor);
  if (cursor.skip("-")) nat.addressMax = parseAddress(cursor);
  if (cursor.skip(":")) {
    nat.protoMin = cursor.unsigned("port", U16_MAX);
    if (cursor.skip("-")) nat.protoMax = cursor.unsigned("port", U16_MAX);
  }
  const { addressMin, addressMax } = nat;
  const isOrdered =
    addressMax === undefined ||
    isZero(addressMax) ||
    (addressMax.length === addressMin.length && Buffer.compare(addressMin, addressMax) <= 0);
  if (!isOrdered || (nat.protoMax !== 0 && nat.protoMax < nat.protoMin)) {
    throw new OdpSyntaxError(cursor.text, from, "a range of one family whose end is not below its start");
  }
}

function parseAddress(cursor: TextCursor): Uint8Array {
  const v4 = cursor.take(/[0-9]+(?:\.[0-9]+){3}/y);
  const text = v4 ?? cursor.take(/\[[0-9a-fA-F:.]+\]|[0-9a-fA-F:.]+/y) ?? "";
  const address = v4 === undefined ? parseIpv6(text.replace(/[[\]]/g, "")) : parseIpv4(v4);
  return address ?? cursor.fail(`an IP address before this, "${text}" is none`);
}

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** The nested attribute. Ends of ranges that equal their starts are left out, as OVS does. */
export function writeNat(writer: NlWriter, nat: NatMembers): void {
  const mark = writer.begin(CT.nat);
  if (nat.direction !== undefined) writer.putFlag(nat.direction === "src" ? NAT.src : NAT.dst);
  if (nat.addressMin !== undefined) {
    writer.put(NAT.ipMin, nat.addressMin);
    if (nat.addressMax !== undefined && Buffer.compare(nat.addressMax, nat.addressMin) > 0) {
      writer.put(NAT.ipMax, nat.addressMax);
    }
    if (nat.protoMin !== 0) {
      writer.putU16(NAT.protoMin, nat.protoMin);
      if (nat.protoMax > nat.protoMin) writer.putU16(NAT.protoMax, nat.protoMax);
    }
  }
  for (const flag of FLAGS.values()) if (nat.flags.has(flag)) writer.putFlag(flag);
  writer.end(mark);
}

const PART_BYTES: PayloadLengths = { [NAT.protoMin]: 2, [NAT.protoMax]: 2 };

export function printNat(bytes: Uint8Array, start: number, end: number): string {
  const parts = nestedByType(bytes, start, end, PART_BYTES);
  if (parts === undefined) return "nat(error: malformed attributes)";
  if (!parts.has(NAT.src) && !parts.has(NAT.dst)) return "nat";
  const payload = (type: number): Uint8Array | undefined => {
    const part = parts.get(type);
    return part && bytes.subarray(part.start, part.end);
  };
  const port = (type: number): number => {
    const part = parts.get(type);
    return part === undefined ? 0 : readU16(bytes, part.start);
  };
  const members = [parts.has(NAT.src) ? "src" : "dst"];
  const addressMin = payload(NAT.ipMin);
  const protoMin = port(NAT.protoMin);
  if (addressMin !== undefined) {
    const addressMax = payload(NAT.ipMax);
    members[0] += `=${printAddress(addressMin, protoMin !== 0)}`;
    if (addressMax !== undefined) members[0] += `-${printAddress(addressMax, protoMin !== 0)}`;
    if (protoMin !== 0) members[0] += `:${protoMin}`;
    if (protoMin !== 0 && parts.has(NAT.protoMax)) members[0] += `-${port(NAT.protoMax)}`;
  }
  for (const [name, type] of FLAGS) if (parts.has(type)) members.push(name);
  return `nat(${members.join(",")})`;
}

/** Brackets keep a port apart from an IPv6 address. */
function printAddress(address: Uint8Array, hasPort: boolean): string {
  if (address.length === 4) return formatIpv4(address);
  if (address.length !== 16) return "<error: IP address sizes do not match>";
  return hasPort ? `[${formatIpv6(address)}]` : formatIpv6(address);
}
