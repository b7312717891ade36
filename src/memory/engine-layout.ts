// What a thread's compiled engine keeps in the arena beside its batches: the list of packets that are to leave, and how
// the thread reaches each port. JavaScript and compiled code both read and write it, so it stands here.
//
// The list is filled by actions in the order of the packets, and emptied by the transmit pass before the next packet of
// which actions are carried out in JavaScript, so that outputs keep their order. Both are written by the thread itself.

/** Entries of the list of outputs: a burst of 64 packets with sixteen outputs each. */
export const OUT_LIST_MAX = 1024;

/** Byte offsets from the start of the thread's scratch. */
export const ENGINE = {
  /** Entries of the list of outputs. */
  outCount: 0,
  /** Slot + 1 of the port that got packets last since the flush, 0 for none; TX_ROUTE.nextDirty leads on. */
  dirtySlot: 8,
  /** The batch that takes what recirculates out of the one in hand, and how many packets are in it. 0: none takes any. */
  recircBatch: 12,
  recircCount: 16,
  /** State of the generator that sample() draws from; 0 until the first draw. */
  random: 20,
  /** What the flow cache was filled under: list, its length, flows published; its epoch, whether it serves, next way. */
  cacheList: 384,
  cacheListCount: 388,
  cachePublished: 392,
  cacheEpoch: 396,
  cacheServes: 400,
  cacheWay: 404,
  /** Entries of 8 bytes: first frame, port number. */
  outList: 512,
} as const;

/** `frame` is NO_FRAME once the packet is the port's. */
export const OUT_ENTRY = { frame: 0, portNo: 4 } as const;
export const OUT_ENTRY_BYTES = 8;

export const ENGINE_SCRATCH_BYTES = 65536;

/**
 * How this thread reaches the port in a slot. Byte offsets from the slot's entry. Kind and parameters are written when
 * queues come and go; the rest by whoever puts packets, in JavaScript or compiled, and by the flush.
 */
export const TX_ROUTE = {
  /** One of TX_KIND. */
  kind: 0,
  /** Address of what the kind needs (memory/queue-layout.ts). */
  parameters: 4,
  /** 1 while the route got packets that its flush has not seen. */
  isDirty: 8,
  /** Packets and their bytes that the queue took and has not counted in the port's counters yet. */
  pendingPackets: 12,
  pendingBytes: 16,
  /** As ENGINE.dirtySlot: the one that is flushed after this one. */
  nextDirty: 20,
} as const;
export const TX_ROUTE_BYTES = 32;

/** What transmits a run of packets. */
export const TX_KIND = {
  /** A queue in JavaScript. */
  javascript: 0,
  /** Counted and taken back by the memory port that benchmarks send to (perf/memory-port.ts). */
  memory: 1,
  /** An AF_XDP tx ring (port/afxdp). */
  afxdp: 2,
  /** Counted and freed (port/null). */
  null: 3,
} as const;
/** A kind that compiled code transmits. */
export type CompiledTxKind = Exclude<keyof typeof TX_KIND, "javascript">;

/** What receives a burst: compiled code has a function for each kind. */
export const RX_KIND = { memory: 1, afxdp: 2 } as const;
export type CompiledRxKind = keyof typeof RX_KIND;

/**
 * The cache of look-ups (compile/emit/flow-cache.ts): sets of four flows, a line each. It holds more flows than the
 * processor's second cache has lines for their records.
 */
export const FLOW_CACHE_SETS = 4096;
export const FLOW_CACHE_SET = { signatures: 0, flows: 16, epochs: 32 } as const;
export const FLOW_CACHE_SET_BYTES = 64;
export const FLOW_CACHE_BYTES = FLOW_CACHE_SETS * FLOW_CACHE_SET_BYTES;
