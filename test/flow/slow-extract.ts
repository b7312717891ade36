// A second extractor, for the tests only: recursive descent over slices, results in an object by field name, a header
// that is cut off thrown as an exception. It shares no code with src/flow/extract*.ts and reads like the rules, so that
// the two can only agree by both being right.

import { FIELDS, type FieldName, KEY_BYTES } from "../../src/flow/fields.ts";

export interface SlowKey {
  readonly fields: Map<FieldName, Uint8Array>;
  l3: number;
  l4: number;
  tcpFlags: number;
}

class CutOff extends Error {}

/** A stretch of the frame with its own end; `at` is where it starts in the frame. */
interface Slice {
  readonly bytes: Uint8Array;
  readonly at: number;
}

const view = (slice: Slice): DataView =>
  new DataView(slice.bytes.buffer, slice.bytes.byteOffset, slice.bytes.byteLength);

function after(slice: Slice, count: number): Slice {
  if (slice.bytes.length < count) throw new CutOff();
  return { bytes: slice.bytes.subarray(count), at: slice.at + count };
}

const first = (slice: Slice, count: number): Slice => ({
  bytes: slice.bytes.subarray(0, count),
  at: slice.at,
});

function need(slice: Slice, count: number): void {
  if (slice.bytes.length < count) throw new CutOff();
}

const u8 = (value: number): Uint8Array => Uint8Array.of(value);
const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value);

/** The key of a frame with at most `tagsMax` VLAN tags taken, by field. A field that is absent is zero. */
export function slowExtract(frame: Uint8Array, tagsMax: number): SlowKey {
  const key: SlowKey = { fields: new Map(), l3: 0xffff, l4: 0xffff, tcpFlags: 0 };
  try {
    ethernet({ bytes: frame, at: 0 }, tagsMax, key);
  } catch (error) {
    if (!(error instanceof CutOff)) throw error;
  }
  return key;
}

function ethernet(frame: Slice, tagsMax: number, key: SlowKey): void {
  need(frame, 14);
  key.fields.set("eth_dst", frame.bytes.slice(0, 6));
  key.fields.set("eth_src", frame.bytes.slice(6, 12));
  tags(after(frame, 12), tagsMax, 0, key);
}

function tags(slice: Slice, tagsMax: number, taken: number, key: SlowKey): void {
  const tpid = view(slice).getUint16(0);
  if (taken < tagsMax && [0x8100, 0x88a8].includes(tpid) && slice.bytes.length >= 6) {
    key.fields.set(taken === 0 ? "vlan_tpid" : "vlan2_tpid", u16(tpid));
    key.fields.set(taken === 0 ? "vlan_tci" : "vlan2_tci", u16(view(slice).getUint16(2) | 0x1000));
    tags(after(slice, 4), tagsMax, taken + 1, key);
  } else {
    typeOrLength(slice, key);
  }
}

function typeOrLength(slice: Slice, key: SlowKey): void {
  const type = view(slice).getUint16(0);
  let rest = after(slice, 2);
  if (type >= 0x600) {
    byType(type, rest, key);
    return;
  }
  const snap = [0xaa, 0xaa, 0x03, 0x00, 0x00, 0x00];
  if (rest.bytes.length < 8 || !snap.every((byte, index) => rest.bytes[index] === byte)) {
    byType(0x5ff, rest, key);
    return;
  }
  const snapType = view(rest).getUint16(6);
  rest = after(rest, 8);
  byType(snapType >= 0x600 ? snapType : 0x5ff, rest, key);
}

function byType(type: number, slice: Slice, key: SlowKey): void {
  key.fields.set("eth_type", u16(type));
  if (type === 0x8847 || type === 0x8848) {
    key.l3 = labels(slice, key).at;
    return;
  }
  key.l3 = slice.at;
  const parsers: Record<number, (slice: Slice, key: SlowKey) => void> = {
    2048: ipv4,
    34525: ipv6,
    2054: arp,
    32821: arp,
    35151: nsh,
  };
  parsers[type]?.(slice, key);
}

