// Actions that change the packet in hand: set, and everything that pushes and pops headers, and hash. Hot, per packet.
// Writes packet bytes and the packet's metadata (packet-metadata.ts); where headers are, packet-layers.ts keeps.
import { K } from "../flow/fields.ts";
import { NLA_HEADER_BYTES } from "../flow/nlattr.ts";
import { KEY_ATTR } from "../flow/odp/attributes.ts";
import type { Arena } from "../memory/arena.ts";
import { BATCH } from "../memory/batch-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import { readBe16, readBe32, swap16, writeBe32 } from "../packet/bytes.ts";
import { ETH_TYPE, MPLS } from "../packet/link-headers.ts";
import { IPV4, IPV6 } from "../packet/network-headers.ts";
import { ACTION, ACTION_METADATA, ADD_MPLS_L3_TUNNEL, HASH_ALG } from "./attributes.ts";
import { blend32, NO_MASK } from "./blend.ts";
import { decrementTtl } from "./dec-ttl.ts";
import { HeaderWindow, NO_WINDOW } from "./header-window.ts";
import { PacketHash } from "./packet-hash.ts";
import { PacketLayers, UNABLE } from "./packet-layers.ts";
import { META, PacketMetadata } from "./packet-metadata.ts";
import { NO_HEADER, SetField } from "./set-field.ts";
import { NSH_WINDOW_BYTES, setNsh } from "./set-nsh.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const SET = ACTION.set;
const SET_MASKED = ACTION.setMasked;
const PUSH_VLAN = ACTION.pushVlan;
const POP_VLAN = ACTION.popVlan;
const HASH = ACTION.hash;
const PUSH_MPLS = ACTION.pushMpls;
const POP_MPLS = ACTION.popMpls;
const ADD_MPLS = ACTION.addMpls;
const PUSH_ETH = ACTION.pushEth;
const POP_ETH = ACTION.popEth;
const PUSH_NSH = ACTION.pushNsh;
const POP_NSH = ACTION.popNsh;
const METADATA = ACTION_METADATA;
const SET_PRIORITY = KEY_ATTR.priority;
const SET_MARK = KEY_ATTR.skbMark;
const SET_DP_HASH = KEY_ATTR.dpHash;
const SET_RECIRC_ID = KEY_ATTR.recircId;
const SET_MPLS = KEY_ATTR.mpls;
const SET_NSH = KEY_ATTR.nsh;
const { recircId: RECIRC_ID, packetType: PACKET_TYPE, dpHash: DP_HASH } = META;
const { skbPriority: PRIORITY, skbMark: MARK } = META;
const SYM_L4 = HASH_ALG.symL4;
const L3_TUNNEL = ADD_MPLS_L3_TUNNEL;
const HEADER_BYTES = NLA_HEADER_BYTES;
const IPV4_BYTES = IPV4.headerBytes;
const IPV6_BYTES = IPV6.headerBytes;
const ENTRY_BYTES = MPLS.entryBytes;
/** Where add_mpls's flags word is, behind entry and Ethertype. */
const ADD_MPLS_FLAGS_AT = 6;
const ETH_TYPE_AT = K.eth_type >>> 1;
/** Ethertypes as the key's bytes read as a word. */
const RAW_IPV4 = swap16(ETH_TYPE.ipv4);
const RAW_IPV6 = swap16(ETH_TYPE.ipv6);
const RAW_MPLS = swap16(ETH_TYPE.mpls);
const RAW_MPLS_MULTICAST = swap16(ETH_TYPE.mplsMulticast);
/** "No header" in the batch's offset columns. */
const NO_OFFSET = 0xffff;

export interface ChangesContext {
  readonly arena: Arena;
  readonly pool: FramePool;
  readonly packets: Packets;
  /** Arena offset of the batch, whose spare key and linear area are used. */
  readonly batch: number;
  readonly vlanLimit: number;
}

export class PacketChanges {
  readonly metadata: PacketMetadata;
  readonly layers: PacketLayers;
  readonly hash: PacketHash;

  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #packets: Packets;
  readonly #window: HeaderWindow;
  readonly #setField: SetField;

