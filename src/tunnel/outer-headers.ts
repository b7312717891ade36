// The outer IP and UDP headers of a packet to decapsulate, and the key slot that takes what they say. Base of pop.ts.
//
// Hot; see there. Every length is checked against the packet before the bytes are read.
import { HeaderWindow } from "../action/header-window.ts";
import { K, KEY_LINE_BYTES, KEY_LINE_COUNT } from "../flow/fields.ts";
import { TUNNEL_FLAG } from "../flow/odp/flags.ts";
import type { Arena } from "../memory/arena.ts";
import type { Packets } from "../memory/packets.ts";
import { readBe16, readBe32 } from "../packet/bytes.ts";
import { addBytes, finishSum, pseudoSumV4, pseudoSumV6 } from "../packet/checksum.ts";
import { IP_PROTOCOL, IPV4, IPV6 } from "../packet/network-headers.ts";
import { UDP } from "../packet/transport-headers.ts";
import { addPacket } from "./packet-sum.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const IPV4_BYTES: number = IPV4.headerBytes;
const IPV6_BYTES: number = IPV6.headerBytes;
const UDP_BYTES: number = UDP.headerBytes;
const CSUM: number = TUNNEL_FLAG.csum;
const FRAGMENTED = IPV4.moreFragments | IPV4.fragmentOffsetMask;
/** Outer headers that are worked on: Ethernet with two tags, IPv6 with a routing header, Geneve with all its options. */
const HEADER_BYTES_MAX = 512;
export const TUNNEL_LINE = Math.floor(K.tun_id / KEY_LINE_BYTES);
const TUNNEL_LINES = ((1 << KEY_LINE_COUNT) - 1) & ~((1 << TUNNEL_LINE) - 1);
/** Lines of the fields that every tunnel has: addresses, flags, ports. */
const FIELD_LINES = 3 << TUNNEL_LINE;

/** The answer when the packet is not one of this tunnel, or not in order. */
export const POP_REFUSED = -1;

export class OuterHeaders {
  /** Lines of the key slot that the last pop left not zero, of those that tunnels use. */
  lines = 0;

  protected readonly arena: Arena;
  protected readonly u8: Uint8Array;
  protected readonly packets: Packets;
  /** Of the packet in hand: first frame, key slot, TUNNEL_FLAG bits to be written into that, all its bytes. */
  protected frame = 0;
  protected key = 0;
  protected flags = 0;
  protected packetBytes = 0;
  readonly #window: HeaderWindow;
  /** Bytes that lie in one piece from the window's first on. */
  #readableBytes = 0;

  /** @param linear arena offset of the LINEAR_BYTES bytes of this thread's batch */
  constructor(arena: Arena, packets: Packets, linear: number) {
    this.arena = arena;
    this.u8 = arena.u8;
    this.packets = packets;
    this.#window = new HeaderWindow(packets, linear);
  }

  /** Takes a packet and a key slot in hand. Returns where its headers can be read (header-window.ts). */
  protected open(frame: number, key: number, dirtyLines: number): number {
    this.frame = frame;
    this.key = key;
    this.flags = 0;
    this.packetBytes = this.packets.packetBytes(frame);
    this.#readableBytes = Math.min(this.packetBytes, HEADER_BYTES_MAX);
    this.#clearTunnel(dirtyLines);
    return this.#window.open(frame, this.#readableBytes);
  }

  #clearTunnel(dirtyLines: number): void {
    this.lines = FIELD_LINES;
    for (let line = TUNNEL_LINE; line < KEY_LINE_COUNT; line += 1) {
      const isDirty = (((dirtyLines & TUNNEL_LINES) >>> line) & 1) !== 0;
      if (isDirty) this.arena.intrinsics.zero(this.key + line * KEY_LINE_BYTES, KEY_LINE_BYTES);
    }
  }

  protected has(offset: number, bytes: number): boolean {
    return offset + bytes <= this.#readableBytes;
  }

  protected readIp(head: number, l3: number, l4: number): boolean {
    const u8 = this.u8;
    if (!this.has(l3, IPV4_BYTES)) return false;
    const ip = head + l3;
    const version = u8[ip]! >>> 4;
    if (version === 4) {
      const headerBytes = (u8[ip]! & IPV4.ihlMask) * 4;
      // Options are refused, as in OVS; so are fragments, whose tunnel header is elsewhere or not whole.
      if (headerBytes !== IPV4_BYTES || l4 !== l3 + IPV4_BYTES) return false;
      if (finishSum(addBytes(0, u8, ip, IPV4_BYTES)) !== 0) return false;
      if (readBe16(u8, ip + IPV4.totalLength) > this.packetBytes - l3) return false;
      if ((readBe16(u8, ip + IPV4.fragment) & FRAGMENTED) !== 0) return false;
      this.copyField(K.tun_src, ip + IPV4.src, 4);
      this.copyField(K.tun_dst, ip + IPV4.dst, 4);
      u8[this.key + K.tun_tos] = u8[ip + IPV4.tos]!;
      u8[this.key + K.tun_ttl] = u8[ip + IPV4.ttl]!;
      return true;
    }
    if (version !== 6 || !this.has(l3, IPV6_BYTES)) return false;
    if (u8[ip + IPV6.nextHeader] === IP_PROTOCOL.fragment) return false;
    this.copyField(K.tun_ipv6_src, ip + IPV6.src, IPV6.addressBytes);
    this.copyField(K.tun_ipv6_dst, ip + IPV6.dst, IPV6.addressBytes);
    u8[this.key + K.tun_tos] = readBe32(u8, ip) >>> IPV6.classShift;
    u8[this.key + K.tun_ttl] = u8[ip + IPV6.hopLimit]!;
    return true;
  }

  protected copyField(field: number, source: number, bytes: number): void {
    const u8 = this.u8;
    const target = this.key + field;
    for (let index = 0; index < bytes; index += 1) u8[target + index] = u8[source + index]!;
  }

  /** Where the UDP payload begins, POP_REFUSED when the datagram is not in order. */
  protected readUdp(head: number, l3: number, l4: number, payloadBytesMin: number): number {
    const u8 = this.u8;
    if (!this.has(l4, UDP_BYTES + payloadBytesMin)) return POP_REFUSED;
    const udp = head + l4;
    if (readBe16(u8, udp + UDP.checksum) !== 0) {
      if (!this.#isUdpSumRight(head + l3, l4)) return POP_REFUSED;
      this.flags |= CSUM;
    }
    this.copyField(K.tun_tp_src, udp + UDP.src, 2);
    this.copyField(K.tun_tp_dst, udp + UDP.dst, 2);
    return l4 + UDP_BYTES;
  }

  #isUdpSumRight(ip: number, l4: number): boolean {
    const u8 = this.u8;
    const isV4 = u8[ip]! >>> 4 === 4;
    const pseudo = isV4
      ? pseudoSumV4(u8, ip, IP_PROTOCOL.udp, readBe16(u8, ip + IPV4.totalLength) - IPV4_BYTES)
      : pseudoSumV6(u8, ip + IPV6.src, ip + IPV6.dst, IP_PROTOCOL.udp, readBe16(u8, ip + IPV6.payloadLength));
    return finishSum(addPacket(pseudo, u8, this.packets, this.frame, l4)) === 0;
  }
}
