// Rules for set() and its masked form: exactly one key attribute, of a field that can be written, in packets
// that have it, and with no value bit that its mask leaves out. Control path.
import { type Attribute, attributeAt } from "../flow/nlattr.ts";
import { KEY_ATTR, KEY_ATTR_ROWS, NSH_KEY_ATTR } from "../flow/odp/attributes.ts";
import { readBe32 } from "../packet/bytes.ts";
import { ETH_TYPE, MPLS, NSH } from "../packet/link-headers.ts";
import { IP_PROTOCOL, IPV6 } from "../packet/network-headers.ts";
import { ACTION } from "./attributes.ts";
import { ETH_TYPE_UNPARSED } from "./flow-facts.ts";
import { readU16 } from "./host-words.ts";
import { refuse } from "./refusal.ts";
import type { ActionCase } from "./validate.ts";
import { describeType } from "./validate-layers.ts";
import { type PartRow, partsOf } from "./validate-nested.ts";
import { validateSetTunnel } from "./validate-tunnel.ts";

/** One set under examination. */
interface SetCase {
  readonly action: ActionCase;
  /** `actions[2].set.ipv4` */
  readonly path: string;
  readonly field: Attribute;
  readonly value: Uint8Array;
  /** Undefined for set without mask. */
  readonly mask: Uint8Array | undefined;
}

type SetRule = (set: SetCase) => void;

export function validateSet(action: ActionCase): void {
  const { bytes, path } = action;
  const { start, end, at } = action.action;
  const field = attributeAt(bytes, start, end);
  if (field === undefined) refuse(path, at, "no key attribute", "exactly one");
  if (field.next < end) refuse(path, field.next, "more than one key attribute", "exactly one for each set");
  const type = readU16(bytes, field.at + 2);
  const row = KEY_ATTR_ROWS[type];
  if (row === undefined) refuse(path, field.at, `unknown key attribute ${type}`, SETTABLE_NAMES);
  const rule = RULES.get(type);
  const fieldPath = `${path}.${row.name}`;
  if (type === KEY_ATTR.nsh) {
    validateSetNsh(action, field, fieldPath);
    return;
  }
  if (type === KEY_ATTR.tunnel) {
    validateSetTunnel(action, field, fieldPath);
    return;
  }
  if (rule === undefined) refuse(fieldPath, field.at, "cannot be set", SETTABLE_NAMES);
  // Of a label stack only the outermost entry is set.
  const valueBytes = type === KEY_ATTR.mpls ? MPLS.entryBytes : (row.payload as number);
  rule(setCase(action, fieldPath, field, valueBytes));
}

/** Cuts value and mask out of the attribute. */
function setCase(action: ActionCase, path: string, field: Attribute, valueBytes: number): SetCase {
  const isMasked = action.action.type === ACTION.setMasked;
  const found = field.end - field.start;
  const expected = isMasked ? 2 * valueBytes : valueBytes;
  if (found !== expected) refuse(path, field.at, `${found} bytes`, `${expected} bytes`);
  const value = action.bytes.subarray(field.start, field.start + valueBytes);
  const mask = isMasked ? action.bytes.subarray(field.start + valueBytes, field.end) : undefined;
  const outside = mask === undefined ? -1 : value.findIndex((byte, index) => (byte & ~mask[index]!) !== 0);
  if (outside >= 0) {
    const inside = value[outside]! & mask![outside]!;
    const rule = `byte ${outside} of the value has bits outside its mask`;
    refuse(path, field.at, rule, `0x${inside.toString(16).padStart(2, "0")} there`);
  }
  return { action, path, field, value, mask };
}

const RULES: ReadonlyMap<number, SetRule> = new Map<number, SetRule>([
  [KEY_ATTR.priority, anyPacket],
  [KEY_ATTR.skbMark, anyPacket],
  [KEY_ATTR.dpHash, anyPacket],
  [KEY_ATTR.recircId, anyPacket],
  [KEY_ATTR.ethernet, validateEthernet],
  [KEY_ATTR.mpls, validateMpls],
  [KEY_ATTR.arp, validateArp],
  [KEY_ATTR.ipv4, validateIpv4],
  [KEY_ATTR.ipv6, validateIpv6],
  [KEY_ATTR.tcp, transport(IP_PROTOCOL.tcp, "proto=6")],
  [KEY_ATTR.udp, transport(IP_PROTOCOL.udp, "proto=17")],
  [KEY_ATTR.sctp, transport(IP_PROTOCOL.sctp, "proto=132")],
  [KEY_ATTR.icmp, transport(IP_PROTOCOL.icmp, "proto=1")],
  [KEY_ATTR.icmpv6, transport(IP_PROTOCOL.icmpv6, "proto=58")],
  [KEY_ATTR.nd, neighborDiscovery],
  [KEY_ATTR.ndExtensions, neighborDiscovery],
]);

const SETTABLE_NAMES = [...RULES.keys(), KEY_ATTR.nsh, KEY_ATTR.tunnel]
  .map((type) => KEY_ATTR_ROWS[type]!.name)
  .join(", ");

/** Metadata: every packet has them. */
function anyPacket(): void {}

