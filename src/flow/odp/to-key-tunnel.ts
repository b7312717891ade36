// The nested attributes tunnel and nsh to the fields of a key or mask.

import { NSH_MD_TYPE } from "../../packet/link-headers.ts";
import { type FieldName, K, TUNNEL_OPTIONS_BYTES_MAX } from "../fields.ts";
import { getNumber, isZero, setBytes, setNumber } from "../key.ts";
import { attributes, findAttribute, malformedAt } from "../nlattr.ts";
import type { AttributeReader } from "./attribute-reader.ts";
import {
  KEY_ATTR,
  NSH_KEY_ATTR,
  TUNNEL_ATTR,
  TUNNEL_ATTR_MAX,
  TUNNEL_ATTR_ROWS,
  VXLAN_EXT,
} from "./attributes.ts";
import type { KeyFit } from "./fit.ts";
import { TUNNEL_FLAG } from "./flags.ts";
import { ERSPAN, GTPU, geneveOptions, readErspan } from "./tunnel-options.ts";

const SIMPLE_FIELDS: ReadonlyMap<number, FieldName> = new Map<number, FieldName>([
  [TUNNEL_ATTR.id, "tun_id"],
  [TUNNEL_ATTR.ipv4Src, "tun_src"],
  [TUNNEL_ATTR.ipv4Dst, "tun_dst"],
  [TUNNEL_ATTR.ipv6Src, "tun_ipv6_src"],
  [TUNNEL_ATTR.ipv6Dst, "tun_ipv6_dst"],
  [TUNNEL_ATTR.tos, "tun_tos"],
  [TUNNEL_ATTR.ttl, "tun_ttl"],
  [TUNNEL_ATTR.tpSrc, "tun_tp_src"],
  [TUNNEL_ATTR.tpDst, "tun_tp_dst"],
]);

const FLAGS: ReadonlyMap<number, number> = new Map<number, number>([
  [TUNNEL_ATTR.id, TUNNEL_FLAG.key],
  [TUNNEL_ATTR.dontFragment, TUNNEL_FLAG.df],
  [TUNNEL_ATTR.csum, TUNNEL_FLAG.csum],
  [TUNNEL_ATTR.oam, TUNNEL_FLAG.oam],
  [TUNNEL_ATTR.geneveOpts, TUNNEL_FLAG.options],
]);

/** Reads one block of options into the target; answers what is wrong with it. */
type OptionReader = (payload: Uint8Array, reader: AttributeReader) => string | undefined;

const OPTION_READERS: ReadonlyMap<number, OptionReader> = new Map<number, OptionReader>([
  [TUNNEL_ATTR.vxlanOpts, readVxlan],
  [TUNNEL_ATTR.geneveOpts, readGeneve],
  [TUNNEL_ATTR.erspanOpts, readErspanOptions],
  [TUNNEL_ATTR.gtpuOpts, readGtpu],
]);

export function readTunnel(reader: AttributeReader): KeyFit {
  const { source, target, isMask, options } = reader;
  const payload = reader.payload(KEY_ATTR.tunnel);
  const start = reader.payloadAt(KEY_ATTR.tunnel);
  const end = start + payload.length;
  const seen = new Set<number>();
  let flags = 0;
  for (const attribute of attributes(source, start, end)) {
    const { type } = attribute;
    const name = TUNNEL_ATTR_ROWS[type]?.name ?? `attribute ${type}`;
    const fail = (rule: string, accepted: string): "error" =>
      reader.failInside(KEY_ATTR.tunnel, name, attribute.start, rule, accepted);
    if (type > TUNNEL_ATTR_MAX || type === TUNNEL_ATTR.pad) {
      fail(`${name} is not known`, "the attributes without it");
      return "too_much";
    }
    if (seen.has(type)) return fail(`${name} is there twice`, "each attribute once");
    seen.add(type);
    const wanted = TUNNEL_ATTR_ROWS[type]!.payload;
    const bytes = attribute.end - attribute.start;
    if (typeof wanted === "number" && bytes !== wanted) return fail(`${bytes} bytes`, `${wanted} bytes`);
    const value = source.subarray(attribute.start, attribute.end);
    flags |= FLAGS.get(type) ?? 0;
    const field = SIMPLE_FIELDS.get(type);
    if (field !== undefined) setBytes(target, field, value);
    const wrong = OPTION_READERS.get(type)?.(value, reader);
    if (wrong !== undefined) return fail(wrong, `options as ${name}(...) prints them`);
  }
  if (malformedAt(source, start, end) !== undefined) {
    return reader.fail(KEY_ATTR.tunnel, "ends in bytes that are no whole attribute", "attributes to the end");
  }
  setNumber(target, "tun_flags", flags);
  if (!seen.has(TUNNEL_ATTR.ttl) && !options.acceptVanished) {
    return reader.fail(KEY_ATTR.tunnel, "has no ttl", "tunnel(...,ttl=N,...)");
  }
  return isMask ? "perfect" : checkTunnelKey(reader, seen);
}

/** What the kernel demands of a tunnel key. */
function checkTunnelKey(reader: AttributeReader, seen: ReadonlySet<number>): KeyFit {
  const { target, options } = reader;
  const isV4 = !isZero(target, "tun_src") || !isZero(target, "tun_dst");
  const isV6 = !isZero(target, "tun_ipv6_src") || !isZero(target, "tun_ipv6_dst");
  if (isV4 && isV6) {
    return reader.fail(KEY_ATTR.tunnel, "has IPv4 and IPv6 addresses", "addresses of one family");
  }
  if (!options.acceptVanished && isZero(target, "tun_dst") && isZero(target, "tun_ipv6_dst")) {
    return reader.fail(KEY_ATTR.tunnel, "has no destination", "dst= or ipv6_dst=");
  }
  const blocks = [...OPTION_READERS.keys()].filter((type) => seen.has(type));
  if (blocks.length > 1) {
    const names = blocks.map((type) => TUNNEL_ATTR_ROWS[type]!.name).join(" and ");
    return reader.fail(KEY_ATTR.tunnel, `has options of ${names}`, "one block of options");
  }
  return "perfect";
}

