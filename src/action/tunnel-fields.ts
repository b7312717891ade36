// The tunnel fields of a key as set(tunnel(...)) gives them. Hot, per packet that is looked up again or goes up under a
// set tunnel; writes into one key slot, whose tunnel lines are zero before. The attributes were validated when the flow
// was put.
import { K, KEY_LINE_BYTES } from "../flow/fields.ts";
import { NLA_HEADER_BYTES } from "../flow/nlattr.ts";
import { TUNNEL_ATTR } from "../flow/odp/attributes.ts";
import { TUNNEL_FLAG } from "../flow/odp/flags.ts";
import { ERSPAN, GTPU } from "../flow/odp/tunnel-options.ts";
import type { Arena } from "../memory/arena.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const HEADER_BYTES = NLA_HEADER_BYTES;
const ATTR = { ...TUNNEL_ATTR };
const FLAG = { ...TUNNEL_FLAG };
const {
  tun_id: ID,
  tun_src: SRC,
  tun_dst: DST,
  tun_ipv6_src: IPV6_SRC,
  tun_ipv6_dst: IPV6_DST,
  tun_tp_src: TP_SRC,
  tun_tp_dst: TP_DST,
  tun_flags: FLAGS,
} = K;
const FIRST_LINE = Math.floor(ID / KEY_LINE_BYTES);
/** Lines of the fields that every tunnel has. */
const FIELD_LINES = 3 << FIRST_LINE;

/**
 * Writes the fields.
 * @param key arena offset of the key slot
 * @param at arena offset of the attributes, `bytes` of them
 * @returns the lines that are not zero now, bit n for line n
 */
export function writeTunnelFields({ u8, u16 }: Arena, key: number, at: number, bytes: number): number {
  const end = at + bytes;
  let flags = 0;
  let lines = FIELD_LINES;
  for (let next = at; at < end; at = next) {
    const payload = at + HEADER_BYTES;
    const payloadBytes = u16[at >>> 1]! - HEADER_BYTES;
    next = at + ((payloadBytes + HEADER_BYTES + 3) & ~3);
    const type = u16[(at >>> 1) + 1]!;
    flags |= flagOf(type);
    const field = fieldOf(type);
    if (field !== 0) u8.copyWithin(key + field, payload, payload + payloadBytes);
    else if (type === ATTR.geneveOpts) {
      u8.copyWithin(key + K.tun_opts, payload, payload + payloadBytes);
      u8[key + K.tun_opts_len] = payloadBytes;
      for (let line = FIRST_LINE; line * KEY_LINE_BYTES < K.tun_opts + payloadBytes; line += 1)
        lines |= 1 << line;
    } else if (type === ATTR.vxlanOpts && payloadBytes > 0) {
      // One attribute inside, a little-endian word: group id, then flags.
      u8[key + K.tun_gbp_id] = u8[payload + HEADER_BYTES + 1]!;
      u8[key + K.tun_gbp_id + 1] = u8[payload + HEADER_BYTES]!;
      u8[key + K.tun_gbp_flags] = u8[payload + HEADER_BYTES + 2]!;
    } else if (type === ATTR.erspanOpts) {
      writeErspanFields(u8, key, payload);
    } else if (type === ATTR.gtpuOpts) {
      u8[key + K.tun_gtpu_flags] = u8[payload + GTPU.flags]!;
      u8[key + K.tun_gtpu_msgtype] = u8[payload + GTPU.messageType]!;
    }
  }
  u16[(key + FLAGS) >>> 1] = flags;
  return lines;
}

function writeErspanFields(u8: Uint8Array, key: number, payload: number): void {
  const version = u8[payload + ERSPAN.version]!;
  u8[key + K.tun_erspan_ver] = version;
  if (version === 1) {
    u8.copyWithin(key + K.tun_erspan_idx, payload + ERSPAN.index, payload + ERSPAN.index + 4);
    return;
  }
  const direction = u8[payload + ERSPAN.direction]!;
  u8[key + K.tun_erspan_dir] = (direction >>> 3) & 1;
  u8[key + K.tun_erspan_hwid] = ((u8[payload + ERSPAN.hwidUpper]! & 3) << 4) | (direction >>> 4);
}

/** Where the key has the attribute's payload as it is; 0 when it does not. */
function fieldOf(type: number): number {
  switch (type) {
    case ATTR.id:
      return ID;
    case ATTR.ipv4Src:
      return SRC;
    case ATTR.ipv4Dst:
      return DST;
    case ATTR.ipv6Src:
      return IPV6_SRC;
    case ATTR.ipv6Dst:
      return IPV6_DST;
    case ATTR.tos:
      return K.tun_tos;
    case ATTR.ttl:
      return K.tun_ttl;
    case ATTR.tpSrc:
      return TP_SRC;
    case ATTR.tpDst:
      return TP_DST;
    default:
      return 0;
  }
}

/** The flag of the key that the attribute's being there sets. */
function flagOf(type: number): number {
  switch (type) {
    case ATTR.id:
      return FLAG.key;
    case ATTR.dontFragment:
      return FLAG.df;
    case ATTR.csum:
      return FLAG.csum;
    case ATTR.oam:
      return FLAG.oam;
    case ATTR.geneveOpts:
      return FLAG.options;
    default:
      return 0;
  }
}
