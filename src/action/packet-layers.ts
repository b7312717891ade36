// Headers put on and taken off the packet in hand: tags, MPLS, Ethernet, NSH; and where its headers are. Hot, per
// packet; writes packet bytes, the frame's record and, when the packet begins or ends to have an Ethernet header, its
// packet_type.
//
// `l3` and `l4` move along with what is pushed and popped before them. `l25` is where the label stack begins. What a pop uncovers is not parsed: the
// flow has to recirculate for that, which validation sees to.
import { NLA_HEADER_BYTES } from "../flow/nlattr.ts";
import { NSH_KEY_ATTR } from "../flow/odp/attributes.ts";
import type { Arena } from "../memory/arena.ts";
import { NO_FRAME, PACKET_L3 } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import { readBe16, writeBe16 } from "../packet/bytes.ts";
import { ETH, ETH_TYPE, MPLS, NSH, NSH_NEXT, SNAP, VLAN } from "../packet/link-headers.ts";
import { closeGap, openGap } from "./gap.ts";
import { PacketFront } from "./packet-front.ts";
import { META, type PacketMetadata } from "./packet-metadata.ts";
import { NO_HEADER } from "./set-field.ts";
import { popVlan, pushVlan } from "./vlan.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const ETH_BYTES = ETH.headerBytes;
const TYPE_AT = ETH.type;
const TYPE_MIN = ETH.typeMin;
const SNAP_BYTES = SNAP.headerBytes;
const TAG_BYTES = VLAN.headerBytes;
const TPID_VLAN = ETH_TYPE.vlan;
const TPID_QINQ = ETH_TYPE.qinq;
const ENTRY_BYTES = MPLS.entryBytes;
const NSH_BASE_BYTES = NSH.baseBytes;
const NSH_LENGTH_MASK = NSH.lengthMask;
const NSH_TTL_SHIFT = NSH.ttlShift;
const NSH_TTL_MASK = NSH.ttlMask >>> NSH.ttlShift;
/** The O bit and the unassigned one behind the version. */
const NSH_FLAGS_SHIFT = 12;
const NSH_FLAGS_MASK = 3;
const PACKET_TYPE = META.packetType;
const HEADER_BYTES = NLA_HEADER_BYTES;
/** What an action answers that could not be carried out on this packet; NO_FRAME says that no frame was free. */
export const UNABLE = -1;
/** OFPHTN_ETHERTYPE: packet types that are Ethertypes, as the key's word holds it. */
const NAMESPACE_ETHERTYPE = 0x0100;
/** The key's words for a packet that begins with Ethernet, and with NSH. */
const TYPE_ETHERNET = 0;
const TYPE_NSH = packetType(ETH_TYPE.nsh);

/** The packet_type word of a packet that begins with what the Ethertype names. */
function packetType(ethType: number): number {
  return (NAMESPACE_ETHERTYPE | ((ethType >>> 8) << 16) | ((ethType & 0xff) << 24)) >>> 0;
}

const ethTypeOf = (type: number): number => ((type >>> 8) & 0xff00) | (type >>> 24);

export class PacketLayers {
  l3 = NO_HEADER;
  l4 = NO_HEADER;
  l25 = NO_HEADER;
  /** Whether the network header is IPv4, IPv6. */
  isV4 = false;
  isV6 = false;
  readonly front: PacketFront;

  readonly #arena: Arena;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #packets: Packets;
  readonly #metadata: PacketMetadata;

  constructor(arena: Arena, pool: FramePool, packets: Packets, metadata: PacketMetadata) {
    this.#arena = arena;
    this.#u8 = arena.u8;
    this.#u16 = arena.u16;
    this.#packets = packets;
    this.#metadata = metadata;
    this.front = new PacketFront(arena, pool, packets);
  }

  begin(frame: number, l3: number, l4: number, isMpls: boolean): void {
    this.l3 = l3;
    this.l4 = l4;
    this.l25 = isMpls ? this.#findStack(frame) : NO_HEADER;
  }

