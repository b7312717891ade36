// Hashes of the packet in hand: hash(l4) and hash(sym_l4), which set dp_hash, and the one that lb_output chooses a member
// by. They are taken of the packet as it is by then, so its key is extracted anew into the batch's spare slot.
//
// Covered are addresses, protocol and ports; ports only where the packet is no fragment, so that all fragments of a
// packet have one hash. Packets that are not IP are told apart by their Ethernet addresses and type. Values differ
// from OVS's, whose hash is private to it.
import { Extractor } from "../flow/extract.ts";
import { ALL_LINES } from "../flow/extract-cursor.ts";
import { K } from "../flow/fields.ts";
import type { Arena } from "../memory/arena.ts";
import { BATCH, LINEAR_BYTES } from "../memory/batch-layout.ts";
import type { Packets } from "../memory/packets.ts";
import { IP_PROTOCOL } from "../packet/network-headers.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const ETHERNET = K.eth_dst >>> 2;
const TYPE_WORD = K.eth_type >>> 2;
const NW_SRC = K.nw_src >>> 2;
const NW_DST = K.nw_dst >>> 2;
const PORTS = K.tp_src >>> 2;
const IPV6_SRC = K.ipv6_src >>> 2;
const IPV6_DST = K.ipv6_dst >>> 2;
const PACKET_TYPE = K.packet_type >>> 2;
/** The word of eth_type, nw_frag and nw_proto. */
const ETH_TYPE_BITS = 0xffff;
const FRAG_BITS = 0x00ff0000;
const PROTO_BITS = 0xff000000 | 0;
const RAW_IPV4 = 0x0008;
const RAW_IPV6 = 0xdd86;
const TCP = IP_PROTOCOL.tcp;
const UDP = IP_PROTOCOL.udp;
const SCTP = IP_PROTOCOL.sctp;
/** A gathered packet starts at 2 mod 4 like a frame. */
const GATHER_AT = 2;

const mix = (hash: number, word: number): number => {
  const mixed = Math.imul(hash ^ Math.imul(word, 0xcc9e2d51), 0x1b873593);
  return (mixed << 13) | (mixed >>> 19);
};

function finish(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

export class PacketHash {
  readonly #i32: Int32Array;
  readonly #packets: Packets;
  readonly #extractor: Extractor;
  /** Arena offset of the spare key, and of the area for packets in several frames. */
  readonly #key: number;
  readonly #linear: number;
  #dirtyLines = ALL_LINES;

  /** @param batch arena offset of the batch whose spare key and linear area are used */
  constructor(arena: Arena, packets: Packets, batch: number, vlanLimit: number) {
    this.#i32 = arena.i32;
    this.#packets = packets;
    this.#extractor = new Extractor(arena, vlanLimit);
    this.#key = batch + BATCH.spareKey;
    this.#linear = batch + BATCH.linear + GATHER_AT;
  }

  /** A signed word, the same for all packets of a conversation in one direction. @param packetType the key's word */
  l4(frame: number, packetType: number, basis: number): number {
    this.#extract(frame, packetType);
    const i32 = this.#i32;
    const key = this.#key >>> 2;
    const type = i32[key + TYPE_WORD]!;
    let hash = mix(basis, type & (ETH_TYPE_BITS | PROTO_BITS));
    if ((type & ETH_TYPE_BITS) === RAW_IPV4) {
      hash = mix(mix(hash, i32[key + NW_SRC]!), i32[key + NW_DST]!);
    } else if ((type & ETH_TYPE_BITS) === RAW_IPV6) {
      for (let word = 0; word < 8; word += 1) hash = mix(hash, i32[key + IPV6_SRC + word]!);
    } else {
      for (let word = 0; word < 3; word += 1) hash = mix(hash, i32[key + ETHERNET + word]!);
      return finish(hash);
    }
    return finish((type & FRAG_BITS) === 0 ? mix(hash, i32[key + PORTS]!) : hash);
  }

  /** As l4(), the same in both directions. */
  symL4(frame: number, packetType: number, basis: number): number {
    this.#extract(frame, packetType);
    const i32 = this.#i32;
    const key = this.#key >>> 2;
    const type = i32[key + TYPE_WORD]!;
    let hash = mix(basis, type & (ETH_TYPE_BITS | PROTO_BITS));
    if ((type & ETH_TYPE_BITS) === RAW_IPV4) {
      hash = mix(hash, i32[key + NW_SRC]! ^ i32[key + NW_DST]!);
    } else if ((type & ETH_TYPE_BITS) === RAW_IPV6) {
      for (let word = 0; word < 4; word += 1)
        hash = mix(hash, i32[key + IPV6_SRC + word]! ^ i32[key + IPV6_DST + word]!);
    } else {
      // The two addresses are six bytes each: words 0 and 1 hold the first and a third of the second.
      const first = i32[key + ETHERNET]!;
      const middle = i32[key + ETHERNET + 1]!;
      const last = i32[key + ETHERNET + 2]!;
      hash = mix(hash, first ^ ((middle >>> 16) | (last << 16)));
      hash = mix(hash, (middle & 0xffff) ^ (last >>> 16));
      return finish(hash);
    }
    // ICMP's type and code stand where ports do, and an answer has others.
    const proto = type >>> 24;
    if ((type & FRAG_BITS) !== 0 || (proto !== TCP && proto !== UDP && proto !== SCTP)) return finish(hash);
    const ports = i32[key + PORTS]!;
    return finish(mix(hash, (ports ^ (ports >>> 16)) & 0xffff));
  }

  #extract(frame: number, packetType: number): void {
    const packets = this.#packets;
    const packetBytes = packets.packetBytes(frame);
    this.#i32[(this.#key >>> 2) + PACKET_TYPE] = packetType;
    const dirty = this.#dirtyLines;
    let lines = this.#extractor.extract(
      packets.head(frame) | 0,
      packets.dataBytes(frame),
      packetBytes,
      this.#key,
      dirty,
    );
    if (this.#extractor.needsMoreLinear) {
      const bytes = packets.gather(frame, this.#linear, Math.min(packetBytes, LINEAR_BYTES - GATHER_AT));
      lines = this.#extractor.extract(this.#linear | 0, bytes, packetBytes, this.#key, dirty | lines);
    }
    this.#dirtyLines = lines;
  }
}
