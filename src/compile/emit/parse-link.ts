// Headers between the start of the frame and the network header, as flow/extract-link.ts parses them: Ethernet, VLAN tags, 802.2
// with SNAP, MPLS.

import { vlanTagCount } from "../../flow/extract.ts";
import { LINE_1 } from "../../flow/extract-cursor.ts";
import { ETH_TYPE_NONE, K, VLAN_CFI } from "../../flow/fields.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import { ETH, ETH_TYPE, LLC, MPLS, SNAP, VLAN } from "../../packet/link-headers.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { block, br, brIf, ifElse, loop } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import type { Locals } from "../ops/function.ts";
import { i32 } from "../ops/numeric.ts";
import { emitHeader, type HeaderReader, isRaw16, raw16 } from "./parse-header.ts";
import { emitIpv6 } from "./parse-ipv6.ts";
import { emitArp, emitIpv4, emitNsh } from "./parse-network.ts";
import { swap16 } from "./parse-slot.ts";
import { emitTransport } from "./parse-transport.ts";
import type { EmitScope } from "./scope.ts";

const ADDRESSES_BYTES = 2 * ETH.addressBytes;
const TYPE_BYTES = 2;
/** Where the key holds the first and the second tag: TPID and TCI, one behind the other. */
const VLAN_FIELDS = [K.vlan_tpid, K.vlan2_tpid] as const;
/** RFC 1042, as two loads see it: SNAP's access points, an unnumbered information frame, the OUI of encapsulated Ethernet. */
const RAW_SNAP_START = (LLC.unnumbered << 16) | (LLC.snapSap << 8) | LLC.snapSap;
/** Depth of the label stack that the key holds; deeper labels are passed over unseen. */
const MPLS_LABELS_MAX = 3;
/** Bottom of stack, as a little-endian load sees it. */
const RAW_MPLS_BOTTOM = 0x1_0000;

export interface PacketParsers {
  /** parse_ethernet(0, ...): a packet that begins with an Ethernet header. */
  readonly ethernet: FunctionEntry;
  /** parse_payload(raw Ethertype, ...): what stands behind the header that named the type. */
  readonly payload: FunctionEntry;
}

export function emitPacketParsers(scope: EmitScope, vlanLimit: number): PacketParsers {
  const payload = emitPayload(scope);
  return { ethernet: emitEthernet(scope, payload, vlanTagCount(vlanLimit)), payload };
}

function emitPayload(scope: EmitScope): FunctionEntry {
  const transport = emitTransport(scope);
  const ipv4 = emitIpv4(scope, transport);
  const ipv6 = emitIpv6(scope, transport);
  const arp = emitArp(scope);
  const nsh = emitNsh(scope);
  return emitHeader(scope, "parse_payload", (header, rawType, locals) => {
    const is = (ethType: number): I32 => isRaw16(rawType.get, ethType);
    const when = (condition: I32, next: FunctionEntry): Statement =>
      ifElse(condition, [header.handOn(next, i32.const(0))]);
    return [
      header.put16(K.eth_type, rawType.get),
      ifElse(i32.or(is(ETH_TYPE.mpls), is(ETH_TYPE.mplsMulticast)), parseMpls(header, locals)),
      header.notes(BATCH.l3Offset),
      when(is(ETH_TYPE.ipv4), ipv4),
      when(is(ETH_TYPE.ipv6), ipv6),
      when(i32.or(is(ETH_TYPE.arp), is(ETH_TYPE.rarp)), arp),
      when(is(ETH_TYPE.nsh), nsh),
    ];
  });
}

/** Passes the whole label stack, or what is there of it, and keeps its first labels. */
function parseMpls(header: HeaderReader, locals: Locals): Statement[] {
  const depth = locals.i32("depth");
  const entry = locals.i32("entry");
  const isBottom = i32.and(entry.get, i32.const(RAW_MPLS_BOTTOM));
  const keep = Array.from({ length: MPLS_LABELS_MAX }, (_, index) =>
    ifElse(i32.eq(depth.get, i32.const(index)), [
      header.put32(K.mpls_lse0 + index * MPLS.entryBytes, entry.get),
    ]),
  );
  return [
    header.marks(LINE_1),
    block("bottom", (bottom) => [
      loop("labels", (next) => [
        ...header.need(MPLS.entryBytes, [br(bottom)]),
        entry.set(header.raw32(MPLS.entry)),
        ...keep,
        ...header.pull(MPLS.entryBytes),
        depth.set(i32.add(depth.get, i32.const(1))),
        brIf(next, i32.eqz(isBottom)),
      ]),
    ]),
  ];
}

function emitEthernet(scope: EmitScope, payload: FunctionEntry, vlanTags: number): FunctionEntry {
  return emitHeader(scope, "parse_ethernet", (header, _kind, locals) => {
    const rawType = locals.i32("rawType");
    const isType = i32.ge_u(swap16(rawType.get), i32.const(ETH.typeMin));
    const none = rawType.set(i32.const(raw16(ETH_TYPE_NONE)));
    return [
      ...header.need(ETH.headerBytes),
      ...header.copy(ETH.dst, K.eth_dst, ADDRESSES_BYTES),
      ...header.pull(ADDRESSES_BYTES),
      parseVlans(header, vlanTags, locals),
      rawType.set(header.raw16(0)),
      ...header.pull(TYPE_BYTES),
      ifElse(isType, [header.handOn(payload, rawType.get)]),
      // An 802.2 frame: the type stands behind SNAP, or there is none.
      none,
      ...header.need(SNAP.headerBytes, [header.handOn(payload, rawType.get)]),
      ifElse(isSnapEthernet(header), [
        rawType.set(header.raw16(SNAP.type)),
        ...header.pull(SNAP.headerBytes),
        ifElse(i32.eqz(isType), [none]),
      ]),
      header.handOn(payload, rawType.get),
    ];
  });
}

const isSnapEthernet = (header: HeaderReader): I32 =>
  i32.and(i32.eq(header.raw32(LLC.dsap), i32.const(RAW_SNAP_START)), i32.eqz(header.raw16(SNAP.oui + 1)));

/** Leaves the position at the type field behind the last tag taken. CFI says "there is a tag", whatever the packet's bit was. */
function parseVlans(header: HeaderReader, vlanTags: number, locals: Locals): Statement {
  const tag = locals.i32("tag");
  const is = (ethType: number): I32 => isRaw16(header.raw16(VLAN.tpid), ethType);
  const rawCfi = raw16(VLAN_CFI) << 16;
  return block("type", (type) =>
    VLAN_FIELDS.slice(0, vlanTags).flatMap((field, index) => [
      brIf(type, i32.eqz(i32.or(is(ETH_TYPE.vlan), is(ETH_TYPE.qinq)))),
      ...header.need(VLAN.headerBytes + TYPE_BYTES, [br(type)]),
      tag.set(header.raw32(VLAN.tpid)),
      header.put32(field, i32.or(tag.get, i32.const(rawCfi))),
      ...(index > 0 ? [header.marks(LINE_1)] : []),
      ...header.pull(VLAN.headerBytes),
    ]),
  );
}
