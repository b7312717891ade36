// Key attributes whose payload is a flat C struct: where each member lies in it, how it is written in text, and which
// field of the flow key holds it. Parser, printer and both conversions run over this table, so that a member is
// described once. Attributes with a form of their own (vlan, mpls, nsh, tunnel, flags, encap) are not here.

import type { FieldName } from "../fields.ts";
import { fieldOf } from "../key.ts";
import { KEY_ATTR } from "./attributes.ts";

/** How a member is written. `frag` and `label` have rules of their own; `word` is hexadecimal with a padded mask. */
export type ValueForm = "mac" | "ipv4" | "ipv6" | "decimal" | "hex" | "label" | "frag" | "word";

export interface Member {
  readonly name: string;
  /** Another name that is read. */
  readonly alias?: string;
  /** Offset in the payload. */
  readonly at: number;
  readonly bytes: number;
  readonly form: ValueForm;
  readonly field: FieldName;
  /** Offset in the field, where the field is made of several members. */
  readonly fieldAt?: number;
}

const PORTS: readonly Member[] = [
  { name: "src", at: 0, bytes: 2, form: "decimal", field: "tp_src" },
  { name: "dst", at: 2, bytes: 2, form: "decimal", field: "tp_dst" },
];
const ICMP_TYPE_AND_CODE: readonly Member[] = [
  { name: "type", at: 0, bytes: 1, form: "decimal", field: "tp_src" },
  { name: "code", at: 1, bytes: 1, form: "decimal", field: "tp_dst" },
];

/** By attribute, in the order in which members are printed. */
export const STRUCT_MEMBERS: ReadonlyMap<number, readonly Member[]> = new Map<number, readonly Member[]>([
  [
    KEY_ATTR.packetType,
    [
      { name: "ns", at: 0, bytes: 2, form: "decimal", field: "packet_type", fieldAt: 0 },
      { name: "id", at: 2, bytes: 2, form: "hex", field: "packet_type", fieldAt: 2 },
    ],
  ],
  [
    KEY_ATTR.ethernet,
    [
      { name: "src", at: 0, bytes: 6, form: "mac", field: "eth_src" },
      { name: "dst", at: 6, bytes: 6, form: "mac", field: "eth_dst" },
    ],
  ],
  [
    KEY_ATTR.ipv4,
    [
      { name: "src", at: 0, bytes: 4, form: "ipv4", field: "nw_src" },
      { name: "dst", at: 4, bytes: 4, form: "ipv4", field: "nw_dst" },
      { name: "proto", at: 8, bytes: 1, form: "decimal", field: "nw_proto" },
      { name: "tos", at: 9, bytes: 1, form: "hex", field: "nw_tos" },
      { name: "ttl", at: 10, bytes: 1, form: "decimal", field: "nw_ttl" },
      { name: "frag", at: 11, bytes: 1, form: "frag", field: "nw_frag" },
    ],
  ],
  [
    KEY_ATTR.ipv6,
    [
      { name: "src", at: 0, bytes: 16, form: "ipv6", field: "ipv6_src" },
      { name: "dst", at: 16, bytes: 16, form: "ipv6", field: "ipv6_dst" },
      { name: "label", at: 32, bytes: 4, form: "label", field: "ipv6_label" },
      { name: "proto", at: 36, bytes: 1, form: "decimal", field: "nw_proto" },
      { name: "tclass", at: 37, bytes: 1, form: "hex", field: "nw_tos" },
      { name: "hlimit", at: 38, bytes: 1, form: "decimal", field: "nw_ttl" },
      { name: "frag", at: 39, bytes: 1, form: "frag", field: "nw_frag" },
    ],
  ],
  [KEY_ATTR.tcp, PORTS],
  [KEY_ATTR.udp, PORTS],
  [KEY_ATTR.sctp, PORTS],
  [KEY_ATTR.icmp, ICMP_TYPE_AND_CODE],
  [KEY_ATTR.icmpv6, ICMP_TYPE_AND_CODE],
  [
    KEY_ATTR.arp,
    [
      { name: "sip", at: 0, bytes: 4, form: "ipv4", field: "nw_src" },
      { name: "tip", at: 4, bytes: 4, form: "ipv4", field: "nw_dst" },
      { name: "op", at: 8, bytes: 2, form: "decimal", field: "nw_proto" },
      { name: "sha", at: 10, bytes: 6, form: "mac", field: "arp_sha" },
      { name: "tha", at: 16, bytes: 6, form: "mac", field: "arp_tha" },
    ],
  ],
  [
    KEY_ATTR.nd,
    [
      { name: "target", at: 0, bytes: 16, form: "ipv6", field: "nd_target" },
      { name: "sll", at: 16, bytes: 6, form: "mac", field: "arp_sha" },
      { name: "tll", at: 22, bytes: 6, form: "mac", field: "arp_tha" },
    ],
  ],
  [
    KEY_ATTR.ndExtensions,
    [
      { name: "nd_reserved", at: 0, bytes: 4, form: "word", field: "nd_reserved" },
      { name: "nd_options_type", at: 4, bytes: 1, form: "decimal", field: "nd_options_type" },
    ],
  ],
  [
    KEY_ATTR.ctOrigTupleIpv4,
    [
      { name: "src", at: 0, bytes: 4, form: "ipv4", field: "ct_nw_src" },
      { name: "dst", at: 4, bytes: 4, form: "ipv4", field: "ct_nw_dst" },
      { name: "proto", at: 12, bytes: 1, form: "decimal", field: "ct_nw_proto" },
      { name: "tp_src", at: 8, bytes: 2, form: "decimal", field: "ct_tp_src" },
      { name: "tp_dst", at: 10, bytes: 2, form: "decimal", field: "ct_tp_dst" },
    ],
  ],
  [
    KEY_ATTR.ctOrigTupleIpv6,
    [
      { name: "src", at: 0, bytes: 16, form: "ipv6", field: "ct_ipv6_src" },
      { name: "dst", at: 16, bytes: 16, form: "ipv6", field: "ct_ipv6_dst" },
      { name: "proto", at: 36, bytes: 1, form: "decimal", field: "ct_nw_proto" },
      // OVS prints the first name and reads the second.
      { name: "src_port", alias: "tp_src", at: 32, bytes: 2, form: "decimal", field: "ct_tp_src" },
      { name: "dst_port", alias: "tp_dst", at: 34, bytes: 2, form: "decimal", field: "ct_tp_dst" },
    ],
  ],
]);