function validateMpls(set: SetCase): void {
  requireType(set, [ETH_TYPE.mpls, ETH_TYPE.mplsMulticast], "eth_type(0x8847) or eth_type(0x8848)");
}

function validateArp(set: SetCase): void {
  requireType(set, [ETH_TYPE.arp, ETH_TYPE.rarp], "eth_type(0x0806) or eth_type(0x8035)");
}

function validateEthernet({ action, path, field }: SetCase): void {
  if (!action.facts.hasEthernet) {
    refuse(path, field.at, "the flow's packets have no Ethernet header", "a flow that matches eth()");
  }
}

function requireType({ action, path, field }: SetCase, types: readonly number[], accepted: string): void {
  const { ethType } = action.facts;
  if (ethType === ETH_TYPE_UNPARSED) {
    refuse(path, field.at, describeType(action.facts), `a recirc before it, and a flow with ${accepted}`);
  }
  if (ethType === undefined || !types.includes(ethType)) {
    refuse(path, field.at, "the flow does not match the header that is to be set", `a flow with ${accepted}`);
  }
}

/** proto and frag describe the packet and are not written: they must repeat the flow's, or be masked out. */
function requireFixed(set: SetCase, name: string, offset: number, matched: number): void {
  const { path, field, value, mask } = set;
  if (mask !== undefined) {
    if (mask[offset] !== 0) refuse(path, field.at, `${name} cannot be written`, `a mask of 0 for ${name}`);
  } else if (value[offset] !== matched) {
    refuse(path, field.at, `${name} cannot be written`, `${name} ${matched}, as the flow has it`);
  }
}

function validateIpv4(set: SetCase): void {
  requireType(set, [ETH_TYPE.ipv4], "eth_type(0x0800)");
  requireFixed(set, "proto", 8, set.action.facts.maskedProtocol);
  requireFixed(set, "frag", 11, set.action.facts.maskedFrag);
}

function validateIpv6(set: SetCase): void {
  requireType(set, [ETH_TYPE.ipv6], "eth_type(0x86dd)");
  requireFixed(set, "proto", 36, set.action.facts.maskedProtocol);
  requireFixed(set, "frag", 39, set.action.facts.maskedFrag);
  for (const part of [set.value, set.mask]) {
    if (part !== undefined && readBe32(part, 32) > IPV6.labelMask) {
      refuse(set.path, set.field.at, "the flow label has more than 20 bits", "0 to 0xfffff");
    }
  }
}

/**
 * A flow that matches another protocol could never carry the set out; one that matches none is left to the
 * packet.
 */
function transport(protocol: number, accepted: string): SetRule {
  return (set) => {
    requireType(set, [ETH_TYPE.ipv4, ETH_TYPE.ipv6], "eth_type(0x0800) or eth_type(0x86dd)");
    requireProtocol(set, protocol, accepted);
  };
}

function neighborDiscovery(set: SetCase): void {
  requireType(set, [ETH_TYPE.ipv6], "eth_type(0x86dd)");
  requireProtocol(set, IP_PROTOCOL.icmpv6, "proto=58");
}

function requireProtocol({ action, path, field }: SetCase, protocol: number, accepted: string): void {
  const { protocol: matched, isLaterFragment } = action.facts;
  if (isLaterFragment) {
    refuse(path, field.at, "later fragments have no transport header", "a flow with frag=no or frag=first");
  }
  if (matched !== undefined && matched !== protocol) {
    refuse(path, field.at, `the flow matches protocol ${matched}`, `a flow with ${accepted}`);
  }
}

const NSH_PART_BYTES: ReadonlyMap<number, readonly [name: string, bytes: number]> = new Map([
  [NSH_KEY_ATTR.base, ["base", NSH.baseBytes]],
  [NSH_KEY_ATTR.md1, ["md1", NSH.mdType1Bytes - NSH.baseBytes]],
]);
/** In BASE: they say what follows, and stay. */
const NSH_FIXED: readonly (readonly [name: string, offset: number])[] = [
  ["mdtype", 2],
  ["np", 3],
];

/** nsh's value and mask stand side by side in each of its parts. */
function validateSetNsh(action: ActionCase, field: Attribute, path: string): void {
  if (action.facts.ethType !== ETH_TYPE.nsh) {
    refuse(path, field.at, describeType(action.facts), "a flow with eth_type(0x894f)");
  }
  const isMasked = action.action.type === ACTION.setMasked;
  const rows = new Map<number, PartRow>(
    [...NSH_PART_BYTES].map(([type, [name, bytes]]) => [type, [name, isMasked ? 2 * bytes : bytes]]),
  );
  const parts = partsOf({ ...action, action: field, path }, rows);
  if (parts.size === 0) refuse(path, field.at, "no part", "base or md1");
  for (const [type, part] of parts) {
    const [name, bytes] = NSH_PART_BYTES.get(type)!;
    const set = setCase(action, `${path}.${name}`, part, bytes);
    if (type !== NSH_KEY_ATTR.base) continue;
    for (const [fixed, offset] of NSH_FIXED) {
      if (set.mask !== undefined && set.mask[offset] !== 0) {
        refuse(`${path}.${name}`, part.at, `${fixed} cannot be written`, `a mask of 0 for ${fixed}`);
      }
    }
  }
}
