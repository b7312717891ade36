// A packet of a flow: the frame that extraction makes this key of, headers, lengths and checksums
// included. What a key does not tell (payload, sequence numbers) is filled as OVS's netdev-dummy/receive
// fills it. Where OVS's frame would be broken ours is whole: SCTP's checksum, UDP's length in a frame of
// given length, the fragment header of IPv6. Control path.
import { buildFrame, type Layer } from "../packet/builder.ts";
import { arp, ethernet, ethernet8023, mpls, vlan } from "../packet/builder-link.ts";
import { ipv4, ipv6, ipv6Fragment } from "../packet/builder-network.ts";
import { icmp, icmpv6, igmp, linkAddressOption, nd, sctp, tcp, udp } from "../packet/builder-transport.ts";
import { ETH_TYPE, MPLS, VLAN } from "../packet/link-headers.ts";
import { IP_PROTOCOL } from "../packet/network-headers.ts";
import { ND_OPTION, TCP_FLAG } from "../packet/transport-headers.ts";
import { ETH_TYPE_NONE, FRAG_LATER, FRAG_NO, VLAN_CFI } from "./fields.ts";
import { fieldBytes, getNumber, isZero } from "./key.ts";
import { isNeighborDiscovery } from "./odp/to-key-layers.ts";

/** Bytes behind a transport header when no length is asked for. */
const PAYLOAD_BYTES = 64;
/** Any offset but 0 makes a later fragment, in 8-byte units; OVS's. */
const LATER_OFFSET = 100;
/** A segment with one of these begins or ends a connection and carries nothing. */
const TCP_WITHOUT_PAYLOAD = TCP_FLAG.syn | TCP_FLAG.fin | TCP_FLAG.rst;

/**
 * @param frameBytes length of the whole frame, filled with zeros; 0 for headers with the usual payload
 * @throws RangeError when the headers alone are longer
 */
export function composeFrame(key: Uint8Array, frameBytes = 0): Uint8Array {
  const { layers, takesPayload } = layersOf(key);
  const headersBytes = layers.reduce((sum, { headerBytes }) => sum + headerBytes, 0);
  if (frameBytes > 0 && frameBytes < headersBytes) {
    throw new RangeError(`a frame of ${frameBytes} bytes: its headers alone have ${headersBytes}`);
  }
  return buildFrame(
    layers,
    frameBytes > 0 ? new Uint8Array(frameBytes - headersBytes) : payload(takesPayload),
  );
}

/** Numbered bytes, or none. */
const payload = (isWanted: boolean): Uint8Array =>
  Uint8Array.from({ length: isWanted ? PAYLOAD_BYTES : 0 }, (_, index) => index);

interface Layers {
  readonly layers: Layer[];
  readonly takesPayload: boolean;
}

function layersOf(key: Uint8Array): Layers {
  const etherType = getNumber(key, "eth_type");
  const addresses = { src: fieldBytes(key, "eth_src"), dst: fieldBytes(key, "eth_dst") };
  if (etherType === ETH_TYPE_NONE) return { layers: [ethernet8023(addresses)], takesPayload: false };
  const tags = vlanLayers(key, etherType);
  const network = networkLayers(key, etherType);
  // The layer behind names itself; where none is, the type stands alone.
  const type = tags.length === 0 ? { type: etherType } : {};
  return {
    layers: [ethernet({ ...addresses, ...type }), ...tags, ...network.layers],
    takesPayload: network.takesPayload,
  };
}

function vlanLayers(key: Uint8Array, etherType: number): Layer[] {
  const tags = (["vlan", "vlan2"] as const)
    .map((tag) => ({ tci: getNumber(key, `${tag}_tci`), tpid: getNumber(key, `${tag}_tpid`) }))
    .filter(({ tci }) => (tci & VLAN_CFI) !== 0);
  return tags.map(({ tci, tpid }, index) =>
    vlan({
      vid: tci & 0xfff,
      pcp: tci >>> VLAN.pcpShift,
      dei: true,
      tpid,
      ...(index === tags.length - 1 ? { type: etherType } : {}),
    }),
  );
}

function networkLayers(key: Uint8Array, etherType: number): Layers {
  switch (etherType) {
    case ETH_TYPE.ipv4:
      return behindIp(key, ipv4Layer(key));
    case ETH_TYPE.ipv6:
      return behindIp(key, ...ipv6Layers(key));
    case ETH_TYPE.arp:
    case ETH_TYPE.rarp:
      return { layers: [arpLayer(key, etherType)], takesPayload: false };
    case ETH_TYPE.mpls:
    case ETH_TYPE.mplsMulticast:
      return { layers: mplsLayers(key), takesPayload: false };
    default:
      return { layers: [], takesPayload: false };
  }
}

