// Netlink attributes of key and mask to flow text, as OVS prints it. Without mask every value is printed and exact.
// With one, a value that the mask leaves out vanishes unless `verbose` is asked for, and an attribute of which all
// values vanish does so itself, but for nested ones and the `eth()` that tells an Ethernet packet from a bare one.
//
// Everything that is printed for a flow reads back (parse-key.ts and, for what vanished, match.ts). Where OVS's own
// text loses something, ours says it: a frame without Ethertype inside a VLAN, the length of a Geneve option, a
// tunnel mask on a field that is zero. Attributes that no flow can have (wrong length, unknown type) are printed as OVS
// prints them, for somebody to look at.

import { bytesToHex } from "../../packet/bytes.ts";
import { type Attribute, attributes, findAttribute, NLA_HEADER_BYTES, payloadOf } from "../nlattr.ts";
import { KEY_ATTR, KEY_ATTR_ROWS } from "./attributes.ts";
import { CT_STATE_FLAGS, formatFlags, formatMaskedFlags, TCP_FLAGS } from "./flags.ts";
import { formatMpls, formatNsh, formatVlan } from "./format-tags.ts";
import { formatTunnel } from "./format-tunnel.ts";
import { STRUCT_MEMBERS } from "./members.ts";
import { bytesToBig, formatHexNumber, formatValue, hexadecimal, IPV6_LABEL_MAX, isAll } from "./values.ts";

/** Port names by number. */
export type PortNames = Pick<ReadonlyMap<number, string>, "get">;

export interface FormatOptions {
  /** As dump-flows -m: what the mask leaves out is printed too. A key without mask is always printed whole. */
  readonly verbose?: boolean;
  readonly names?: PortNames | undefined;
}

interface Style {
  readonly verbose: boolean;
  readonly names: PortNames | undefined;
}

/** A mask of nothing: what the attributes have that the mask does not mention. */
const NO_ATTRIBUTES = new Uint8Array(0);

/** @param mask undefined or empty when all of the key is meant */
export function formatFlow(
  key: Uint8Array,
  mask: Uint8Array | undefined,
  options: FormatOptions = {},
): string {
  const hasMask = mask !== undefined && mask.length > 0;
  const style: Style = { verbose: options.verbose === true || !hasMask, names: options.names };
  return key.length === 0 ? "<empty>" : formatAttributes(key, hasMask ? mask : undefined, style);
}

function formatAttributes(key: Uint8Array, mask: Uint8Array | undefined, style: Style): string {
  const parts: string[] = [];
  let hasPacketType = false;
  let hasEtherType = false;
  let next = 0;
  for (const attribute of attributes(key)) {
    next = attribute.next;
    const { type } = attribute;
    const value = payloadOf(key, attribute);
    const found = mask && findAttribute(mask, type);
    const maskBytes = found === undefined ? undefined : payloadOf(mask!, found);
    const wrong = wrongLength(attribute, value, maskBytes);
    if (wrong !== undefined) {
      parts.push(wrong);
      continue;
    }
    const isWildcard = mask !== undefined && (maskBytes === undefined || isWild(type, maskBytes));
    if (type === KEY_ATTR.etherType) hasEtherType = true;
    if (type === KEY_ATTR.packetType) hasPacketType = style.verbose || !isWildcard;
    if (style.verbose || !isWildcard || KEY_ATTR_ROWS[type]?.payload === "nested") {
      const wild = mask === undefined ? undefined : new Uint8Array(isNested(type) ? 0 : value.length);
      parts.push(formatAttribute(type, value, maskBytes ?? wild, style));
    } else if (type === KEY_ATTR.ethernet && !hasPacketType) {
      parts.push("eth()");
    }
  }
  return parts.join(",") + formatLeftover(key, next) + formatNoEtherType(mask, hasEtherType);
}

const isNested = (type: number): boolean => KEY_ATTR_ROWS[type]?.payload === "nested";

function formatLeftover(key: Uint8Array, at: number): string {
  if (at >= key.length) return "";
  const bytes = key.length - at;
  return `${at === 0 ? "<empty>" : ""},***${bytes} leftover bytes*** (${bytesToHex(key.subarray(at))})`;
}

/** A mask of the Ethertype under a key that has none matches the frames that have none. */
function formatNoEtherType(mask: Uint8Array | undefined, hasEtherType: boolean): string {
  const found = mask && !hasEtherType ? findAttribute(mask, KEY_ATTR.etherType) : undefined;
  if (found === undefined || found.end - found.start !== 2) return "";
  return `,eth_type(0/0x${bytesToHex(payloadOf(mask!, found))})`;
}

