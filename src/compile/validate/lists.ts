// Action lists of a given shape with values of their own, for a validation: values that are only carried into a packet are
// drawn, those that code depends on (headers of tunnels, keys of tunnels, what userspace is told) stay as in the example.
import { ACTION, CHECK_PKT_LEN, DEC_TTL, SAMPLE } from "../../flow/action-numbers.ts";
import { type Attribute, attributes } from "../../flow/nlattr.ts";
import { KEY_ATTR } from "../../flow/odp/attributes.ts";
import type { PacketKind } from "./packets.ts";
import type { SeededRandom } from "./random.ts";

/** Ports that outputs go to; the last one does not exist. */
export const OUT_PORTS = [1, 2, 3, 4, 5, 0xfffe] as const;
/** Ids that flows recirculate under. */
export const RECIRC_IDS = [1, 2, 3] as const;
/** Meters 0 and 1 exist, bonds 0 and 1 too. */
const METERS = [0, 1, 2] as const;
const BONDS = [0, 1, 2] as const;
const ALWAYS = 0xffffffff;
const TPIDS = [
  [0x81, 0x00],
  [0x88, 0xa8],
] as const;
const VLAN_CFI = 0x10;

/** Headers that set() may write any bytes to, and what packet has them. */
const SET_KINDS: ReadonlyMap<number, PacketKind> = new Map<number, PacketKind>([
  [KEY_ATTR.ethernet, {}],
  [KEY_ATTR.ipv4, { network: "ipv4" }],
  [KEY_ATTR.ipv6, { network: "ipv6" }],
  [KEY_ATTR.tcp, { transport: "tcp" }],
  [KEY_ATTR.udp, { transport: "udp" }],
  [KEY_ATTR.sctp, { transport: "sctp" }],
  [KEY_ATTR.icmp, { network: "ipv4", transport: "icmp" }],
  [KEY_ATTR.icmpv6, { network: "ipv6", transport: "icmp" }],
  [KEY_ATTR.arp, { network: "arp" }],
  [KEY_ATTR.mpls, { network: "mpls" }],
  [KEY_ATTR.priority, {}],
  [KEY_ATTR.skbMark, {}],
]);
const IPV6_LABEL_AT = 32;

/** A list of the example's shape. Draws from `random` what may differ. */
export function randomList(random: SeededRandom, example: Uint8Array): Uint8Array {
  const list = example.slice();
  fillList({ list, random }, 0, list.length);
  return list;
}

/** What packets the list's actions want. */
export function kindOf(list: Uint8Array): PacketKind {
  let kind: PacketKind = {};
  for (const action of attributes(list)) {
    if (action.type === ACTION.popVlan) kind = { ...kind, isTagged: true };
    if (action.type === ACTION.popMpls) kind = { ...kind, network: "mpls" };
    if (action.type === ACTION.decTtl) kind = { network: "ipv4", ...kind };
    if (action.type !== ACTION.set && action.type !== ACTION.setMasked) continue;
    for (const field of attributes(list, action.start, action.end))
      kind = { ...kind, ...SET_KINDS.get(field.type) };
  }
  return kind;
}

interface Filling {
  readonly list: Uint8Array;
  readonly random: SeededRandom;
}

function fillList(filling: Filling, start: number, end: number): void {
  for (const action of attributes(filling.list, start, end)) fillAction(filling, action);
}

function fillAction(filling: Filling, action: Attribute): void {
  const { random } = filling;
  if (action.type === ACTION.set || action.type === ACTION.setMasked) fillSet(filling, action);
  else if (ARGUMENTS.has(action.type)) filling.list.set(ARGUMENTS.get(action.type)!(random), action.start);
  else fillNested(filling, action);
}

/** What stands at the start of an action's payload. */
const ARGUMENTS: ReadonlyMap<number, (random: SeededRandom) => Uint8Array> = new Map([
  [ACTION.output, (random) => hostWord(random.pick(OUT_PORTS))],
  [ACTION.tunnelPop, (random) => hostWord(random.pick(OUT_PORTS))],
  [ACTION.recirc, (random) => hostWord(random.pick(RECIRC_IDS))],
  [ACTION.trunc, (random) => hostWord(14 + random.below(200))],
  [ACTION.meter, (random) => hostWord(random.pick(METERS))],
  [ACTION.lbOutput, (random) => hostWord(random.pick(BONDS))],
  [
    ACTION.pushVlan,
    (random) => Uint8Array.of(...random.pick(TPIDS), random.below(256) | VLAN_CFI, random.below(256)),
  ],
  [ACTION.pushMpls, (random) => Uint8Array.of(...random.bytes(4), 0x88, random.pick([0x47, 0x48]))],
  [ACTION.pushEth, (random) => random.bytes(12)],
] satisfies [number, (random: SeededRandom) => Uint8Array][]);

const hostWord = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

function fillNested(filling: Filling, action: Attribute): void {
  const { list, random } = filling;
  if (action.type === ACTION.clone) fillList(filling, action.start, action.end);
  // The basis; the algorithm before it decides which code it takes.
  if (action.type === ACTION.hash) list.set(random.bytes(4), action.start + 4);
  for (const part of LISTS_INSIDE.has(action.type) ? attributes(list, action.start, action.end) : []) {
    if (LISTS_INSIDE.get(action.type)!.includes(part.type)) fillList(filling, part.start, part.end);
    // Whether a packet is sampled must not be chance in one of two engines.
    else if (action.type === ACTION.sample) list.fill(random.pick([0, ALWAYS]) & 0xff, part.start, part.end);
    else if (action.type === ACTION.checkPktLen)
      list.set([40 + random.below(120), 0].slice(0, part.end - part.start), part.start);
  }
}

/** Attributes that hold action lists, by the action that holds them. */
const LISTS_INSIDE: ReadonlyMap<number, readonly number[]> = new Map<number, readonly number[]>([
  [ACTION.sample, [SAMPLE.actions]],
  [ACTION.checkPktLen, [CHECK_PKT_LEN.actionsIfGreater, CHECK_PKT_LEN.actionsIfLessEqual]],
  [ACTION.decTtl, [DEC_TTL.action]],
]);

function fillSet({ list, random }: Filling, action: Attribute): void {
  for (const field of attributes(list, action.start, action.end)) {
    if (!SET_KINDS.has(field.type)) continue;
    const isMasked = action.type === ACTION.setMasked;
    const bytes = isMasked ? (field.end - field.start) >>> 1 : field.end - field.start;
    const mask = isMasked ? list.slice(field.start + bytes, field.end) : new Uint8Array(bytes).fill(0xff);
    for (let at = 0; at < bytes; at += 1) {
      const value = random.pick([0, 1, 0xff, random.below(256), random.below(256)]);
      list[field.start + at] = value & mask[at]!;
    }
    // A label has twenty bits.
    if (field.type === KEY_ATTR.ipv6) {
      list[field.start + IPV6_LABEL_AT] = 0;
      list[field.start + IPV6_LABEL_AT + 1]! &= 0x0f;
    }
  }
}
