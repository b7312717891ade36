// Builder layers of the network: IPv4 with options and fragments, IPv6 and its extension headers.

import { parseIpv4, parseIpv6 } from "./address.ts";
import { addressBytes, type Layer, type Pseudo } from "./builder.ts";
import { writeBe16, writeBe32 } from "./bytes.ts";
import { checksum, pseudoSumV4, pseudoSumV6 } from "./checksum.ts";
import { ETH_TYPE, NSH_NEXT } from "./link-headers.ts";
import {
  AUTHENTICATION,
  IP_PROTOCOL,
  IPV4,
  IPV6,
  IPV6_EXTENSION,
  IPV6_FRAGMENT,
  IPV6_ROUTING,
} from "./network-headers.ts";

const TTL_DEFAULT = 64;

export interface Ipv4Fields {
  readonly src?: string | Uint8Array;
  readonly dst?: string | Uint8Array;
  readonly tos?: number;
  readonly ttl?: number;
  readonly protocol?: number;
  readonly identification?: number;
  readonly dontFragment?: boolean;
  readonly moreFragments?: boolean;
  /** In 8-byte units, as in the header. */
  readonly fragmentOffset?: number;
  /** Option bytes, a multiple of four, at most forty. */
  readonly options?: Uint8Array;
  readonly versionIhl?: number;
  readonly totalLength?: number;
  readonly checksum?: number;
}

export function ipv4(fields: Ipv4Fields = {}): Layer {
  const options = fields.options ?? new Uint8Array(0);
  const headerBytes = IPV4.headerBytes + options.length;
  return {
    headerBytes,
    name: { etherType: ETH_TYPE.ipv4, ipProtocol: IP_PROTOCOL.ipip, nshNext: NSH_NEXT.ipv4 },
    write(frame, offset, inner, behindBytes) {
      const fragment =
        (fields.dontFragment ? IPV4.dontFragment : 0) |
        (fields.moreFragments ? IPV4.moreFragments : 0) |
        (fields.fragmentOffset ?? 0);
      frame[offset + IPV4.versionIhl] = fields.versionIhl ?? 0x40 | (headerBytes / 4);
      frame[offset + IPV4.tos] = fields.tos ?? 0;
      writeBe16(frame, offset + IPV4.totalLength, fields.totalLength ?? headerBytes + behindBytes);
      writeBe16(frame, offset + IPV4.identification, fields.identification ?? 0);
      writeBe16(frame, offset + IPV4.fragment, fragment);
      frame[offset + IPV4.ttl] = fields.ttl ?? TTL_DEFAULT;
      frame[offset + IPV4.protocol] = fields.protocol ?? inner.ipProtocol ?? 0;
      frame.set(addressBytes("IPv4", fields.src ?? "10.0.0.1", parseIpv4), offset + IPV4.src);
      frame.set(addressBytes("IPv4", fields.dst ?? "10.0.0.2", parseIpv4), offset + IPV4.dst);
      frame.set(options, offset + IPV4.headerBytes);
      writeBe16(frame, offset + IPV4.checksum, fields.checksum ?? checksum(frame, offset, headerBytes));
    },
    pseudo(offset) {
      return { sum: (frame, protocol, l4Bytes) => pseudoSumV4(frame, offset, protocol, l4Bytes) };
    },
  };
}

export interface Ipv6Fields {
  readonly src?: string | Uint8Array;
  readonly dst?: string | Uint8Array;
  readonly label?: number;
  readonly trafficClass?: number;
  readonly hopLimit?: number;
  readonly nextHeader?: number;
  readonly payloadLength?: number;
  readonly version?: number;
}

export function ipv6(fields: Ipv6Fields = {}): Layer {
  return {
    headerBytes: IPV6.headerBytes,
    name: { etherType: ETH_TYPE.ipv6, ipProtocol: IP_PROTOCOL.ipv6, nshNext: NSH_NEXT.ipv6 },
    write(frame, offset, inner, behindBytes) {
      const first =
        ((fields.version ?? 6) << 28) | ((fields.trafficClass ?? 0) << IPV6.classShift) | (fields.label ?? 0);
      writeBe32(frame, offset + IPV6.versionClassLabel, first);
      writeBe16(frame, offset + IPV6.payloadLength, fields.payloadLength ?? behindBytes);
      frame[offset + IPV6.nextHeader] = fields.nextHeader ?? inner.ipProtocol ?? IP_PROTOCOL.none;
      frame[offset + IPV6.hopLimit] = fields.hopLimit ?? TTL_DEFAULT;
      frame.set(addressBytes("IPv6", fields.src ?? "fd00::1", parseIpv6), offset + IPV6.src);
      frame.set(addressBytes("IPv6", fields.dst ?? "fd00::2", parseIpv6), offset + IPV6.dst);
    },
    pseudo(offset, inner) {
      return ipv6Pseudo(offset, inner);
    },
  };
}

