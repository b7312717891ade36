// The flow key: one table from which layout, mask, parser, printer, extraction and documents derive.
//
// A flow key is KEY_BYTES bytes, the same in a JavaScript Uint8Array and in the arena. Fields that come from a
// packet keep the packet's byte order, so extraction copies and never swaps; metadata that no packet carries
// (in_port, recirc_id, marks, hashes, ct_state, ct_zone, ct_mark, tunnel flags) is in host order, which is little
// endian on every machine that V8's shared memory runs on (asserted in key.ts).
//
// Layout. Line 0 holds all that an Ethernet/VLAN/IPv4/L4 packet without tunnel can set, in four 16-byte blocks:
// metadata, link layer, network layer, transport and marks. Such a packet is hashed and compared within one
// 64-byte line; most masks touch two or three of its blocks. Line 1 is IPv6, the second tag and MPLS, line 2 ARP/ND
// and conntrack, line 3 the IPv6 tuple of conntrack and NSH, lines 4 and 5 the tunnel, then the tunnel's options.
// A field never crosses a block unless it is longer than one; masks are therefore sets of blocks.
//
// Where OVS shares storage we share it too, because its masks and text do: ARP addresses and opcode live in the
// IPv4 and nw_proto slots, ND link-layer addresses in the ARP hardware slots, ICMP type and code in the low byte of
// the port slots.

/** Raised whenever a field moves, appears or goes: everything that hard-codes an offset must be looked at again. */
export const FLOW_KEY_REVISION = 1;

export const KEY_BYTES = 640;
export const KEY_BLOCK_BYTES = 16;
export const KEY_LINE_BYTES = 64;
export const KEY_BLOCK_COUNT = KEY_BYTES / KEY_BLOCK_BYTES;
export const KEY_LINE_COUNT = KEY_BYTES / KEY_LINE_BYTES;

/** Most bytes of Geneve options a key holds: 63 words, the largest option length the Geneve header can state. */
export const TUNNEL_OPTIONS_BYTES_MAX = 252;

/** `host`: little-endian word; `network`: bytes as on the wire. */
export type FieldOrder = "host" | "network";
/** Which part of the key a field belongs to; the OVS attribute group that carries it. */
export type FieldGroup =
  | "metadata"
  | "conntrack"
  | "ethernet"
  | "vlan"
  | "mpls"
  | "network"
  | "ipv6"
  | "arp"
  | "transport"
  | "nd"
  | "nsh"
  | "tunnel";

export interface Field {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
  readonly order: FieldOrder;
  readonly group: FieldGroup;
}

