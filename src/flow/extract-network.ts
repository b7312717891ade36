// Network headers: IPv4, IPv6 with its extension headers, ARP and RARP, NSH.
//
// Per packet, only those that the fast path of extract.ts leaves. A header that does not hold together ends the
// parse: what came before stays in the key, the rest is zero, and the packet is never refused.

import { ARP, ETH, ETH_TYPE, NSH, NSH_MD_TYPE } from "../packet/link-headers.ts";
import {
  AUTHENTICATION,
  IP_PROTOCOL,
  IPV4,
  IPV6,
  IPV6_EXTENSION,
  IPV6_FRAGMENT,
} from "../packet/network-headers.ts";
import { type HeaderCursor, LINE_1, LINE_2, LINE_3 } from "./extract-cursor.ts";
import { parseTransport } from "./extract-transport.ts";
import { FRAG_FIRST, FRAG_LATER, FRAG_NO, K } from "./fields.ts";

/** Bytes that may follow the length an IP header states: what OVS can note as padding of a frame. */
export const IP_PADDING_BYTES_MAX = 65535;

const { ipv4: ETH_TYPE_IPV4, ipv6: ETH_TYPE_IPV6 } = ETH_TYPE;
const { nw_frag: NW_FRAG, nw_proto: NW_PROTO, nw_tos: NW_TOS, nw_ttl: NW_TTL, nw_src: NW_SRC } = K;
const { ipv6_src: IPV6_SRC, ipv6_label: IPV6_LABEL } = K;
const PADDING_BYTES_MAX = IP_PADDING_BYTES_MAX;
const { hopByHop: HOP_BY_HOP, routing: ROUTING, fragment: FRAGMENT } = IP_PROTOCOL;
const { authentication: AH, destination: DESTINATION } = IP_PROTOCOL;
/** Traffic class and the label's first bits in the header's first half word. */
const CLASS_SHIFT = IPV6.classShift - 16;
const LABEL_HEAD_MASK = IPV6.labelMask >>> 16;
/** Least length of an extension header, and the whole of the fragment header. */
const EXTENSION_BYTES_MIN = IPV6_FRAGMENT.headerBytes;
/** The O bit and the unassigned bit behind the version are what the key calls nsh flags. */
const NSH_FLAGS_SHIFT = 12;
const NSH_FLAGS_MASK = 3;
/** Lengths of an Ethernet and an IPv4 address as ARP states them, in one word. */
const ARP_ADDRESS_LENGTHS = (ETH.addressBytes << 8) | IPV4.addressBytes;

/** Parses at the cursor what `ethType` promises. */
export function parseNetwork(cursor: HeaderCursor, ethType: number): void {
  if (ethType === ETH_TYPE_IPV4) parseIpv4(cursor);
  else if (ethType === ETH_TYPE_IPV6) parseIpv6(cursor);
  else if (ethType === ETH_TYPE.arp || ethType === ETH_TYPE.rarp) parseArp(cursor);
  else if (ethType === ETH_TYPE.nsh) parseNsh(cursor);
}

function parseIpv4(cursor: HeaderCursor): void {
  if (!cursor.has(IPV4.headerBytes)) return;
  const headerBytes = (cursor.byte(IPV4.versionIhl) & IPV4.ihlMask) * 4;
  const totalBytes = cursor.be16(IPV4.totalLength);
  if (headerBytes < IPV4.headerBytes || headerBytes > totalBytes || totalBytes > cursor.sizeBytes) return;
  if (cursor.sizeBytes - totalBytes > PADDING_BYTES_MAX) return;

  const fragment = cursor.be16(IPV4.fragment);
  let frag = FRAG_NO;
  if ((fragment & IPV4.fragmentOffsetMask) !== 0) frag = FRAG_LATER;
  else if ((fragment & IPV4.moreFragments) !== 0) frag = FRAG_FIRST;
  const proto = cursor.byte(IPV4.protocol);
  cursor.put8(NW_FRAG, frag);
  cursor.put8(NW_PROTO, proto);
  cursor.put8(NW_TOS, cursor.byte(IPV4.tos));
  cursor.put8(NW_TTL, cursor.byte(IPV4.ttl));
  cursor.copy(IPV4.src, NW_SRC, 2 * IPV4.addressBytes);

  cursor.sizeBytes = totalBytes;
  cursor.pull(headerBytes);
  cursor.l4Offset = cursor.offset;
  if (frag !== FRAG_LATER) parseTransport(cursor, proto);
}