/** The destination is the last address of the first unfinished routing header, if there is one. */
function ipv6Pseudo(offset: number, inner: readonly Layer[]): Pseudo {
  let dst = offset + IPV6.dst;
  let at = offset + IPV6.headerBytes;
  for (const layer of inner) {
    if (!isExtension(layer)) break;
    if (layer.finalAddress !== undefined) {
      dst = at + layer.finalAddress;
      break;
    }
    at += layer.headerBytes;
  }
  return {
    sum: (frame, protocol, l4Bytes) => pseudoSumV6(frame, offset + IPV6.src, dst, protocol, l4Bytes),
  };
}

interface Extension extends Layer {
  readonly isExtension: true;
  /** Where in the header the final destination stands, in an unfinished routing header. */
  readonly finalAddress?: number;
}

function isExtension(layer: Layer): layer is Extension {
  return "isExtension" in layer;
}

export interface ExtensionFields {
  /** 0 hop-by-hop, 43 routing, 60 destination options, or any number that shares their form. */
  readonly protocol: number;
  /** Bytes behind next header and length; 6 more than a multiple of eight. */
  readonly body?: Uint8Array;
  readonly nextHeader?: number;
  /** In 8-byte units less one, when it is to be wrong. */
  readonly length?: number;
}

/** Hop-by-hop, destination options and others of their form. */
export function ipv6Extension(fields: ExtensionFields): Extension {
  // PadN of four zero bytes fills the shortest header with a valid option (RFC 8200 section 4.2).
  const body = fields.body ?? Uint8Array.of(1, 4, 0, 0, 0, 0);
  const headerBytes = 2 + body.length;
  return {
    isExtension: true,
    headerBytes,
    name: { ipProtocol: fields.protocol },
    write(frame, offset, inner) {
      frame[offset + IPV6_EXTENSION.nextHeader] = fields.nextHeader ?? inner.ipProtocol ?? IP_PROTOCOL.none;
      frame[offset + IPV6_EXTENSION.length] = fields.length ?? headerBytes / IPV6_EXTENSION.unitBytes - 1;
      frame.set(body, offset + 2);
    },
  };
}

export interface RoutingFields {
  readonly type?: number;
  readonly segmentsLeft?: number;
  readonly addresses?: readonly (string | Uint8Array)[];
}

/** A routing header of type 0 or 2: its addresses follow four reserved bytes. */
export function ipv6Routing(fields: RoutingFields = {}): Extension {
  const addresses = fields.addresses ?? [];
  const segmentsLeft = fields.segmentsLeft ?? 0;
  const body = new Uint8Array(6 + addresses.length * IPV6.addressBytes);
  body[0] = fields.type ?? 0;
  body[1] = segmentsLeft;
  for (const [index, address] of addresses.entries()) {
    body.set(addressBytes("IPv6", address, parseIpv6), 6 + index * IPV6.addressBytes);
  }
  const base = ipv6Extension({ protocol: IP_PROTOCOL.routing, body });
  if (segmentsLeft === 0 || addresses.length === 0) return base;
  const last = IPV6_ROUTING.addresses + (addresses.length - 1) * IPV6.addressBytes;
  return { ...base, finalAddress: last };
}

export interface FragmentFields {
  /** In 8-byte units. */
  readonly offset?: number;
  readonly moreFragments?: boolean;
  readonly identification?: number;
  readonly nextHeader?: number;
}

export function ipv6Fragment(fields: FragmentFields = {}): Extension {
  return {
    isExtension: true,
    headerBytes: IPV6_FRAGMENT.headerBytes,
    name: { ipProtocol: IP_PROTOCOL.fragment },
    write(frame, offset, inner) {
      const flags = fields.moreFragments ? IPV6_FRAGMENT.moreFragments : 0;
      frame[offset + IPV6_FRAGMENT.nextHeader] = fields.nextHeader ?? inner.ipProtocol ?? IP_PROTOCOL.none;
      writeBe16(frame, offset + IPV6_FRAGMENT.offsetFlags, ((fields.offset ?? 0) << 3) | flags);
      writeBe32(frame, offset + IPV6_FRAGMENT.identification, fields.identification ?? 1);
    },
  };
}

/** An authentication header; `body` is all behind next header and length, 2 more than a multiple of four. */
export function ipv6Authentication(body: Uint8Array = new Uint8Array(22)): Extension {
  const headerBytes = 2 + body.length;
  return {
    isExtension: true,
    headerBytes,
    name: { ipProtocol: IP_PROTOCOL.authentication },
    write(frame, offset, inner) {
      frame[offset + AUTHENTICATION.nextHeader] = inner.ipProtocol ?? IP_PROTOCOL.none;
      frame[offset + AUTHENTICATION.length] =
        headerBytes / AUTHENTICATION.unitBytes - AUTHENTICATION.lengthBias;
      frame.set(body, offset + 2);
    },
  };
}
