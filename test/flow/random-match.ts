// fast-check arbitraries of matches: keys that a packet can have, of every kind of header, and masks that keep the
// rules (a layer is looked at only under an exact type of the one below).

import fc from "fast-check";
import { type FieldName, K, TUNNEL_OPTIONS_BYTES_MAX } from "../../src/flow/fields.ts";
import { fieldOf, getNumber, newKey, setBytes, setNumber, setOnes } from "../../src/flow/key.ts";
import type { FlowMatch } from "../../src/flow/odp/match.ts";

type Bytes = (count: number) => Uint8Array;

/** Draws from an endless supply of random bytes; zeros and ones come often. */
function drawer(seed: Uint8Array): { bytes: Bytes; below: (limit: number) => number } {
  let at = 0;
  let state = 1;
  const next = (): number => {
    state = Math.imul(state ^ seed[at++ % seed.length]!, 0x01000193) + 0x9e3779b9;
    return (state >>> 13) & 0xff;
  };
  const bytes: Bytes = (count) => {
    const kind = next() % 4;
    return Uint8Array.from({ length: count }, () => (kind === 0 ? 0 : kind === 1 ? 0xff : next()));
  };
  return { bytes, below: (limit) => ((next() << 8) | next()) % limit };
}

type Draw = ReturnType<typeof drawer>;

interface Layer {
  /** Sets what the layer's type and the layers above it need. */
  readonly key: (key: Uint8Array, draw: Draw) => void;
  /** Fields that may be matched in any bit. */
  readonly free: readonly FieldName[];
  /** Fields that are matched exactly when anything of `under` is. */
  readonly exact: readonly FieldName[];
}

const IP_FIELDS = ["nw_tos", "nw_ttl"] as const;

const PROTOCOLS: readonly { proto: number; free: readonly FieldName[]; v6?: boolean; v4?: boolean }[] = [
  { proto: 6, free: ["tp_src", "tp_dst", "tcp_flags"] },
  { proto: 17, free: ["tp_src", "tp_dst"] },
  { proto: 132, free: ["tp_src", "tp_dst"] },
  { proto: 1, free: [], v6: false },
  { proto: 58, free: [], v4: false },
  { proto: 89, free: [] },
];

function ipLayer(version: 4 | 6): Layer {
  const free: FieldName[] = [...IP_FIELDS];
  free.push(...(version === 4 ? (["nw_src", "nw_dst"] as const) : (["ipv6_src", "ipv6_dst"] as const)));
  return {
    free,
    exact: [],
    key: (key, draw) => {
      setNumber(key, "eth_type", version === 4 ? 0x0800 : 0x86dd);
      setNumber(key, "nw_frag", draw.below(3));
      if (version === 6) setNumber(key, "ipv6_label", draw.below(0x10000) * 16);
      const choices = PROTOCOLS.filter((row) => (version === 4 ? row.v4 !== false : row.v6 !== false));
      const { proto, free: ports } = choices[draw.below(choices.length)]!;
      setNumber(key, "nw_proto", proto);
      if (getNumber(key, "nw_frag") === 2) return;
      for (const field of ports) setBytes(key, field, draw.bytes(2));
      setNumber(key, "tcp_flags", getNumber(key, "tcp_flags") & 0xfff);
      if (proto === 1 || proto === 58) icmp(key, draw, proto);
    },
  };
}

function icmp(key: Uint8Array, draw: Draw, proto: number): void {
  const isNd = proto === 58 && draw.below(2) === 0;
  setNumber(key, "tp_src", isNd ? 135 + draw.below(2) : draw.below(128));
  setNumber(key, "tp_dst", isNd ? 0 : draw.below(256));
  if (!isNd) return;
  setBytes(key, "nd_target", draw.bytes(16));
  setBytes(key, "arp_sha", draw.bytes(6));
  setBytes(key, "arp_tha", draw.bytes(6));
}

