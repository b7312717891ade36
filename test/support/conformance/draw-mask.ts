// Random masks for a key that a packet has, within the rules of flows: a layer is looked at only under an exact type of
// the one below. And the flow's text, in OVS's long form or with the members left out that the mask does not look at.
import type { FieldName } from "../../../src/flow/fields.ts";
import {
  fieldOf,
  getBig,
  getNumber,
  isZero,
  newKey,
  setBytes,
  setNumber,
  setOnes,
} from "../../../src/flow/key.ts";
import { formatMatch, parseMatch } from "../../../src/flow/odp/match.ts";
import type { SeededRandom } from "../random.ts";
import { CASE_VLAN_LIMIT } from "./case.ts";

const EXACT = ["in_port", "recirc_id", "packet_type", "eth_type", "vlan_tpid"] as const;
const TYPES_ARP: ReadonlySet<number> = new Set([0x0806, 0x8035]);
const TYPES_MPLS: ReadonlySet<number> = new Set([0x8847, 0x8848]);
const LABELS = ["mpls_lse0", "mpls_lse1", "mpls_lse2"] as const;
const TUNNEL_ENDS = ["tun_dst", "tun_ipv6_dst"] as const;
const TUNNEL = [...TUNNEL_ENDS, "tun_id", "tun_src", "tun_ipv6_src", "tun_tos", "tun_ttl"] as const;
const CFI = 0x1000;
const FRAG_LATER = 2;

export function drawMask(key: Uint8Array, random: SeededRandom): Uint8Array {
  const mask = newKey();
  for (const field of EXACT) setOnes(mask, field);
  for (const field of ["skb_priority", "skb_mark"] as const)
    if (random.chance(0.1)) bits(mask, field, random);
  if (TUNNEL_ENDS.some((field) => !isZero(key, field))) for (const field of TUNNEL) bits(mask, field, random);
  for (const field of ["eth_src", "eth_dst"] as const) bits(mask, field, random);
  maskTags(mask, key, random);
  maskTunnel(mask, key, random);
  const type = getNumber(key, "eth_type");
  if (type === 0x0800 || type === 0x86dd) maskNetwork(mask, key, random, type === 0x86dd);
  if (TYPES_ARP.has(type)) {
    for (const field of ["nw_src", "nw_dst", "nw_proto", "arp_sha", "arp_tha"] as const)
      bits(mask, field, random);
  }
  if (TYPES_MPLS.has(type)) {
    for (const field of LABELS) if (getNumber(key, field) !== 0) bits(mask, field, random);
  }
  if (type === 0x894f) {
    setOnes(mask, "nsh_mdtype");
    setOnes(mask, "nsh_np");
    for (const field of ["nsh_flags", "nsh_ttl", "nsh_path_hdr"] as const) bits(mask, field, random);
  }
  return mask;
}

/** Nothing, everything, or some bits of a field. */
function bits(mask: Uint8Array, field: FieldName, random: SeededRandom): void {
  const kind = random.below(10);
  if (kind < 5) return;
  const { bytes } = fieldOf(field);
  if (kind < 8) setOnes(mask, field);
  else if (kind === 8) setBytes(mask, field, random.bytes(bytes));
  else {
    const prefixBits = random.below(bytes * 8 + 1);
    const prefix = Uint8Array.from({ length: bytes }, (_, at) => {
      const left = Math.min(8, Math.max(0, prefixBits - at * 8));
      return (0xff00 >> left) & 0xff;
    });
    setBytes(mask, field, prefix);
  }
}

const TUNNEL_FLAGS = getNumber(
  parseMatch("tunnel(dst=1.1.1.1,ttl=1/0,flags(-df-csum+key)),in_port(1)").mask,
  "tun_flags",
);
/** Both ends exactly: a tunnel is told by them. Options are looked at whole or not at all. */
function maskTunnel(mask: Uint8Array, key: Uint8Array, random: SeededRandom): void {
  const isV6 = getNumber(key, "tun_dst") === 0;
  if (isV6 && getBig(key, "tun_ipv6_dst") === 0n) return;
  setOnes(mask, isV6 ? "tun_ipv6_dst" : "tun_dst");
  for (const field of [isV6 ? "tun_ipv6_src" : "tun_src", "tun_id", "tun_tos", "tun_ttl"] as const)
    bits(mask, field, random);
  if (random.chance(0.5)) setNumber(mask, "tun_flags", TUNNEL_FLAGS);
}

