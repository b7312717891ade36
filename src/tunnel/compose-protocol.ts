// What stands behind the outer IP or UDP header, for each type of tunnel. Control path. Every function writes at the
// header's end and moves it, and answers false when the key or the packets are none that the type can carry.
import { writeBe16, writeBe32 } from "../packet/bytes.ts";
import { ETH_TYPE } from "../packet/link-headers.ts";
import { IP_PROTOCOL } from "../packet/network-headers.ts";
import {
  ERSPAN,
  GENEVE,
  GENEVE_OPTION,
  GENEVE_OPTIONS_BYTES_MAX,
  GRE,
  GTPU,
  SRV6,
  type TunnelTypeName,
  VXLAN,
  VXLAN_GPE_NEXT,
} from "../packet/tunnel-headers.ts";
import { writeIp } from "./ip.ts";
import type { TunnelKey } from "./tunnel-key.ts";
import type { TunnelVport } from "./vport.ts";

/** The header being built, and how far. */
export interface HeaderDraft {
  readonly bytes: Uint8Array;
  length: number;
  readonly vport: TunnelVport;
  readonly key: TunnelKey;
  /** 0 when packets begin with Ethernet, else their Ethertype. */
  readonly innerType: number;
}

type Composer = (draft: HeaderDraft) => boolean;

export const COMPOSERS: Readonly<Record<TunnelTypeName, Composer>> = {
  vxlan: putVxlan,
  geneve: putGeneve,
  gre: putGre,
  ip6gre: putGre,
  erspan: putErspan,
  ip6erspan: putErspan,
  gtpu: putGtpu,
  srv6: putSrv6,
  bareudp: ({ innerType, vport }) => innerType === vport.payloadType || isMplsIn(innerType, vport),
};

const ADDRESS_BYTES = 16;

const low32 = (id: bigint): number => Number(BigInt.asUintN(32, id));

function isMplsIn(innerType: number, { payloadType }: TunnelVport): boolean {
  if (payloadType === ETH_TYPE.mpls) return innerType === ETH_TYPE.mplsMulticast;
  return payloadType === ETH_TYPE.ipv4 && innerType === ETH_TYPE.ipv6;
}

const GPE_NEXT: ReadonlyMap<number, number> = new Map<number, number>([
  [0, VXLAN_GPE_NEXT.ethernet],
  [ETH_TYPE.trans, VXLAN_GPE_NEXT.ethernet],
  [ETH_TYPE.ipv4, VXLAN_GPE_NEXT.ipv4],
  [ETH_TYPE.ipv6, VXLAN_GPE_NEXT.ipv6],
  [ETH_TYPE.nsh, VXLAN_GPE_NEXT.nsh],
]);

function putVxlan(draft: HeaderDraft): boolean {
  const { bytes, length: at, vport, key, innerType } = draft;
  let flags: number = VXLAN.hasVni;
  if (vport.hasGpe) {
    const next = GPE_NEXT.get(innerType);
    if (next === undefined) return false;
    flags |= VXLAN.gpe | next;
  } else if (innerType !== 0) {
    return false;
  } else if (vport.hasGbp && key.gbp !== null) {
    flags |= VXLAN.gbp | ((key.gbp.flags & VXLAN.gbpFlagsMask) << 16) | key.gbp.id;
  }
  writeBe32(bytes, at + VXLAN.flags, flags >>> 0);
  writeBe32(bytes, at + VXLAN.vni, (low32(key.id) << 8) >>> 0);
  draft.length += VXLAN.headerBytes;
  return true;
}

function putGeneve(draft: HeaderDraft): boolean {
  const { bytes, length: at, key, innerType } = draft;
  const { options } = key;
  if (innerType !== 0 || options.length > GENEVE_OPTIONS_BYTES_MAX) return false;
  bytes[at + GENEVE.optionWords] = options.length / 4;
  bytes[at + GENEVE.flags] = (key.isOam ? GENEVE.oam : 0) | (hasCritical(options) ? GENEVE.critical : 0);
  writeBe16(bytes, at + GENEVE.protocol, ETH_TYPE.trans);
  writeBe32(bytes, at + GENEVE.vni, (low32(key.id) << 8) >>> 0);
  bytes.set(options, at + GENEVE.headerBytes);
  draft.length += GENEVE.headerBytes + options.length;
  return true;
}