const LAYERS: readonly Layer[] = [
  ipLayer(4),
  ipLayer(6),
  {
    free: ["nw_src", "nw_dst", "nw_proto", "arp_sha", "arp_tha"],
    exact: [],
    key: (key, draw) => {
      setNumber(key, "eth_type", draw.below(2) === 0 ? 0x0806 : 0x8035);
      setBytes(key, "nw_src", draw.bytes(4));
      setBytes(key, "nw_dst", draw.bytes(4));
      setNumber(key, "nw_proto", draw.below(256));
      setBytes(key, "arp_sha", draw.bytes(6));
      setBytes(key, "arp_tha", draw.bytes(6));
    },
  },
  {
    // Its mask is drawn with the labels: attributes say nothing about those below the bottom.
    free: [],
    exact: [],
    key: (key, draw) => {
      setNumber(key, "eth_type", 0x8847 + draw.below(2));
      const labels = 1 + draw.below(3);
      for (let index = 0; index < labels; index++) {
        const isBottom = index === labels - 1;
        const entry = ((draw.below(0xffff) + 1) * 0x1000 + draw.below(8) * 0x200 + draw.below(256)) >>> 0;
        setNumber(
          key,
          (["mpls_lse0", "mpls_lse1", "mpls_lse2"] as const)[index]!,
          isBottom ? entry + 0x100 : entry,
        );
      }
    },
  },
  {
    free: ["nsh_flags", "nsh_ttl", "nsh_path_hdr", "nsh_context0", "nsh_context3"],
    exact: ["nsh_mdtype", "nsh_np"],
    key: (key, draw) => {
      setNumber(key, "eth_type", 0x894f);
      setNumber(key, "nsh_mdtype", 1);
      setNumber(key, "nsh_np", draw.below(5));
      for (const field of ["nsh_flags", "nsh_ttl"] as const) setBytes(key, field, draw.bytes(1));
      for (const field of ["nsh_path_hdr", "nsh_context0", "nsh_context3"] as const) {
        setBytes(key, field, draw.bytes(4));
      }
    },
  },
  { free: [], exact: [], key: (key, draw) => setNumber(key, "eth_type", 0x9000 + draw.below(256)) },
  { free: [], exact: [], key: (key) => setNumber(key, "eth_type", 0x05ff) },
];

const METADATA: readonly FieldName[] = [
  "dp_hash",
  "skb_priority",
  "skb_mark",
  "ct_zone",
  "ct_mark",
  "ct_label",
];

/** A match as a flow of the table has it, under a VLAN limit of 2. */
export const randomMatch: fc.Arbitrary<FlowMatch> = fc
  .tuple(fc.uint8Array({ minLength: 32, maxLength: 64 }), fc.nat(LAYERS.length - 1), fc.nat(2), fc.nat(4))
  .map(([seed, layer, tags, tunnel]) => makeMatch(drawer(seed), LAYERS[layer]!, tags, tunnel));

function makeMatch(draw: Draw, layer: Layer, tags: number, tunnel: number): FlowMatch {
  const key = newKey();
  const mask = newKey();
  const match: FlowMatch = { key, mask };
  for (const field of METADATA) free(match, draw, field);
  setNumber(key, "recirc_id", draw.below(1000));
  setNumber(key, "in_port", draw.below(65535));
  setNumber(key, "ct_state", draw.below(256));
  setNumber(mask, "ct_state", draw.below(256));
  for (const field of ["recirc_id", "in_port", "eth_type", "vlan_tpid"] as const) setOnes(mask, field);
  if (draw.below(2) === 0) setOnes(mask, "packet_type");
  free(match, draw, "eth_src");
  free(match, draw, "eth_dst");
  addTags(match, draw, tags);
  layer.key(key, draw);
  for (const field of layer.free) free(match, draw, field, true);
  for (const field of layer.exact) setOnes(mask, field);
  maskIpLayer(match, draw);
  maskLabels(match, draw);
  addTunnel(match, draw, tunnel);
  return match;
}

/** Any value, unless the layer has set it, under any mask. */
function free({ key, mask }: FlowMatch, draw: Draw, field: FieldName, keep = false): void {
  const { bytes } = fieldOf(field);
  if (!keep || field.startsWith("nw_t") || field.endsWith("_src") || field.endsWith("_dst")) {
    setBytes(key, field, draw.bytes(bytes));
  }
  setBytes(mask, field, draw.bytes(bytes));
}

function addTags({ key, mask }: FlowMatch, draw: Draw, tags: number): void {
  if (tags === 0) {
    setOnes(mask, "vlan_tci");
    return;
  }
  setNumber(key, "vlan_tpid", tags === 2 ? 0x88a8 : 0x8100);
  setNumber(key, "vlan_tci", 0x1000 + draw.below(0x1000) + draw.below(8) * 0x2000);
  setNumber(mask, "vlan_tci", 0x1000 + draw.below(0x1000) + draw.below(8) * 0x2000);
  if (tags === 1) return;
  setNumber(key, "vlan2_tpid", 0x8100);
  setNumber(key, "vlan2_tci", 0x1000 + draw.below(0x1000));
  setOnes(mask, "vlan2_tpid");
  setNumber(mask, "vlan2_tci", 0x1000 + draw.below(0x1000));
}

