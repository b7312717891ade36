// Every checksum of a frame, recomputed from its bytes alone: nothing of src/ is used, so that an error there cannot
// excuse itself. What is told of a checksum is whether it holds, and by how much it is off.

/** `none`: UDP without checksum. */
export interface ChecksumState {
  readonly kind: "ipv4" | "tcp" | "udp" | "icmp" | "icmpv6" | "igmp" | "sctp";
  readonly state: "good" | "bad" | "none";
}

const ETH_BYTES = 14;
const TAG_TYPES: ReadonlySet<number> = new Set([0x8100, 0x88a8]);
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
const DESTINATION = 60;

/** An upper layer in its datagram. */
interface Upper {
  readonly protocol: number;
  readonly bytes: Uint8Array;
  /** Sum of the addresses; undefined where the destination that counts is not in the packet. */
  readonly addressSum: number | undefined;
}

const be16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

function sumOf(bytes: Uint8Array, sum = 0): number {
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

const held = (sum: number): ChecksumState["state"] => (sum === 0xffff ? "good" : "bad");

/** The checksums of a frame, outer first. Headers that are cut off, and payloads of fragments, have none. */
export function checksumStates(frame: Uint8Array): ChecksumState[] {
  let at = 12;
  if (frame.length < ETH_BYTES) return [];
  while (TAG_TYPES.has(be16(frame, at)) && at + 6 <= frame.length) at += 4;
  const type = be16(frame, at);
  const network = frame.subarray(at + 2);
  if (type === 0x0800) return ipv4States(network);
  return type === 0x86dd ? upperStates(upperOfIpv6(network)) : [];
}

function ipv4States(packet: Uint8Array): ChecksumState[] {
  if (packet.length < IPV4_BYTES) return [];
  const headerBytes = (packet[0]! & 15) * 4;
  const totalBytes = be16(packet, 2);
  if (headerBytes < IPV4_BYTES || totalBytes < headerBytes || totalBytes > packet.length) return [];
  const header: ChecksumState = { kind: "ipv4", state: held(sumOf(packet.subarray(0, headerBytes))) };
  const isFragment = (be16(packet, 6) & 0x3fff) !== 0;
  if (isFragment) return [header];
  const bytes = packet.subarray(headerBytes, totalBytes);
  return [
    header,
    ...upperStates({ protocol: packet[9]!, bytes, addressSum: sumOf(packet.subarray(12, 20)) }),
  ];
}

/** Walks the extension headers that another may follow; undefined where the walk ends before an upper layer. */
function upperOfIpv6(packet: Uint8Array): Upper | undefined {
  if (packet.length < IPV6_BYTES) return undefined;
  const end = IPV6_BYTES + be16(packet, 4);
  if (end > packet.length) return undefined;
  let protocol = packet[6]!;
  let at = IPV6_BYTES;
  let isUnfinished = false;
  for (;;) {
    const isWalked = [HOP_BY_HOP, ROUTING, DESTINATION, FRAGMENT, AUTHENTICATION].includes(protocol);
    if (!isWalked) break;
    if (at + 8 > end) return undefined;
    if (protocol === FRAGMENT && (be16(packet, at + 2) & 0xfff9) !== 0) return undefined;
    if (protocol === ROUTING && packet[at + 3] !== 0) isUnfinished = true;
    const units = packet[at + 1]!;
    const bytes = protocol === FRAGMENT ? 8 : protocol === AUTHENTICATION ? (units + 2) * 4 : (units + 1) * 8;
    protocol = packet[at]!;
    at += bytes;
    if (at > end) return undefined;
  }
  const addressSum = isUnfinished ? undefined : sumOf(packet.subarray(8, 40));
  return { protocol, bytes: packet.subarray(at, end), addressSum };
}

function upperStates(upper: Upper | undefined): ChecksumState[] {
  if (upper === undefined) return [];
  const { protocol, bytes, addressSum } = upper;
  const under = (kind: ChecksumState["kind"], least: number): ChecksumState[] => {
    if (bytes.length < least || addressSum === undefined) return [];
    return [{ kind, state: held(sumOf(bytes, addressSum + protocol + bytes.length)) }];
  };
  const alone = (kind: ChecksumState["kind"]): ChecksumState[] =>
    bytes.length < 8 ? [] : [{ kind, state: held(sumOf(bytes)) }];
  switch (protocol) {
    case 1:
      return alone("icmp");
    case 2:
      return alone("igmp");
    case 6:
      return under("tcp", 20);
    case 17:
      if (bytes.length >= 8 && be16(bytes, 6) === 0) return [{ kind: "udp", state: "none" }];
      // Its own length counts in the pseudo header; one that is not the datagram's makes no checksum to hold.
      return bytes.length >= 8 && be16(bytes, 4) === bytes.length ? under("udp", 8) : [];
    case 58:
      return under("icmpv6", 8);
    case 132:
      return bytes.length < 12 ? [] : [{ kind: "sctp", state: sctpHolds(bytes) ? "good" : "bad" }];
    default:
      return [];
  }
}

/** RFC 9260 appendix A, bit by bit; the checksum itself counts as zero. */
function sctpHolds(bytes: Uint8Array): boolean {
  let crc = 0xffffffff;
  for (const [index, byte] of bytes.entries()) {
    crc ^= index >= 8 && index < 12 ? 0 : byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : 0x82f63b78);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return ~crc >>> 0 === view.getUint32(8, true);
}

/**
 * What an action list did to a checksum that it must not: made a good one bad, a bad one good, or made or removed the
 * checksum of UDP. Undefined when it kept them all. Checksums that only one of the two has are no matter of this.
 */
export function dishonesty(before: Uint8Array, after: Uint8Array): string | undefined {
  const earlier = checksumStates(before);
  for (const { kind, state } of checksumStates(after)) {
    const was = earlier.find((entry) => entry.kind === kind);
    if (was !== undefined && was.state !== state) return `${kind} checksum: ${was.state} -> ${state}`;
  }
  return undefined;
}
