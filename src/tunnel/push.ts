// Encapsulation: a prebuilt header goes in front of the packet, and what depends on the packet is written into it:
// lengths, the IPv4 checksum, the UDP source port and checksum, GRE's and GTP-U's checksum and sequence number,
// ERSPAN's time. Which of them, the tunnel's type says, as in OVS.
//
// Two checksums are not what a receiver expects, because OVS takes them too early and its bytes are the specification:
// GRE's before the sequence number is written, GTP-U's before length and sequence number are (docs/conformance.md).
//
// Hot: once for each packet encapsulated. One copy of the header, a handful of stores; the packet's bytes are read only
// for checksums and, its first ones, for the source port. Allocates nothing; the words it writes outside of packets are
// the tunnels' sequence numbers, which all workers share.
import { PacketFront } from "../action/packet-front.ts";
import { finishChecksum } from "../action/partial-checksum.ts";
import type { Arena } from "../memory/arena.ts";
import { NO_FRAME, PACKET_CSUM_PARTIAL } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import { readBe16, writeBe16, writeBe32 } from "../packet/bytes.ts";
import { finishSum, patchChecksum16, pseudoSumV4, pseudoSumV6, udpChecksum } from "../packet/checksum.ts";
import { ETH, ETH_TYPE } from "../packet/link-headers.ts";
import { IP_PROTOCOL, IPV4, IPV6 } from "../packet/network-headers.ts";
import { UDP } from "../packet/transport-headers.ts";
import { ERSPAN, GRE, GTPU, TUNNEL_TYPE } from "../packet/tunnel-headers.ts";
import { frameHash, networkHash } from "./entropy.ts";
import { addPacket } from "./packet-sum.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const ETH_BYTES: number = ETH.headerBytes;
const ETH_TYPE_AT: number = ETH.type;
const TYPE_IPV6: number = ETH_TYPE.ipv6;
const IPV4_BYTES: number = IPV4.headerBytes;
const IPV6_BYTES: number = IPV6.headerBytes;
const UDP_BYTES: number = UDP.headerBytes;
const PROTO_UDP: number = IP_PROTOCOL.udp;
const { gre: TYPE_GRE, ip6gre: TYPE_IP6GRE, erspan: TYPE_ERSPAN, ip6erspan: TYPE_IP6ERSPAN } = TUNNEL_TYPE;
const { vxlan: TYPE_VXLAN, geneve: TYPE_GENEVE, gtpu: TYPE_GTPU, bareudp: TYPE_BAREUDP } = TUNNEL_TYPE;
/** Ports from which a tunnel's packets come unless the operator says otherwise, as in OVS. */
export const EGRESS_PORT_MIN = 32768;
export const EGRESS_PORT_MAX = 61000;
/** ERSPAN version 2 counts time in these. */
const ERSPAN_TICKS_PER_MILLI = 10;

export class TunnelPush {
  /** Whether the last push failed for want of a frame; otherwise packet or header were not in order. */
  isOutOfFrames = false;

  readonly #arena: Arena;
  readonly #u8: Uint8Array;
  readonly #packets: Packets;
  readonly #front: PacketFront;
  #portMin = EGRESS_PORT_MIN;
  #portCount = EGRESS_PORT_MAX - EGRESS_PORT_MIN;

  constructor(arena: Arena, pool: FramePool, packets: Packets) {
    this.#arena = arena;
    this.#u8 = arena.u8;
    this.#packets = packets;
    this.#front = new PacketFront(arena, pool, packets);
  }

  /** Control path: UDP source ports are from `min` on and below `max`. */
  setEgressPorts(min: number, max: number): void {
    this.#portMin = min;
    this.#portCount = max - min;
  }

