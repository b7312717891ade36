// One block for each thread in the `threads` region, and the words that all threads share in `globals`.
// Offsets are bytes from the block's or region's start. Words of different writers are LINE_PAIR_BYTES apart.

/** Words of the `globals` region. */
export const GLOBAL = {
  /** The epoch; control and handler raise it, everybody loads it at burst start. */
  epoch: 0,
  /** 1 while the handler sleeps: only then a worker notifies the doorbell. Written by the handler. */
  handlerSleeping: 128,
  /** The doorbell word that the handler waits on. Added to by workers, at most once a burst. */
  doorbell: 256,
  /** Head of the reserve of frame bundles: index and tag (8 bytes). */
  reserveHead: 384,
  /** Bundles in the reserve are linked frames; 1 once the reserve was filled. */
  reserveReady: 392,
  /** Seed of all hashes, set before any other thread starts. */
  hashSeed: 512,
  /** Milliseconds since start as an f64 for engines that are given their time (replay); 0 when threads read it. */
  virtualMillis: 520,
} as const;

/** Words of a thread's block. `w` the thread itself, `c` control. */
export const THREAD = {
  /** w: the epoch this thread saw at its last quiescent point, OFFLINE while it sleeps or is stopped. Hot. */
  epoch: 0,
  /** w: grows by one each loop; a supervisor that sees it stand still for a second ends the worker. Hot. */
  heartbeat: 4,
  /** c: not 0 asks the thread to drain and stop. */
  stop: 128,
  /** c: raised when a message waits for the thread; it looks into its port only when this changed. */
  commandEpoch: 132,
  /** w: the last commandEpoch whose messages were carried out. */
  commandDone: 256,
  /** w: one of THREAD_STATE. */
  state: 260,
  /** w: frames on the thread's own stack. Hot. */
  frameStackCount: 264,
  /** w: kernel thread id, for affinity and supervision. */
  kernelThreadId: 268,
  /** w: CPU the thread is pinned to + 1, 0 when it is not pinned. */
  cpu: 272,
  /** w: CLOCK_MONOTONIC in nanoseconds when the thread last read it, 64-bit. */
  nanos: 280,
  /** w: counters, 64-bit, COUNTERS of datapath/counters.ts in order. */
  counters: 384,
  /** w: drops by reason, 64-bit, DROP_REASONS of datapath/drop-reason.ts in order (room for 64). */
  drops: 384 + 64 * 8,
  /** w: histograms, 64-bit, HISTOGRAMS of pmd/perf-counters.ts in order (room for 128). */
  histograms: 384 + 128 * 8,
} as const;

/** A thread that holds no reference to anything that RCU protects. No epoch has this value. */
export const OFFLINE = 0x7fffffff;

export const THREAD_STATE = { stopped: 0, starting: 1, running: 2, draining: 3, failed: 4 } as const;
