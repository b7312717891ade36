// The numbers of key attributes (openvswitch.h), the form of each payload, and its name in ODP text. Key, mask and
// the set() action share them. A key attribute's payload is a C struct of the kernel's interface; where fields of the
// flow key lie in it is layouts.ts.

/** OVS_KEY_ATTR_*. */
export const KEY_ATTR = {
  encap: 1,
  priority: 2,
  inPort: 3,
  ethernet: 4,
  vlan: 5,
  etherType: 6,
  ipv4: 7,
  ipv6: 8,
  tcp: 9,
  udp: 10,
  icmp: 11,
  icmpv6: 12,
  arp: 13,
  nd: 14,
  skbMark: 15,
  tunnel: 16,
  sctp: 17,
  tcpFlags: 18,
  dpHash: 19,
  recircId: 20,
  mpls: 21,
  ctState: 22,
  ctZone: 23,
  ctMark: 24,
  ctLabels: 25,
  ctOrigTupleIpv4: 26,
  ctOrigTupleIpv6: 27,
  nsh: 28,
  packetType: 29,
  ndExtensions: 30,
} as const;

export const KEY_ATTR_MAX = 30;

/** OVS_TUNNEL_KEY_ATTR_*. */
export const TUNNEL_ATTR = {
  id: 0,
  ipv4Src: 1,
  ipv4Dst: 2,
  tos: 3,
  ttl: 4,
  dontFragment: 5,
  csum: 6,
  oam: 7,
  geneveOpts: 8,
  tpSrc: 9,
  tpDst: 10,
  vxlanOpts: 11,
  ipv6Src: 12,
  ipv6Dst: 13,
  pad: 14,
  erspanOpts: 15,
  gtpuOpts: 16,
} as const;

export const TUNNEL_ATTR_MAX = 16;

/** OVS_VXLAN_EXT_*. */
export const VXLAN_EXT = { gbp: 1 } as const;
/** OVS_NSH_KEY_ATTR_*. */
export const NSH_KEY_ATTR = { base: 1, md1: 2, md2: 3 } as const;

/** `nested`: attributes; `variable`: any length, the attribute's own rules apply. */
export type PayloadForm = number | "nested" | "variable";

export interface AttributeRow {
  /** As in ODP text. */
  readonly name: string;
  readonly payload: PayloadForm;
}

/** Key attributes, each at the index of its number. */
export const KEY_ATTR_ROWS: readonly (AttributeRow | undefined)[] = [
  undefined,
  { name: "encap", payload: "nested" },
  { name: "skb_priority", payload: 4 },
  { name: "in_port", payload: 4 },
  { name: "eth", payload: 12 },
  { name: "vlan", payload: 2 },
  { name: "eth_type", payload: 2 },
  { name: "ipv4", payload: 12 },
  { name: "ipv6", payload: 40 },
  { name: "tcp", payload: 4 },
  { name: "udp", payload: 4 },
  { name: "icmp", payload: 2 },
  { name: "icmpv6", payload: 2 },
  { name: "arp", payload: 24 },
  { name: "nd", payload: 28 },
  { name: "skb_mark", payload: 4 },
  { name: "tunnel", payload: "nested" },
  { name: "sctp", payload: 4 },
  { name: "tcp_flags", payload: 2 },
  { name: "dp_hash", payload: 4 },
  { name: "recirc_id", payload: 4 },
  { name: "mpls", payload: "variable" },
  { name: "ct_state", payload: 4 },
  { name: "ct_zone", payload: 2 },
  { name: "ct_mark", payload: 4 },
  { name: "ct_label", payload: 16 },
  { name: "ct_tuple4", payload: 16 },
  { name: "ct_tuple6", payload: 40 },
  { name: "nsh", payload: "nested" },
  { name: "packet_type", payload: 4 },
  { name: "nd_ext", payload: 8 },
];

/** Tunnel attributes, each at the index of its number. */
export const TUNNEL_ATTR_ROWS: readonly AttributeRow[] = [
  { name: "tun_id", payload: 8 },
  { name: "src", payload: 4 },
  { name: "dst", payload: 4 },
  { name: "tos", payload: 1 },
  { name: "ttl", payload: 1 },
  { name: "df", payload: 0 },
  { name: "csum", payload: 0 },
  { name: "oam", payload: 0 },
  { name: "geneve", payload: "variable" },
  { name: "tp_src", payload: 2 },
  { name: "tp_dst", payload: 2 },
  { name: "vxlan", payload: "nested" },
  { name: "ipv6_src", payload: 16 },
  { name: "ipv6_dst", payload: 16 },
  { name: "pad", payload: "variable" },
  { name: "erspan", payload: "variable" },
  { name: "gtpu", payload: "variable" },
];

/** How deep encap() may nest in text: OVS's MAX_ODP_NESTED, far above what a key can hold. */
export const TEXT_DEPTH_MAX = 32;
/** Label stack entries that a key holds; extraction does not look at deeper ones. */
export const MPLS_LABELS_MAX = 3;
