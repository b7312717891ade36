// Offsets and values of the link layer and of what stands between it and the network layer: Ethernet,
// 802.2/SNAP, VLAN tags, MPLS, NSH and ARP. Offsets count from the first byte of the header that the table
// names.

/** IEEE 802.3: addresses, then a type (at least 0x600) or a length. */
export const ETH = {
  dst: 0,
  src: 6,
  type: 12,
  headerBytes: 14,
  addressBytes: 6,
  /** Smaller values of the type word are the length of an 802.2 frame. */
  typeMin: 0x600,
} as const;

export const ETH_TYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  trans: 0x6558,
  rarp: 0x8035,
  vlan: 0x8100,
  ipv6: 0x86dd,
  mpls: 0x8847,
  mplsMulticast: 0x8848,
  qinq: 0x88a8,
  nsh: 0x894f,
} as const;

/** 802.2 LLC with the SNAP extension, behind the length word. */
export const LLC = {
  dsap: 0,
  ssap: 1,
  control: 2,
  headerBytes: 3,
  /** Both service access points of SNAP. */
  snapSap: 0xaa,
  /** Control byte of an unnumbered information frame. */
  unnumbered: 3,
} as const;
export const SNAP = { oui: 3, type: 6, headerBytes: 8 } as const;

/** An 802.1Q/802.1ad tag as it stands at the type word of what it tags: TPID, TCI. */
export const VLAN = {
  tpid: 0,
  tci: 2,
  headerBytes: 4,
  vidMask: 0x0fff,
  /** DEI on the wire; the flow key and push_vlan use the bit to say "a tag is here". */
  cfi: 0x1000,
  pcpMask: 0xe000,
  pcpShift: 13,
} as const;

/** RFC 3032 label stack entry: label 20, traffic class 3, bottom of stack 1, TTL 8. */
export const MPLS = {
  entry: 0,
  entryBytes: 4,
  labelMask: 0xfffff000,
  labelShift: 12,
  tcMask: 0x00000e00,
  tcShift: 9,
  bottomMask: 0x00000100,
  ttlMask: 0x000000ff,
} as const;

/** RFC 8300. The first word holds version 2, O 1, unassigned 1, TTL 6, length in words 6. */
export const NSH = {
  versionFlagsLength: 0,
  mdType: 2,
  nextProtocol: 3,
  pathHeader: 4,
  context: 8,
  baseBytes: 8,
  mdType1Bytes: 24,
  versionMask: 0xc000,
  oamMask: 0x2000,
  ttlMask: 0x0fc0,
  ttlShift: 6,
  lengthMask: 0x003f,
  mdTypeMask: 0x0f,
  /** Length of MD type 1 in 4-byte words, fixed by RFC 8300 section 2.4. */
  mdType1Words: 6,
} as const;
export const NSH_MD_TYPE = { fixed: 1, variable: 2 } as const;
export const NSH_NEXT = { ipv4: 1, ipv6: 2, ethernet: 3, nsh: 4, mpls: 5 } as const;

/** RFC 826 over Ethernet and IPv4. */
export const ARP = {
  hardwareType: 0,
  protocolType: 2,
  hardwareBytes: 4,
  protocolBytes: 5,
  operation: 6,
  senderHardware: 8,
  senderProtocol: 14,
  targetHardware: 18,
  targetProtocol: 24,
  headerBytes: 28,
  hardwareEthernet: 1,
} as const;
