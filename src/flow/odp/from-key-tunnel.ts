// The tunnel fields of a key or mask to the nested attribute.

import { FIELDS, type FieldName, K } from "../fields.ts";
import { fieldBytes, getNumber, isZero } from "../key.ts";
import type { NlWriter } from "../nlattr.ts";
import { KEY_ATTR, TUNNEL_ATTR, VXLAN_EXT } from "./attributes.ts";
import { TUNNEL_FLAG } from "./flags.ts";
import { GTPU, writeErspan } from "./tunnel-options.ts";

/** In the order in which OVS writes them; those that are zero, and that the mask leaves out, are not written. */
const ADDRESSES = [
  [TUNNEL_ATTR.ipv4Src, "tun_src"],
  [TUNNEL_ATTR.ipv4Dst, "tun_dst"],
  [TUNNEL_ATTR.ipv6Src, "tun_ipv6_src"],
  [TUNNEL_ATTR.ipv6Dst, "tun_ipv6_dst"],
  [TUNNEL_ATTR.tos, "tun_tos"],
] as const satisfies readonly (readonly [number, FieldName])[];

const PORTS = [
  [TUNNEL_ATTR.tpSrc, "tun_tp_src"],
  [TUNNEL_ATTR.tpDst, "tun_tp_dst"],
] as const satisfies readonly (readonly [number, FieldName])[];

interface TunnelExport {
  readonly writer: NlWriter;
  readonly flow: Uint8Array;
  readonly mask: Uint8Array | undefined;
  readonly data: Uint8Array;
  readonly isMask: boolean;
}

const FIELD_NAMES: readonly FieldName[] = FIELDS.filter(({ group }) => group === "tunnel").map(
  ({ name }) => name,
);

/** A key has the attribute when a field of it is set or looked at, a mask always. */
export function writeTunnel(
  writer: NlWriter,
  flow: Uint8Array,
  mask: Uint8Array | undefined,
  data: Uint8Array,
): void {
  const out: TunnelExport = { writer, flow, mask, data, isMask: data !== flow };
  if (!out.isMask && !isPresent(out, ...FIELD_NAMES)) return;
  const nested = writer.begin(KEY_ATTR.tunnel);
  const flags = getNumber(data, "tun_flags");
  if (!isZero(data, "tun_id") || (flags & TUNNEL_FLAG.key) !== 0) {
    writer.put(TUNNEL_ATTR.id, fieldBytes(data, "tun_id"));
  }
  for (const [attr, field] of ADDRESSES) writeUnlessIdle(out, attr, field);
  writer.put(TUNNEL_ATTR.ttl, fieldBytes(data, "tun_ttl"));
  if ((flags & TUNNEL_FLAG.df) !== 0) writer.putFlag(TUNNEL_ATTR.dontFragment);
  if ((flags & TUNNEL_FLAG.csum) !== 0) writer.putFlag(TUNNEL_ATTR.csum);
  for (const [attr, field] of PORTS) writeUnlessIdle(out, attr, field);
  if ((flags & TUNNEL_FLAG.oam) !== 0) writer.putFlag(TUNNEL_ATTR.oam);
  writeOptions(out);
  writer.end(nested);
}

/** A field of zero is written when the mask looks at it, unless addresses of the other family imply it. */
function writeUnlessIdle({ writer, flow, mask, data }: TunnelExport, attr: number, field: FieldName): void {
  const isMatched = mask !== undefined && !isZero(mask, field);
  const isImplied = isZero(flow, field) && isOfOtherFamily(flow, field);
  if (isImplied || (isZero(data, field) && !isMatched)) return;
  writer.put(attr, fieldBytes(data, field));
}

function isOfOtherFamily(flow: Uint8Array, field: FieldName): boolean {
  if (field === "tun_src" || field === "tun_dst") {
    return !isZero(flow, "tun_ipv6_src") || !isZero(flow, "tun_ipv6_dst");
  }
  if (field === "tun_ipv6_src" || field === "tun_ipv6_dst") {
    return !isZero(flow, "tun_src") || !isZero(flow, "tun_dst");
  }
  return false;
}

function writeOptions(out: TunnelExport): void {
  const { writer, flow, data, isMask } = out;
  if (isPresent(out, "tun_gbp_id", "tun_gbp_flags")) {
    const nested = writer.begin(TUNNEL_ATTR.vxlanOpts);
    writer.putU32(VXLAN_EXT.gbp, (getNumber(data, "tun_gbp_flags") << 16) | getNumber(data, "tun_gbp_id"));
    writer.end(nested);
  }
  const optionBytes = getNumber(flow, "tun_opts_len");
  const hasOptions = (getNumber(flow, "tun_flags") & TUNNEL_FLAG.options) !== 0 || optionBytes > 0;
  if (hasOptions && (!isMask || !isZero(data, "tun_opts_len"))) {
    writer.put(TUNNEL_ATTR.geneveOpts, data.subarray(K.tun_opts, K.tun_opts + optionBytes));
  }
  const version = getNumber(flow, "tun_erspan_ver");
  const isErspan = version === 1 || version === 2;
  if (isErspan && isPresent(out, "tun_erspan_ver", "tun_erspan_idx", "tun_erspan_dir", "tun_erspan_hwid")) {
    const options = {
      version: getNumber(data, "tun_erspan_ver"),
      index: getNumber(data, "tun_erspan_idx"),
      direction: getNumber(data, "tun_erspan_dir") & 1,
      hwid: getNumber(data, "tun_erspan_hwid"),
    };
    writer.put(TUNNEL_ATTR.erspanOpts, writeErspan(options, version));
  }
  if (isPresent(out, "tun_gtpu_flags", "tun_gtpu_msgtype")) {
    const payload = new Uint8Array(GTPU.bytes);
    payload[GTPU.flags] = getNumber(data, "tun_gtpu_flags");
    payload[GTPU.messageType] = getNumber(data, "tun_gtpu_msgtype");
    writer.put(TUNNEL_ATTR.gtpuOpts, payload);
  }
}

/** A key has what is set in it or looked at; a mask does not mention what it does not look at. */
function isPresent({ flow, mask, isMask }: TunnelExport, ...fields: readonly FieldName[]): boolean {
  const isSet = (key: Uint8Array): boolean => fields.some((field) => !isZero(key, field));
  return (!isMask && isSet(flow)) || (mask !== undefined && isSet(mask));
}
