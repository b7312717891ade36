// A port's block in the `ports` region, PORT_BLOCK_BYTES for each slot. Control writes it (port/port-table.ts), workers
// and compiled code read it.

/** Byte offsets from the start of the block. */
export const PORT_BLOCK = {
  portNo: 0,
  /** PORT_UP and PORT_TAKES_*. */
  flags: 4,
  /** Longest packet it transmits, link header included, one tag not counted. */
  packetBytesMax: 8,
  type: 12,
  /** Tunnel ports: the next sequence number. Counted up by all workers, so it stands on a line pair of its own. */
  tunnelSequence: 128,
} as const;

export const PORT_UP = 1;
export const PORT_TAKES_PARTIAL_CHECKSUMS = 2;
/** Takes packets without Ethernet header. */
export const PORT_TAKES_L3 = 4;
