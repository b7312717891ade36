// ARP (RFC 826) and neighbour discovery (RFC 4861) as far as a tunnel endpoint needs them: asking for a next hop's
// address, and answering who asks for ours. Control path.
import { writeBe16, writeBe32 } from "../packet/bytes.ts";
import { addBytes, finishSum, pseudoSumV6 } from "../packet/checksum.ts";
import { ARP, ETH, ETH_TYPE } from "../packet/link-headers.ts";
import { IP_PROTOCOL, IPV6 } from "../packet/network-headers.ts";
import { ICMPV6, ICMPV6_TYPE, ND, ND_OPTION } from "../packet/transport-headers.ts";
import type { Endpoint } from "./endpoints.ts";
import { type Ip, ipFromBytes, isIpv4, writeIp } from "./ip.ts";

const ARP_AT = ETH.headerBytes;
const IP_AT = ETH.headerBytes;
const ND_AT = IP_AT + IPV6.headerBytes;
const OPTION_BYTES = ND_OPTION.unitBytes;
const ND_BYTES = ND.headerBytes + OPTION_BYTES;
/** Solicitations and advertisements that came over a router are void. */
const HOP_LIMIT = 255;
export const ARP_OPERATION = { request: 1, reply: 2 } as const;
const BROADCAST = new Uint8Array(6).fill(0xff);
/** ff02::1:ff00:0/104, to which the last three bytes of the target are added. */
const SOLICITED_NODE = 0xff0200000000000000000001ff000000n;
const SOLICITED_BITS = 0xffffffn;
/** ff02::1. */
const ALL_NODES = 0xff020000000000000000000000000001n;
const ADVERTISEMENT_FLAGS = { solicited: 0x40000000, override: 0x20000000 } as const;

/** The frame that asks for the link-layer address of `target` at an endpoint. */
export function resolutionRequest(endpoint: Endpoint, target: Ip, source: Ip): Uint8Array {
  if (isIpv4(target)) {
    return arp(ARP_OPERATION.request, BROADCAST, endpoint.mac, source, new Uint8Array(6), target);
  }
  const group = SOLICITED_NODE | (target & SOLICITED_BITS);
  return neighbourMessage(groupMac(group), endpoint.mac, source, group, target, {
    type: ICMPV6_TYPE.neighborSolicitation,
    flags: 0,
    option: ND_OPTION.sourceLinkAddress,
  });
}

/** The answer to an ARP request for one of our addresses. @param packet whose key said so */
export function arpReply(packet: Uint8Array, mac: Uint8Array): Uint8Array {
  const asker = packet.subarray(ARP_AT + ARP.senderHardware, ARP_AT + ARP.senderHardware + 6);
  const askerIp = ipFromBytes(packet, ARP_AT + ARP.senderProtocol, 4);
  const ours = ipFromBytes(packet, ARP_AT + ARP.targetProtocol, 4);
  return arp(ARP_OPERATION.reply, asker, mac, ours, asker, askerIp);
}

/** The answer to a solicitation of one of our addresses: to who asked, or to all when that has no address yet. */
export function neighbourAdvertisement(packet: Uint8Array, mac: Uint8Array): Uint8Array {
  const asker = ipFromBytes(packet, IP_AT + IPV6.src, 16);
  const target = ipFromBytes(packet, ND_AT + ND.target, 16);
  const isUnspecified = asker === 0n;
  const to = isUnspecified ? groupMac(ALL_NODES) : packet.subarray(ETH.src, ETH.src + ETH.addressBytes);
  return neighbourMessage(to, mac, target, isUnspecified ? ALL_NODES : asker, target, {
    type: ICMPV6_TYPE.neighborAdvertisement,
    flags: ADVERTISEMENT_FLAGS.override | (isUnspecified ? 0 : ADVERTISEMENT_FLAGS.solicited),
    option: ND_OPTION.targetLinkAddress,
  });
}

function arp(
  operation: number,
  to: Uint8Array,
  from: Uint8Array,
  senderIp: Ip,
  targetMac: Uint8Array,
  targetIp: Ip,
): Uint8Array {
  const bytes = new Uint8Array(ARP_AT + ARP.headerBytes);
  putEthernet(bytes, to, from, ETH_TYPE.arp);
  writeBe16(bytes, ARP_AT + ARP.hardwareType, ARP.hardwareEthernet);
  writeBe16(bytes, ARP_AT + ARP.protocolType, ETH_TYPE.ipv4);
  bytes[ARP_AT + ARP.hardwareBytes] = 6;
  bytes[ARP_AT + ARP.protocolBytes] = 4;
  writeBe16(bytes, ARP_AT + ARP.operation, operation);
  bytes.set(from, ARP_AT + ARP.senderHardware);
  writeIp(bytes, ARP_AT + ARP.senderProtocol, senderIp);
  bytes.set(targetMac, ARP_AT + ARP.targetHardware);
  writeIp(bytes, ARP_AT + ARP.targetProtocol, targetIp);
  return bytes;
}

interface NeighbourMessage {
  readonly type: number;
  readonly flags: number;
  /** Type of the link-layer address option, which holds our address. */
  readonly option: number;
}

function neighbourMessage(
  to: Uint8Array,
  from: Uint8Array,
  source: Ip,
  destination: Ip,
  target: Ip,
  { type, flags, option }: NeighbourMessage,
): Uint8Array {
  const bytes = new Uint8Array(ND_AT + ND_BYTES);
  putEthernet(bytes, to, from, ETH_TYPE.ipv6);
  writeBe32(bytes, IP_AT, (6 << 28) >>> 0);
  writeBe16(bytes, IP_AT + IPV6.payloadLength, ND_BYTES);
  bytes[IP_AT + IPV6.nextHeader] = IP_PROTOCOL.icmpv6;
  bytes[IP_AT + IPV6.hopLimit] = HOP_LIMIT;
  writeIp(bytes, IP_AT + IPV6.src, source);
  writeIp(bytes, IP_AT + IPV6.dst, destination);
  bytes[ND_AT + ICMPV6.type] = type;
  writeBe32(bytes, ND_AT + ND.reserved, flags);
  writeIp(bytes, ND_AT + ND.target, target);
  const at = ND_AT + ND.options;
  bytes[at + ND_OPTION.type] = option;
  bytes[at + ND_OPTION.length] = ND_OPTION.linkAddressUnits;
  bytes.set(from, at + ND_OPTION.address);
  const pseudo = pseudoSumV6(bytes, IP_AT + IPV6.src, IP_AT + IPV6.dst, IP_PROTOCOL.icmpv6, ND_BYTES);
  writeBe16(bytes, ND_AT + ICMPV6.checksum, finishSum(addBytes(pseudo, bytes, ND_AT, ND_BYTES)));
  return bytes;
}

function putEthernet(bytes: Uint8Array, to: Uint8Array, from: Uint8Array, type: number): void {
  bytes.set(to, ETH.dst);
  bytes.set(from, ETH.src);
  writeBe16(bytes, ETH.type, type);
}

/** 33:33 and the last four bytes of the group. */
function groupMac(group: Ip): Uint8Array {
  const mac = Uint8Array.of(0x33, 0x33, 0, 0, 0, 0);
  writeBe32(mac, 2, Number(group & 0xffffffffn));
  return mac;
}
