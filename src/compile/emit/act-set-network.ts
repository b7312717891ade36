// set(ipv4) and set(ipv6): action/set-ipv4.ts and set-ipv6.ts. Fields that keep their value add nothing to a checksum,
// so they need no branch.
import { IP_PROTOCOL, IPV4, IPV6 } from "../../packet/network-headers.ts";
import { TCP } from "../../packet/transport-headers.ts";
import { block, brIf, call, callStatement, ifElse } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import type { LocalI32 } from "../ops/function.ts";
import { i32Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { blendBytes, blended, freshValue, isSet, maskWord, type SetValue } from "./act-blend.ts";
import { complementAt, emitPatchTransport, folded, term16, term32, wordTerm } from "./act-checksum.ts";
import type { Hand, Template } from "./act-template.ts";
import { emitL4Bytes, emitTransport, ROUTING_UNFINISHED } from "./act-transport.ts";

/** Fields of OVS's structs. */
const V4_TOS = 9;
const V4_TTL = 10;
const V6_DST = 16;
const V6_LABEL = 32;
const V6_CLASS = 37;
const V6_HOP_LIMIT = 38;
/** The label's 20 bits in the header's first word, as the word lies in memory. */
const RAW_LABEL_BITS = 0xffff0f00;

/** The transport header and its checksum can be worked on: it stands in the first frame, and the checksum is whole. */
export function guardTransport(template: Template): void {
  template.guardWholeChecksum();
  template.guard("transport header", () =>
    i32.and(
      i32.ne(template.dataBytes.get, template.packetBytes.get),
      i32.gt_u(i32.add(template.l4.get, i32.const(TCP.headerBytes)), template.dataBytes.get),
    ),
  );
}

export function setIpv4(template: Template, hand: Hand, value: SetValue): Statement[] {
  template.guardNetwork(IPV4.headerBytes);
  const { code } = template;
  const frames = code.scope.region("frames");
  const ip = code.local("ip");
  const sum = code.local("sum");
  const statements = [
    ip.set(i32.add(hand.head.get, template.l3.get)),
    sum.set(complementAt(ip.get, frames + IPV4.checksum)),
  ];
  if (isSet(value, 0, 8)) {
    guardTransport(template);
    const terms = code.local("terms");
    statements.push(
      terms.set(i32.const(0)),
      ...setWord(template, value, 0, ip, frames + IPV4.src, terms),
      ...setWord(template, value, 4, ip, frames + IPV4.dst, terms),
      sum.set(i32.add(sum.get, terms.get)),
      ...patchTransport(template, hand, terms, 4),
    );
  }
  statements.push(
    // The TOS is the first byte of its word on the wire, the TTL is too: the second and the first as they lie in memory.
    ...setByte(template, value, V4_TOS, ip, frames + IPV4.tos, sum, (byte) => i32.shl(byte, i32.const(8))),
    ...setByte(template, value, V4_TTL, ip, frames + IPV4.ttl, sum, (byte) => byte),
    ...folded(sum),
    i32Memory.store16(ip.get, sum.get, frames + IPV4.checksum),
  );
  return statements;
}

/** Writes four bytes and adds their term. */
function setWord(
  template: Template,
  value: SetValue,
  field: number,
  ip: LocalI32,
  offset: number,
  terms: LocalI32,
): Statement[] {
  if (!isSet(value, field, 4)) return [];
  const before = template.code.local("before");
  const after = template.code.local("after");
  const fresh = freshValue(template, value, field, 4);
  return [
    before.set(i32Memory.load(ip.get, offset)),
    after.set(blended(before.get, fresh, maskWord(value, field, 4), 4)),
    terms.set(i32.add(terms.get, term32(before.get, after.get))),
    i32Memory.store(ip.get, after.get, offset),
  ];
}

function setByte(
  template: Template,
  value: SetValue,
  field: number,
  ip: LocalI32,
  offset: number,
  sum: LocalI32,
  inWord: (byte: I32) => I32,
): Statement[] {
  if (!isSet(value, field, 1)) return [];
  const before = template.code.local("before");
  const after = template.code.local("after");
  const fresh = freshValue(template, value, field, 1);
  return [
    before.set(i32Memory.load8_u(ip.get, offset)),
    after.set(blended(before.get, fresh, maskWord(value, field, 1), 1)),
    sum.set(i32.add(sum.get, term16(inWord(before.get), inWord(after.get)))),
    i32Memory.store8(ip.get, after.get, offset),
  ];
}

/** The transport's checksum of a packet whose addresses changed by these terms; 0 when none did. */
function patchTransport(template: Template, hand: Hand, terms: LocalI32, version: 4 | 6): Statement[] {
  const { code, l3, l4, packetBytes } = template;
  const isV6 = i32.const(version === 6 ? 1 : 0);
  const transport = code.helper("act_transport", emitTransport);
  const l4Bytes = code.helper("act_l4_bytes", emitL4Bytes);
  const patch = code.helper("act_patch_transport", emitPatchTransport);
  const bytes = code.local("l4Bytes");
  const protocol = code.local("protocol");
  const { head } = hand;
  return [
    ifElse(terms.get, [
      block("patched", (patched) => [
        bytes.set(call("i32", l4Bytes, head.get, l3.get, l4.get, isV6, packetBytes.get)),
        brIf(patched, i32.eqz(bytes.get)),
        protocol.set(call("i32", transport, head.get, l3.get, l4.get, isV6)),
        // Of IPv4, ICMPv6 counts no addresses; of IPv6, nothing does whose last destination is in a routing header.
        brIf(
          patched,
          version === 4
            ? i32.eq(protocol.get, i32.const(IP_PROTOCOL.icmpv6))
            : i32.ge_u(protocol.get, i32.const(ROUTING_UNFINISHED)),
        ),
        callStatement(patch, protocol.get, i32.add(head.get, l4.get), bytes.get, terms.get),
      ]),
    ]),
  ];
}

export function setIpv6(template: Template, hand: Hand, value: SetValue): Statement[] {
  template.guardNetwork(IPV6.headerBytes);
  const { code } = template;
  const frames = code.scope.region("frames");
  const ip = code.local("ip");
  const statements = [ip.set(i32.add(hand.head.get, template.l3.get))];
  for (const [field, offset] of [
    [0, IPV6.src],
    [V6_DST, IPV6.dst],
  ] as const) {
    if (!isSet(value, field, 16)) continue;
    guardTransport(template);
    statements.push(...setAddress(template, hand, value, field, ip, frames + offset));
  }
  statements.push(...setFirstWord(template, value, ip));
  statements.push(...blendBytes(template, value, V6_HOP_LIMIT, 1, ip.get, frames + IPV6.hopLimit));
  return statements;
}

/** All words of a changed address count as changed, those of one that stays as it is do not. */
function setAddress(
  template: Template,
  hand: Hand,
  value: SetValue,
  field: number,
  ip: LocalI32,
  offset: number,
): Statement[] {
  const { code } = template;
  const terms = code.local("terms");
  const changes = code.local("changes");
  const before = code.local("before");
  const after = code.local("after");
  const words = [0, 4, 8, 12].flatMap((word) => {
    const fresh = freshValue(template, value, field + word, 4);
    return [
      before.set(i32Memory.load(ip.get, offset + word)),
      after.set(blended(before.get, fresh, maskWord(value, field + word, 4), 4)),
      changes.set(i32.or(changes.get, i32.xor(before.get, after.get))),
      terms.set(i32.add(terms.get, wordTerm(before.get, after.get))),
      i32Memory.store(ip.get, after.get, offset + word),
    ];
  });
  return [
    changes.set(i32.const(0)),
    terms.set(i32.const(0)),
    ...words,
    ifElse(i32.eqz(changes.get), [terms.set(i32.const(0))]),
    ...patchTransport(template, hand, terms, 6),
  ];
}

/** Version, class and label. */
function setFirstWord(template: Template, value: SetValue, ip: LocalI32): Statement[] {
  const offset = template.code.scope.region("frames") + IPV6.versionClassLabel;
  const labelMask = maskWord(value, V6_LABEL, 4) & RAW_LABEL_BITS;
  const classMask = rawClass(maskWord(value, V6_CLASS, 1));
  if (labelMask === 0 && classMask === 0) return [];
  const trafficClass = freshValue(template, value, V6_CLASS, 1);
  const fresh = [
    i32.and(i32Memory.load(ip.get, offset), i32.const(~(labelMask | classMask))),
    ...(labelMask === 0 ? [] : [freshValue(template, value, V6_LABEL, 4)]),
    ...(classMask === 0
      ? []
      : [
          i32.shr_u(trafficClass, i32.const(4)),
          i32.shl(i32.and(trafficClass, i32.const(0x0f)), i32.const(12)),
        ]),
  ];
  return [
    i32Memory.store(
      ip.get,
      fresh.reduce((sum, part) => i32.or(sum, part)),
      offset,
    ),
  ];
}

/** A traffic class as it lies in the header's first word. */
const rawClass = (trafficClass: number): number => (trafficClass >>> 4) | ((trafficClass & 0x0f) << 12);