function behindIp(key: Uint8Array, ...network: Layer[]): Layers {
  if (getNumber(key, "nw_frag") === FRAG_LATER) return { layers: network, takesPayload: false };
  const { layers, takesPayload } = transportLayers(key);
  return { layers: [...network, ...layers], takesPayload };
}

function ipv4Layer(key: Uint8Array): Layer {
  const frag = getNumber(key, "nw_frag");
  return ipv4({
    src: fieldBytes(key, "nw_src"),
    dst: fieldBytes(key, "nw_dst"),
    tos: getNumber(key, "nw_tos"),
    ttl: getNumber(key, "nw_ttl"),
    protocol: getNumber(key, "nw_proto"),
    moreFragments: frag !== FRAG_NO,
    fragmentOffset: frag === FRAG_LATER ? LATER_OFFSET : 0,
  });
}

function ipv6Layers(key: Uint8Array): Layer[] {
  const frag = getNumber(key, "nw_frag");
  const protocol = getNumber(key, "nw_proto");
  const header = ipv6({
    src: fieldBytes(key, "ipv6_src"),
    dst: fieldBytes(key, "ipv6_dst"),
    label: getNumber(key, "ipv6_label"),
    trafficClass: getNumber(key, "nw_tos"),
    hopLimit: getNumber(key, "nw_ttl"),
    nextHeader: frag === FRAG_NO ? protocol : IP_PROTOCOL.fragment,
  });
  if (frag === FRAG_NO) return [header];
  const offset = frag === FRAG_LATER ? LATER_OFFSET : 0;
  // A key of a later fragment has the fragment header's own number and does not tell what was in the first.
  const nextHeader = protocol === IP_PROTOCOL.fragment ? IP_PROTOCOL.none : protocol;
  return [header, ipv6Fragment({ offset, moreFragments: true, identification: 0, nextHeader })];
}

function transportLayers(key: Uint8Array): Layers {
  const ports = { src: getNumber(key, "tp_src"), dst: getNumber(key, "tp_dst") };
  const message = { type: ports.src & 0xff, code: ports.dst & 0xff };
  switch (getNumber(key, "nw_proto")) {
    case IP_PROTOCOL.tcp: {
      const flags = getNumber(key, "tcp_flags");
      const takesPayload = (flags & TCP_WITHOUT_PAYLOAD) === 0;
      return { layers: [tcp({ ...ports, flags, window: 0 })], takesPayload };
    }
    case IP_PROTOCOL.udp:
      return { layers: [udp(ports)], takesPayload: true };
    case IP_PROTOCOL.sctp:
      return { layers: [sctp({ ...ports, verificationTag: 0 })], takesPayload: false };
    case IP_PROTOCOL.icmp:
      return { layers: [icmp(message)], takesPayload: true };
    case IP_PROTOCOL.igmp:
      return { layers: [igmp(message)], takesPayload: true };
    case IP_PROTOCOL.icmpv6:
      return isNeighborDiscovery(key)
        ? { layers: [neighborLayer(key, message)], takesPayload: false }
        : { layers: [icmpv6(message)], takesPayload: true };
    default:
      return { layers: [], takesPayload: false };
  }
}

function neighborLayer(key: Uint8Array, message: { readonly type: number; readonly code: number }): Layer {
  const options = [
    { type: ND_OPTION.sourceLinkAddress, field: "arp_sha" },
    { type: ND_OPTION.targetLinkAddress, field: "arp_tha" },
  ] as const;
  return nd({
    ...message,
    rest: getNumber(key, "nd_reserved"),
    target: fieldBytes(key, "nd_target"),
    options: options
      .filter(({ field }) => !isZero(key, field))
      .map(({ type, field }) => linkAddressOption(type, fieldBytes(key, field))),
  });
}

function arpLayer(key: Uint8Array, etherType: number): Layer {
  return arp({
    operation: getNumber(key, "nw_proto"),
    sha: fieldBytes(key, "arp_sha"),
    spa: fieldBytes(key, "nw_src"),
    tha: fieldBytes(key, "arp_tha"),
    tpa: fieldBytes(key, "nw_dst"),
    rarp: etherType === ETH_TYPE.rarp,
  });
}

/** Down to the entry at the bottom of the stack, at most those that a key holds. */
function mplsLayers(key: Uint8Array): Layer[] {
  const layers: Layer[] = [];
  for (const name of ["mpls_lse0", "mpls_lse1", "mpls_lse2"] as const) {
    const entry = getNumber(key, name);
    const bottom = (entry & MPLS.bottomMask) !== 0;
    layers.push(
      mpls({
        label: entry >>> MPLS.labelShift,
        tc: (entry >>> MPLS.tcShift) & 7,
        ttl: entry & 0xff,
        bottom,
      }),
    );
    if (bottom) break;
  }
  return layers;
}
