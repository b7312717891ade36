// Offsets and values of IPv4, of IPv6 and of IPv6's extension headers, from the first byte of each header.

export const IP_PROTOCOL = {
  hopByHop: 0,
  icmp: 1,
  igmp: 2,
  ipip: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  routing: 43,
  fragment: 44,
  gre: 47,
  esp: 50,
  authentication: 51,
  icmpv6: 58,
  none: 59,
  destination: 60,
  sctp: 132,
  mobility: 135,
} as const;

/** RFC 791. */
export const IPV4 = {
  versionIhl: 0,
  tos: 1,
  totalLength: 2,
  identification: 4,
  fragment: 6,
  ttl: 8,
  protocol: 9,
  checksum: 10,
  src: 12,
  dst: 16,
  headerBytes: 20,
  ihlMask: 0x0f,
  ihlMin: 5,
  dontFragment: 0x4000,
  moreFragments: 0x2000,
  fragmentOffsetMask: 0x1fff,
  addressBytes: 4,
} as const;

/** RFC 8200. The first word holds version 4, traffic class 8, flow label 20. */
export const IPV6 = {
  versionClassLabel: 0,
  payloadLength: 4,
  nextHeader: 6,
  hopLimit: 7,
  src: 8,
  dst: 24,
  headerBytes: 40,
  labelMask: 0x000fffff,
  classShift: 20,
  addressBytes: 16,
} as const;

/** What hop-by-hop, routing and destination options share: length counts 8-byte units behind the first. */
export const IPV6_EXTENSION = { nextHeader: 0, length: 1, unitBytes: 8 } as const;

/** RFC 8200 section 4.4: an unfinished routing header hides the final destination from the pseudo header. */
export const IPV6_ROUTING = { nextHeader: 0, length: 1, type: 2, segmentsLeft: 3, addresses: 8 } as const;

/** RFC 8200 section 4.5. */
export const IPV6_FRAGMENT = {
  nextHeader: 0,
  offsetFlags: 2,
  identification: 4,
  headerBytes: 8,
  offsetMask: 0xfff8,
  moreFragments: 0x0001,
} as const;

/** RFC 4302: its length counts 4-byte units, less two. */
export const AUTHENTICATION = { nextHeader: 0, length: 1, unitBytes: 4, lengthBias: 2 } as const;
