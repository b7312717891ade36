// Decapsulation: the outer headers of a packet become the tunnel fields of its key, and a number of bytes to take off.
// What is checked, and what makes a packet be refused, is what OVS checks: the outer IP header's checksum, length and
// options, UDP's and GRE's checksums where they are there, flags and versions. An outer packet is the work of whoever
// sends one to us: every length is checked against the packet before the bytes are read.
//
// Hot: once for each packet decapsulated. Reads the outer headers, all of the packet only for a checksum; writes the
// tunnel lines of one key slot. Allocates nothing.
import { NO_WINDOW } from "../action/header-window.ts";
import { K, KEY_LINE_BYTES, TUNNEL_OPTIONS_BYTES_MAX } from "../flow/fields.ts";
import { TUNNEL_FLAG } from "../flow/odp/flags.ts";
import { readBe16, readBe32 } from "../packet/bytes.ts";
import { finishSum } from "../packet/checksum.ts";
import { ETH, ETH_TYPE } from "../packet/link-headers.ts";
import { IP_PROTOCOL, IPV4, IPV6, IPV6_ROUTING } from "../packet/network-headers.ts";
import {
  ERSPAN,
  GENEVE,
  GRE,
  GTPU,
  SRV6,
  TUNNEL_TYPE,
  VXLAN,
  VXLAN_GPE_NEXT,
} from "../packet/tunnel-headers.ts";
import { OuterHeaders, POP_REFUSED, TUNNEL_LINE } from "./outer-headers.ts";
import { addPacket } from "./packet-sum.ts";
import { greHeaderBytes } from "./push.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const IPV6_BYTES: number = IPV6.headerBytes;
const ETH_TYPE_MIN: number = ETH.typeMin;
const { oam: OAM, csum: CSUM, key: KEY, options: OPTIONS } = TUNNEL_FLAG;
const GRE_FLAGS = GRE.checksum | GRE.key | GRE.sequence;

/** A tunnel port as far as it matters for decapsulation. */
export interface PopPort {
  /** Of TUNNEL_TYPE. */
  readonly type: number;
  /** VXLAN: takes Group Based Policy. */
  readonly hasGbp: boolean;
  /** bareudp: the Ethertype of what it carries. */
  readonly payloadType: number;
}

export class TunnelPop extends OuterHeaders {
  /** Of the packet popped last: 0 for an Ethernet frame inside, else the Ethertype of the network header. */
  innerType = 0;

  /**
   * Reads the outer headers and writes the key's tunnel fields. The packet is not changed. Returns how many bytes stand
   * before the inner packet, POP_REFUSED for a packet to drop.
   * @param l3Offset where the outer network header is, l4Offset what stands behind it; negative for none
   * @param key arena offset of the key slot; `dirtyLines` says which of its lines are not zero
   */
  pop(
    frame: number,
    l3Offset: number,
    l4Offset: number,
    key: number,
    dirtyLines: number,
    port: PopPort,
  ): number {
    if (l3Offset < 0 || l4Offset < 0) return POP_REFUSED;
    const head = this.open(frame, key, dirtyLines);
    if (head === NO_WINDOW) return POP_REFUSED;
    this.innerType = 0;
    const offset = this.readIp(head, l3Offset, l4Offset)
      ? this.#readTunnel(head, l3Offset, l4Offset, port)
      : POP_REFUSED;
    this.arena.u16[(key + K.tun_flags) >>> 1] = this.flags;
    return offset;
  }