/** Returns what lies behind the stack. A loop: a frame of zeros is a stack of thousands. */
function labels(stack: Slice, key: SlowKey): Slice {
  const slots = ["mpls_lse0", "mpls_lse1", "mpls_lse2"] as const;
  let slice = stack;
  for (let depth = 0; slice.bytes.length >= 4; depth++) {
    const slot = slots[depth];
    if (slot !== undefined) key.fields.set(slot, slice.bytes.slice(0, 4));
    const isBottom = slice.bytes[2]! % 2 === 1;
    slice = after(slice, 4);
    if (isBottom) break;
  }
  return slice;
}

function ipv4(slice: Slice, key: SlowKey): void {
  need(slice, 20);
  const header = view(slice);
  const headerBytes = (header.getUint8(0) % 16) * 4;
  const totalBytes = header.getUint16(2);
  if (headerBytes < 20 || totalBytes < headerBytes) throw new CutOff();
  need(slice, totalBytes);
  if (slice.bytes.length - totalBytes > 65535) throw new CutOff();
  key.fields.set("nw_src", slice.bytes.slice(12, 16));
  key.fields.set("nw_dst", slice.bytes.slice(16, 20));
  const offset = header.getUint16(6) % 8192;
  const more = (header.getUint16(6) & 0x2000) !== 0;
  const frag = offset > 0 ? 2 : more ? 1 : 0;
  internet(key, frag, header.getUint8(9), header.getUint8(1), header.getUint8(8));
  const payload = after(first(slice, totalBytes), headerBytes);
  key.l4 = payload.at;
  if (frag < 2) transport(header.getUint8(9), payload, key);
}

function internet(key: SlowKey, frag: number, proto: number, tos: number, ttl: number): void {
  key.fields.set("nw_frag", u8(frag));
  key.fields.set("nw_proto", u8(proto));
  key.fields.set("nw_tos", u8(tos));
  key.fields.set("nw_ttl", u8(ttl));
}

function ipv6(slice: Slice, key: SlowKey): void {
  need(slice, 40);
  const header = view(slice);
  const payload = after(slice, 40);
  const payloadBytes = header.getUint16(4);
  need(payload, payloadBytes);
  if (payload.bytes.length - payloadBytes > 65535) throw new CutOff();
  key.fields.set("ipv6_src", slice.bytes.slice(8, 24));
  key.fields.set("ipv6_dst", slice.bytes.slice(24, 40));
  const found = extensions(first(payload, payloadBytes), header.getUint8(6));
  const word = header.getUint32(0);
  key.fields.set("ipv6_label", Uint8Array.of(0, (word >> 16) & 15, word >> 8, word));
  internet(key, found.frag, found.proto, (word >> 20) & 255, header.getUint8(7));
  key.l4 = found.rest.at;
  if (found.frag < 2) transport(found.proto, found.rest, key);
}

/** What is left behind the extension headers that are understood; throws when one is cut off. */
function extensions(headers: Slice, firstProto: number): { rest: Slice; proto: number; frag: number } {
  let [slice, proto, frag] = [headers, firstProto, 0];
  while ([0, 43, 44, 51, 60].includes(proto)) {
    need(slice, 8);
    const [next, units] = [slice.bytes[0]!, slice.bytes[1]!];
    const fragment = view(slice).getUint16(2);
    slice = after(slice, { 44: 8, 51: (units + 2) * 4 }[proto] ?? (units + 1) * 8);
    if (proto === 44 && fragment >= 8) return { rest: slice, proto, frag: 2 };
    if (proto === 44 && fragment > 0) frag = 1;
    proto = next;
  }
  return { rest: slice, proto, frag };
}

function transport(proto: number, slice: Slice, key: SlowKey): void {
  if (proto === 6) tcp(slice, key);
  if (proto === 17 || proto === 132) {
    need(slice, proto === 17 ? 8 : 12);
    ports(slice, key);
  }
  if (proto === 1 || proto === 2 || proto === 58) {
    need(slice, 8);
    key.fields.set("tp_src", u16(slice.bytes[0]!));
    key.fields.set("tp_dst", u16(slice.bytes[1]!));
    const isNeighbor = proto === 58 && [135, 136].includes(slice.bytes[0]!) && slice.bytes[1] === 0;
    if (isNeighbor) neighbor(slice, key);
  }
}

function ports(slice: Slice, key: SlowKey): void {
  key.fields.set("tp_src", slice.bytes.slice(0, 2));
  key.fields.set("tp_dst", slice.bytes.slice(2, 4));
}