/** A tag is always looked at, its absence exactly. */
function maskTags(mask: Uint8Array, key: Uint8Array, random: SeededRandom): void {
  for (const [tpid, tci] of [
    ["vlan_tpid", "vlan_tci"],
    ["vlan2_tpid", "vlan2_tci"],
  ] as const) {
    if (getNumber(key, tpid) === 0) {
      if (tci === "vlan_tci") setOnes(mask, tci);
      continue;
    }
    setOnes(mask, tpid);
    setNumber(mask, tci, CFI | random.pick([0xffff, 0x0fff, 0xe000, 0, random.below(0x10000)]));
  }
}

function maskNetwork(mask: Uint8Array, key: Uint8Array, random: SeededRandom, isIpv6: boolean): void {
  setOnes(mask, "nw_frag");
  const addresses = isIpv6 ? (["ipv6_src", "ipv6_dst"] as const) : (["nw_src", "nw_dst"] as const);
  for (const field of [...addresses, "nw_tos", "nw_ttl"] as const) bits(mask, field, random);
  if (isIpv6 && random.chance(0.3)) setNumber(mask, "ipv6_label", 0xfffff);
  if (random.chance(0.2)) return;
  setOnes(mask, "nw_proto");
  if (getNumber(key, "nw_frag") === FRAG_LATER) return;
  const protocol = getNumber(key, "nw_proto");
  if (protocol === 6 || protocol === 17 || protocol === 132) {
    bits(mask, "tp_src", random);
    bits(mask, "tp_dst", random);
    if (protocol === 6 && random.chance(0.4))
      setNumber(mask, "tcp_flags", random.pick([0xfff, random.below(0x1000)]));
  } else if (protocol === (isIpv6 ? 58 : 1)) maskIcmp(mask, key, random, isIpv6);
}

function maskIcmp(mask: Uint8Array, key: Uint8Array, random: SeededRandom, isIpv6: boolean): void {
  if (random.chance(0.3)) return;
  setNumber(mask, "tp_src", 0xff);
  if (random.chance(0.3)) return;
  setNumber(mask, "tp_dst", 0xff);
  const type = getNumber(key, "tp_src");
  if (!isIpv6 || (type !== 135 && type !== 136) || getNumber(key, "tp_dst") !== 0) return;
  for (const field of ["nd_target", "arp_sha", "arp_tha"] as const) bits(mask, field, random);
}

/**
 * Members that the mask does not look at, which may as well be left out; not those whose value says which header comes
 * next.
 */
const UNSEEN =
  /(?<=[(,])(?!proto=|type=|code=)[a-z_0-9]+=[^,(){}/]*\/(?:0|0x0|0\.0\.0\.0|::|00:00:00:00:00:00)(?:,|(?=\)))/g;
const UNSEEN_FIELD =
  /(?:^|(?<=,))(?:skb_priority|skb_mark|ct_state|ct_zone|ct_mark|ct_label|dp_hash)\([^()]*\/(?:0|0x0)\),/g;

const UNREAD = /eth_type\(0\/|encap\(\)|mpls\(\)|nsh\(|vlan\(vid=0,pcp=0,cfi=0/;
/** One or two labels whose last is not the bottom. */
const CUT_STACK =
  /mpls\((?:label=[^,]*,tc=[^,]*,ttl=[^,]*,bos=[^,)]*,)?label=[^,]*,tc=[^,]*,ttl=[^,]*,bos=0[^,)]*\)/;

/**
 * The flow as add-flow takes it; undefined for flows that OVS prints and does not read: frames without Ethertype,
 * tags without TCI, label stacks that are cut off, and NSH.
 */
export function flowText(key: Uint8Array, mask: Uint8Array, random: SeededRandom): string | undefined {
  const text = formatMatch({ key, mask }, { verbose: true, vlanLimit: CASE_VLAN_LIMIT });
  if (UNREAD.test(text) || CUT_STACK.test(text) || !text.includes("eth_type(")) return undefined;
  // OVS reads no tunnel without ttl.
  if (text.includes("mpls(") || text.includes("tunnel(") || random.chance(0.5)) return text;
  return text.replace(UNSEEN_FIELD, "").replace(UNSEEN, "").replaceAll(",)", ")");
}