/** Every field, in layout order. Gaps are padding that is always zero. */
export const FIELDS = [
  { name: "in_port", offset: 0, bytes: 4, order: "host", group: "metadata" },
  { name: "recirc_id", offset: 4, bytes: 4, order: "host", group: "metadata" },
  { name: "packet_type", offset: 8, bytes: 4, order: "network", group: "metadata" },
  { name: "dp_hash", offset: 12, bytes: 4, order: "host", group: "metadata" },

  { name: "eth_dst", offset: 16, bytes: 6, order: "network", group: "ethernet" },
  { name: "eth_src", offset: 22, bytes: 6, order: "network", group: "ethernet" },
  { name: "vlan_tpid", offset: 28, bytes: 2, order: "network", group: "vlan" },
  { name: "vlan_tci", offset: 30, bytes: 2, order: "network", group: "vlan" },

  { name: "eth_type", offset: 32, bytes: 2, order: "network", group: "ethernet" },
  { name: "nw_frag", offset: 34, bytes: 1, order: "network", group: "network" },
  { name: "nw_proto", offset: 35, bytes: 1, order: "network", group: "network" },
  { name: "nw_tos", offset: 36, bytes: 1, order: "network", group: "network" },
  { name: "nw_ttl", offset: 37, bytes: 1, order: "network", group: "network" },
  { name: "tcp_flags", offset: 38, bytes: 2, order: "network", group: "transport" },
  { name: "nw_src", offset: 40, bytes: 4, order: "network", group: "network" },
  { name: "nw_dst", offset: 44, bytes: 4, order: "network", group: "network" },

  { name: "tp_src", offset: 48, bytes: 2, order: "network", group: "transport" },
  { name: "tp_dst", offset: 50, bytes: 2, order: "network", group: "transport" },
  { name: "skb_priority", offset: 52, bytes: 4, order: "host", group: "metadata" },
  { name: "skb_mark", offset: 56, bytes: 4, order: "host", group: "metadata" },
  { name: "ct_state", offset: 60, bytes: 1, order: "host", group: "conntrack" },
  { name: "ct_zone", offset: 62, bytes: 2, order: "host", group: "conntrack" },

  { name: "ipv6_src", offset: 64, bytes: 16, order: "network", group: "ipv6" },
  { name: "ipv6_dst", offset: 80, bytes: 16, order: "network", group: "ipv6" },
  { name: "ipv6_label", offset: 96, bytes: 4, order: "network", group: "ipv6" },
  { name: "vlan2_tpid", offset: 100, bytes: 2, order: "network", group: "vlan" },
  { name: "vlan2_tci", offset: 102, bytes: 2, order: "network", group: "vlan" },
  { name: "mpls_lse0", offset: 104, bytes: 4, order: "network", group: "mpls" },
  { name: "mpls_lse1", offset: 108, bytes: 4, order: "network", group: "mpls" },
  { name: "mpls_lse2", offset: 112, bytes: 4, order: "network", group: "mpls" },
  { name: "ct_mark", offset: 116, bytes: 4, order: "host", group: "conntrack" },
  { name: "ct_tp_src", offset: 120, bytes: 2, order: "network", group: "conntrack" },
  { name: "ct_tp_dst", offset: 122, bytes: 2, order: "network", group: "conntrack" },
  { name: "ct_nw_proto", offset: 124, bytes: 1, order: "network", group: "conntrack" },
  { name: "nd_options_type", offset: 125, bytes: 1, order: "network", group: "nd" },

  { name: "nd_target", offset: 128, bytes: 16, order: "network", group: "nd" },
  { name: "arp_sha", offset: 144, bytes: 6, order: "network", group: "arp" },
  { name: "arp_tha", offset: 150, bytes: 6, order: "network", group: "arp" },
  { name: "nd_reserved", offset: 156, bytes: 4, order: "network", group: "nd" },
  { name: "ct_label", offset: 160, bytes: 16, order: "network", group: "conntrack" },
  { name: "ct_nw_src", offset: 176, bytes: 4, order: "network", group: "conntrack" },
  { name: "ct_nw_dst", offset: 180, bytes: 4, order: "network", group: "conntrack" },

  { name: "ct_ipv6_src", offset: 192, bytes: 16, order: "network", group: "conntrack" },
  { name: "ct_ipv6_dst", offset: 208, bytes: 16, order: "network", group: "conntrack" },
  { name: "nsh_flags", offset: 224, bytes: 1, order: "network", group: "nsh" },
  { name: "nsh_ttl", offset: 225, bytes: 1, order: "network", group: "nsh" },
  { name: "nsh_mdtype", offset: 226, bytes: 1, order: "network", group: "nsh" },
  { name: "nsh_np", offset: 227, bytes: 1, order: "network", group: "nsh" },
  { name: "nsh_path_hdr", offset: 228, bytes: 4, order: "network", group: "nsh" },
  { name: "nsh_context0", offset: 232, bytes: 4, order: "network", group: "nsh" },
  { name: "nsh_context1", offset: 236, bytes: 4, order: "network", group: "nsh" },
  { name: "nsh_context2", offset: 240, bytes: 4, order: "network", group: "nsh" },
  { name: "nsh_context3", offset: 244, bytes: 4, order: "network", group: "nsh" },

  { name: "tun_id", offset: 256, bytes: 8, order: "network", group: "tunnel" },
  { name: "tun_src", offset: 264, bytes: 4, order: "network", group: "tunnel" },
  { name: "tun_dst", offset: 268, bytes: 4, order: "network", group: "tunnel" },
  { name: "tun_ipv6_src", offset: 272, bytes: 16, order: "network", group: "tunnel" },
  { name: "tun_ipv6_dst", offset: 288, bytes: 16, order: "network", group: "tunnel" },
  { name: "tun_flags", offset: 304, bytes: 2, order: "host", group: "tunnel" },
  { name: "tun_tos", offset: 306, bytes: 1, order: "network", group: "tunnel" },
  { name: "tun_ttl", offset: 307, bytes: 1, order: "network", group: "tunnel" },
  { name: "tun_tp_src", offset: 308, bytes: 2, order: "network", group: "tunnel" },
  { name: "tun_tp_dst", offset: 310, bytes: 2, order: "network", group: "tunnel" },
  { name: "tun_gbp_id", offset: 312, bytes: 2, order: "network", group: "tunnel" },
  { name: "tun_gbp_flags", offset: 314, bytes: 1, order: "network", group: "tunnel" },
  { name: "tun_erspan_ver", offset: 315, bytes: 1, order: "network", group: "tunnel" },
  { name: "tun_erspan_idx", offset: 316, bytes: 4, order: "network", group: "tunnel" },
  { name: "tun_erspan_dir", offset: 320, bytes: 1, order: "network", group: "tunnel" },
  { name: "tun_erspan_hwid", offset: 321, bytes: 1, order: "network", group: "tunnel" },
  { name: "tun_gtpu_flags", offset: 322, bytes: 1, order: "network", group: "tunnel" },
  { name: "tun_gtpu_msgtype", offset: 323, bytes: 1, order: "network", group: "tunnel" },
  { name: "tun_opts_len", offset: 324, bytes: 1, order: "host", group: "tunnel" },
  { name: "tun_opts", offset: 336, bytes: 252, order: "network", group: "tunnel" },
] as const satisfies readonly Field[];

export type FieldName = (typeof FIELDS)[number]["name"];

/** Byte offset of each field by name: `K.nw_src`. Constants, so hot code reads them into module consts once. */
export const K = Object.fromEntries(FIELDS.map((field) => [field.name, field.offset])) as Readonly<
  Record<FieldName, number>
>;

/** eth_type of an 802.2 frame that has no Ethertype (OVS's FLOW_DL_TYPE_NONE); ODP text leaves eth_type out. */
export const ETH_TYPE_NONE = 0x05ff;
/** Set in a TCI of the key whenever a tag is present; ODP calls it cfi. */
export const VLAN_CFI = 0x1000;
export const FRAG_NO = 0;
export const FRAG_FIRST = 1;
export const FRAG_LATER = 2;
