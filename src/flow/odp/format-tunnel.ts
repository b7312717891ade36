// Text of tunnel(): members in the order of the attributes, then the flags.

import { type Attribute, attributes, findAttribute, payloadOf } from "../nlattr.ts";
import { TUNNEL_ATTR, TUNNEL_ATTR_ROWS, VXLAN_EXT } from "./attributes.ts";
import { formatFlags, formatMaskedFlags, TUNNEL_FLAG, TUNNEL_FLAGS } from "./flags.ts";
import { TUNNEL_MEMBERS } from "./parse-tunnel.ts";
import { ERSPAN, GENEVE_OPTION, GTPU, geneveOptions, readErspan } from "./tunnel-options.ts";
import { bigToBytes, formatHexNumber, formatValue, hexadecimal, isAll } from "./values.ts";

/** The text of an option attribute; the mask is of the key's length, or undefined. */
type OptionFormat = (value: Uint8Array, mask: Uint8Array | undefined, verbose: boolean) => string;

const OPTION_FORMATS: ReadonlyMap<number, OptionFormat> = new Map<number, OptionFormat>([
  [TUNNEL_ATTR.geneveOpts, formatGeneve],
  [TUNNEL_ATTR.vxlanOpts, formatVxlan],
  [TUNNEL_ATTR.erspanOpts, formatErspan],
  [TUNNEL_ATTR.gtpuOpts, formatGtpu],
]);

const FLAG_BITS: ReadonlyMap<number, number> = new Map<number, number>([
  [TUNNEL_ATTR.id, TUNNEL_FLAG.key],
  [TUNNEL_ATTR.dontFragment, TUNNEL_FLAG.df],
  [TUNNEL_ATTR.csum, TUNNEL_FLAG.csum],
  [TUNNEL_ATTR.oam, TUNNEL_FLAG.oam],
]);

export function formatTunnel(value: Uint8Array, mask: Uint8Array | undefined, verbose: boolean): string {
  const parts: string[] = [];
  for (const attribute of attributes(value)) {
    const found = mask && findAttribute(mask, attribute.type);
    const maskBytes = found && payloadOf(mask!, found);
    const text = formatMember(value, attribute, maskBytes, mask !== undefined, verbose);
    if (text !== undefined) parts.push(text);
  }
  const flags = flagsOf(value);
  if (mask === undefined) {
    parts.push(`flags(${formatFlags(TUNNEL_FLAGS, flags)})`);
  } else {
    const flagsMask = flagsOf(mask);
    if (verbose || flagsMask !== 0) {
      parts.push(`flags(${formatMaskedFlags(TUNNEL_FLAGS, flags, flagsMask)})`);
    }
  }
  return parts.join(",");
}

/** A flag attribute's presence is its value, in a mask as well. */
function flagsOf(nested: Uint8Array): number {
  let flags = 0;
  for (const { type } of attributes(nested)) flags |= FLAG_BITS.get(type) ?? 0;
  return flags;
}

function formatMember(
  nested: Uint8Array,
  attribute: Attribute,
  mask: Uint8Array | undefined,
  hasMask: boolean,
  verbose: boolean,
): string | undefined {
  const { type } = attribute;
  const value = payloadOf(nested, attribute);
  const row = TUNNEL_ATTR_ROWS[type];
  if (row === undefined) return `key${type}(${formatHexNumber(value)})`;
  if (
    typeof row.payload === "number" &&
    (value.length !== row.payload || (mask && mask.length !== row.payload))
  ) {
    return `${row.name}(bad length ${value.length}, expected ${row.payload})`;
  }
  const format = OPTION_FORMATS.get(type);
  if (format !== undefined) {
    // A mask that does not mention the options does not look at them, not even at their length.
    if (hasMask && mask === undefined && !verbose) return undefined;
    if (mask !== undefined && mask.length !== value.length) {
      return `${row.name}(value len ${value.length} different from mask len ${mask.length})`;
    }
    return `${row.name}(${format(value, mask ?? (hasMask ? new Uint8Array(value.length) : undefined), verbose)})`;
  }
  const member = TUNNEL_MEMBERS.get(row.name);
  if (member === undefined) return undefined;
  const bits = mask ?? (hasMask ? new Uint8Array(value.length) : undefined);
  return formatMaskedMember(row.name, member.form, value, bits, verbose);
}

/** tun_id's value always has "0x", its mask is as C's %#x prints it. */
function formatMaskedMember(
  name: string,
  form: Parameters<typeof formatValue>[1],
  value: Uint8Array,
  mask: Uint8Array | undefined,
  verbose: boolean,
): string | undefined {
  const text = formatValue(name, form, value, mask, verbose);
  return text !== undefined && form === "word" ? text.replace(/\/0x0$/, "/0") : text;
}

