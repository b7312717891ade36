// Numbers of tnl_push headers, for both directions of its text.

/** OVS_VPORT_TYPE_* of the tunnels that tnl_push knows. */
export const TUNNEL_TYPE = {
  gre: 3,
  vxlan: 4,
  geneve: 5,
  erspan: 107,
  ip6erspan: 108,
  ip6gre: 109,
  gtpu: 110,
  srv6: 112,
} as const;

/** tnl_port, out_port, header length, tunnel type: the words before the header. */
export const TUNNEL_PUSH_WORDS_BYTES = 16;

export const VXLAN = { flags: 0, vni: 4, headerBytes: 8 } as const;
/** RFC 8926: options length in words, then O and C, protocol, VNI. */
export const GENEVE = {
  optionWords: 0,
  flags: 1,
  protocol: 2,
  vni: 4,
  headerBytes: 8,
  optionWordsMask: 0x3f,
  oam: 0x80,
  critical: 0x40,
} as const;
/** One option: class, type, length in words of its data in the low five bits. */
export const GENEVE_OPTION = { class: 0, type: 2, words: 3, headerBytes: 4, wordsMask: 0x1f } as const;
export const GENEVE_OPTIONS_BYTES_MAX = 252;
export const GTPU = { flags: 0, messageType: 1, teid: 4, headerBytes: 8 } as const;
export const GRE = {
  flags: 0,
  protocol: 2,
  headerBytes: 4,
  checksum: 0x8000,
  key: 0x2000,
  sequence: 0x1000,
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
