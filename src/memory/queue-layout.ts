// What queues keep in the arena so that compiled code works them (compile/emit) beside their class in JavaScript: both
// read and write the same words, so either may take the next packet. Byte offsets from the address that a queue offers
// as its `parameters`. Each block has one writer, the worker that owns the queue.

/** The traffic of one benchmark in one thread (perf/memory-traffic.ts): its buffers and what is received into them. */
export const MEMORY_TRAFFIC = {
  /** Place of the buffer that was given back longest ago, and how many there are. */
  head: 0,
  count: 4,
  /** Outputs until one is compared with the reference's. */
  untilCheck: 8,
  /** The port that receives. */
  rxPortNo: 12,
  /** Where the next frame to be received stands, and its length. */
  source: 16,
  length: 20,
  /** The first of both, and the end of the lengths. */
  sourcesStart: 24,
  lengthsStart: 28,
  lengthsEnd: 32,
  /** Addresses of the receiving port's 64-bit counters of this thread. */
  rxPackets: 36,
  rxBytes: 40,
  /** MEMORY_BUFFERS_MAX frames. */
  buffers: 128,
} as const;
/** Room for buffers: a power of two. */
export const MEMORY_BUFFERS_MAX = 8192;
/** Buffers are taken from the pool while there are fewer: 8 MiB of 2 KiB each, several times a core's L2. */
export const MEMORY_BUFFERS_MIN = MEMORY_BUFFERS_MAX / 2;
/** Sources begin at multiples of this, zeros behind them: sixteen bytes at a time may be read to the end. */
export const MEMORY_SOURCE_ALIGN = 64;

/** The transmitting half of an AF_XDP queue (port/afxdp/tx.ts). Indices run free and wrap at 2^32, as the kernel's do. */
export const AFXDP_TX = {
  /**
   * Index behind the last descriptor written, published or not: kept with every packet, because a worker that adopts
   * the queue goes on there.
   */
  staged: 0,
  published: 4,
  /** The kernel's consumer index as last seen. */
  consumed: 8,
  /** Our consumer index of the completion ring: descriptors up to it are done. */
  completed: 12,
  /** Flushes that leave completions to compiled code, which takes them before it puts packets. */
  leftToCode: 16,
  /** Constant while a worker has the queue: of the rings, and the mark of frames that are the kernel's. */
  descriptors: 20,
  ringMask: 24,
  completionProducer: 28,
  completionConsumer: 32,
  completions: 36,
  mark: 40,
} as const;

/** The receiving half (port/afxdp/rx.ts). */
export const AFXDP_RX = {
  consumer: 0,
  fillProducer: 4,
  /** Constant while a worker has the queue. */
  rxProducer: 8,
  rxConsumer: 12,
  descriptors: 16,
  ringMask: 20,
  fillRingProducer: 24,
  fillRingFlags: 28,
  fillAddresses: 32,
  fillMask: 36,
  /** Frames that are to be the kernel's. */
  fillPosted: 40,
  mark: 44,
  portNo: 48,
  /** Flags of the fill ring that JavaScript acts on; 0 when it never looks. */
  wakeMask: 52,
  /** Addresses of the port's 64-bit counters of this thread. */
  rxPackets: 56,
  rxBytes: 60,
} as const;

/** In a descriptor's options: the next descriptor belongs to the same packet (XDP_PKT_CONTD). */
export const AFXDP_CONTINUES = 1;
/** Bytes of a descriptor (struct xdp_desc): u64 address, u32 length, u32 options. */
export const AFXDP_DESCRIPTOR = { address: 0, length: 8, options: 12 } as const;
export const AFXDP_DESCRIPTOR_BYTES = 16;
/** Bytes of an address in the fill and completion rings. */
export const AFXDP_ADDRESS_BYTES = 8;
/** Frames posted at a time: the ordered store that publishes them costs as much as handling a packet. */
export const AFXDP_REFILL_BATCH = 32;
/** A descriptor below an Ethernet header is refused by the kernel, and never completes. */
export const AFXDP_TX_BYTES_MIN = 14;
/** AFXDP_TX.leftToCode after compiled code put packets: some loops of the worker. */
export const AFXDP_LEFT_TO_CODE = 8;
