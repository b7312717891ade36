// Numbers of the pcapng format (draft-ietf-opsawg-pcapng) that reader and writer share. A block is type,
// total length, body padded to four bytes, total length again; a section header tells the byte order of its
// section.

export const BLOCK = {
  sectionHeader: 0x0a0d0d0a,
  interfaceDescription: 1,
  /** Obsolete since the Enhanced Packet Block, still found in files. */
  packet: 2,
  simplePacket: 3,
  enhancedPacket: 6,
} as const;

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
export const PCAPNG_VERSION_MAJOR = 1;
/** 1.2 means the same as 1.0 (draft section 4.1). */
export const PCAPNG_VERSIONS_MINOR: readonly number[] = [0, 2];

export const BLOCK_HEADER_BYTES = 8;
/** Type, both lengths: the shortest block. */
export const BLOCK_BYTES_MIN = 12;
/** A longer block is taken for a damaged length; libpcap draws the line at the same place. */
export const BLOCK_BYTES_MAX = 16 * 1024 * 1024;

/** Offsets within a block, from its type word. */
export const SECTION = {
  byteOrder: 8,
  major: 12,
  minor: 14,
  sectionLength: 16,
  options: 24,
  bytesMin: 28,
} as const;
export const INTERFACE = { linkType: 8, snapBytes: 12, options: 16, bytesMin: 20 } as const;
export const ENHANCED = {
  interfaceId: 8,
  timeHigh: 12,
  timeLow: 16,
  capturedBytes: 20,
  originalBytes: 24,
  data: 28,
  bytesMin: 32,
} as const;
/** As the enhanced block, but the interface is 16 bits wide and a count of drops follows it. */
export const OLD_PACKET = { interfaceId: 8, bytesMin: 32 } as const;
export const SIMPLE = { originalBytes: 8, data: 12, bytesMin: 16 } as const;

export const OPTION = { end: 0, interfaceName: 2, timeResolution: 9, timeOffset: 14 } as const;
export const OPTION_HEADER_BYTES = 4;

export function padTo4(byteCount: number): number {
  return (byteCount + 3) & ~3;
}