/** An extension header that is cut off leaves the addresses, but not the label. */
function parseIpv6(cursor: HeaderCursor): void {
  if (!cursor.has(IPV6.headerBytes)) return;
  const payloadBytes = cursor.be16(IPV6.payloadLength);
  const paddingBytes = cursor.sizeBytes - IPV6.headerBytes - payloadBytes;
  if (paddingBytes < 0 || paddingBytes > PADDING_BYTES_MAX) return;

  cursor.copy(IPV6.src, IPV6_SRC, 2 * IPV6.addressBytes);
  cursor.lines |= LINE_1;
  const classAndLabel = cursor.be16(IPV6.versionClassLabel);
  const labelTail = cursor.be16(IPV6.versionClassLabel + 2);
  const hopLimit = cursor.byte(IPV6.hopLimit);
  const nextHeader = cursor.byte(IPV6.nextHeader);
  cursor.pull(IPV6.headerBytes);
  cursor.sizeBytes = payloadBytes;

  const found = walkExtensions(cursor, nextHeader);
  if (found < 0) return;
  cursor.putBe16(IPV6_LABEL, classAndLabel & LABEL_HEAD_MASK);
  cursor.putBe16(IPV6_LABEL + 2, labelTail);
  const frag = found >>> 8;
  const proto = found & 0xff;
  cursor.put8(NW_FRAG, frag);
  cursor.put8(NW_PROTO, proto);
  cursor.put8(NW_TOS, (classAndLabel >>> CLASS_SHIFT) & 0xff);
  cursor.put8(NW_TTL, hopLimit);
  cursor.l4Offset = cursor.offset;
  if (frag !== FRAG_LATER) parseTransport(cursor, proto);
}

/**
 * Passes extension headers in whatever order they come. Returns frag << 8 | protocol, -1 when a header is cut off.
 * A later fragment ends the walk with protocol 44. A fragment header whose offset word is zero is an atomic fragment
 * (RFC 6946) and no fragment; a reserved bit in that word makes it a first fragment, as in OVS.
 */
function walkExtensions(cursor: HeaderCursor, nextHeader: number): number {
  let frag = FRAG_NO;
  for (;;) {
    if (!isExtension(nextHeader)) return (frag << 8) | nextHeader;
    if (!cursor.has(EXTENSION_BYTES_MIN)) return -1;
    const following = cursor.byte(IPV6_EXTENSION.nextHeader);
    if (nextHeader === FRAGMENT) {
      const fragment = cursor.be16(IPV6_FRAGMENT.offsetFlags);
      cursor.pull(EXTENSION_BYTES_MIN);
      if (fragment !== 0) {
        frag = FRAG_FIRST;
        if ((fragment & IPV6_FRAGMENT.offsetMask) !== 0) return (FRAG_LATER << 8) | FRAGMENT;
      }
    } else {
      const lengthField = cursor.byte(IPV6_EXTENSION.length);
      // RFC 4302: AH counts 4-byte units less 2; the others count 8-byte units less 1 (RFC 8200).
      const bytes =
        nextHeader === AH
          ? (lengthField + AUTHENTICATION.lengthBias) * AUTHENTICATION.unitBytes
          : (lengthField + 1) * IPV6_EXTENSION.unitBytes;
      if (!cursor.tryPull(bytes)) return -1;
    }
    nextHeader = following;
  }
}

const isExtension = (proto: number): boolean =>
  proto === HOP_BY_HOP || proto === ROUTING || proto === DESTINATION || proto === AH || proto === FRAGMENT;

/** Only IPv4 over Ethernet. An opcode above 255 does not fit the key and counts as 0. */
function parseArp(cursor: HeaderCursor): void {
  if (!cursor.has(ARP.headerBytes)) return;
  if (cursor.be16(ARP.hardwareType) !== ARP.hardwareEthernet) return;
  if (cursor.be16(ARP.protocolType) !== ETH_TYPE_IPV4) return;
  if (cursor.be16(ARP.hardwareBytes) !== ARP_ADDRESS_LENGTHS) return;
  const opcode = cursor.be16(ARP.operation);
  if (opcode <= 0xff) cursor.put8(NW_PROTO, opcode);
  cursor.copy(ARP.senderHardware, K.arp_sha, ETH.addressBytes);
  cursor.copy(ARP.senderProtocol, K.nw_src, IPV4.addressBytes);
  cursor.copy(ARP.targetHardware, K.arp_tha, ETH.addressBytes);
  cursor.copy(ARP.targetProtocol, K.nw_dst, IPV4.addressBytes);
  cursor.lines |= LINE_2;
}

/** RFC 8300. Of the metadata only MD type 1 is kept; a wrong length leaves the whole of NSH zero. */
function parseNsh(cursor: HeaderCursor): void {
  if (!cursor.has(NSH.baseBytes)) return;
  const word = cursor.be16(NSH.versionFlagsLength);
  const headerBytes = (word & NSH.lengthMask) * 4;
  const mdtype = cursor.byte(NSH.mdType);
  const fixed = mdtype === NSH_MD_TYPE.fixed;
  if ((word & NSH.versionMask) !== 0 || headerBytes > cursor.sizeBytes) return;
  if (fixed && (headerBytes !== NSH.mdType1Bytes || !cursor.has(NSH.mdType1Bytes))) return;
  if (mdtype === NSH_MD_TYPE.variable && headerBytes < NSH.baseBytes) return;

  cursor.put8(K.nsh_flags, (word >>> NSH_FLAGS_SHIFT) & NSH_FLAGS_MASK);
  cursor.put8(K.nsh_ttl, (word & NSH.ttlMask) >>> NSH.ttlShift);
  cursor.put8(K.nsh_mdtype, mdtype);
  cursor.put8(K.nsh_np, cursor.byte(NSH.nextProtocol));
  cursor.copy(NSH.pathHeader, K.nsh_path_hdr, 4);
  if (fixed) cursor.copy(NSH.context, K.nsh_context0, 16);
  cursor.lines |= LINE_3;
}
