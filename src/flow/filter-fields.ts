// The OpenFlow match fields that a datapath flow has: their names in ovs-ofctl, where their bits lie in the flow key,
// and under what they may be named.

import { ETH_TYPE } from "../packet/link-headers.ts";
import { IP_PROTOCOL } from "../packet/network-headers.ts";
import { ICMPV6_TYPE } from "../packet/transport-headers.ts";
import { type FieldName, FRAG_LATER } from "./fields.ts";
import { getNumber } from "./key.ts";
import { isNeighborDiscovery } from "./odp/to-key-layers.ts";

export type FilterForm =
  | "number"
  /** The whole byte, whose lower two bits are zero. */
  | "tos"
  | "ipv4"
  | "ipv6"
  | "mac"
  | "port"
  | "frag"
  | "tcp_flags"
  | "ct_state"
  | "packet_type";

export type Prerequisite =
  | "none"
  | "ethernet"
  | "vlan"
  | "mpls"
  | "ipv4"
  | "ipv6"
  | "ip"
  | "arp"
  | "tcp"
  | "udp"
  | "sctp"
  | "ports"
  | "icmp"
  | "icmpv6"
  | "nd"
  | "nd_solicit"
  | "nd_advert"
  | "nsh"
  | "tracked";

export interface FilterField {
  readonly names: readonly string[];
  readonly field: FieldName;
  readonly form: FilterForm;
  readonly needs: Prerequisite;
  /** Bits of a value that does not fill its field, and where they begin. */
  readonly bits?: number;
  readonly shift?: number;
  /** Bits set and matched besides: naming a VLAN id asks for a tag. */
  readonly also?: number;
}

const TAG_PRESENT = 0x1000;

function row(
  names: string,
  field: FieldName,
  form: FilterForm = "number",
  needs: Prerequisite = "none",
  part: Pick<FilterField, "bits" | "shift" | "also"> = {},
): FilterField {
  return { names: names.split(" "), field, form, needs, ...part };
}

