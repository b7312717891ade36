// The template of IPv6 over Ethernet with one tag or none, without extension headers, with TCP, UDP or ICMPv6 in good order above
// (but for neighbour discovery): what flow/extract-aligned.ts takes of IPv6, and the same key. It stands in the general pass,
// before the functions of headers: the pass of templates would be slower for IPv4 with it.
import { LINE_0, LINE_1 } from "../../flow/extract-cursor.ts";
import { IP_PADDING_BYTES_MAX } from "../../flow/extract-network.ts";
import { K, VLAN_CFI } from "../../flow/fields.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import { ETH, ETH_TYPE, VLAN } from "../../packet/link-headers.ts";
import { IP_PROTOCOL, IPV6 } from "../../packet/network-headers.ts";
import { ICMPV6, ICMPV6_TYPE, TCP, UDP } from "../../packet/transport-headers.ts";
import { block, br, brIf, ifElse } from "../ops/control.ts";
import type { I32, Statement, V128 } from "../ops/expression.ts";
import type { LocalI32, Locals } from "../ops/function.ts";
import { i32Memory, v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { i32x4, v128 } from "../ops/vector.ts";
import { raw16 } from "./parse-header.ts";
import type { TemplateEnds } from "./parse-ipv4.ts";
import { hasLinear, linearBytes, type PacketSlot, storeColumn, swap16 } from "./parse-slot.ts";
import type { EmitScope } from "./scope.ts";

const IPV6_BYTES = IPV6.headerBytes;
const ZERO = v128.const(new Uint8Array(16));
/** Least bytes of an untagged packet that the template takes. */
const LEAST_BYTES = ETH.headerBytes + IPV6_BYTES + UDP.headerBytes;
const RAW_LABEL = 0xffff0f00;
const RAW_TCP_FLAGS = 0xff0f;
const RAW_TCP_DATA_OFFSET = 0xf0;

interface Ipv6Locals {
  /** The IPv6 header, counted as `head` is. */
  readonly at: LocalI32;
  /** TPID and TCI with CFI as the key has them, 0 without a tag. */
  readonly tag: LocalI32;
  readonly first: LocalI32;
  readonly payloadBytes: LocalI32;
  readonly proto: LocalI32;
  /** Of a TCP header, the word with data offset and flags; else zero. */
  readonly control: LocalI32;
  /** The first word of block 3. */
  readonly ports: LocalI32;
}

/** Writes lines 0 and 1 but metadata, and all columns but `flow`; or branches to `refused` with nothing written. */
export function plainIpv6(
  scope: EmitScope,
  slot: PacketSlot,
  locals: Locals,
  { parsed, refused }: TemplateEnds,
): Statement[] {
  const use: Ipv6Locals = {
    at: locals.i32("ipv6"),
    tag: locals.i32("tag"),
    first: locals.i32("classAndLabel"),
    payloadBytes: locals.i32("payloadBytes"),
    proto: locals.i32("proto"),
    control: locals.i32("tcpControl"),
    ports: locals.i32("ports"),
  };
  const frames = scope.region("frames");
  return [
    brIf(refused, i32.eqz(hasLinear(slot, LEAST_BYTES))),
    ...passTag(slot, use, frames, { parsed, refused }),
    ...checkHeader(slot, use, frames, { parsed, refused }),
    ...checkTransport(slot, use, frames, { parsed, refused }),
    ...storeKey(slot, use, frames),
    ...storeFacts(slot, use),
    br(parsed),
  ];
}

function passTag(
  slot: PacketSlot,
  { at, tag }: Ipv6Locals,
  frames: number,
  { refused }: TemplateEnds,
): Statement[] {
  const load16 = (offset: number): I32 => i32Memory.load16_u(slot.head.get, frames + offset);
  const isType = (offset: number, ethType: number): I32 => i32.eq(load16(offset), i32.const(raw16(ethType)));
  return [
    at.set(i32.add(slot.head.get, i32.const(ETH.headerBytes))),
    tag.set(i32.const(0)),
    ifElse(isType(ETH.type, ETH_TYPE.vlan), [
      brIf(refused, i32.eqz(hasLinear(slot, LEAST_BYTES + VLAN.headerBytes))),
      tag.set(i32.or(i32Memory.load(slot.head.get, frames + ETH.type), i32.const(raw16(VLAN_CFI) << 16))),
      at.set(i32.add(at.get, i32.const(VLAN.headerBytes))),
    ]),
    brIf(
      refused,
      i32.ne(i32Memory.load16_u(i32.sub(at.get, i32.const(2)), frames), i32.const(raw16(ETH_TYPE.ipv6))),
    ),
  ];
}

function checkHeader(
  slot: PacketSlot,
  { at, first, payloadBytes, proto }: Ipv6Locals,
  frames: number,
  { refused }: TemplateEnds,
): Statement[] {
  const headersBytes = i32.add(i32.sub(at.get, slot.head.get), i32.const(IPV6_BYTES));
  const paddingBytes = i32.sub(i32.sub(slot.packetBytes.get, headersBytes), payloadBytes.get);
  return [
    payloadBytes.set(swap16(i32Memory.load16_u(at.get, frames + IPV6.payloadLength))),
    brIf(refused, i32.gt_u(paddingBytes, i32.const(IP_PADDING_BYTES_MAX))),
    first.set(i32Memory.load(at.get, frames + IPV6.versionClassLabel)),
    proto.set(i32Memory.load8_u(at.get, frames + IPV6.nextHeader)),
  ];
}

/** Of every protocol eight bytes are there at least, which UDP and ICMPv6 need. */
function checkTransport(slot: PacketSlot, use: Ipv6Locals, frames: number, ends: TemplateEnds): Statement[] {
  const { at, payloadBytes, proto, control, ports } = use;
  const { refused } = ends;
  const l4 = frames + IPV6_BYTES;
  const isProto = (value: number): I32 => i32.eq(proto.get, i32.const(value));
  return [
    brIf(refused, i32.lt_u(payloadBytes.get, i32.const(UDP.headerBytes))),
    control.set(i32.const(0)),
    ports.set(i32Memory.load(at.get, l4)),
    block("transport", (transport) => [
      brIf(transport, isProto(IP_PROTOCOL.udp)),
      ifElse(isProto(IP_PROTOCOL.tcp), [...checkTcp(slot, use, l4, ends), br(transport)]),
      brIf(refused, i32.ne(proto.get, i32.const(IP_PROTOCOL.icmpv6))),
      ...checkIcmpv6(use, l4, ends),
    ]),
  ];
}

function checkTcp(
  slot: PacketSlot,
  { at, payloadBytes, control }: Ipv6Locals,
  l4: number,
  { refused }: TemplateEnds,
): Statement[] {
  const needed = i32.add(i32.sub(at.get, slot.head.get), i32.const(IPV6_BYTES + TCP.headerBytes));
  const headerBytes = i32.shr_u(i32.and(control.get, i32.const(RAW_TCP_DATA_OFFSET)), i32.const(2));
  return [
    brIf(refused, i32.lt_u(linearBytes(slot), needed)),
    control.set(i32Memory.load16_u(at.get, l4 + TCP.dataOffsetFlags)),
    brIf(refused, i32.lt_u(headerBytes, i32.const(TCP.headerBytes))),
    brIf(refused, i32.gt_u(headerBytes, payloadBytes.get)),
    control.set(i32.and(control.get, i32.const(RAW_TCP_FLAGS))),
  ];
}

/** Type and code become the low bytes of two 16-bit fields in network order. */
function checkIcmpv6({ at, ports }: Ipv6Locals, l4: number, { refused }: TemplateEnds): Statement[] {
  const byte = (offset: number): I32 => i32Memory.load8_u(at.get, l4 + offset);
  const isType = (value: number): I32 => i32.eq(byte(ICMPV6.type), i32.const(value));
  return [
    brIf(
      refused,
      i32.or(isType(ICMPV6_TYPE.neighborSolicitation), isType(ICMPV6_TYPE.neighborAdvertisement)),
    ),
    ports.set(i32.or(i32.shl(byte(ICMPV6.type), i32.const(8)), i32.shl(byte(ICMPV6.code), i32.const(24)))),
  ];
}

function storeKey(
  slot: PacketSlot,
  { at, tag, first, proto, control, ports }: Ipv6Locals,
  frames: number,
): Statement[] {
  const store = (field: number, value: V128): Statement =>
    v128Memory.store(slot.key.get, value, BATCH.keys + field);
  const copyAddress = (from: number, field: number): Statement =>
    store(field, v128Memory.load(at.get, frames + from));
  const trafficClass = i32.or(
    i32.shl(i32.and(first.get, i32.const(0x0f)), i32.const(4)),
    i32.and(i32.shr_u(first.get, i32.const(12)), i32.const(0x0f)),
  );
  // eth_type, nw_frag and nw_proto; nw_tos, nw_ttl and tcp_flags.
  const typeToProto = i32.or(i32.shl(proto.get, i32.const(24)), i32.const(raw16(ETH_TYPE.ipv6)));
  const tosToFlags = i32.or(
    i32.or(trafficClass, i32.shl(i32Memory.load8_u(at.get, frames + IPV6.hopLimit), i32.const(8))),
    i32.shl(control.get, i32.const(16)),
  );
  return [
    store(K.eth_dst, i32x4.replace_lane(v128Memory.load(slot.head.get, frames), 3, tag.get)),
    store(K.eth_type, i32x4.replace_lane(i32x4.replace_lane(ZERO, 0, typeToProto), 1, tosToFlags)),
    i32Memory.store(slot.key.get, ports.get, BATCH.keys + K.tp_src),
    copyAddress(IPV6.src, K.ipv6_src),
    copyAddress(IPV6.dst, K.ipv6_dst),
    i32Memory.store(slot.key.get, i32.and(first.get, i32.const(RAW_LABEL)), BATCH.keys + K.ipv6_label),
  ];
}

function storeFacts(slot: PacketSlot, { at, control }: Ipv6Locals): Statement[] {
  const l3Offset = i32.sub(at.get, slot.head.get);
  const dirtyLines = i32Memory.load(slot.column.get, BATCH.dirtyLines);
  return [
    storeColumn(slot, BATCH.l3Offset, l3Offset),
    storeColumn(slot, BATCH.l4Offset, i32.add(l3Offset, i32.const(IPV6_BYTES))),
    storeColumn(slot, BATCH.tcpFlags, swap16(control.get)),
    storeColumn(slot, BATCH.dirtyLines, i32.or(dirtyLines, i32.const(LINE_0 | LINE_1))),
  ];
}
