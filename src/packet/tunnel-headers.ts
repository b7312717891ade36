// Offsets and values of tunnel headers, from the first byte of each, and the numbers of tunnel types.

/** OVS_VPORT_TYPE_* of tunnels; `type` of a tnl_push header. */
export const TUNNEL_TYPE = {
  gre: 3,
  vxlan: 4,
  geneve: 5,
  erspan: 107,
  ip6erspan: 108,
  ip6gre: 109,
  gtpu: 110,
  bareudp: 111,
  srv6: 112,
} as const;

export type TunnelTypeName = keyof typeof TUNNEL_TYPE;

/** tnl_port, out_port, header length, tunnel type: the words before the header. */
export const TUNNEL_PUSH_WORDS_BYTES = 16;

/**
 * RFC 7348; the Generic Protocol Extension (draft-ietf-nvo3-vxlan-gpe) and Group Based Policy
 * (draft-smith-vxlan-group-policy) use bits of the flags word that are zero there.
 */
export const VXLAN = {
  flags: 0,
  vni: 4,
  headerBytes: 8,
  /** The VNI is valid: the only flag of plain VXLAN. */
  hasVni: 0x08000000,
  /** The third bit of the word says that the last byte of it names the inner protocol. */
  gpe: 0x04000000,
  /** What a GPE header may set besides: version, next protocol bit, OAM, next protocol. */
  gpeBits: 0x350000ff,
  gpeOam: 0x01000000,
  nextProtocol: 3,
  gbp: 0x80000000,
  /** What a GBP header may set: its flag, don't learn, policy applied, policy id. */
  gbpBits: 0x8048ffff,
  gbpFlags: 1,
  /** Don't learn, and policy applied. */
  gbpFlagsMask: 0x48,
  gbpId: 2,
} as const;
/** Next protocols of VXLAN-GPE. */
export const VXLAN_GPE_NEXT = { ipv4: 1, ipv6: 2, ethernet: 3, nsh: 4 } as const;
/** RFC 8926: options length in words, then O and C, protocol, VNI. */
export const GENEVE = {
  optionWords: 0,
  flags: 1,
  protocol: 2,
  vni: 4,
  headerBytes: 8,
  optionWordsMask: 0x3f,
  versionMask: 0xc0,
  oam: 0x80,
  critical: 0x40,
} as const;
/** One option: class, type, length in words of its data in the low five bits. */
export const GENEVE_OPTION = { class: 0, type: 2, words: 3, headerBytes: 4, wordsMask: 0x1f } as const;
export const GENEVE_OPTIONS_BYTES_MAX = 252;
/** 3GPP TS 29.281. With the sequence bit four more bytes follow, the sequence number first. */
export const GTPU = {
  flags: 0,
  messageType: 1,
  length: 2,
  teid: 4,
  headerBytes: 8,
  optionalBytes: 4,
  sequencePresent: 0x02,
  /** Version 1, GTP rather than GTP'. */
  flagsDefault: 0x30,
  messageGpdu: 255,
} as const;
export const GRE = {
  flags: 0,
  protocol: 2,
  headerBytes: 4,
  checksum: 0x8000,
  key: 0x2000,
  sequence: 0x1000,
  /** Each of checksum, key and sequence number. */
  optionBytes: 4,
} as const;
/** ERSPAN stands behind a GRE header with a sequence number; offsets count from ERSPAN's own first byte. */
export const ERSPAN = {
  greBytes: 8,
  protocolV1: 0x88be,
  protocolV2: 0x22eb,
  version: 0,
  session: 2,
  headerBytes: 4,
  index: 4,
  metadataV1Bytes: 4,
  metadataV2Bytes: 8,
  /** Version 2: units of 100 microseconds. */
  timestamp: 4,
  /** Byte with the upper two bits of the hardware id, and byte with the lower four over the direction bit. */
  hardwareUpper: 10,
  hardwareLower: 11,
  directionBit: 8,
  sessionMask: 0x3ff,
} as const;
/** RFC 8754 segment routing header, segments in reverse. */
export const SRV6 = {
  nextHeader: 0,
  length: 1,
  type: 2,
  segmentsLeft: 3,
  lastEntry: 4,
  headerBytes: 8,
  routingType: 4,
  /** OVS's SRV6_MAX_SEGS. */
  segmentsMax: 6,
} as const;