export const FILTER_FIELDS: readonly FilterField[] = [
  row("in_port in_port_oxm", "in_port", "port"),
  row("recirc_id", "recirc_id"),
  row("dp_hash", "dp_hash"),
  row("packet_type", "packet_type", "packet_type"),
  row("skb_priority", "skb_priority"),
  row("pkt_mark", "skb_mark"),
  row("ct_state", "ct_state", "ct_state"),
  row("ct_zone", "ct_zone"),
  row("ct_mark", "ct_mark"),
  row("ct_label", "ct_label"),
  row("ct_nw_proto", "ct_nw_proto", "number", "tracked"),
  row("ct_nw_src", "ct_nw_src", "ipv4", "tracked"),
  row("ct_nw_dst", "ct_nw_dst", "ipv4", "tracked"),
  row("ct_ipv6_src", "ct_ipv6_src", "ipv6", "tracked"),
  row("ct_ipv6_dst", "ct_ipv6_dst", "ipv6", "tracked"),
  row("ct_tp_src", "ct_tp_src", "number", "tracked"),
  row("ct_tp_dst", "ct_tp_dst", "number", "tracked"),
  row("tun_id tunnel_id", "tun_id"),
  row("tun_src", "tun_src", "ipv4"),
  row("tun_dst", "tun_dst", "ipv4"),
  row("tun_ipv6_src", "tun_ipv6_src", "ipv6"),
  row("tun_ipv6_dst", "tun_ipv6_dst", "ipv6"),
  row("tun_tos", "tun_tos"),
  row("tun_ttl", "tun_ttl"),
  row("tun_gbp_id", "tun_gbp_id"),
  row("tun_gbp_flags", "tun_gbp_flags"),
  row("tun_erspan_ver", "tun_erspan_ver", "number", "none", { bits: 4, shift: 0 }),
  row("tun_erspan_idx", "tun_erspan_idx", "number", "none", { bits: 20, shift: 0 }),
  row("tun_erspan_dir", "tun_erspan_dir", "number", "none", { bits: 1, shift: 0 }),
  row("tun_erspan_hwid", "tun_erspan_hwid", "number", "none", { bits: 6, shift: 0 }),
  row("tun_gtpu_flags", "tun_gtpu_flags"),
  row("tun_gtpu_msgtype", "tun_gtpu_msgtype"),
  row("eth_src dl_src", "eth_src", "mac", "ethernet"),
  row("eth_dst dl_dst", "eth_dst", "mac", "ethernet"),
  row("eth_type dl_type", "eth_type", "number", "ethernet"),
  row("vlan_tci", "vlan_tci", "number", "ethernet"),
  row("dl_vlan vlan_vid", "vlan_tci", "number", "ethernet", { bits: 12, shift: 0, also: TAG_PRESENT }),
  row("dl_vlan_pcp", "vlan_tci", "number", "ethernet", { bits: 3, shift: 13, also: TAG_PRESENT }),
  row("vlan_pcp", "vlan_tci", "number", "vlan", { bits: 3, shift: 13, also: TAG_PRESENT }),
  row("mpls_label", "mpls_lse0", "number", "mpls", { bits: 20, shift: 12 }),
  row("mpls_tc", "mpls_lse0", "number", "mpls", { bits: 3, shift: 9 }),
  row("mpls_bos", "mpls_lse0", "number", "mpls", { bits: 1, shift: 8 }),
  row("mpls_ttl", "mpls_lse0", "number", "mpls", { bits: 8, shift: 0 }),
  row("ip_src nw_src", "nw_src", "ipv4", "ipv4"),
  row("ip_dst nw_dst", "nw_dst", "ipv4", "ipv4"),
  row("ipv6_src", "ipv6_src", "ipv6", "ipv6"),
  row("ipv6_dst", "ipv6_dst", "ipv6", "ipv6"),
  row("ipv6_label", "ipv6_label", "number", "ipv6", { bits: 20, shift: 0 }),
  row("nw_proto ip_proto", "nw_proto", "number", "ip"),
  row("nw_tos", "nw_tos", "tos", "ip", { bits: 6, shift: 2 }),
  row("ip_dscp", "nw_tos", "number", "ip", { bits: 6, shift: 2 }),
  row("nw_ecn ip_ecn", "nw_tos", "number", "ip", { bits: 2, shift: 0 }),
  row("nw_ttl", "nw_ttl", "number", "ip"),
  row("ip_frag nw_frag", "nw_frag", "frag", "ip"),
  row("arp_op", "nw_proto", "number", "arp"),
  row("arp_spa", "nw_src", "ipv4", "arp"),
  row("arp_tpa", "nw_dst", "ipv4", "arp"),
  row("arp_sha", "arp_sha", "mac", "arp"),
  row("arp_tha", "arp_tha", "mac", "arp"),
  row("tcp_src", "tp_src", "number", "tcp"),
  row("tcp_dst", "tp_dst", "number", "tcp"),
  row("tcp_flags", "tcp_flags", "tcp_flags", "tcp", { bits: 12, shift: 0 }),
  row("udp_src", "tp_src", "number", "udp"),
  row("udp_dst", "tp_dst", "number", "udp"),
  row("sctp_src", "tp_src", "number", "sctp"),
  row("sctp_dst", "tp_dst", "number", "sctp"),
  row("tp_src", "tp_src", "number", "ports"),
  row("tp_dst", "tp_dst", "number", "ports"),
  row("icmp_type", "tp_src", "number", "icmp", { bits: 8, shift: 0 }),
  row("icmp_code", "tp_dst", "number", "icmp", { bits: 8, shift: 0 }),
  row("icmpv6_type", "tp_src", "number", "icmpv6", { bits: 8, shift: 0 }),
  row("icmpv6_code", "tp_dst", "number", "icmpv6", { bits: 8, shift: 0 }),
  row("nd_target", "nd_target", "ipv6", "nd"),
  row("nd_sll", "arp_sha", "mac", "nd_solicit"),
  row("nd_tll", "arp_tha", "mac", "nd_advert"),
  row("nd_reserved", "nd_reserved", "number", "nd"),
  row("nd_options_type", "nd_options_type", "number", "nd"),
  row("nsh_flags", "nsh_flags", "number", "nsh"),
  row("nsh_ttl", "nsh_ttl", "number", "nsh"),
  row("nsh_mdtype", "nsh_mdtype", "number", "nsh"),
  row("nsh_np", "nsh_np", "number", "nsh"),
  row("nsh_spi nsp", "nsh_path_hdr", "number", "nsh", { bits: 24, shift: 8 }),
  row("nsh_si nsi", "nsh_path_hdr", "number", "nsh", { bits: 8, shift: 0 }),
  row("nsh_c1 nshc1", "nsh_context0", "number", "nsh"),
  row("nsh_c2 nshc2", "nsh_context1", "number", "nsh"),
  row("nsh_c3 nshc3", "nsh_context2", "number", "nsh"),
  row("nsh_c4 nshc4", "nsh_context3", "number", "nsh"),
];