const joined = (parts: readonly (string | undefined)[]): string =>
  parts.filter((part) => part !== undefined).join(",");

function formatVxlan(value: Uint8Array, mask: Uint8Array | undefined, verbose: boolean): string {
  const gbp = findAttribute(value, VXLAN_EXT.gbp);
  if (gbp === undefined || gbp.end - gbp.start !== 4) return "error: no gbp";
  const found = mask && findAttribute(mask, VXLAN_EXT.gbp);
  const word = (bytes: Uint8Array, at: number): number =>
    bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
  const raw = word(value, gbp.start);
  const bits = mask === undefined ? undefined : found === undefined ? 0 : word(mask, found.start);
  const part = (shift: number, bytes: number, from: number | undefined): Uint8Array | undefined =>
    from === undefined
      ? undefined
      : bigToBytes(BigInt((from >>> shift) & (bytes === 2 ? 0xffff : 0xff)), bytes);
  const id = formatValue("id", "decimal", part(0, 2, raw)!, part(0, 2, bits), verbose);
  const flags = formatValue("flags", "hex", part(16, 1, raw)!, part(16, 1, bits), verbose);
  return `gbp(${joined([id, flags])})`;
}

function formatGtpu(value: Uint8Array, mask: Uint8Array | undefined, verbose: boolean): string {
  if (value.length !== GTPU.bytes) return `bad length ${value.length}, expected ${GTPU.bytes}`;
  const byte = (bytes: Uint8Array, at: number): Uint8Array => bytes.subarray(at, at + 1);
  return joined([
    formatValue("flags", "hex", byte(value, GTPU.flags), mask && byte(mask, GTPU.flags), verbose),
    formatValue(
      "msgtype",
      "decimal",
      byte(value, GTPU.messageType),
      mask && byte(mask, GTPU.messageType),
      verbose,
    ),
  ]);
}

/** Index, direction and hardware id carry their mask even when it is exact in the bits that they have. */
function formatErspan(value: Uint8Array, mask: Uint8Array | undefined, verbose: boolean): string {
  if (value.length !== ERSPAN.bytes) return `bad length ${value.length}, expected ${ERSPAN.bytes}`;
  const options = readErspan(value);
  const bits = mask && readErspan(mask);
  const one = (number: number): Uint8Array => Uint8Array.of(number);
  const parts = [formatValue("ver", "decimal", one(options.version), bits && one(bits.version), verbose)];
  if (options.version === 1) {
    const suffix = bits === undefined ? "" : `/${hexadecimal(bits.index)}`;
    parts.push(`idx=${hexadecimal(options.index)}${suffix}`);
  } else if (options.version === 2) {
    parts.push(
      formatValue("dir", "decimal", one(options.direction), bits && one(bits.direction), verbose),
      formatValue("hwid", "hex", one(options.hwid), bits && one(shownHwidMask(bits.hwid)), verbose),
    );
  }
  return joined(parts);
}

/** The lower four bits stand for all six where the upper two are exact: what OVS prints, and how it is read. */
const shownHwidMask = (mask: number): number => (mask >>> 4 === 3 && (mask & 0xf) !== 0 ? mask & 0xf : mask);

function formatGeneve(value: Uint8Array, mask: Uint8Array | undefined, verbose: boolean): string {
  let text = "";
  for (const { at, dataAt, end } of geneveOptions(value)) {
    if (dataAt > value.length) return `${text}opt len ${value.length - at} less than minimum 4`;
    if (end > value.length) return `${text}opt len ${end - at} greater than remaining ${value.length - at}`;
    const part = (from: number, to: number): [Uint8Array, Uint8Array | undefined] => [
      value.subarray(from, to),
      mask?.subarray(from, to),
    ];
    const members = joined([
      formatValue("class", "hex", ...part(at, at + 2), verbose),
      formatValue("type", "hex", ...part(at + GENEVE_OPTION.type, at + 3), verbose),
      formatLength(end - dataAt, mask?.[at + GENEVE_OPTION.length]),
      formatData(...part(dataAt, end), verbose),
    ]);
    text += `{${members}}`;
  }
  return text;
}

/** Always there, because the data cannot be read without it. */
function formatLength(dataBytes: number, mask: number | undefined): string {
  const bits = mask === undefined ? GENEVE_OPTION.lengthMask : mask & GENEVE_OPTION.lengthMask;
  return `len=${dataBytes}${bits === GENEVE_OPTION.lengthMask ? "" : `/${hexadecimal(bits)}`}`;
}

function formatData(data: Uint8Array, mask: Uint8Array | undefined, verbose: boolean): string | undefined {
  if (data.length === 0 || (mask !== undefined && isAll(mask, 0) && !verbose)) return undefined;
  const text = formatHexNumber(data);
  return mask === undefined || isAll(mask, 0xff) ? text : `${text}/${formatHexNumber(mask)}`;
}
