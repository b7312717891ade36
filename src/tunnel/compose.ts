// Composes the header that encapsulates packets under a tunnel key: where to, by route and neighbour; what, by the
// port's type. The header is the same for all packets of the key; what differs from packet to packet, push.ts writes.
// Control path: once for each key and change of the tables.
import { writeBe16, writeBe32 } from "../packet/bytes.ts";
import { checksum } from "../packet/checksum.ts";
import { ETH, ETH_TYPE } from "../packet/link-headers.ts";
import { IP_PROTOCOL, IPV4, IPV6 } from "../packet/network-headers.ts";
import { UDP } from "../packet/transport-headers.ts";
import { TUNNEL_TYPE, type TunnelTypeName } from "../packet/tunnel-headers.ts";
import { COMPOSERS, type HeaderDraft } from "./compose-protocol.ts";
import type { Endpoint } from "./endpoints.ts";
import { type Ip, isIpv4, NO_IP, writeIp } from "./ip.ts";
import type { TunnelView } from "./state.ts";
import type { TunnelKey } from "./tunnel-key.ts";
import { hasUdp, type TunnelVport } from "./vport.ts";

/** Longer ones no packet has room for: TNL_PUSH_HEADER_SIZE. */
export const HEADER_BYTES_MAX = 512;
/** Marks a UDP checksum that is to be computed; it does not change the sum. */
const CHECKSUM_WANTED = 0xffff;
const VERSION_IHL = 0x45;

export interface ComposedHeader {
  readonly kind: "header";
  readonly bytes: Uint8Array;
  /** Of TUNNEL_TYPE. */
  readonly type: number;
  readonly outPort: number;
  /** The address that packets are sent from, for the egress key. */
  readonly source: Ip;
}

/** The next hop's address has to be asked for at this endpoint. */
export interface Unresolved {
  readonly kind: "unresolved";
  readonly endpoint: Endpoint;
  readonly nextHop: Ip;
  readonly source: Ip;
}

export type Composition =
  | ComposedHeader
  | Unresolved
  /** No route, or one to a port that is not there; or the key is none that this port can send. */
  | { readonly kind: "unroutable" }
  | { readonly kind: "invalid" };

/** @param innerType 0 when packets begin with Ethernet, else their Ethertype */
export function composeHeader(
  vport: TunnelVport,
  key: TunnelKey,
  innerType: number,
  view: TunnelView,
): Composition {
  const { destination } = key;
  if (destination === NO_IP) return { kind: "invalid" };
  const route = view.route(destination);
  const endpoint = route === undefined ? undefined : view.endpoint(route.portName);
  if (route === undefined || endpoint === undefined) return { kind: "unroutable" };
  const source = key.source === NO_IP ? route.source : key.source;
  if (isIpv4(source) !== isIpv4(destination)) return { kind: "invalid" };
  const nextHop = route.gateway === NO_IP ? destination : route.gateway;
  const mac = view.mac(endpoint.name, nextHop);
  if (mac === undefined) return { kind: "unresolved", endpoint, nextHop, source };
  const draft: HeaderDraft = { bytes: new Uint8Array(HEADER_BYTES_MAX), length: 0, vport, key, innerType };
  draft.bytes.set(mac, ETH.dst);
  draft.bytes.set(endpoint.mac, ETH.src);
  draft.length = ETH.headerBytes;
  if (isIpv4(destination)) putIpv4(draft, source);
  else putIpv6(draft, source);
  if (hasUdp(vport.type)) putUdp(draft);
  if (!COMPOSERS[vport.type](draft)) return { kind: "invalid" };
  if (isIpv4(destination)) {
    writeBe16(
      draft.bytes,
      ETH.headerBytes + IPV4.checksum,
      checksum(draft.bytes, ETH.headerBytes, IPV4.headerBytes),
    );
  }
  const bytes = draft.bytes.slice(0, draft.length);
  return { kind: "header", bytes, type: typeOf(vport.type, destination), outPort: endpoint.portNo, source };
}

/** gre and erspan ports send over IPv6 as well, where the header has another type. */
function typeOf(type: TunnelTypeName, destination: Ip): number {
  if (type === "gre" && !isIpv4(destination)) return TUNNEL_TYPE.ip6gre;
  if (type === "erspan" && !isIpv4(destination)) return TUNNEL_TYPE.ip6erspan;
  return TUNNEL_TYPE[type];
}

function protocolOf(type: TunnelTypeName): number {
  if (hasUdp(type)) return IP_PROTOCOL.udp;
  return type === "srv6" ? IP_PROTOCOL.routing : IP_PROTOCOL.gre;
}

function putIpv4(draft: HeaderDraft, source: Ip): void {
  const { bytes, length: at, key, vport } = draft;
  writeBe16(bytes, ETH.type, ETH_TYPE.ipv4);
  bytes[at + IPV4.versionIhl] = VERSION_IHL;
  bytes[at + IPV4.tos] = key.tos;
  bytes[at + IPV4.ttl] = key.ttl;
  bytes[at + IPV4.protocol] = protocolOf(vport.type);
  writeBe16(bytes, at + IPV4.fragment, key.isDontFragment ? IPV4.dontFragment : 0);
  writeIp(bytes, at + IPV4.src, source);
  writeIp(bytes, at + IPV4.dst, key.destination);
  draft.length += IPV4.headerBytes;
}

/** A path of segments begins at the first of them, which must be the destination. */
function putIpv6(draft: HeaderDraft, source: Ip): void {
  const { bytes, length: at, key, vport } = draft;
  writeBe16(bytes, ETH.type, ETH_TYPE.ipv6);
  writeBe32(bytes, at, ((6 << 28) | (key.tos << IPV6.classShift)) >>> 0);
  bytes[at + IPV6.nextHeader] = protocolOf(vport.type);
  bytes[at + IPV6.hopLimit] = key.ttl;
  writeIp(bytes, at + IPV6.src, source);
  writeIp(bytes, at + IPV6.dst, key.destination);
  draft.length += IPV6.headerBytes;
}

/** UDP over IPv6 has a checksum always, as in OVS. The source port is the packet's hash. */
function putUdp(draft: HeaderDraft): void {
  const { bytes, length: at, key, vport } = draft;
  writeBe16(bytes, at + UDP.dst, key.tpDst === 0 ? vport.dstPort : key.tpDst);
  if (key.hasChecksum || !isIpv4(key.destination)) writeBe16(bytes, at + UDP.checksum, CHECKSUM_WANTED);
  draft.length += UDP.headerBytes;
}