/** A member's bytes in payload and key. Of a member that is wider than its field the last ones count, and the other way round. */
interface MemberPlace {
  readonly payloadAt: number;
  readonly keyAt: number;
  readonly bytes: number;
  readonly isFrag: boolean;
  /** The member's first byte when the key has fewer bytes of it than the payload, else undefined. */
  readonly wideAt: number | undefined;
}

const MEMBER_PLACES: ReadonlyMap<number, readonly MemberPlace[]> = new Map(
  [...STRUCT_MEMBERS].map(([attr, members]) => [attr, members.map(placeOf)]),
);

function placeOf({ at, bytes, field, fieldAt, form }: Member): MemberPlace {
  const { offset, bytes: width } = fieldOf(field);
  const common = fieldAt === undefined ? Math.min(bytes, width) : bytes;
  return {
    payloadAt: at + bytes - common,
    keyAt: offset + (fieldAt ?? width - common),
    bytes: common,
    isFrag: form === "frag",
    wideAt: common < bytes ? at : undefined,
  };
}

/** Copies a struct's members into the key. A mask of frag is all or nothing, for frag is an enumeration. */
export function structToKey(attr: number, payload: Uint8Array, key: Uint8Array, isMask: boolean): void {
  for (const { payloadAt, keyAt, bytes, isFrag } of MEMBER_PLACES.get(attr)!) {
    if (isFrag && isMask) key[keyAt] = payload[payloadAt] === 0 ? 0 : 0xff;
    else for (let index = 0; index < bytes; index += 1) key[keyAt + index] = payload[payloadAt + index]!;
  }
}

/**
 * The payload of a struct, from the key. Padding is zero, and so are bytes that the key does not have (the high byte
 * of an ARP opcode), but for a mask that is exact in those it has.
 */
export function structFromKey(
  attr: number,
  payloadBytes: number,
  key: Uint8Array,
  isMask: boolean,
): Uint8Array {
  const payload = new Uint8Array(payloadBytes);
  for (const { payloadAt, keyAt, bytes, wideAt } of MEMBER_PLACES.get(attr)!) {
    for (let index = 0; index < bytes; index += 1) payload[payloadAt + index] = key[keyAt + index]!;
    if (isMask && wideAt !== undefined && key[keyAt] === 0xff) payload.fill(0xff, wideAt, payloadAt);
  }
  return payload;
}