/** Protocol exact and ports in any bit, or everything of both left out; ND below an exact ICMP type. */
function maskIpLayer({ key, mask }: FlowMatch, draw: Draw): void {
  const etherType = getNumber(key, "eth_type");
  if (etherType !== 0x0800 && etherType !== 0x86dd) return;
  if (draw.below(2) === 0) setOnes(mask, "nw_frag");
  if (etherType === 0x86dd) setNumber(mask, "ipv6_label", draw.below(0x10000));
  if (draw.below(3) === 0) return;
  setOnes(mask, "nw_proto");
  if (getNumber(key, "nw_frag") === 2) return;
  const proto = getNumber(key, "nw_proto");
  if (proto === 1 || proto === 58) {
    setNumber(mask, "tp_src", 0xff);
    setNumber(mask, "tp_dst", draw.below(2) === 0 ? 0xff : 0);
    if (proto === 58 && getNumber(key, "tp_src") >= 135 && getNumber(key, "tp_dst") === 0) {
      for (const field of ["nd_target", "arp_sha", "arp_tha"] as const) {
        setBytes(mask, field, draw.bytes(fieldOf(field).bytes));
      }
    }
  } else if ([6, 17, 132].includes(proto)) {
    setBytes(mask, "tp_src", draw.bytes(2));
    setBytes(mask, "tp_dst", draw.bytes(2));
    if (proto === 6) setNumber(mask, "tcp_flags", draw.below(0x1000));
  }
}

function maskLabels({ key, mask }: FlowMatch, draw: Draw): void {
  for (const field of ["mpls_lse0", "mpls_lse1", "mpls_lse2"] as const) {
    if (getNumber(key, field) !== 0) setBytes(mask, field, draw.bytes(4));
  }
}

const TUNNEL_SIMPLE = ["tun_tos", "tun_ttl", "tun_tp_src", "tun_tp_dst"] as const;

/** 0 none, 1 plain IPv4, 2 Geneve, 3 VXLAN with a policy group over IPv6, 4 ERSPAN. */
function addTunnel(match: FlowMatch, draw: Draw, kind: number): void {
  if (kind === 0) return;
  const { key, mask } = match;
  const addresses =
    kind === 3 ? (["tun_ipv6_src", "tun_ipv6_dst"] as const) : (["tun_src", "tun_dst"] as const);
  for (const field of addresses) {
    free(match, draw, field);
    key[K[field]] = 10;
  }
  for (const field of TUNNEL_SIMPLE) free(match, draw, field);
  free(match, draw, "tun_id");
  setNumber(key, "tun_flags", draw.below(8) | 8);
  setNumber(mask, "tun_flags", draw.below(8) | 8);
  if (kind === 2) addGeneve(match, draw);
  if (kind === 3) {
    free(match, draw, "tun_gbp_id");
    free(match, draw, "tun_gbp_flags");
    key[K.tun_gbp_id] = 1;
  }
  if (kind === 4) {
    setNumber(key, "tun_erspan_ver", 1);
    setOnes(mask, "tun_erspan_ver");
    free(match, draw, "tun_erspan_idx");
  }
}

function addGeneve({ key, mask }: FlowMatch, draw: Draw): void {
  const dataBytes = draw.below(4) * 4;
  const optionBytes = 4 + dataBytes;
  if (optionBytes > TUNNEL_OPTIONS_BYTES_MAX) return;
  key.set(draw.bytes(3), K.tun_opts);
  key[K.tun_opts + 3] = dataBytes / 4;
  key.set(draw.bytes(dataBytes), K.tun_opts + 4);
  mask.set(draw.bytes(3), K.tun_opts);
  mask[K.tun_opts + 3] = 0x1f;
  mask.set(draw.bytes(dataBytes), K.tun_opts + 4);
  setNumber(key, "tun_opts_len", optionBytes);
  setNumber(mask, "tun_opts_len", 0xff);
  setNumber(key, "tun_flags", getNumber(key, "tun_flags") | 16);
  setNumber(mask, "tun_flags", getNumber(mask, "tun_flags") | 16);
}
