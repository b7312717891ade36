// Builder layers below the network layer: Ethernet, 802.2 with SNAP, VLAN tags, MPLS, NSH and ARP.

import { parseIpv4, parseMac } from "./address.ts";
import { addressBytes, type Layer, type LayerName } from "./builder.ts";
import { writeBe16, writeBe32 } from "./bytes.ts";
import { ARP, ETH, ETH_TYPE, LLC, MPLS, NSH, NSH_MD_TYPE, NSH_NEXT, SNAP, VLAN } from "./link-headers.ts";

const SRC_DEFAULT = "02:00:00:00:00:01";
const DST_DEFAULT = "02:00:00:00:00:02";

export interface EthernetFields {
  readonly src?: string | Uint8Array;
  readonly dst?: string | Uint8Array;
  readonly type?: number;
}

export function ethernet(fields: EthernetFields = {}): Layer {
  return {
    headerBytes: ETH.headerBytes,
    name: { etherType: ETH_TYPE.trans, nshNext: NSH_NEXT.ethernet },
    write(frame, offset, inner) {
      frame.set(addressBytes("MAC", fields.dst ?? DST_DEFAULT, parseMac), offset + ETH.dst);
      frame.set(addressBytes("MAC", fields.src ?? SRC_DEFAULT, parseMac), offset + ETH.src);
      writeBe16(frame, offset + ETH.type, fields.type ?? inner.etherType ?? 0);
    },
  };
}

export interface LlcSnapFields {
  readonly dsap?: number;
  readonly ssap?: number;
  readonly control?: number;
  readonly oui?: number;
  readonly type?: number;
}

/** Ethernet with a length in place of the type, then 802.2 and SNAP. */
export function ethernet8023(address: EthernetFields = {}): Layer {
  const base = ethernet(address);
  return {
    ...base,
    write(frame, offset, inner, behindBytes) {
      base.write(frame, offset, inner, behindBytes);
      writeBe16(frame, offset + ETH.type, address.type ?? behindBytes);
    },
  };
}

export function llcSnap(fields: LlcSnapFields = {}): Layer {
  return {
    headerBytes: SNAP.headerBytes,
    name: {},
    write(frame, offset, inner) {
      const oui = fields.oui ?? 0;
      frame[offset + LLC.dsap] = fields.dsap ?? LLC.snapSap;
      frame[offset + LLC.ssap] = fields.ssap ?? LLC.snapSap;
      frame[offset + LLC.control] = fields.control ?? LLC.unnumbered;
      frame[offset + SNAP.oui] = oui >>> 16;
      writeBe16(frame, offset + SNAP.oui + 1, oui & 0xffff);
      writeBe16(frame, offset + SNAP.type, fields.type ?? inner.etherType ?? 0);
    },
  };
}

export interface VlanFields {
  readonly vid?: number;
  readonly pcp?: number;
  readonly dei?: boolean;
  readonly tpid?: number;
  readonly type?: number;
}

/** Its TPID stands in the type word of the layer before; the tag's own four bytes are TCI and inner type. */
export function vlan(fields: VlanFields = {}): Layer {
  return {
    headerBytes: VLAN.headerBytes,
    name: { etherType: fields.tpid ?? ETH_TYPE.vlan },
    write(frame, offset, inner) {
      const priority = (fields.pcp ?? 0) << VLAN.pcpShift;
      writeBe16(frame, offset, priority | (fields.dei ? VLAN.cfi : 0) | (fields.vid ?? 0));
      writeBe16(frame, offset + 2, fields.type ?? inner.etherType ?? 0);
    },
  };
}

export interface MplsFields {
  readonly label?: number;
  readonly tc?: number;
  readonly ttl?: number;
  readonly bottom?: boolean;
  readonly multicast?: boolean;
}