/** An option whose type has the upper bit must be understood by who gets it. */
function hasCritical(options: Uint8Array): boolean {
  for (let at = 0; at + GENEVE_OPTION.headerBytes <= options.length; ) {
    if ((options[at + GENEVE_OPTION.type]! & 0x80) !== 0) return true;
    at += GENEVE_OPTION.headerBytes + (options[at + GENEVE_OPTION.words]! & GENEVE_OPTION.wordsMask) * 4;
  }
  return false;
}

function putGre(draft: HeaderDraft): boolean {
  const { bytes, length: at, vport, key, innerType } = draft;
  let flags = 0;
  let end = at + GRE.headerBytes;
  if (key.hasChecksum) {
    flags |= GRE.checksum;
    end += GRE.optionBytes;
  }
  if (key.hasId) {
    flags |= GRE.key;
    writeBe32(bytes, end, low32(key.id));
    end += GRE.optionBytes;
  }
  if (vport.hasSequence) {
    flags |= GRE.sequence;
    end += GRE.optionBytes;
  }
  writeBe16(bytes, at + GRE.flags, flags);
  writeBe16(bytes, at + GRE.protocol, innerType === 0 ? ETH_TYPE.trans : innerType);
  draft.length = end;
  return true;
}

function putErspan(draft: HeaderDraft): boolean {
  const { bytes, length: gre, vport, key, innerType } = draft;
  if (innerType !== 0 || key.id > BigInt(ERSPAN.sessionMask)) return false;
  const version = key.erspan?.version ?? vport.erspanVersion;
  if (version !== 1 && version !== 2) return false;
  const at = gre + ERSPAN.greBytes;
  writeBe16(bytes, gre + GRE.flags, GRE.sequence);
  writeBe16(bytes, gre + GRE.protocol, version === 1 ? ERSPAN.protocolV1 : ERSPAN.protocolV2);
  bytes[at + ERSPAN.version] = version << 4;
  writeBe16(bytes, at + ERSPAN.session, Number(key.id));
  if (version === 1) {
    writeBe32(bytes, at + ERSPAN.index, key.erspan?.index ?? vport.erspanIndex);
    draft.length = at + ERSPAN.headerBytes + ERSPAN.metadataV1Bytes;
    return true;
  }
  const hardware = key.erspan?.hwid ?? vport.erspanHardware;
  const direction = key.erspan?.direction ?? vport.erspanDirection;
  bytes[at + ERSPAN.hardwareUpper] = hardware >>> 4;
  bytes[at + ERSPAN.hardwareLower] = ((hardware & 0xf) << 4) | (direction * ERSPAN.directionBit);
  draft.length = at + ERSPAN.headerBytes + ERSPAN.metadataV2Bytes;
  return true;
}

/** It carries IP without anything that says which; the first four bits do. */
function putGtpu(draft: HeaderDraft): boolean {
  const { bytes, length: at, vport, key, innerType } = draft;
  if (innerType === 0) return false;
  bytes[at + GTPU.flags] =
    (key.gtpu?.flags || GTPU.flagsDefault) | (vport.hasSequence ? GTPU.sequencePresent : 0);
  bytes[at + GTPU.messageType] = key.gtpu?.messageType || GTPU.messageGpdu;
  writeBe32(bytes, at + GTPU.teid, low32(key.id));
  draft.length += GTPU.headerBytes + (vport.hasSequence ? GTPU.optionalBytes : 0);
  return true;
}

function putSrv6(draft: HeaderDraft): boolean {
  const { bytes, length: at, vport, key, innerType } = draft;
  const segments = vport.segments.length > 0 ? vport.segments : [key.destination];
  if (segments[0] !== key.destination) return false;
  if (innerType !== ETH_TYPE.ipv4 && innerType !== ETH_TYPE.ipv6) return false;
  const last = segments.length - 1;
  bytes[at + SRV6.nextHeader] = innerType === ETH_TYPE.ipv4 ? IP_PROTOCOL.ipip : IP_PROTOCOL.ipv6;
  bytes[at + SRV6.length] = 2 * segments.length;
  bytes[at + SRV6.type] = SRV6.routingType;
  bytes[at + SRV6.segmentsLeft] = last;
  bytes[at + SRV6.lastEntry] = last;
  for (const [index, segment] of segments.entries()) {
    writeIp(bytes, at + SRV6.headerBytes + (last - index) * ADDRESS_BYTES, segment);
  }
  draft.length += SRV6.headerBytes + segments.length * ADDRESS_BYTES;
  return true;
}