  /**
   * Puts a header in front of the packet. Returns its first frame, or NO_FRAME, and the packet is untouched, then.
   * @param header arena offset of `headerBytes` bytes, Ethernet and IP headers whole
   * @param type the tunnel's, of TUNNEL_TYPE
   * @param innerType 0 when the packet begins with Ethernet, else its Ethertype
   * @param sequenceAt arena offset of the tunnel port's sequence word
   */
  push(
    frame: number,
    header: number,
    headerBytes: number,
    type: number,
    innerType: number,
    sequenceAt: number,
  ): number {
    const packets = this.#packets;
    const u8 = this.#u8;
    const isV6 = readBe16(u8, header + ETH_TYPE_AT) === TYPE_IPV6;
    const l4Offset = ETH_BYTES + (isV6 ? IPV6_BYTES : IPV4_BYTES);
    this.isOutOfFrames = false;
    if (!this.#holdsItsFields(header + l4Offset, headerBytes - l4Offset, type)) return NO_FRAME;
    // A checksum of the inner packet that its sender left to the card cannot be finished behind an outer header.
    if ((packets.flags(frame) & PACKET_CSUM_PARTIAL) !== 0 && !finishChecksum(u8, packets, frame))
      return NO_FRAME;
    const hash = isUdp(type) ? this.#hash(frame, innerType) : 0;
    const innerBytes = packets.packetBytes(frame);
    const first = this.#front.makeRoom(frame, headerBytes);
    if (first === NO_FRAME) {
      this.isOutOfFrames = true;
      return NO_FRAME;
    }
    const head = packets.head(first) - headerBytes;
    packets.setData(first, packets.dataOffset(first) - headerBytes, packets.dataBytes(first) + headerBytes);
    packets.setTotals(first, innerBytes + headerBytes, packets.segmentCount(first));
    this.#arena.intrinsics.copy(head, header, headerBytes);

    const l4 = head + l4Offset;
    const l4Bytes = innerBytes + headerBytes - l4Offset;
    if (isV6) {
      writeBe16(u8, head + ETH_BYTES + IPV6.payloadLength, l4Bytes);
    } else {
      const ip = head + ETH_BYTES;
      writeBe16(u8, ip + IPV4.totalLength, l4Bytes + IPV4_BYTES);
      patchChecksum16(u8, ip + IPV4.checksum, 0, l4Bytes + IPV4_BYTES);
    }
    if (type === TYPE_GTPU) this.#finishGtpu(first, l4, l4Bytes, hash, isV6, innerBytes, sequenceAt);
    else if (isUdp(type))
      this.#finishUdp(first, l4, l4Bytes, hash, isV6, readBe16(u8, l4 + UDP.checksum) !== 0);
    else if (type === TYPE_GRE || type === TYPE_IP6GRE) this.#finishGre(first, l4, l4Offset, sequenceAt);
    else if (type === TYPE_ERSPAN || type === TYPE_IP6ERSPAN) this.#finishErspan(l4, sequenceAt);
    return first;
  }

  /** Whether everything that is written into the header lies in it. */
  #holdsItsFields(l4: number, bytes: number, type: number): boolean {
    if (type === TYPE_GTPU) return bytes >= UDP_BYTES + GTPU.headerBytes;
    if (isUdp(type)) return bytes >= UDP_BYTES;
    if (type === TYPE_ERSPAN || type === TYPE_IP6ERSPAN) {
      return bytes >= ERSPAN.greBytes + ERSPAN.headerBytes + ERSPAN.metadataV1Bytes;
    }
    if (type !== TYPE_GRE && type !== TYPE_IP6GRE) return bytes >= 0;
    return bytes >= GRE.headerBytes && bytes >= greHeaderBytes(readBe16(this.#u8, l4 + GRE.flags));
  }

  /** The UDP source port that the packet would be sent from. @param innerType as push() has it */
  sourcePort(frame: number, innerType: number): number {
    return this.#portOf(this.#hash(frame, innerType));
  }

  #portOf(hash: number): number {
    // The upper half of a product of 48 bits.
    return this.#portMin + Math.floor((hash * this.#portCount) / 0x1_0000_0000);
  }

  #hash(frame: number, innerType: number): number {
    const head = this.#packets.head(frame);
    const bytes = this.#packets.dataBytes(frame);
    if (innerType === 0) return frameHash(this.#u8, head, bytes);
    return networkHash(this.#u8, head, bytes, innerType);
  }

  #finishUdp(
    frame: number,
    udp: number,
    udpBytes: number,
    hash: number,
    isV6: boolean,
    hasChecksum: boolean,
  ): void {
    const u8 = this.#u8;
    writeBe16(u8, udp + UDP.src, this.#portOf(hash));
    writeBe16(u8, udp + UDP.length, udpBytes);
    if (!hasChecksum) return;
    writeBe16(u8, udp + UDP.checksum, 0);
    const ip = udp - (isV6 ? IPV6_BYTES : IPV4_BYTES);
    const pseudo = isV6
      ? pseudoSumV6(u8, ip + IPV6.src, ip + IPV6.dst, PROTO_UDP, udpBytes)
      : pseudoSumV4(u8, ip, PROTO_UDP, udpBytes);
    const l4Offset = udp - this.#packets.head(frame);
    writeBe16(
      u8,
      udp + UDP.checksum,
      udpChecksum(finishSum(addPacket(pseudo, u8, this.#packets, frame, l4Offset))),
    );
  }

  /** GTP-U has a UDP checksum always; its flags say whether there is a sequence number. */
  #finishGtpu(
    frame: number,
    udp: number,
    udpBytes: number,
    hash: number,
    isV6: boolean,
    innerBytes: number,
    sequenceAt: number,
  ): void {
    this.#finishUdp(frame, udp, udpBytes, hash, isV6, true);
    const u8 = this.#u8;
    const gtpu = udp + UDP_BYTES;
    const hasSequence =
      (u8[gtpu + GTPU.flags]! & GTPU.sequencePresent) !== 0 &&
      udpBytes - innerBytes > UDP_BYTES + GTPU.headerBytes;
    if (hasSequence) writeBe16(u8, gtpu + GTPU.headerBytes, this.#nextSequence(sequenceAt) & 0xffff);
    writeBe16(u8, gtpu + GTPU.length, innerBytes + (hasSequence ? GTPU.optionalBytes : 0));
  }

  #finishGre(frame: number, gre: number, l4Offset: number, sequenceAt: number): void {
    const u8 = this.#u8;
    const flags = readBe16(u8, gre + GRE.flags);
    if ((flags & GRE.checksum) !== 0) {
      writeBe16(u8, gre + GRE.headerBytes, finishSum(addPacket(0, u8, this.#packets, frame, l4Offset)));
    }
    if ((flags & GRE.sequence) !== 0) {
      writeBe32(u8, gre + greHeaderBytes(flags) - GRE.optionBytes, this.#nextSequence(sequenceAt));
    }
  }

  #finishErspan(gre: number, sequenceAt: number): void {
    const u8 = this.#u8;
    writeBe32(u8, gre + GRE.headerBytes, this.#nextSequence(sequenceAt));
    if (readBe16(u8, gre + GRE.protocol) !== ERSPAN.protocolV2) return;
    writeBe32(u8, gre + ERSPAN.greBytes + ERSPAN.timestamp, erspanTicks());
  }

  #nextSequence(sequenceAt: number): number {
    return this.#arena.intrinsics.add(sequenceAt, 1) >>> 0;
  }
}

/** The time in units of 100 microseconds, 32 bits of it. */
function erspanTicks(): number {
  return Math.floor(Date.now() * ERSPAN_TICKS_PER_MILLI) % 0x1_0000_0000;
}

const isUdp = (type: number): boolean =>
  type === TYPE_VXLAN || type === TYPE_GENEVE || type === TYPE_GTPU || type === TYPE_BAREUDP;

/** Bytes of a GRE header with these flags. */
export function greHeaderBytes(flags: number): number {
  let bytes: number = GRE.headerBytes;
  if ((flags & GRE.checksum) !== 0) bytes += GRE.optionBytes;
  if ((flags & GRE.key) !== 0) bytes += GRE.optionBytes;
  if ((flags & GRE.sequence) !== 0) bytes += GRE.optionBytes;
  return bytes;
}
