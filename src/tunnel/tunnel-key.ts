// A tunnel key as set(tunnel(...)) carries it: endpoints, id, flags and one block of options. Control path.
import { K } from "../flow/fields.ts";
import { newKey } from "../flow/key.ts";
import { attributes, findAttribute, NlWriter } from "../flow/nlattr.ts";
import { TUNNEL_ATTR, VXLAN_EXT } from "../flow/odp/attributes.ts";
import { writeTunnel } from "../flow/odp/from-key-tunnel.ts";
import { type ErspanOptions, readErspan, writeErspan } from "../flow/odp/tunnel-options.ts";
import { readBe16 } from "../packet/bytes.ts";
import { type Ip, ipFromBytes, isIpv4, NO_IP, writeIp } from "./ip.ts";

export interface TunnelKey {
  readonly id: bigint;
  readonly hasId: boolean;
  readonly source: Ip;
  readonly destination: Ip;
  readonly tos: number;
  readonly ttl: number;
  readonly isDontFragment: boolean;
  readonly hasChecksum: boolean;
  readonly isOam: boolean;
  /** 0 for "whatever the tunnel has". */
  readonly tpSrc: number;
  readonly tpDst: number;
  /** Geneve options as on the wire. */
  readonly options: Uint8Array;
  /** VXLAN group policy: id, and flags as they stand in the header's second byte. */
  readonly gbp: { readonly id: number; readonly flags: number } | null;
  readonly erspan: ErspanOptions | null;
  readonly gtpu: { readonly flags: number; readonly messageType: number } | null;
}

export const EMPTY_TUNNEL_KEY: TunnelKey = {
  id: 0n,
  hasId: false,
  source: NO_IP,
  destination: NO_IP,
  tos: 0,
  ttl: 0,
  isDontFragment: false,
  hasChecksum: false,
  isOam: false,
  tpSrc: 0,
  tpDst: 0,
  options: new Uint8Array(0),
  gbp: null,
  erspan: null,
  gtpu: null,
};

type Draft = { -readonly [Name in keyof TunnelKey]: TunnelKey[Name] };
type Reader = (draft: Draft, payload: Uint8Array) => void;

const READERS: ReadonlyMap<number, Reader> = new Map<number, Reader>([
  [
    TUNNEL_ATTR.id,
    (draft, payload) => {
      draft.id = new DataView(payload.buffer, payload.byteOffset).getBigUint64(0);
      draft.hasId = true;
    },
  ],
  [TUNNEL_ATTR.ipv4Src, (draft, payload) => setAddress(draft, "source", payload, 4)],
  [TUNNEL_ATTR.ipv4Dst, (draft, payload) => setAddress(draft, "destination", payload, 4)],
  [TUNNEL_ATTR.ipv6Src, (draft, payload) => setAddress(draft, "source", payload, 16)],
  [TUNNEL_ATTR.ipv6Dst, (draft, payload) => setAddress(draft, "destination", payload, 16)],
  [
    TUNNEL_ATTR.tos,
    (draft, payload) => {
      draft.tos = payload[0]!;
    },
  ],
  [
    TUNNEL_ATTR.ttl,
    (draft, payload) => {
      draft.ttl = payload[0]!;
    },
  ],
  [
    TUNNEL_ATTR.dontFragment,
    (draft) => {
      draft.isDontFragment = true;
    },
  ],
  [
    TUNNEL_ATTR.csum,
    (draft) => {
      draft.hasChecksum = true;
    },
  ],
  [
    TUNNEL_ATTR.oam,
    (draft) => {
      draft.isOam = true;
    },
  ],
  [
    TUNNEL_ATTR.tpSrc,
    (draft, payload) => {
      draft.tpSrc = readBe16(payload, 0);
    },
  ],
  [
    TUNNEL_ATTR.tpDst,
    (draft, payload) => {
      draft.tpDst = readBe16(payload, 0);
    },
  ],
  [
    TUNNEL_ATTR.geneveOpts,
    (draft, payload) => {
      draft.options = payload.slice();
    },
  ],
  [TUNNEL_ATTR.vxlanOpts, readGbp],
  [
    TUNNEL_ATTR.erspanOpts,
    (draft, payload) => {
      draft.erspan = readErspan(payload);
    },
  ],
  [
    TUNNEL_ATTR.gtpuOpts,
    (draft, payload) => {
      draft.gtpu = { flags: payload[0]!, messageType: payload[1]! };
    },
  ],
]);

