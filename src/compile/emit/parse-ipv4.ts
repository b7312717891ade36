// The template of IPv4 over Ethernet with one tag or none, without options and fragments, with TCP, UDP or ICMP in good
// order above: what flow/extract-aligned.ts takes of IPv4, and the same key.
//
// One length check stands before every load: a TCP header without options must fit, which it does in every padded Ethernet
// frame, whatever it carries. Three loads of 16 bytes hold all of line 0 but the ports and TCP flags: from the packet's start
// (addresses and tag), from the Ethertype (type, tos, TTL, protocol) and from the IPv4 addresses.
import { IP_PADDING_BYTES_MAX } from "../../flow/extract-network.ts";
import { K } from "../../flow/fields.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import { ETH, VLAN } from "../../packet/link-headers.ts";
import { IP_PROTOCOL, IPV4 } from "../../packet/network-headers.ts";
import { ICMP, TCP, UDP } from "../../packet/transport-headers.ts";
import type { Label } from "../encoder/code.ts";
import { block, br, brIf } from "../ops/control.ts";
import type { I32, Statement, V128 } from "../ops/expression.ts";
import type { Local, LocalI32, Locals } from "../ops/function.ts";
import { i32Memory, v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { i8x16, i16x8, i32x4, v128 } from "../ops/vector.ts";
import { type PacketSlot, storeColumn, swap16 } from "./parse-slot.ts";
import type { EmitScope } from "./scope.ts";

const IPV4_BYTES = IPV4.headerBytes;
const UNTAGGED = ETH.headerBytes;
const ZERO = v128.const(new Uint8Array(16));
/** A lane that `swizzle` leaves zero. */
const Z = 0x80;
/** From a vector that begins at the Ethertype: type, protocol, tos and TTL where block 2 of the key has them. */
export const IPV4_LANES: readonly number[] = [0, 1, Z, 11, 3, 10, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z];
const TCP_FLAGS_LANE = (K.tcp_flags - K.eth_type) / 2;

// As a little-endian load sees them: Ethertype, version and header length; the fragment word; the fourth word of TCP.
const RAW_TYPE_AND_IHL = 0x05_0008;
const RAW_TYPE_AND_IHL_MASK = 0x0f_ffff;
const RAW_FRAGMENT_BITS = 0xff3f;
const RAW_TCP_FLAGS = 0xff0f;
const RAW_TCP_DATA_OFFSET = 0xf0;

/** Least bytes of a packet that the template takes. */
export const ipv4TemplateBytes = (l3Offset: number): number => l3Offset + IPV4_BYTES + TCP.headerBytes;

export interface Ipv4Locals {
  /** IPV4_LANES; the caller's, because V8 would put the constant together anew for each packet. */
  readonly lanes: Local<"v128">;
  /** Block 3 of the key keeps what stands behind the ports; else it becomes zero. */
  readonly metadataStays: boolean;
  readonly totalBytes: LocalI32;
  readonly proto: LocalI32;
  /** All ones for TCP, else zero. */
  readonly isTcp: LocalI32;
  /** Of a TCP header, the word with data offset and flags; else zero. */
  readonly control: LocalI32;
  /** Bytes of a TCP header behind the first twenty. */
  readonly beyondLeast: LocalI32;
}

export const ipv4Locals = (locals: Locals, lanes: Local<"v128">, metadataStays: boolean): Ipv4Locals => ({
  lanes,
  metadataStays,
  totalBytes: locals.i32("totalBytes"),
  proto: locals.i32("proto"),
  isTcp: locals.i32("isTcp"),
  control: locals.i32("tcpControl"),
  beyondLeast: locals.i32("beyondLeast"),
});

/** Whether IPv4 without options stands at `l3Offset`. */
export const isPlainIpv4 = (scope: EmitScope, slot: PacketSlot, l3Offset: number): I32 =>
  i32.eq(
    i32.and(
      i32Memory.load(slot.head.get, scope.region("frames") + l3Offset - 2),
      i32.const(RAW_TYPE_AND_IHL_MASK),
    ),
    i32.const(RAW_TYPE_AND_IHL),
  );

/** Where the template goes when it is through; `refused` with nothing written. */
export interface TemplateEnds {
  readonly parsed: Label;
  readonly refused: Label;
}

/**
 * Writes line 0 of the key behind its metadata, and the columns that are not the same for all slots.
 * @param l3Offset where isPlainIpv4 found the header, in a packet of ipv4TemplateBytes at least
 */
export function ipv4Template(
  scope: EmitScope,
  slot: PacketSlot,
  use: Ipv4Locals,
  l3Offset: number,
  { parsed, refused }: TemplateEnds,
): Statement[] {
  const l4 = scope.region("frames") + l3Offset + IPV4_BYTES;
  const done = [...storeOffsets(slot, l3Offset), br(parsed)];
  return [
    ...checkHeader(scope, slot, use, l3Offset, refused),
    block("icmp", (icmp) => [
      ...checkTcpOrUdp(slot, use, l4, icmp, refused),
      ...storeKey(scope, slot, use, l3Offset),
      storePorts(slot, use, l4),
      ...done,
    ]),
    ...checkIcmp(use, refused),
    ...storeKey(scope, slot, use, l3Offset),
    storeTypeAndCode(slot, use, l4),
    ...done,
  ];
}

function checkHeader(
  scope: EmitScope,
  slot: PacketSlot,
  { totalBytes, proto }: Ipv4Locals,
  l3Offset: number,
  refused: Label,
): Statement[] {
  const ip = scope.region("frames") + l3Offset;
  const paddingBytes = i32.sub(i32.sub(slot.packetBytes.get, i32.const(l3Offset)), totalBytes.get);
  // The fragment word, TTL and protocol in one load.
  const fragmentToProtocol = i32Memory.load(slot.head.get, ip + IPV4.fragment);
  return [
    totalBytes.set(swap16(i32Memory.load16_u(slot.head.get, ip + IPV4.totalLength))),
    brIf(refused, i32.gt_u(paddingBytes, i32.const(IP_PADDING_BYTES_MAX))),
    brIf(refused, i32.and(proto.tee(fragmentToProtocol), i32.const(RAW_FRAGMENT_BITS))),
    proto.set(i32.shr_u(proto.get, i32.const(24))),
  ];
}

/**
 * TCP and UDP are told apart without a branch, which no predictor would foresee where both are mixed: what is TCP's alone is
 * masked away, and the two conditions (a header of at least its least length, of at most the payload) are the sign of one word.
 */
function checkTcpOrUdp(
  slot: PacketSlot,
  { totalBytes, proto, isTcp, control, beyondLeast }: Ipv4Locals,
  l4: number,
  neither: Label,
  refused: Label,
): Statement[] {
  const protoLess = (value: number): I32 => i32.sub(proto.get, i32.const(value));
  const statedBytes = i32.shr_u(i32.and(control.get, i32.const(RAW_TCP_DATA_OFFSET)), i32.const(2));
  // What the payload has beyond the least length of its header.
  const room = i32.sub(
    i32.sub(totalBytes.get, i32.const(IPV4_BYTES + UDP.headerBytes)),
    i32.and(isTcp.get, i32.const(TCP.headerBytes - UDP.headerBytes)),
  );
  return [
    brIf(neither, i32.mul(protoLess(IP_PROTOCOL.tcp), protoLess(IP_PROTOCOL.udp))),
    isTcp.set(i32.shr_s(protoLess(IP_PROTOCOL.udp), i32.const(31))),
    control.set(i32Memory.load16_u(slot.head.get, l4 + TCP.dataOffsetFlags)),
    beyondLeast.set(i32.and(i32.sub(statedBytes, i32.const(TCP.headerBytes)), isTcp.get)),
    brIf(refused, i32.lt_s(i32.or(i32.sub(room, beyondLeast.get), beyondLeast.get), i32.const(0))),
    control.set(i32.and(control.get, i32.and(isTcp.get, i32.const(RAW_TCP_FLAGS)))),
  ];
}

const checkIcmp = ({ totalBytes, proto, control }: Ipv4Locals, refused: Label): Statement[] => [
  brIf(refused, i32.ne(proto.get, i32.const(IP_PROTOCOL.icmp))),
  brIf(refused, i32.lt_u(totalBytes.get, i32.const(IPV4_BYTES + ICMP.headerBytes))),
  control.set(i32.const(0)),
];

function storePorts(slot: PacketSlot, { metadataStays }: Ipv4Locals, l4: number): Statement {
  const field = BATCH.keys + K.tp_src;
  return metadataStays
    ? i32Memory.store(slot.key.get, i32Memory.load(slot.head.get, l4), field)
    : v128Memory.store(slot.key.get, v128Memory.load32_zero(slot.head.get, l4), field);
}

/** Type and code become the low bytes of two 16-bit fields in network order. */
function storeTypeAndCode(slot: PacketSlot, { metadataStays }: Ipv4Locals, l4: number): Statement {
  const field = BATCH.keys + K.tp_src;
  const byte = (at: number): I32 => i32Memory.load8_u(slot.head.get, l4 + at);
  const fields = i32.or(i32.shl(byte(ICMP.type), i32.const(8)), i32.shl(byte(ICMP.code), i32.const(24)));
  return metadataStays
    ? i32Memory.store(slot.key.get, fields, field)
    : v128Memory.store(slot.key.get, i32x4.replace_lane(ZERO, 0, fields), field);
}

function storeKey(
  scope: EmitScope,
  slot: PacketSlot,
  { lanes, control }: Ipv4Locals,
  l3Offset: number,
): Statement[] {
  const frames = scope.region("frames");
  const load = (offset: number): V128 => v128Memory.load(slot.head.get, frames + offset);
  const store = (field: number, value: V128): Statement =>
    v128Memory.store(slot.key.get, value, BATCH.keys + field);
  // The addresses begin their vector as they begin the block's upper half.
  const network = i8x16.shuffle(
    i8x16.swizzle(load(l3Offset - 2), lanes.get),
    load(l3Offset + IPV4.src),
    [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23],
  );
  return [
    store(K.eth_dst, linkBlock(load(ETH.dst), l3Offset)),
    store(K.eth_type, i16x8.replace_lane(network, TCP_FLAGS_LANE, control.get)),
    storeColumn(slot, BATCH.tcpFlags, swap16(control.get)),
  ];
}

/** Addresses and tag. CFI says "there is a tag", whatever the packet's own bit was. */
function linkBlock(start: V128, l3Offset: number): V128 {
  if (l3Offset === UNTAGGED)
    return i8x16.shuffle(start, ZERO, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 28, 29, 30, 31]);
  const cfi = new Uint8Array(16);
  cfi[ETH.type + VLAN.tci] = VLAN.cfi >>> 8;
  return v128.or(start, v128.const(cfi));
}

/** All slots begin with the offsets of an untagged packet. */
const storeOffsets = (slot: PacketSlot, l3Offset: number): Statement[] =>
  l3Offset === UNTAGGED
    ? []
    : [
        storeColumn(slot, BATCH.l3Offset, i32.const(l3Offset)),
        storeColumn(slot, BATCH.l4Offset, i32.const(l3Offset + IPV4_BYTES)),
      ];
