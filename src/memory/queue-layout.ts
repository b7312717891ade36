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
  /** Written so that loads whose value nobody needs are made. */
  touched: 44,
  /** MEMORY_BUFFERS_MAX frames. */
  buffers: 128,
} as const;
/** Room for buffers: a power of two. */
export const MEMORY_BUFFERS_MAX = 8192;
/** Buffers are taken from the pool while there are fewer: 8 MiB of 2 KiB each, several times a core's L2. */
export const MEMORY_BUFFERS_MIN = MEMORY_BUFFERS_MAX / 2;
/** Sources begin at multiples of this, zeros behind them: sixteen bytes at a time may be read to the end. */
export const MEMORY_SOURCE_ALIGN = 64;