function tcp(slice: Slice, key: SlowKey): void {
  need(slice, 20);
  const word = view(slice).getUint16(12);
  const headerBytes = (word >> 12) * 4;
  if (headerBytes < 20) throw new CutOff();
  need(slice, headerBytes);
  ports(slice, key);
  key.tcpFlags = word % 4096;
  key.fields.set("tcp_flags", u16(key.tcpFlags));
}

function neighbor(slice: Slice, key: SlowKey): void {
  key.fields.set("nd_reserved", slice.bytes.slice(4, 8));
  need(slice, 24);
  key.fields.set("nd_target", slice.bytes.slice(8, 24));
  neighborOptions(after(slice, 24), key);
}

function neighborOptions(slice: Slice, key: SlowKey): void {
  need(slice, 8);
  const [type, units] = [slice.bytes[0]!, slice.bytes[1]!];
  if (units === 0) return;
  need(slice, units * 8);
  const name = units === 1 ? ({ 1: "arp_sha", 2: "arp_tha" } as const)[type] : undefined;
  if (name !== undefined) {
    if (key.fields.get(name)?.some((byte) => byte !== 0)) {
      for (const voided of ["nd_target", "arp_sha", "arp_tha"] as const) key.fields.delete(voided);
      return;
    }
    key.fields.set(name, slice.bytes.slice(2, 8));
    if (!key.fields.has("nd_options_type")) key.fields.set("nd_options_type", u8(type));
  }
  neighborOptions(after(slice, units * 8), key);
}

function arp(slice: Slice, key: SlowKey): void {
  need(slice, 28);
  const ethernetIpv4 = [0, 1, 8, 0, 6, 4];
  if (!ethernetIpv4.every((byte, index) => slice.bytes[index] === byte)) return;
  if (slice.bytes[6] === 0) key.fields.set("nw_proto", slice.bytes.slice(7, 8));
  key.fields.set("arp_sha", slice.bytes.slice(8, 14));
  key.fields.set("nw_src", slice.bytes.slice(14, 18));
  key.fields.set("arp_tha", slice.bytes.slice(18, 24));
  key.fields.set("nw_dst", slice.bytes.slice(24, 28));
}

function nsh(slice: Slice, key: SlowKey): void {
  need(slice, 8);
  const word = view(slice).getUint16(0);
  const [mdtype, np] = [slice.bytes[2]!, slice.bytes[3]!];
  const headerBytes = (word % 64) * 4;
  if (word >> 14 !== 0) return;
  need(slice, headerBytes);
  if (mdtype === 1 && headerBytes !== 24) return;
  if (mdtype === 2 && headerBytes < 8) return;
  key.fields.set("nsh_flags", u8((word >> 12) % 4));
  key.fields.set("nsh_ttl", u8((word >> 6) % 64));
  key.fields.set("nsh_mdtype", u8(mdtype));
  key.fields.set("nsh_np", u8(np));
  key.fields.set("nsh_path_hdr", slice.bytes.slice(4, 8));
  if (mdtype !== 1) return;
  for (const [index, name] of (
    ["nsh_context0", "nsh_context1", "nsh_context2", "nsh_context3"] as const
  ).entries()) {
    key.fields.set(name, slice.bytes.slice(8 + 4 * index, 12 + 4 * index));
  }
}

/** The key's bytes, with in_port. */
export function slowKeyBytes(key: SlowKey, inPort: number): Uint8Array {
  const bytes = new Uint8Array(KEY_BYTES);
  for (const { name, offset } of FIELDS) bytes.set(key.fields.get(name) ?? [], offset);
  new DataView(bytes.buffer).setUint32(0, inPort, true);
  return bytes;
}

/** Names of the fields in which two keys differ: what a failing test prints. */
export function differingFields(left: Uint8Array, right: Uint8Array): string[] {
  const names: string[] = [];
  for (const { name, offset, bytes } of FIELDS) {
    const one = Buffer.from(left.slice(offset, offset + bytes)).toString("hex");
    const other = Buffer.from(right.slice(offset, offset + bytes)).toString("hex");
    if (one !== other) names.push(`${name}: ${one} != ${other}`);
  }
  if (names.length === 0 && !left.every((byte, index) => byte === right[index])) names.push("padding");
  return names;
}