function wrongLength(
  attribute: Attribute,
  value: Uint8Array,
  mask: Uint8Array | undefined,
): string | undefined {
  const payload = KEY_ATTR_ROWS[attribute.type]?.payload;
  if (typeof payload !== "number") return undefined;
  const isKeyBad = value.length !== payload;
  const isMaskBad = mask !== undefined && mask.length !== payload;
  if (!isKeyBad && !isMaskBad) return undefined;
  const key = isKeyBad ? `(bad key length ${value.length}, expected ${payload})(` : "";
  const bad = isMaskBad ? `(bad mask length ${mask.length}, expected ${payload})(` : "";
  return `${key}${spacedHex(value)}${mask === undefined ? "" : `/${bad}${spacedHex(mask)}`})`;
}

const spacedHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");

/** Whether the mask has no bit of its own; padding, and bits that the field does not have, do not count. */
function isWild(type: number, mask: Uint8Array): boolean {
  return hasAll(type, mask, 0);
}

function isExact(type: number, mask: Uint8Array): boolean {
  return hasAll(type, mask, 0xff);
}

function hasAll(type: number, mask: Uint8Array, byte: 0 | 0xff): boolean {
  const members = STRUCT_MEMBERS.get(type);
  if (isNested(type) || KEY_ATTR_ROWS[type] === undefined) return false;
  if (type === KEY_ATTR.tcpFlags) {
    return (Number(bytesToBig(mask)) & TCP_FLAGS.allowed) === (byte === 0 ? 0 : TCP_FLAGS.allowed);
  }
  if (members === undefined) return isAll(mask, byte);
  return members.every(({ at, bytes, form }) => {
    const part = mask.subarray(at, at + bytes);
    if (form !== "label") return isAll(part, byte);
    return (Number(bytesToBig(part)) & IPV6_LABEL_MAX) === (byte === 0 ? 0 : IPV6_LABEL_MAX);
  });
}

function formatAttribute(
  type: number,
  value: Uint8Array,
  mask: Uint8Array | undefined,
  style: Style,
): string {
  const row = KEY_ATTR_ROWS[type];
  if (row === undefined)
    return `key${type}(${spacedHex(value)}${mask === undefined ? "" : `/${spacedHex(mask)}`})`;
  return `${row.name}(${formatPayload(type, value, mask, style)})`;
}

function formatPayload(type: number, value: Uint8Array, mask: Uint8Array | undefined, style: Style): string {
  const { verbose, names } = style;
  const exact = mask === undefined || isExact(type, mask);
  const members = STRUCT_MEMBERS.get(type);
  if (members !== undefined) {
    return members
      .map(({ name, at, bytes, form }) =>
        formatValue(name, form, value.subarray(at, at + bytes), mask?.subarray(at, at + bytes), verbose),
      )
      .filter((text) => text !== undefined)
      .join(",");
  }
  const number = (bytes: Uint8Array): number => Number(bytesToBig(bytes.toReversed()));
  switch (type) {
    case KEY_ATTR.encap:
      return formatEncap(value, mask, style);
    case KEY_ATTR.tunnel:
      return formatTunnel(value, mask, verbose);
    case KEY_ATTR.nsh:
      return formatNsh(value, mask);
    case KEY_ATTR.vlan:
      return formatVlan(value, mask, verbose);
    case KEY_ATTR.mpls:
      return formatMpls(value, exact ? undefined : mask);
    case KEY_ATTR.ctState:
      if (verbose) return formatHost(value, exact ? undefined : mask);
      return exact
        ? formatFlags(CT_STATE_FLAGS, number(value))
        : formatMaskedFlags(CT_STATE_FLAGS, number(value), number(mask!));
    case KEY_ATTR.tcpFlags:
      return formatTcpFlags(value, exact ? undefined : mask);
    case KEY_ATTR.inPort:
      if (!exact) return `${number(value)}/${hexadecimal(number(mask!))}`;
      return names?.get(number(value)) ?? String(number(value));
    case KEY_ATTR.etherType:
      return `0x${bytesToHex(value)}${exact ? "" : `/0x${bytesToHex(mask!)}`}`;
    default:
      return formatHost(value, exact ? undefined : mask);
  }
}

/** A number in host order: skb_mark, ct_label and their like. */
function formatHost(value: Uint8Array, mask: Uint8Array | undefined): string {
  const text = formatHexNumber(value.toReversed());
  return mask === undefined ? text : `${text}/${formatHexNumber(mask.toReversed())}`;
}

function formatTcpFlags(value: Uint8Array, mask: Uint8Array | undefined): string {
  const flags = Number(bytesToBig(value));
  if (mask === undefined) return formatFlags(TCP_FLAGS, flags);
  return formatMaskedFlags(TCP_FLAGS, flags, Number(bytesToBig(mask)) & TCP_FLAGS.allowed);
}

/** Under a mask that has no encap, or an empty one, nothing inside is looked at. */
function formatEncap(value: Uint8Array, mask: Uint8Array | undefined, style: Style): string {
  if (value.length >= NLA_HEADER_BYTES) return formatAttributes(value, mask, style);
  const text = formatNoEtherType(mask ?? NO_ATTRIBUTES, false);
  return text === "" ? "" : text.slice(1);
}
