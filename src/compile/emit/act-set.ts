// set and set_masked as code: action/set-field.ts and the files that it calls, set-ipv4.ts, set-ipv6.ts,
// set-transport.ts, set-icmp.ts and set-arp.ts. Which header it is, the flow's match says; whether it is there, a guard.
// Packets that lack it, or have a partial checksum that would have to change with them, are left to the reference.

import { K } from "../../flow/fields.ts";
import { NLA_HEADER_BYTES } from "../../flow/nlattr.ts";
import { KEY_ATTR } from "../../flow/odp/attributes.ts";
import { ARP, ETH } from "../../packet/link-headers.ts";
import type { Statement } from "../ops/expression.ts";
import { i32Memory, i64Memory } from "../ops/memory.ts";
import { i32, i64 } from "../ops/numeric.ts";
import { blendBytes, type SetValue, setValue } from "./act-blend.ts";
import { setMetadata } from "./act-metadata.ts";
import { setMpls } from "./act-mpls.ts";
import { setIpv4, setIpv6 } from "./act-set-network.ts";
import { setPorts } from "./act-set-transport.ts";
import { type Hand, NoTemplate, type Template } from "./act-template.ts";

const ADDRESS_BYTES = ETH.addressBytes;
/** What no header has. */
const METADATA: ReadonlySet<number> = new Set([
  KEY_ATTR.dpHash,
  KEY_ATTR.recircId,
  KEY_ATTR.priority,
  KEY_ATTR.skbMark,
]);

/** @param at offset of the action in the list */
export function set(template: Template, hand: Hand, at: number, isMasked: boolean): Statement[] {
  const key = at + NLA_HEADER_BYTES;
  const value = setValue(template, key, isMasked);
  const field = template.u16(key + 2);
  if (!METADATA.has(field)) hand.isChanged = true;
  switch (field) {
    case KEY_ATTR.ethernet:
      return setEthernet(template, hand, value);
    case KEY_ATTR.ipv4:
      return setIpv4(template, hand, value);
    case KEY_ATTR.ipv6:
      return setIpv6(template, hand, value);
    case KEY_ATTR.tcp:
      return setPorts(template, hand, value, "tcp");
    case KEY_ATTR.udp:
      return setPorts(template, hand, value, "udp");
    case KEY_ATTR.icmp:
      return setPorts(template, hand, value, "icmp");
    case KEY_ATTR.icmpv6:
      return setPorts(template, hand, value, "icmpv6");
    case KEY_ATTR.arp:
      return setArp(template, hand, value);
    case KEY_ATTR.mpls:
      return setMpls(template, hand, value);
    case KEY_ATTR.dpHash:
      return setMetadata(template, hand, value, K.dp_hash);
    case KEY_ATTR.recircId:
      return setMetadata(template, hand, value, K.recirc_id);
    case KEY_ATTR.priority:
      return setMetadata(template, hand, value, K.skb_priority);
    case KEY_ATTR.skbMark:
      return setMetadata(template, hand, value, K.skb_mark);
    default:
      throw new NoTemplate();
  }
}

/**
 * Both addresses as one word of eight bytes and one of four. OVS's struct is src, dst; the packet's header is dst, src.
 */
function setEthernet(template: Template, hand: Hand, value: SetValue): Statement[] {
  template.guardBytes(ETH.headerBytes);
  const { head } = hand;
  const offset = template.code.scope.region("frames") + hand.shift;
  const mask = [...value.mask.subarray(ADDRESS_BYTES), ...value.mask.subarray(0, ADDRESS_BYTES)];
  const word = (from: number, to: number): bigint =>
    mask.slice(from, to).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const statements: Statement[] = [];
  const first = word(0, 8);
  if (first !== 0n) {
    const fresh = i64.or(
      i64.shr_u(template.arg64(value.at + 4), i64.const(16n)),
      i64.shl(template.arg16As64(value.at), i64.const(48n)),
    );
    const kept = ~first & 0xffff_ffff_ffff_ffffn;
    const old = i64Memory.load(head.get, offset);
    const blended = kept === 0n ? fresh : i64.or(fresh, i64.and(old, i64.const(kept)));
    statements.push(i64Memory.store(head.get, blended, offset));
  }
  const last = Number(word(8, 12));
  if (last !== 0) {
    const fresh = template.arg(value.at + 2);
    const old = i32Memory.load(head.get, offset + 8);
    const blended = last === 0xffffffff ? fresh : i32.or(fresh, i32.and(old, i32.const(~last)));
    statements.push(i32Memory.store(head.get, blended, offset + 8));
  }
  return statements;
}

/** Field of the struct, field of the header, bytes. */
const ARP_FIELDS = [
  [0, ARP.senderProtocol, 4],
  [4, ARP.targetProtocol, 4],
  [8, ARP.operation, 2],
  [10, ARP.senderHardware, 6],
  [16, ARP.targetHardware, 6],
] as const;

function setArp(template: Template, hand: Hand, value: SetValue): Statement[] {
  template.guardNetwork(ARP.headerBytes);
  const arp = template.code.local("arp");
  return [
    arp.set(i32.add(hand.head.get, template.l3.get)),
    ...ARP_FIELDS.flatMap(([field, at, bytes]) =>
      blendBytes(template, value, field, bytes, arp.get, template.code.scope.region("frames") + at),
    ),
  ];
}
