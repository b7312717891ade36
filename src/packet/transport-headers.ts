// Offsets and values of TCP, UDP, SCTP, ICMP, ICMPv6 and neighbour discovery, from the first byte of each
// header.

/** RFC 9293. The word at dataOffsetFlags is data offset 4, reserved 3, NS and the eight flags. */
export const TCP = {
  src: 0,
  dst: 2,
  sequence: 4,
  acknowledgement: 8,
  dataOffsetFlags: 12,
  window: 14,
  checksum: 16,
  urgent: 18,
  headerBytes: 20,
  dataOffsetShift: 12,
  dataOffsetMin: 5,
  /** The twelve bits that the flow key calls tcp_flags. */
  flagsMask: 0x0fff,
} as const;

export const TCP_FLAG = {
  fin: 1,
  syn: 2,
  rst: 4,
  psh: 8,
  ack: 0x10,
  urg: 0x20,
  ece: 0x40,
  cwr: 0x80,
  ns: 0x100,
} as const;

/** RFC 768: checksum 0 says that there is none; a sum of 0 is sent as 0xffff. */
export const UDP = { src: 0, dst: 2, length: 4, checksum: 6, headerBytes: 8 } as const;

/** RFC 9260: the checksum is CRC32c, stored with its low byte first. */
export const SCTP = { src: 0, dst: 2, verificationTag: 4, checksum: 8, headerBytes: 12 } as const;

/** RFC 792. The key needs all eight bytes to be there. */
export const ICMP = { type: 0, code: 1, checksum: 2, rest: 4, headerBytes: 8 } as const;
export const ICMP_TYPE = { echoReply: 0, unreachable: 3, echoRequest: 8, timeExceeded: 11 } as const;

/** RFC 4443. */
export const ICMPV6 = { type: 0, code: 1, checksum: 2, rest: 4, headerBytes: 4, echoBytes: 8 } as const;
export const ICMPV6_TYPE = {
  unreachable: 1,
  echoRequest: 128,
  echoReply: 129,
  routerSolicitation: 133,
  neighborSolicitation: 135,
  neighborAdvertisement: 136,
} as const;

/** RFC 4861 neighbour solicitation and advertisement, from the ICMPv6 header on. */
export const ND = { reserved: 4, target: 8, options: 24, headerBytes: 24 } as const;
/** An option's length counts 8-byte units, itself included. */
export const ND_OPTION = {
  type: 0,
  length: 1,
  address: 2,
  unitBytes: 8,
  sourceLinkAddress: 1,
  targetLinkAddress: 2,
  linkAddressUnits: 1,
} as const;