  constructor({ arena, pool, packets, batch, vlanLimit }: ChangesContext) {
    this.#u8 = arena.u8;
    this.#u16 = arena.u16;
    this.#u32 = arena.u32;
    this.#packets = packets;
    this.metadata = new PacketMetadata(arena.u32);
    this.layers = new PacketLayers(arena, pool, packets, this.metadata);
    this.hash = new PacketHash(arena, packets, batch, vlanLimit);
    this.#window = new HeaderWindow(packets, batch + BATCH.linear);
    this.#setField = new SetField(arena, packets, this.#window);
  }

  /** A new packet, with the key and the header offsets that extraction gave it. @param key arena offset */
  begin(frame: number, key: number, l3Offset: number, l4Offset: number): void {
    const type = this.#u16[(key >>> 1) + ETH_TYPE_AT]!;
    this.metadata.begin(key);
    this.layers.isV4 = type === RAW_IPV4;
    this.layers.isV6 = type === RAW_IPV6;
    this.layers.begin(
      frame,
      l3Offset === NO_OFFSET ? NO_HEADER : l3Offset,
      l4Offset === NO_OFFSET ? NO_HEADER : l4Offset,
      type === RAW_MPLS || type === RAW_MPLS_MULTICAST,
    );
  }

  /**
   * Carries one action out. Returns the packet's first frame; NO_FRAME when none was free for a header, UNABLE when it
   * cannot be carried out on this packet, the packet the caller's in both cases.
   * @param at arena offset of the action
   */
  apply(frame: number, type: number, at: number): number {
    const payload = at + HEADER_BYTES;
    if (type === SET || type === SET_MASKED) return this.#set(frame, type, at);
    if (type === PUSH_VLAN) return this.layers.pushVlan(frame, payload);
    if (type === POP_VLAN) {
      this.layers.popVlan(frame);
      return frame;
    }
    if (type === HASH) {
      this.#hash(frame, this.#u32[payload >>> 2]!, this.#u32[(payload >>> 2) + 1]!);
      return frame;
    }
    if (type === PUSH_MPLS) return this.layers.pushMpls(frame, payload);
    if (type === ADD_MPLS) {
      const isBehindEthernet = (this.#u16[(payload + ADD_MPLS_FLAGS_AT) >>> 1]! & L3_TUNNEL) !== 0;
      if (isBehindEthernet) return this.layers.pushMpls(frame, payload);
      return this.layers.pushMplsBelowEthernet(frame, payload);
    }
    if (type === POP_MPLS) return this.layers.popMpls(frame, readBe16(this.#u8, payload));
    if (type === PUSH_ETH) return this.layers.pushEth(frame, payload);
    if (type === POP_ETH) return this.layers.popEth(frame);
    if (type === PUSH_NSH)
      return this.layers.pushNsh(frame, payload + HEADER_BYTES, payload + this.#u16[payload >>> 1]!);
    if (type === POP_NSH) return this.layers.popNsh(frame);
    // Where a list begins with metadata, they have become the key's; no validated list has anything else.
    return type === METADATA ? frame : UNABLE;
  }

  /** dec_ttl. False when none is left to take off: then the action's own list is to be carried out. */
  decrementTtl(frame: number): boolean {
    const { l3 } = this.layers;
    const bytes = this.layers.isV6 ? IPV6_BYTES : IPV4_BYTES;
    // As set() with a header that is cut off: nothing happens.
    if (l3 === NO_HEADER || l3 + bytes > this.#packets.packetBytes(frame)) return true;
    const head = this.#window.open(frame, l3 + bytes);
    if (head === NO_WINDOW || !decrementTtl(this.#u8, head + l3, this.layers.isV6)) return false;
    this.#window.close(frame);
    return true;
  }

  /**
   * Bytes behind the end that the IP header states, which check_pkt_len does not count [seen in OVS 3.1]. A header that
   * does not hold together states none, as in extraction.
   */
  paddingBytes(frame: number): number {
    const { l3 } = this.layers;
    const room = this.#packets.packetBytes(frame) - l3;
    const headerBytes = this.layers.isV6 ? IPV6_BYTES : IPV4_BYTES;
    if (l3 === NO_HEADER || !(this.layers.isV6 || this.layers.isV4) || room < headerBytes) return 0;
    const head = this.#window.open(frame, l3 + headerBytes);
    if (head === NO_WINDOW) return 0;
    const ip = head + l3;
    if (this.layers.isV6) return Math.max(0, room - IPV6_BYTES - readBe16(this.#u8, ip + IPV6.payloadLength));
    const totalBytes = readBe16(this.#u8, ip + IPV4.totalLength);
    const ihlBytes = (this.#u8[ip]! & IPV4.ihlMask) * 4;
    return ihlBytes < IPV4_BYTES || totalBytes < ihlBytes ? 0 : Math.max(0, room - totalBytes);
  }

  /** As in Linux, 0 says that there is none. */
  #hash(frame: number, algorithm: number, basis: number): void {
    const packetType = this.metadata.get(PACKET_TYPE);
    const hash =
      algorithm === SYM_L4
        ? this.hash.symL4(frame, packetType, basis)
        : this.hash.l4(frame, packetType, basis);
    this.metadata.set(DP_HASH, hash === 0 ? 1 : hash);
  }

  #set(frame: number, action: number, at: number): number {
    const key = at + HEADER_BYTES;
    const value = key + HEADER_BYTES;
    const type = this.#u16[(key >>> 1) + 1]!;
    const mask = action === SET_MASKED ? value + ((this.#u16[key >>> 1]! - HEADER_BYTES) >>> 1) : NO_MASK;
    const { l3, l4 } = this.layers;
    if (type === SET_MARK) return this.#setMetadata(frame, MARK, value, mask);
    if (type === SET_PRIORITY) return this.#setMetadata(frame, PRIORITY, value, mask);
    if (type === SET_DP_HASH) return this.#setMetadata(frame, DP_HASH, value, mask);
    if (type === SET_RECIRC_ID) return this.#setMetadata(frame, RECIRC_ID, value, mask);
    if (type === SET_MPLS) return this.#setMpls(frame, value, mask);
    if (type === SET_NSH) return this.#setNsh(frame, value, key + this.#u16[key >>> 1]!, mask !== NO_MASK);
    return this.#setField.apply(frame, l3, l4, this.layers.isV6, type, value, mask) ? frame : UNABLE;
  }

  /** A word in host order. */
  #setMetadata(frame: number, word: number, value: number, mask: number): number {
    const fresh = this.#u32[value >>> 2]!;
    if (mask === NO_MASK) this.metadata.set(word, fresh);
    else this.metadata.set(word, fresh | (this.metadata.get(word) & ~this.#u32[mask >>> 2]!));
    return frame;
  }

  /** The outermost entry. */
  #setMpls(frame: number, value: number, mask: number): number {
    const at = this.layers.l25;
    if (at === NO_HEADER || at + ENTRY_BYTES > this.#packets.packetBytes(frame)) return frame;
    const head = this.#window.open(frame, at + ENTRY_BYTES);
    if (head === NO_WINDOW) return UNABLE;
    writeBe32(this.#u8, head + at, blend32(this.#u8, readBe32(this.#u8, head + at), value, mask, 0));
    this.#window.close(frame);
    return frame;
  }

  #setNsh(frame: number, parts: number, end: number, isMasked: boolean): number {
    const { l3 } = this.layers;
    if (l3 === NO_HEADER) return frame;
    const bytes = Math.min(NSH_WINDOW_BYTES, this.#packets.packetBytes(frame) - l3);
    const head = this.#window.open(frame, l3 + bytes);
    if (head === NO_WINDOW) return UNABLE;
    setNsh(this.#u8, this.#u16, head + l3, bytes, parts, end, isMasked);
    this.#window.close(frame);
    return frame;
  }
}
