// The order hash: packets that must not overtake each other have the same one. It covers what a conversation keeps for
// life (port, addresses, tag, protocol, ports) and leaves out what changes from packet to packet (TTL, TOS, flags,
// fragment bits). Equal hashes of different conversations cost a detour behind a miss, never correctness.
//
// Per packet, but only while misses are in flight. Reads one key slot, writes nothing.
import { K } from "../flow/fields.ts";

const IN_PORT = K.in_port >>> 2;
const ETHERNET = K.eth_dst >>> 2;
const TYPE_AND_PROTO = K.eth_type >>> 2;
const NW_SRC = K.nw_src >>> 2;
const NW_DST = K.nw_dst >>> 2;
const PORTS = K.tp_src >>> 2;
const IPV6 = K.ipv6_src >>> 2;
const IPV6_WORDS = 8;
/** eth_type and nw_proto; nw_frag stands between them. */
const NO_FRAG = 0xff00ffff | 0;
const LINE_1 = 2;

const mix = (hash: number, word: number): number =>
  ((hash << 9) | (hash >>> 23)) ^ Math.imul(word ^ (word >>> 15), 0x2c1b3c6d);

/** A signed word. @param key arena offset of the slot; `dirtyLines` which of its lines are not zero */
export function orderHash(i32: Int32Array, key: number, dirtyLines: number): number {
  const word = key >>> 2;
  let hash = i32[word + IN_PORT]!;
  for (let index = 0; index < 4; index += 1) hash = mix(hash, i32[word + ETHERNET + index]!);
  hash = mix(hash, i32[word + TYPE_AND_PROTO]! & NO_FRAG);
  hash = mix(hash, i32[word + NW_SRC]!);
  hash = mix(hash, i32[word + NW_DST]!);
  hash = mix(hash, i32[word + PORTS]!);
  if ((dirtyLines & LINE_1) !== 0) {
    for (let index = 0; index < IPV6_WORDS; index += 1) hash = mix(hash, i32[word + IPV6 + index]!);
  }
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  return hash ^ (hash >>> 13);
}
