// What a flow of the table matches, from text or attributes, and back to text.
//
// Printing a masked flow leaves out what the mask does not look at, headers included: `ipv4(proto=6,frag=no)` without
// tcp(), `eth_type(0x8100)` without vlan(). OVS's datapath cannot read such a line back, because its key is not
// complete. Here a header may be missing that the mask does not look at either. A key that comes without a mask must
// be complete.
//
// To what makes a key and a mask, a flow of the table adds OVS's userspace rules: in_port is matched exactly, and a
// VLAN tag is always looked at.

import { VLAN_LIMIT_DEFAULT, vlanTagCount } from "../extract.ts";
import { VLAN_CFI } from "../fields.ts";
import { getNumber, isOnes, setNumber } from "../key.ts";
import { attributes, findAttribute, payloadOf } from "../nlattr.ts";
import type { ReadOptions } from "./attribute-reader.ts";
import { KEY_ATTR, KEY_ATTR_ROWS } from "./attributes.ts";
import { exactMaskFor } from "./exact-mask.ts";
import { FlowKeyError, type KeyProblem } from "./fit.ts";
import { formatFlow, type PortNames } from "./format-key.ts";
import { attributesFromKey, type FlowAttributes } from "./from-key.ts";
import type { PortNumbers } from "./key-parse.ts";
import { parseExactKeyText, scanFlowText } from "./parse-key.ts";
import { type KeyReading, keyFromAttributes, maskFromAttributes } from "./to-key.ts";

export interface FlowMatch {
  /** Bits that the mask leaves out are as they were given: dumps show them. */
  readonly key: Uint8Array;
  readonly mask: Uint8Array;
}

export interface MatchText extends FlowMatch {
  readonly ufid: Uint8Array | undefined;
}

export interface ParseOptions {
  readonly ports?: PortNumbers | undefined;
  readonly vlanLimit?: number;
}

export interface PrintOptions {
  /** As dump-flows -m. */
  readonly verbose?: boolean;
  readonly names?: PortNames | undefined;
  readonly vlanLimit?: number;
}

/** Mask of a VLAN tag whose mask is empty: OVS's attributes cannot say "with or without a tag". */
const VLAN_TCI_SEEN = 0x0fff | VLAN_CFI;

/**
 * Reads `[ufid:UUID, ]KEY` as dpctl/add-flow takes it and dpctl/dump-flows prints it.
 * @throws OdpSyntaxError, FlowKeyError
 */
export function parseMatch(text: string, options: ParseOptions = {}): MatchText {
  const parsed = scanFlowText(text, options.ports);
  return { ...matchFromAttributes(parsed.key, parsed.mask, options.vlanLimit), ufid: parsed.ufid };
}

/** @throws FlowKeyError when this is no match of a flow; nothing has changed then */
export function matchFromAttributes(
  key: Uint8Array,
  mask: Uint8Array,
  vlanLimit = VLAN_LIMIT_DEFAULT,
): FlowMatch {
  const options: ReadOptions = { vlanLimit, acceptVanished: mask.length > 0 };
  const keyRead = accepted(keyFromAttributes(key, options));
  if (mask.length === 0) return { key: keyRead, mask: exactMaskFor(keyRead) };
  refuseLoneMasks(key, mask, "");
  const maskRead = accepted(maskFromAttributes(mask, keyRead, options));
  if (!isOnes(maskRead, "in_port")) {
    const at = findAttribute(mask, KEY_ATTR.inPort)?.at ?? mask.length;
    throw new FlowKeyError("error", problem("in_port", at, "in_port is not matched exactly", "in_port(N)"));
  }
  if (getNumber(maskRead, "vlan_tci") === 0) setNumber(maskRead, "vlan_tci", VLAN_TCI_SEEN);
  return { key: keyRead, mask: maskRead };
}

function accepted(reading: KeyReading): Uint8Array {
  if (reading.fit === "perfect") return reading.key;
  throw new FlowKeyError(reading.fit, reading.problem ?? problem("", 0, "it is malformed", "a complete key"));
}

const problem = (path: string, byteOffset: number, rule: string, allowed: string): KeyProblem => ({
  what: "mask",
  path,
  byteOffset,
  rule,
  accepted: allowed,
});

/** Headers: a mask of one says nothing when the key does not have it. */
const HEADER_ATTRS: ReadonlySet<number> = new Set([
  KEY_ATTR.ipv4,
  KEY_ATTR.ipv6,
  KEY_ATTR.tcp,
  KEY_ATTR.udp,
  KEY_ATTR.sctp,
  KEY_ATTR.icmp,
  KEY_ATTR.icmpv6,
  KEY_ATTR.arp,
  KEY_ATTR.nd,
  KEY_ATTR.mpls,
  KEY_ATTR.nsh,
]);

function refuseLoneMasks(key: Uint8Array, mask: Uint8Array, path: string): void {
  for (const { type, at, start, end } of attributes(mask)) {
    if (type !== KEY_ATTR.encap && !HEADER_ATTRS.has(type)) continue;
    const found = findAttribute(key, type);
    if (type === KEY_ATTR.encap) {
      if (found !== undefined)
        refuseLoneMasks(payloadOf(key, found), mask.subarray(start, end), `${path}encap/`);
    } else if (found === undefined) {
      const name = KEY_ATTR_ROWS[type]!.name;
      const rule = `${name} is masked and the key does not have it`;
      throw new FlowKeyError("too_much", problem(path + name, at, rule, `the mask without ${name}`));
    }
  }
}

/**
 * The key of a packet that is given as text, for netdev-dummy/receive. As in OVS it need not be complete, nor free of
 * attributes that belong to no header of it.
 * @throws OdpSyntaxError, FlowKeyError
 */
export function parsePacketKey(text: string, options: ParseOptions = {}): Uint8Array {
  const vlanLimit = options.vlanLimit ?? VLAN_LIMIT_DEFAULT;
  const reading = keyFromAttributes(parseExactKeyText(text, options.ports), { vlanLimit });
  return reading.fit === "error" ? accepted(reading) : reading.key;
}

/** What `matchFromAttributes` reads. */
export function attributesFromMatch({ key, mask }: FlowMatch, vlanLimit?: number): FlowAttributes {
  return attributesFromKey(key, mask, { vlanLimit: tagsOf(key, vlanLimit) });
}

/** A packet's key as an upcall has it. */
export function attributesFromPacketKey(key: Uint8Array, vlanLimit?: number): Uint8Array {
  return attributesFromKey(key, undefined, { vlanLimit: tagsOf(key, vlanLimit) }).key;
}

/** The match as dpctl/dump-flows prints it, without ufid. */
export function formatMatch(match: FlowMatch, options: PrintOptions = {}): string {
  const flow = attributesFromMatch(match, options.vlanLimit);
  return formatFlow(flow.key, flow.mask, options);
}

/** A key with every value, as in the upcall log of OVS. */
export function formatOdpKey(key: Uint8Array, options: PrintOptions = {}): string {
  return formatFlow(attributesFromPacketKey(key, options.vlanLimit), undefined, options);
}

/** A second tag in the key was parsed under a limit of two, whatever the caller knows of it. */
function tagsOf(key: Uint8Array, vlanLimit = VLAN_LIMIT_DEFAULT): number {
  return Math.max(vlanTagCount(vlanLimit), getNumber(key, "vlan2_tci") === 0 ? 1 : 2);
}
