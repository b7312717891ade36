// A thread's batch: up to 64 packets, one column for each thing known of them, in the arena so that compiled code
// and a supervisor that takes over from a dead worker see the same words. Columns are 32-bit, BATCH_SIZE long,
// the key slots KEY_BYTES each. A frame column entry is NO_FRAME as soon as the packet belongs to somebody else.

export const BATCH_SIZE = 64;

/**
 * How often a packet may recirculate, tnl_pop included: OVS 3.1's MAX_RECIRC_DEPTH. Each depth has a batch of its own,
 * so that packets gather there while the batch above is still being worked on.
 */
export const RECIRC_DEPTH_MAX = 6;

/** Byte offsets from the start of the thread's batch. */
export const BATCH = {
  /** First frame of the packet, NO_FRAME once it was handed on. */
  frame: 0,
  /** The port that the packet goes to when its actions are one output, else NO_PORT. */
  outPort: 256,
  /** Bytes of the packet. */
  packetBytes: 512,
  /** Where the network header starts from `head`, 0xffff when there is none. */
  l3Offset: 768,
  /** Where the transport header starts from `head`, 0xffff when there is none. */
  l4Offset: 1024,
  /** The flow that the packet hit, 0 when none. */
  flow: 1280,
  /** Hash of the packet's conversation: orders it behind misses in flight and spreads it over members. */
  orderHash: 1536,
  /** Lines of the key slot that are not zero, bit n for line n. Line 0 is always written. */
  dirtyLines: 1792,
  /** TCP flags of the packet (low 12 bits). */
  tcpFlags: 2048,
  /** Reference of the actions to be carried out (table/action-store.ts), 0 when there are none yet. */
  actions: 2304,
  /** BATCH_SIZE key slots of 640 bytes, each on a line of its own. */
  keys: 2560,
  /** One more key slot, for re-extraction and masks. */
  spareKey: 2560 + 64 * 640,
  /** A packet gathered from several frames, when headers do not all lie in the first one. */
  linear: 2560 + 65 * 640,
  /** Misses in flight for each order hash, ORDER_SLOTS 16-bit counts: they outlive a worker (pmd/upcall-sender.ts). */
  inFlight: 2560 + 65 * 640 + 10240,
  /** PROBE_COLUMNS columns of what the passes of a look-up hand on (table/batch-probe.ts). */
  probe: 2560 + 65 * 640 + 10240 + 8192,
} as const;

/** Order hashes that are told apart: a power of two. */
export const ORDER_SLOTS = 4096;
/** In the `outPort` column: there is more to do than one output. */
export const NO_PORT = 0xffffffff;
export const PROBE_COLUMNS = 7;
/** A gathered packet: 9,022 bytes and what actions push before it, rounded up. */
export const LINEAR_BYTES = 10240;
export const BATCH_BYTES = 65536;
