// set and set_masked: finds the header that the action names, checks that it is there, and has it written in
// place. Hot, per packet; writes packet bytes only.
//
// Which headers a packet has, extraction has said by l3Offset and l4Offset. That the network header is the
// one which the action names, the flow's match says (validate.ts). The transport protocol is looked up in the
// packet: OVS lets a flow set ports without matching the protocol, and writes into whatever header follows;
// here the action does nothing to packets of another protocol, nor to later fragments, which have no
// transport header.
import { KEY_ATTR } from "../flow/odp/attributes.ts";
import type { Arena } from "../memory/arena.ts";
import { PACKET_CSUM_PARTIAL } from "../memory/frame-layout.ts";
import type { Packets } from "../memory/packets.ts";
import { ARP, ETH } from "../packet/link-headers.ts";
import { IP_PROTOCOL, IPV4, IPV6 } from "../packet/network-headers.ts";
import { TCP } from "../packet/transport-headers.ts";
import { blend8, NO_MASK } from "./blend.ts";
import { type HeaderWindow, NO_WINDOW } from "./header-window.ts";
import { setArp } from "./set-arp.ts";
import { isNeighborDiscovery, setIcmp, setNd, setNdExtensions } from "./set-icmp.ts";
import { setIpv4 } from "./set-ipv4.ts";
import { setIpv6 } from "./set-ipv6.ts";
import { setSctp, setTcp, setUdp } from "./set-transport.ts";
import { transportBytesV4, transportBytesV6, transportV4, transportV6 } from "./transport-header.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const SET_ETHERNET = KEY_ATTR.ethernet;
const SET_IPV4 = KEY_ATTR.ipv4;
const SET_IPV6 = KEY_ATTR.ipv6;
const SET_TCP = KEY_ATTR.tcp;
const SET_UDP = KEY_ATTR.udp;
const SET_SCTP = KEY_ATTR.sctp;
const SET_ICMP = KEY_ATTR.icmp;
const SET_ICMPV6 = KEY_ATTR.icmpv6;
const SET_ARP = KEY_ATTR.arp;
const SET_ND = KEY_ATTR.nd;
const SET_ND_EXT = KEY_ATTR.ndExtensions;
const IPV6_BYTES = IPV6.headerBytes;
const IPV4_BYTES = IPV4.headerBytes;
const TCP_BYTES = TCP.headerBytes;
const ETH_BYTES = ETH.headerBytes;
const ADDRESS_BYTES = ETH.addressBytes;
const PROTOCOL_TCP = IP_PROTOCOL.tcp;
const PROTOCOL_UDP = IP_PROTOCOL.udp;
const PROTOCOL_SCTP = IP_PROTOCOL.sctp;
const PROTOCOL_ICMP = IP_PROTOCOL.icmp;
const PROTOCOL_ICMPV6 = IP_PROTOCOL.icmpv6;
const ARP_BYTES = ARP.headerBytes;
const ETH_SRC = ETH.src;
const ETH_DST = ETH.dst;

/** The executor's mark for "no such header", where the batch's columns have 0xffff. */
export const NO_HEADER = -1;

export class SetField {
  readonly #u8: Uint8Array;
  readonly #packets: Packets;
  readonly #window: HeaderWindow;

  constructor(arena: Arena, packets: Packets, window: HeaderWindow) {
    this.#u8 = arena.u8;
    this.#packets = packets;
    this.#window = window;
  }