  /** After tnl_push: the packet is one of Ethernet and IP with these offsets. */
  beginOuter(frame: number, l3: number, l4: number): void {
    const ethType = readBe16(this.#u8, this.#packets.head(frame) + l3 - 2);
    this.l3 = l3;
    this.l4 = l4;
    this.l25 = NO_HEADER;
    this.isV4 = ethType === ETH_TYPE.ipv4;
    this.isV6 = ethType === ETH_TYPE.ipv6;
  }

  pushVlan(frame: number, tag: number): number {
    if (this.#packets.packetBytes(frame) < ETH_BYTES) return frame;
    const first = pushVlan(this.#arena, this.#packets, this.front, frame, tag);
    if (first !== NO_FRAME) this.#move(TAG_BYTES);
    return first;
  }

  popVlan(frame: number): void {
    if (popVlan(this.#arena, this.#packets, this.front, frame)) this.#move(-TAG_BYTES);
  }

  /**
   * Puts a label stack entry before the stack, or where the network header begins.
   * @param entry arena offset of the entry and of the Ethertype behind it, both in network order
   */
  pushMpls(frame: number, entry: number): number {
    const stack = this.l25;
    const at = stack === NO_HEADER ? this.l3 : stack;
    if (at === NO_HEADER) return frame;
    const first = openGap(this.#arena, this.#packets, this.front, frame, at, ENTRY_BYTES);
    if (first === NO_FRAME) return NO_FRAME;
    this.#move(ENTRY_BYTES);
    this.l25 = at;
    this.#writeEntry(first, at, entry);
    this.#setEthType(first, at, readBe16(this.#u8, entry + ENTRY_BYTES));
    return first;
  }

  /** Puts a label stack entry before the whole packet, Ethernet header included. */
  pushMplsBelowEthernet(frame: number, entry: number): number {
    const first = openGap(this.#arena, this.#packets, this.front, frame, 0, ENTRY_BYTES);
    if (first === NO_FRAME) return NO_FRAME;
    this.#move(ENTRY_BYTES);
    this.l25 = 0;
    this.#writeEntry(first, 0, entry);
    this.#setPacketType(first, packetType(readBe16(this.#u8, entry + ENTRY_BYTES)));
    return first;
  }

  /** Takes the outermost entry off. @param ethType of what is behind it; 0x6558 says Ethernet */
  popMpls(frame: number, ethType: number): number {
    const at = this.l25;
    const packetBytes = this.#packets.packetBytes(frame);
    if (at === NO_HEADER || at + ENTRY_BYTES > packetBytes) return frame;
    // A frame must not be left empty.
    if (packetBytes === ENTRY_BYTES) return UNABLE;
    this.front.pullUp(frame, at === 0 ? ENTRY_BYTES + 1 : at + ENTRY_BYTES);
    const isBottom = (this.#u8[this.#packets.head(frame) + at + 2]! & 1) !== 0;
    closeGap(this.#arena, this.#packets, this.front, frame, at, ENTRY_BYTES);
    this.#move(-ENTRY_BYTES);
    this.l25 = isBottom ? NO_HEADER : at;
    if (at === 0 && ethType === ETH_TYPE.trans) this.#setPacketType(frame, TYPE_ETHERNET);
    else this.#setEthType(frame, at, ethType);
    return frame;
  }

  /** @param addresses arena offset of source and destination */
  pushEth(frame: number, addresses: number): number {
    const type = this.#metadata.get(PACKET_TYPE);
    if (type === TYPE_ETHERNET) return UNABLE;
    const first = openGap(this.#arena, this.#packets, this.front, frame, 0, ETH_BYTES);
    if (first === NO_FRAME) return NO_FRAME;
    this.#move(ETH_BYTES);
    const head = this.#packets.head(first);
    for (let index = 0; index < ETH.addressBytes; index += 1) {
      this.#u8[head + ETH.src + index] = this.#u8[addresses + index]!;
      this.#u8[head + ETH.dst + index] = this.#u8[addresses + ETH.addressBytes + index]!;
    }
    writeBe16(this.#u8, head + TYPE_AT, ethTypeOf(type));
    this.#setPacketType(first, TYPE_ETHERNET);
    return first;
  }

  /** Takes everything before the network header or the label stack off. */
  popEth(frame: number): number {
    const stack = this.l25;
    const bytes = stack === NO_HEADER ? this.l3 : stack;
    if (bytes === NO_HEADER || this.#metadata.get(PACKET_TYPE) !== TYPE_ETHERNET) return UNABLE;
    // A frame must not be left empty.
    if (bytes >= this.#packets.packetBytes(frame)) return UNABLE;
    this.front.pullUp(frame, bytes + 1);
    const ethType = readBe16(this.#u8, this.#packets.head(frame) + bytes - 2);
    closeGap(this.#arena, this.#packets, this.front, frame, 0, bytes);
    this.#move(-bytes);
    this.#setPacketType(frame, packetType(ethType));
    return frame;
  }

  /** @param header arena offset of the nested NSH attribute; `end` that of its end */
  pushNsh(frame: number, header: number, end: number): number {
    const next = nextProtocol(this.#metadata.get(PACKET_TYPE));
    if (next === 0) return UNABLE;
    const u8 = this.#u8;
    const base = this.#part(header, end, NSH_KEY_ATTR.base);
    const md1 = this.#part(header, end, NSH_KEY_ATTR.md1);
    const context = md1 === 0 ? this.#part(header, end, NSH_KEY_ATTR.md2) : md1;
    const contextBytes = context === 0 ? 0 : this.#u16[context >>> 1]! - HEADER_BYTES;
    const bytes = NSH_BASE_BYTES + contextBytes;
    const first = openGap(this.#arena, this.#packets, this.front, frame, 0, bytes);
    if (first === NO_FRAME) return NO_FRAME;
    const at = this.#packets.head(first);
    const flags = u8[base + HEADER_BYTES]! & NSH_FLAGS_MASK;
    const ttl = u8[base + HEADER_BYTES + 1]! & NSH_TTL_MASK;
    writeBe16(u8, at, (flags << NSH_FLAGS_SHIFT) | (ttl << NSH_TTL_SHIFT) | (bytes / 4));
    u8[at + NSH.mdType] = u8[base + HEADER_BYTES + 2]!;
    u8[at + NSH.nextProtocol] = next;
    for (let index = 0; index < 4; index += 1)
      u8[at + NSH.pathHeader + index] = u8[base + HEADER_BYTES + 4 + index]!;
    for (let index = 0; index < contextBytes; index += 1)
      u8[at + NSH.context + index] = u8[context + HEADER_BYTES + index]!;
    this.l3 = 0;
    this.l4 = NO_HEADER;
    this.l25 = NO_HEADER;
    this.#setPacketType(first, TYPE_NSH);
    return first;
  }

  /** Takes the NSH header off that the packet begins with. */
  popNsh(frame: number): number {
    const packetBytes = this.#packets.packetBytes(frame);
    if (this.#metadata.get(PACKET_TYPE) !== TYPE_NSH || packetBytes < NSH_BASE_BYTES) return UNABLE;
    this.front.pullUp(frame, NSH_BASE_BYTES);
    const head = this.#packets.head(frame);
    const bytes = (readBe16(this.#u8, head) & NSH_LENGTH_MASK) * 4;
    const type = typeOfNext(this.#u8[head + NSH.nextProtocol]!);
    if (bytes < NSH_BASE_BYTES || bytes >= packetBytes || type === TYPE_UNKNOWN) return UNABLE;
    this.front.pullUp(frame, bytes + 1);
    closeGap(this.#arena, this.#packets, this.front, frame, 0, bytes);
    this.l3 = NO_HEADER;
    this.l4 = NO_HEADER;
    this.#setPacketType(frame, type);
    return frame;
  }

  /** Where the label stack begins in a packet that was extracted as MPLS. */
  #findStack(frame: number): number {
    if (this.#metadata.get(PACKET_TYPE) !== TYPE_ETHERNET) return 0;
    const packetBytes = this.#packets.packetBytes(frame);
    for (let at = TYPE_AT + 2; at <= packetBytes; at += TAG_BYTES) {
      this.front.pullUp(frame, at);
      const type = readBe16(this.#u8, this.#packets.head(frame) + at - 2);
      if (type === TPID_VLAN || type === TPID_QINQ) continue;
      // A length instead: the type stands at the end of an 802.2 SNAP header.
      return type < TYPE_MIN ? at + SNAP_BYTES : at;
    }
    return NO_HEADER;
  }

  #move(bytes: number): void {
    if (this.l3 !== NO_HEADER) this.l3 += bytes;
    if (this.l4 !== NO_HEADER) this.l4 += bytes;
    if (this.l25 >= 0) this.l25 += bytes;
  }

  #writeEntry(frame: number, at: number, entry: number): void {
    const target = this.#packets.head(frame) + at;
    for (let index = 0; index < ENTRY_BYTES; index += 1) this.#u8[target + index] = this.#u8[entry + index]!;
  }

  /** Says what stands at `at`: in the link header before it, or as the packet's type when nothing is before it. */
  #setEthType(frame: number, at: number, ethType: number): void {
    if (at === 0) this.#setPacketType(frame, packetType(ethType));
    else writeBe16(this.#u8, this.#packets.head(frame) + at - 2, ethType);
  }

  #setPacketType(frame: number, type: number): void {
    this.#metadata.set(PACKET_TYPE, type);
    const flags = this.#packets.flags(frame);
    this.#packets.setFlags(frame, type === TYPE_ETHERNET ? flags & ~PACKET_L3 : flags | PACKET_L3);
  }

  /** An attribute of a nested one, 0 when it is not there. */
  #part(from: number, end: number, type: number): number {
    for (let at = from; at < end; at += (this.#u16[at >>> 1]! + 3) & ~3)
      if (this.#u16[(at >>> 1) + 1] === type) return at;
    return 0;
  }
}

const TYPE_UNKNOWN = 1;
const TYPE_IPV4 = packetType(ETH_TYPE.ipv4);
const TYPE_IPV6 = packetType(ETH_TYPE.ipv6);

/** RFC 8300's next protocol for a packet of this type, 0 when it has none. */
function nextProtocol(type: number): number {
  if (type === TYPE_ETHERNET) return NSH_NEXT.ethernet;
  if (type === TYPE_IPV4) return NSH_NEXT.ipv4;
  if (type === TYPE_IPV6) return NSH_NEXT.ipv6;
  return type === TYPE_NSH ? NSH_NEXT.nsh : 0;
}

function typeOfNext(next: number): number {
  if (next === NSH_NEXT.ethernet) return TYPE_ETHERNET;
  if (next === NSH_NEXT.ipv4) return TYPE_IPV4;
  if (next === NSH_NEXT.ipv6) return TYPE_IPV6;
  return next === NSH_NEXT.nsh ? TYPE_NSH : TYPE_UNKNOWN;
}