/** Words that stand for an Ethertype and a protocol. */
export const FILTER_PROTOCOLS: ReadonlyMap<string, { readonly etherType: number; readonly proto: number }> =
  new Map(
    [
      { names: "ip ipv4 ip4", etherType: ETH_TYPE.ipv4, proto: 0 },
      { names: "icmp", etherType: ETH_TYPE.ipv4, proto: IP_PROTOCOL.icmp },
      { names: "tcp", etherType: ETH_TYPE.ipv4, proto: IP_PROTOCOL.tcp },
      { names: "udp", etherType: ETH_TYPE.ipv4, proto: IP_PROTOCOL.udp },
      { names: "sctp", etherType: ETH_TYPE.ipv4, proto: IP_PROTOCOL.sctp },
      { names: "ipv6 ip6", etherType: ETH_TYPE.ipv6, proto: 0 },
      { names: "icmp6", etherType: ETH_TYPE.ipv6, proto: IP_PROTOCOL.icmpv6 },
      { names: "tcp6", etherType: ETH_TYPE.ipv6, proto: IP_PROTOCOL.tcp },
      { names: "udp6", etherType: ETH_TYPE.ipv6, proto: IP_PROTOCOL.udp },
      { names: "sctp6", etherType: ETH_TYPE.ipv6, proto: IP_PROTOCOL.sctp },
      { names: "arp", etherType: ETH_TYPE.arp, proto: 0 },
      { names: "rarp", etherType: ETH_TYPE.rarp, proto: 0 },
      { names: "mpls", etherType: ETH_TYPE.mpls, proto: 0 },
      { names: "mplsm", etherType: ETH_TYPE.mplsMulticast, proto: 0 },
    ].flatMap(({ names, etherType, proto }) => names.split(" ").map((name) => [name, { etherType, proto }])),
  );

/** Whether what the filter says so far makes the field one of its packets. */
export function isMet(needs: Prerequisite, filter: Uint8Array): boolean {
  const etherType = getNumber(filter, "eth_type");
  const isIp = etherType === ETH_TYPE.ipv4 || etherType === ETH_TYPE.ipv6;
  const proto = getNumber(filter, "nw_proto");
  const hasTransport = isIp && getNumber(filter, "nw_frag") !== FRAG_LATER;
  const isNd = etherType === ETH_TYPE.ipv6 && proto === IP_PROTOCOL.icmpv6 && isNeighborDiscovery(filter);
  const type = getNumber(filter, "tp_src");
  const met: Readonly<Record<Prerequisite, boolean>> = {
    none: true,
    ethernet: getNumber(filter, "packet_type") === 0,
    vlan: (getNumber(filter, "vlan_tci") & TAG_PRESENT) !== 0,
    mpls: etherType === ETH_TYPE.mpls || etherType === ETH_TYPE.mplsMulticast,
    ipv4: etherType === ETH_TYPE.ipv4,
    ipv6: etherType === ETH_TYPE.ipv6,
    ip: isIp,
    arp: etherType === ETH_TYPE.arp || etherType === ETH_TYPE.rarp,
    tcp: hasTransport && proto === IP_PROTOCOL.tcp,
    udp: hasTransport && proto === IP_PROTOCOL.udp,
    sctp: hasTransport && proto === IP_PROTOCOL.sctp,
    ports: hasTransport && PORT_PROTOCOLS.includes(proto),
    icmp: etherType === ETH_TYPE.ipv4 && proto === IP_PROTOCOL.icmp,
    icmpv6: etherType === ETH_TYPE.ipv6 && proto === IP_PROTOCOL.icmpv6,
    nd: isNd,
    nd_solicit: isNd && type === ICMPV6_TYPE.neighborSolicitation,
    nd_advert: isNd && type === ICMPV6_TYPE.neighborAdvertisement,
    nsh: etherType === ETH_TYPE.nsh,
    tracked: isIp && (getNumber(filter, "ct_state") & CT_TRACKED) !== 0,
  };
  return met[needs];
}

const PORT_PROTOCOLS: readonly number[] = [IP_PROTOCOL.tcp, IP_PROTOCOL.udp, IP_PROTOCOL.sctp];
const CT_TRACKED = 0x20;
