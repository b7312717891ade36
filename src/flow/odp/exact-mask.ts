// The mask of a flow that comes without one: everything that a packet of this key has is matched.

import { readBe32 } from "../../packet/bytes.ts";
import { ETH_TYPE, MPLS } from "../../packet/link-headers.ts";
import { IP_PROTOCOL } from "../../packet/network-headers.ts";
import { FIELDS, type FieldName, FRAG_LATER, K } from "../fields.ts";
import { getNumber, isZero, newKey, setOnes } from "../key.ts";
import { isNeighborDiscovery } from "./to-key-layers.ts";

const METADATA = [
  "skb_priority",
  "skb_mark",
  "ct_state",
  "ct_zone",
  "ct_mark",
  "ct_label",
  "recirc_id",
  "dp_hash",
  "in_port",
  "packet_type",
] as const satisfies readonly FieldName[];

const LSE_FIELDS = ["mpls_lse0", "mpls_lse1", "mpls_lse2"] as const satisfies readonly FieldName[];

/** An ICMP type or code is one byte in a two-byte field, and TCP flags are twelve bits. */
const ICMP_HIGH_BYTES = [K.tp_src, K.tp_dst] as const;
const TCP_FLAGS_HIGH_BITS = 0x0f;

export function exactMaskFor(key: Uint8Array): Uint8Array {
  const mask = newKey();
  const exact = (...fields: readonly FieldName[]): void => {
    for (const field of fields) setOnes(mask, field);
  };
  exact(...METADATA);
  maskTunnel(key, mask);
  if (isZero(key, "packet_type")) {
    exact("eth_dst", "eth_src", "eth_type", "vlan_tpid", "vlan_tci");
    if (!isZero(key, "vlan_tci")) exact("vlan2_tpid", "vlan2_tci");
  }
  switch (getNumber(key, "eth_type")) {
    case ETH_TYPE.ipv4:
      exact("nw_src", "nw_dst", "ct_nw_src", "ct_nw_dst");
      maskIp(key, mask);
      break;
    case ETH_TYPE.ipv6:
      exact("ipv6_src", "ipv6_dst");
      mask.set([0x00, 0x0f, 0xff, 0xff], K.ipv6_label);
      maskIp(key, mask);
      if (getNumber(key, "nw_proto") === IP_PROTOCOL.icmpv6 && isNeighborDiscovery(key)) {
        exact("arp_sha", "arp_tha", "nd_target", "nd_reserved", "nd_options_type");
      } else {
        exact("ct_ipv6_src", "ct_ipv6_dst");
      }
      break;
    case ETH_TYPE.arp:
    case ETH_TYPE.rarp:
      exact("nw_src", "nw_dst", "nw_proto", "arp_sha", "arp_tha");
      break;
    case ETH_TYPE.mpls:
    case ETH_TYPE.mplsMulticast:
      maskMpls(key, mask);
      break;
    case ETH_TYPE.nsh:
      for (const { name, group } of FIELDS) if (group === "nsh") setOnes(mask, name);
      break;
  }
  return mask;
}

function maskTunnel(key: Uint8Array, mask: Uint8Array): void {
  if (isZero(key, "tun_dst") && isZero(key, "tun_ipv6_dst")) return;
  for (const { name, group } of FIELDS) {
    if (group === "tunnel" && name !== "tun_opts") setOnes(mask, name);
  }
  mask.fill(0xff, K.tun_opts, K.tun_opts + getNumber(key, "tun_opts_len"));
}

/** Down to the label that ends the stack. */
function maskMpls(key: Uint8Array, mask: Uint8Array): void {
  for (const field of LSE_FIELDS) {
    setOnes(mask, field);
    if ((readBe32(key, K[field]) & MPLS.bottomMask) !== 0) return;
  }
}

function maskIp(key: Uint8Array, mask: Uint8Array): void {
  const fields = [
    "nw_frag",
    "nw_tos",
    "nw_ttl",
    "nw_proto",
    "ct_nw_proto",
    "ct_tp_src",
    "ct_tp_dst",
  ] as const;
  for (const field of fields) setOnes(mask, field);
  if (getNumber(key, "nw_frag") === FRAG_LATER) return;
  const proto = getNumber(key, "nw_proto");
  const withPorts: readonly number[] = [IP_PROTOCOL.tcp, IP_PROTOCOL.udp, IP_PROTOCOL.sctp, IP_PROTOCOL.igmp];
  const isIcmp = proto === IP_PROTOCOL.icmp || proto === IP_PROTOCOL.icmpv6;
  if (!isIcmp && !withPorts.includes(proto)) return;
  setOnes(mask, "tp_src");
  setOnes(mask, "tp_dst");
  if (isIcmp) for (const at of ICMP_HIGH_BYTES) mask[at] = 0;
  if (proto === IP_PROTOCOL.tcp) mask.set([TCP_FLAGS_HIGH_BITS, 0xff], K.tcp_flags);
}