export function mpls(fields: MplsFields = {}): Layer {
  const etherType = fields.multicast ? ETH_TYPE.mplsMulticast : ETH_TYPE.mpls;
  return {
    headerBytes: MPLS.entryBytes,
    name: { etherType, nshNext: NSH_NEXT.mpls },
    write(frame, offset, inner) {
      const deeper = inner.etherType === ETH_TYPE.mpls || inner.etherType === ETH_TYPE.mplsMulticast;
      const bottom = fields.bottom ?? !deeper;
      const entry =
        ((fields.label ?? 16) << MPLS.labelShift) |
        ((fields.tc ?? 0) << MPLS.tcShift) |
        (bottom ? MPLS.bottomMask : 0) |
        (fields.ttl ?? 64);
      writeBe32(frame, offset, entry);
    },
  };
}

export interface NshFields {
  readonly version?: number;
  readonly oam?: boolean;
  readonly ttl?: number;
  readonly mdType?: number;
  readonly next?: number;
  readonly spi?: number;
  readonly si?: number;
  /** Bytes behind the base header: the contexts of MD type 1 or the TLVs of type 2; a multiple of four. */
  readonly metadata?: Uint8Array;
  /** Length in 4-byte words, when it is to be wrong. */
  readonly lengthWords?: number;
}

export function nsh(fields: NshFields = {}): Layer {
  const metadata = fields.metadata ?? new Uint8Array(NSH.mdType1Bytes - NSH.baseBytes);
  const headerBytes = NSH.baseBytes + metadata.length;
  return {
    headerBytes,
    name: { etherType: ETH_TYPE.nsh, nshNext: NSH_NEXT.nsh },
    write(frame, offset, inner) {
      const first =
        ((fields.version ?? 0) << 14) |
        (fields.oam ? NSH.oamMask : 0) |
        ((fields.ttl ?? 63) << NSH.ttlShift) |
        (fields.lengthWords ?? headerBytes / 4);
      writeBe16(frame, offset + NSH.versionFlagsLength, first);
      frame[offset + NSH.mdType] = fields.mdType ?? NSH_MD_TYPE.fixed;
      frame[offset + NSH.nextProtocol] = fields.next ?? inner.nshNext ?? 0;
      writeBe32(frame, offset + NSH.pathHeader, ((fields.spi ?? 0) << 8) | (fields.si ?? 255));
      frame.set(metadata, offset + NSH.context);
    },
  };
}

export interface ArpFields {
  readonly operation?: number;
  readonly sha?: string | Uint8Array;
  readonly spa?: string | Uint8Array;
  readonly tha?: string | Uint8Array;
  readonly tpa?: string | Uint8Array;
  readonly rarp?: boolean;
  readonly hardwareType?: number;
  readonly protocolType?: number;
  readonly hardwareBytes?: number;
  readonly protocolBytes?: number;
}

export function arp(fields: ArpFields = {}): Layer {
  const name: LayerName = { etherType: fields.rarp ? ETH_TYPE.rarp : ETH_TYPE.arp };
  return {
    headerBytes: ARP.headerBytes,
    name,
    write(frame, offset) {
      writeBe16(frame, offset + ARP.hardwareType, fields.hardwareType ?? ARP.hardwareEthernet);
      writeBe16(frame, offset + ARP.protocolType, fields.protocolType ?? ETH_TYPE.ipv4);
      frame[offset + ARP.hardwareBytes] = fields.hardwareBytes ?? 6;
      frame[offset + ARP.protocolBytes] = fields.protocolBytes ?? 4;
      writeBe16(frame, offset + ARP.operation, fields.operation ?? 1);
      frame.set(addressBytes("MAC", fields.sha ?? SRC_DEFAULT, parseMac), offset + ARP.senderHardware);
      frame.set(addressBytes("IPv4", fields.spa ?? "10.0.0.1", parseIpv4), offset + ARP.senderProtocol);
      frame.set(
        addressBytes("MAC", fields.tha ?? "00:00:00:00:00:00", parseMac),
        offset + ARP.targetHardware,
      );
      frame.set(addressBytes("IPv4", fields.tpa ?? "10.0.0.2", parseIpv4), offset + ARP.targetProtocol);
    },
  };
}