/** @param payload of a validated OVS_KEY_ATTR_TUNNEL */
export function readTunnelKey(payload: Uint8Array): TunnelKey {
  const draft: Draft = { ...EMPTY_TUNNEL_KEY };
  for (const { type, start, end } of attributes(payload))
    READERS.get(type)?.(draft, payload.subarray(start, end));
  return draft;
}

/** @param fields of a flow key, from tun_id on */
export function readTunnelFields(fields: Uint8Array): TunnelKey {
  const key = newKey();
  key.set(fields, K.tun_id);
  const writer = new NlWriter();
  writeTunnel(writer, key, undefined, key);
  const [tunnel] = attributes(writer.finish());
  return tunnel === undefined
    ? EMPTY_TUNNEL_KEY
    : readTunnelKey(writer.finish().subarray(tunnel.start, tunnel.end));
}

/** An all-zero address says as much as none. */
function setAddress(
  draft: Draft,
  name: "source" | "destination",
  payload: Uint8Array,
  byteCount: 4 | 16,
): void {
  if (payload.every((byte) => byte === 0)) return;
  draft[name] = ipFromBytes(payload, 0, byteCount);
}

function readGbp(draft: Draft, payload: Uint8Array): void {
  const found = findAttribute(payload, VXLAN_EXT.gbp);
  if (found === undefined) return;
  draft.gbp = {
    id: payload[found.start]! | (payload[found.start + 1]! << 8),
    flags: payload[found.start + 2]!,
  };
}

/** The payload of OVS_KEY_ATTR_TUNNEL that says this; readTunnelKey reads it back. */
export function writeTunnelKey(key: TunnelKey): Uint8Array {
  const writer = new NlWriter();
  if (key.hasId) writer.putBe64(TUNNEL_ATTR.id, key.id);
  putAddress(writer, key.source, TUNNEL_ATTR.ipv4Src, TUNNEL_ATTR.ipv6Src);
  putAddress(writer, key.destination, TUNNEL_ATTR.ipv4Dst, TUNNEL_ATTR.ipv6Dst);
  if (key.tos !== 0) writer.putU8(TUNNEL_ATTR.tos, key.tos);
  writer.putU8(TUNNEL_ATTR.ttl, key.ttl);
  if (key.isDontFragment) writer.putFlag(TUNNEL_ATTR.dontFragment);
  if (key.hasChecksum) writer.putFlag(TUNNEL_ATTR.csum);
  if (key.tpSrc !== 0) writer.putBe16(TUNNEL_ATTR.tpSrc, key.tpSrc);
  if (key.tpDst !== 0) writer.putBe16(TUNNEL_ATTR.tpDst, key.tpDst);
  if (key.isOam) writer.putFlag(TUNNEL_ATTR.oam);
  if (key.gbp !== null) {
    const nested = writer.begin(TUNNEL_ATTR.vxlanOpts);
    writer.putU32(VXLAN_EXT.gbp, (key.gbp.flags << 16) | key.gbp.id);
    writer.end(nested);
  }
  if (key.options.length > 0) writer.put(TUNNEL_ATTR.geneveOpts, key.options);
  if (key.erspan !== null) writer.put(TUNNEL_ATTR.erspanOpts, writeErspan(key.erspan, key.erspan.version));
  if (key.gtpu !== null)
    writer.put(TUNNEL_ATTR.gtpuOpts, Uint8Array.of(key.gtpu.flags, key.gtpu.messageType));
  return writer.finish();
}

function putAddress(writer: NlWriter, ip: Ip, v4: number, v6: number): void {
  if (ip === NO_IP) return;
  const bytes = new Uint8Array(isIpv4(ip) ? 4 : 16);
  writeIp(bytes, 0, ip);
  writer.put(isIpv4(ip) ? v4 : v6, bytes);
}