  #readTunnel(head: number, l3: number, l4: number, port: PopPort): number {
    switch (port.type) {
      case TUNNEL_TYPE.vxlan:
        return this.#vxlan(head, l3, l4, port.hasGbp);
      case TUNNEL_TYPE.geneve:
        return this.#geneve(head, l3, l4);
      case TUNNEL_TYPE.gre:
      case TUNNEL_TYPE.ip6gre:
        return this.#gre(head, l4);
      case TUNNEL_TYPE.erspan:
      case TUNNEL_TYPE.ip6erspan:
        return this.#erspan(head, l4);
      case TUNNEL_TYPE.gtpu:
        return this.#gtpu(head, l3, l4);
      case TUNNEL_TYPE.srv6:
        return this.#srv6(head, l3, l4);
      case TUNNEL_TYPE.bareudp:
        return this.#bareudp(head, l3, l4, port.payloadType);
      default:
        return POP_REFUSED;
    }
  }

  /** The three bytes of a VNI into the 64-bit tunnel id. */
  #setVni(vni: number): void {
    this.copyField(K.tun_id + 5, vni, 3);
    this.flags |= KEY;
  }

  #vxlan(head: number, l3: number, l4: number, hasGbp: boolean): number {
    const at = this.readUdp(head, l3, l4, VXLAN.headerBytes);
    if (at < 0) return POP_REFUSED;
    const u8 = this.u8;
    const vxlan = head + at;
    let flags = readBe32(u8, vxlan + VXLAN.flags);
    if ((flags & VXLAN.gpe) !== 0) {
      if ((flags & VXLAN.gpeOam) !== 0) return POP_REFUSED;
      this.innerType = gpeInnerType(u8[vxlan + VXLAN.nextProtocol]!);
      if (this.innerType < 0) return POP_REFUSED;
      flags = (flags & ~VXLAN.gpeBits) >>> 0;
    } else if (hasGbp && (flags & VXLAN.gbp) !== 0) {
      u8[this.key + K.tun_gbp_flags] = u8[vxlan + VXLAN.gbpFlags]! & VXLAN.gbpFlagsMask;
      this.copyField(K.tun_gbp_id, vxlan + VXLAN.gbpId, 2);
      flags = (flags & ~VXLAN.gbpBits) >>> 0;
    }
    if (flags !== VXLAN.hasVni || u8[vxlan + VXLAN.vni + 3] !== 0) return POP_REFUSED;
    this.#setVni(vxlan + VXLAN.vni);
    return at + VXLAN.headerBytes;
  }

  #geneve(head: number, l3: number, l4: number): number {
    const at = this.readUdp(head, l3, l4, GENEVE.headerBytes);
    if (at < 0) return POP_REFUSED;
    const u8 = this.u8;
    const geneve = head + at;
    const optionBytes = (u8[geneve + GENEVE.optionWords]! & GENEVE.optionWordsMask) * 4;
    if (!this.has(at, GENEVE.headerBytes + optionBytes)) return POP_REFUSED;
    if ((u8[geneve + GENEVE.optionWords]! & GENEVE.versionMask) !== 0) return POP_REFUSED;
    if (readBe16(u8, geneve + GENEVE.protocol) !== ETH_TYPE.trans) return POP_REFUSED;
    if ((u8[geneve + GENEVE.flags]! & GENEVE.oam) !== 0) this.flags |= OAM;
    this.#setVni(geneve + GENEVE.vni);
    this.flags |= OPTIONS;
    if (optionBytes > 0) this.#setOptions(geneve + GENEVE.headerBytes, optionBytes);
    return at + GENEVE.headerBytes + optionBytes;
  }

  #setOptions(options: number, bytes: number): void {
    const count = Math.min(bytes, TUNNEL_OPTIONS_BYTES_MAX);
    this.u8[this.key + K.tun_opts_len] = count;
    this.arena.intrinsics.copy(this.key + K.tun_opts, options, count);
    const last = Math.floor((K.tun_opts + count - 1) / KEY_LINE_BYTES);
    for (let line = TUNNEL_LINE; line <= last; line += 1) this.lines |= 1 << line;
  }

  #gre(head: number, l4: number): number {
    const u8 = this.u8;
    if (!this.has(l4, GRE.headerBytes)) return POP_REFUSED;
    const gre = head + l4;
    const flags = readBe16(u8, gre + GRE.flags);
    if ((flags & ~GRE_FLAGS) !== 0) return POP_REFUSED;
    const headerBytes = greHeaderBytes(flags);
    if (!this.has(l4, headerBytes)) return POP_REFUSED;
    let option = gre + GRE.headerBytes;
    if ((flags & GRE.checksum) !== 0) {
      if (finishSum(addPacket(0, u8, this.packets, this.frame, l4)) !== 0) return POP_REFUSED;
      this.flags |= CSUM;
      option += GRE.optionBytes;
    }
    if ((flags & GRE.key) !== 0) {
      this.copyField(K.tun_id + 4, option, 4);
      this.flags |= KEY;
    }
    const protocol = readBe16(u8, gre + GRE.protocol);
    if (protocol < ETH_TYPE_MIN) return POP_REFUSED;
    this.innerType = protocol === ETH_TYPE.trans ? 0 : protocol;
    return l4 + headerBytes;
  }

  #erspan(head: number, l4: number): number {
    const u8 = this.u8;
    const gre = head + l4;
    const at = l4 + ERSPAN.greBytes;
    const fixedBytes = ERSPAN.headerBytes + ERSPAN.metadataV1Bytes;
    if (!this.has(at, fixedBytes)) return POP_REFUSED;
    if (readBe16(u8, gre + GRE.flags) !== GRE.sequence) return POP_REFUSED;
    const protocol = readBe16(u8, gre + GRE.protocol);
    if (protocol !== ERSPAN.protocolV1 && protocol !== ERSPAN.protocolV2) return POP_REFUSED;
    const erspan = head + at;
    const version = u8[erspan + ERSPAN.version]! >>> 4;
    const session = readBe16(u8, erspan + ERSPAN.session) & ERSPAN.sessionMask;
    u8[this.key + K.tun_id + 6] = session >>> 8;
    u8[this.key + K.tun_id + 7] = session;
    u8[this.key + K.tun_erspan_ver] = version;
    this.flags |= KEY;
    if (version === 1) {
      this.copyField(K.tun_erspan_idx, erspan + ERSPAN.index, 4);
      return at + fixedBytes;
    }
    if (version !== 2 || !this.has(at, ERSPAN.headerBytes + ERSPAN.metadataV2Bytes)) return POP_REFUSED;
    const lower = u8[erspan + ERSPAN.hardwareLower]!;
    u8[this.key + K.tun_erspan_dir] = (lower & ERSPAN.directionBit) === 0 ? 0 : 1;
    u8[this.key + K.tun_erspan_hwid] = ((u8[erspan + ERSPAN.hardwareUpper]! & 3) << 4) | (lower >>> 4);
    return at + ERSPAN.headerBytes + ERSPAN.metadataV2Bytes;
  }

  /** Signalling messages keep their outer headers: somebody who speaks GTP is to read them. */
  #gtpu(head: number, l3: number, l4: number): number {
    const at = this.readUdp(head, l3, l4, GTPU.headerBytes);
    if (at < 0) return POP_REFUSED;
    const u8 = this.u8;
    const gtpu = head + at;
    const flags = u8[gtpu + GTPU.flags]!;
    u8[this.key + K.tun_gtpu_flags] = flags;
    u8[this.key + K.tun_gtpu_msgtype] = u8[gtpu + GTPU.messageType]!;
    this.copyField(K.tun_id + 4, gtpu + GTPU.teid, 4);
    if (u8[gtpu + GTPU.messageType] !== GTPU.messageGpdu) return 0;
    const headerBytes = GTPU.headerBytes + ((flags & GTPU.sequencePresent) === 0 ? 0 : GTPU.optionalBytes);
    return this.#bareIp(head, at + headerBytes);
  }

  /** An IP packet without anything that names its version. */
  #bareIp(head: number, at: number): number {
    if (!this.has(at, 1)) return POP_REFUSED;
    const version = this.u8[head + at]! >>> 4;
    if (version !== 4 && version !== 6) return POP_REFUSED;
    this.innerType = version === 4 ? ETH_TYPE.ipv4 : ETH_TYPE.ipv6;
    return at;
  }

  /** The routing header must be the first extension header and have been used up. */
  #srv6(head: number, l3: number, l4: number): number {
    const u8 = this.u8;
    const at = l3 + IPV6_BYTES;
    if (u8[head + l3]! >>> 4 !== 6 || u8[head + l3 + IPV6.nextHeader] !== IP_PROTOCOL.routing)
      return POP_REFUSED;
    if (!this.has(at, SRV6.headerBytes)) return POP_REFUSED;
    const routing = head + at;
    if (u8[routing + IPV6_ROUTING.type] !== SRV6.routingType) return POP_REFUSED;
    if (u8[routing + IPV6_ROUTING.segmentsLeft] !== 0) return POP_REFUSED;
    const end = at + SRV6.headerBytes + u8[routing + IPV6_ROUTING.length]! * SRV6.headerBytes;
    if (end > this.packetBytes || end > l4) return POP_REFUSED;
    const next = u8[routing + IPV6_ROUTING.nextHeader]!;
    if (next !== IP_PROTOCOL.ipip && next !== IP_PROTOCOL.ipv6) return POP_REFUSED;
    this.innerType = next === IP_PROTOCOL.ipip ? ETH_TYPE.ipv4 : ETH_TYPE.ipv6;
    return end;
  }

  #bareudp(head: number, l3: number, l4: number, payloadType: number): number {
    const at = this.readUdp(head, l3, l4, 1);
    if (at < 0) return POP_REFUSED;
    if (payloadType === ETH_TYPE.ipv4 || payloadType === ETH_TYPE.ipv6) return this.#bareIp(head, at);
    this.innerType = payloadType;
    // RFC 7510: multicast labels come to a multicast group.
    if (payloadType === ETH_TYPE.mpls && this.#isToGroup(head + l3)) this.innerType = ETH_TYPE.mplsMulticast;
    return at;
  }

  #isToGroup(ip: number): boolean {
    const u8 = this.u8;
    if (u8[ip]! >>> 4 === 4) return u8[ip + IPV4.dst]! >>> 4 === 0xe;
    return u8[ip + IPV6.dst] === 0xff;
  }
}

/** Negative for a protocol that is not known. */
function gpeInnerType(next: number): number {
  switch (next) {
    case VXLAN_GPE_NEXT.ethernet:
      return 0;
    case VXLAN_GPE_NEXT.ipv4:
      return ETH_TYPE.ipv4;
    case VXLAN_GPE_NEXT.ipv6:
      return ETH_TYPE.ipv6;
    case VXLAN_GPE_NEXT.nsh:
      return ETH_TYPE.nsh;
    default:
      return POP_REFUSED;
  }
}