function readVxlan(payload: Uint8Array, { target }: AttributeReader): string | undefined {
  const gbp = findAttribute(payload, VXLAN_EXT.gbp);
  if (malformedAt(payload) !== undefined) return "vxlan options are malformed";
  if (gbp === undefined) return undefined;
  if (gbp.end - gbp.start !== 4) return `gbp has ${gbp.end - gbp.start} bytes and needs 4`;
  setNumber(target, "tun_gbp_id", payload[gbp.start]! | (payload[gbp.start + 1]! << 8));
  setNumber(target, "tun_gbp_flags", payload[gbp.start + 2]!);
  return undefined;
}

/** A mask looks at the length of the options by being there, and must be as long as the key's. */
function readGeneve(payload: Uint8Array, { target, flow, isMask }: AttributeReader): string | undefined {
  if (payload.length > TUNNEL_OPTIONS_BYTES_MAX || payload.length % 4 !== 0) {
    return `${payload.length} bytes of options, at most ${TUNNEL_OPTIONS_BYTES_MAX} and a multiple of 4`;
  }
  if (isMask && payload.length !== getNumber(flow, "tun_opts_len")) {
    return `${payload.length} bytes of mask for ${getNumber(flow, "tun_opts_len")} bytes of options`;
  }
  if (!isMask && (geneveOptions(payload).at(-1)?.end ?? 0) > payload.length) {
    return "the last option ends behind the options";
  }
  target.set(payload, K.tun_opts);
  setNumber(target, "tun_opts_len", isMask ? 0xff : payload.length);
  return undefined;
}

function readErspanOptions(
  payload: Uint8Array,
  { target, flow, isMask }: AttributeReader,
): string | undefined {
  if (payload.length !== ERSPAN.bytes) return `${payload.length} bytes of options, ${ERSPAN.bytes} needed`;
  const options = readErspan(payload);
  const version = isMask ? getNumber(flow, "tun_erspan_ver") : options.version;
  if (version !== 1 && version !== 2) return `version ${version}, which is neither 1 nor 2`;
  setNumber(target, "tun_erspan_ver", options.version);
  if (version === 1) {
    setNumber(target, "tun_erspan_idx", options.index);
  } else {
    setNumber(target, "tun_erspan_dir", options.direction);
    setNumber(target, "tun_erspan_hwid", options.hwid);
  }
  return undefined;
}

function readGtpu(payload: Uint8Array, { target }: AttributeReader): string | undefined {
  if (payload.length !== GTPU.bytes) return `${payload.length} bytes of options, ${GTPU.bytes} needed`;
  setNumber(target, "tun_gtpu_flags", payload[GTPU.flags]!);
  setNumber(target, "tun_gtpu_msgtype", payload[GTPU.messageType]!);
  return undefined;
}

const NSH_BASE_FIELDS = [
  ["nsh_flags", 0, 1],
  ["nsh_ttl", 1, 2],
  ["nsh_mdtype", 2, 3],
  ["nsh_np", 3, 4],
  ["nsh_path_hdr", 4, 8],
] as const;
const NSH_CONTEXTS = ["nsh_context0", "nsh_context1", "nsh_context2", "nsh_context3"] as const;
const NSH_LENGTHS: ReadonlyMap<number, number> = new Map<number, number>([
  [NSH_KEY_ATTR.base, 8],
  [NSH_KEY_ATTR.md1, 16],
]);

export function readNsh(reader: AttributeReader): KeyFit {
  const { target, source, isMask } = reader;
  const start = reader.payloadAt(KEY_ATTR.nsh);
  const end = start + reader.payload(KEY_ATTR.nsh).length;
  let hasContexts = false;
  for (const attribute of attributes(source, start, end)) {
    const wanted = NSH_LENGTHS.get(attribute.type);
    const bytes = attribute.end - attribute.start;
    const name = attribute.type === NSH_KEY_ATTR.base ? "base" : `attribute ${attribute.type}`;
    if (wanted === undefined) {
      reader.failInside(
        KEY_ATTR.nsh,
        name,
        attribute.start,
        "cannot be matched",
        "base and contexts (type 1)",
      );
      return "too_much";
    }
    if (bytes !== wanted) {
      return reader.failInside(KEY_ATTR.nsh, name, attribute.start, `${bytes} bytes`, `${wanted} bytes`);
    }
    const value = source.subarray(attribute.start, attribute.end);
    if (attribute.type === NSH_KEY_ATTR.base) {
      for (const [field, from, to] of NSH_BASE_FIELDS) setBytes(target, field, value.subarray(from, to));
    } else {
      hasContexts = true;
      for (const [index, field] of NSH_CONTEXTS.entries()) {
        setBytes(target, field, value.subarray(index * 4, index * 4 + 4));
      }
    }
  }
  const mdtype = getNumber(target, "nsh_mdtype");
  if (!isMask && hasContexts && mdtype !== NSH_MD_TYPE.fixed) {
    return reader.fail(KEY_ATTR.nsh, `has contexts with mdtype ${mdtype}`, "contexts with mdtype=1 only");
  }
  return "perfect";
}