  /**
   * Carries one set out. Returns false, packet untouched, when its headers are longer than can be worked on.
   * @param isV6 whether the network header is IPv6, as it was extracted
   * @param keyType OVS_KEY_ATTR_* of the nested attribute
   * @param value arena offset of its value; `mask` that of the mask, NO_MASK for none
   */
  apply(
    frame: number,
    l3: number,
    l4: number,
    isV6: boolean,
    keyType: number,
    value: number,
    mask: number,
  ): boolean {
    if (keyType === SET_ETHERNET) return this.#setEthernet(frame, value, mask);
    if (l3 === NO_HEADER) return true;
    if (keyType === SET_ARP) return this.#setArp(frame, l3, value, mask);
    if (keyType === SET_ND || keyType === SET_ND_EXT) return this.#setNd(frame, l3, l4, keyType, value, mask);
    const packetBytes = this.#packets.packetBytes(frame);
    const networkEnd = l3 + (keyType === SET_IPV6 ? IPV6_BYTES : IPV4_BYTES);
    if (networkEnd > packetBytes) return true;
    // TCP's is the longest header of which a field is written.
    const needed = Math.max(networkEnd, l4 === NO_HEADER ? 0 : Math.min(l4 + TCP_BYTES, packetBytes));
    const head = this.#window.open(frame, needed);
    if (head === NO_WINDOW) return false;
    const partial = (this.#packets.flags(frame) & PACKET_CSUM_PARTIAL) !== 0;
    const partialHere = partial && this.#packets.csumStart(frame) === l4;
    const u8 = this.#u8;
    const ip = head + l3;
    const end = head + packetBytes;
    if (keyType === SET_IPV4) {
      const l4Bytes = l4 === NO_HEADER ? 0 : transportBytesV4(u8, ip, head + l4, end);
      setIpv4(u8, ip, head + l4, l4Bytes, value, mask, partialHere);
    } else if (keyType === SET_IPV6) {
      const l4Bytes = l4 === NO_HEADER ? 0 : transportBytesV6(u8, ip, head + l4, end);
      setIpv6(u8, ip, head + l4, l4Bytes, value, mask, partialHere);
    } else if (l4 !== NO_HEADER) {
      this.#setTransport(ip, head + l4, end, isV6, keyType, value, mask, partialHere);
    }
    this.#window.close(frame);
    return true;
  }

  /** OVS's struct is src, dst; the packet's header is dst, src. */
  #setEthernet(frame: number, value: number, mask: number): boolean {
    if (this.#packets.packetBytes(frame) < ETH_BYTES) return true;
    const head = this.#window.open(frame, ETH_BYTES);
    const u8 = this.#u8;
    for (let index = 0; index < ADDRESS_BYTES; index += 1) {
      const src = head + ETH_SRC + index;
      const dst = head + ETH_DST + index;
      if (mask === NO_MASK) {
        u8[src] = u8[value + index]!;
        u8[dst] = u8[value + ADDRESS_BYTES + index]!;
      } else {
        u8[src] = blend8(u8, u8[src]!, value, mask, index);
        u8[dst] = blend8(u8, u8[dst]!, value, mask, ADDRESS_BYTES + index);
      }
    }
    this.#window.close(frame);
    return true;
  }

  #setTransport(
    ip: number,
    l4: number,
    end: number,
    isV6: boolean,
    keyType: number,
    value: number,
    mask: number,
    partial: boolean,
  ): void {
    const u8 = this.#u8;
    const protocol = isV6 ? transportV6(u8, ip, l4) & 0xff : transportV4(u8, ip);
    const l4Bytes = isV6 ? transportBytesV6(u8, ip, l4, end) : transportBytesV4(u8, ip, l4, end);
    if (keyType === SET_TCP && protocol === PROTOCOL_TCP) {
      setTcp(u8, l4, l4Bytes, value, mask, partial);
    } else if (keyType === SET_UDP && protocol === PROTOCOL_UDP) {
      setUdp(u8, l4, l4Bytes, value, mask, partial);
    } else if (keyType === SET_SCTP && protocol === PROTOCOL_SCTP) {
      setSctp(u8, l4, l4Bytes, value, mask);
    } else if (
      (keyType === SET_ICMP && protocol === PROTOCOL_ICMP) ||
      (keyType === SET_ICMPV6 && protocol === PROTOCOL_ICMPV6)
    ) {
      setIcmp(u8, l4, l4Bytes, value, mask, partial);
    }
  }

  #setArp(frame: number, l3: number, value: number, mask: number): boolean {
    if (l3 + ARP_BYTES > this.#packets.packetBytes(frame)) return true;
    const head = this.#window.open(frame, l3 + ARP_BYTES);
    if (head === NO_WINDOW) return false;
    setArp(this.#u8, head + l3, value, mask);
    this.#window.close(frame);
    return true;
  }

  /** Options may stand anywhere in the packet, so all of it is looked at. */
  #setNd(frame: number, l3: number, l4: number, keyType: number, value: number, mask: number): boolean {
    if (l4 === NO_HEADER) return true;
    const packetBytes = this.#packets.packetBytes(frame);
    const head = this.#window.open(frame, packetBytes);
    if (head === NO_WINDOW) return false;
    const u8 = this.#u8;
    const ip = head + l3;
    const icmp = head + l4;
    const l4Bytes = transportBytesV6(u8, ip, icmp, head + packetBytes);
    const partial = (this.#packets.flags(frame) & PACKET_CSUM_PARTIAL) !== 0;
    if ((transportV6(u8, ip, icmp) & 0xff) === PROTOCOL_ICMPV6 && isNeighborDiscovery(u8, icmp, l4Bytes)) {
      if (keyType === SET_ND) setNd(u8, icmp, l4Bytes, value, mask, partial);
      else setNdExtensions(u8, icmp, l4Bytes, value, mask, partial);
    }
    this.#window.close(frame);
    return true;
  }
}
