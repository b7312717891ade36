// Where everything of the megaflow table stands in the arena. The table's writer (the handler thread) writes all of it
// but the statistics, which each worker keeps for itself. Offsets named *Word are indices in a 32-bit view.
//
// Flow record, FLOW_RECORD_BYTES, on two cache lines: what an action needs, and the key that a look-up compares.
// A record is written before its number is published in a bucket and not changed while published, except for the
// words marked `published`, which change by one ordered store.
import type { Arena } from "../memory/arena.ts";
import {
  FLOW_RECORD_BYTES,
  FLOW_STATS_BYTES,
  PAGE_BYTES,
  SUBTABLE_BYTES,
  SUBTABLE_HITS_BYTES,
} from "../memory/region-plan.ts";

/** Words of a flow record. */
export const FLOW = {
  /** Hash of the masked key; the next number of a free list while the flow is dead. Cold. */
  hash: 0,
  /** FLOW_STATE bits, subtable id in the high half. Published. Cold. */
  state: 1,
  /** Reference of the action list (action-store.ts). Published. Hot. */
  actions: 2,
  /** Reference of the counts at the last clearing, 0 when never cleared. Published. Cold. */
  cleared: 3,
  /** f64, milliseconds. Cold. */
  createdMillis: 4,
  /** f64, position in the order of creation over the table's life: what a dump started before it must not show. Cold. */
  birth: 6,
  /** 16 bytes. Cold. */
  ufid: 8,
  /** Reference of the masked key in flowKeys, 0 when it stands in the record. Hot for long masks. */
  longKey: 12,
  /** Reference of the key blocks that have bits outside the mask, 0 when there are none. Cold. */
  residue: 13,
  /** Which blocks these are: bit n for block n, low 32 bits and high 8 bits. Cold. */
  residueBlocks: 14,
  residueBlocksHigh: 15,
  /** The masked key: the mask's blocks that are not zero, in order. Hot. */
  key: 16,
} as const;

export const FLOW_WORDS = FLOW_RECORD_BYTES / 4;
/** Blocks of a masked key that fit into the record. */
export const INLINE_BLOCKS = 4;
/** Most flows of any table: flow numbers have 24 bits in a bucket word. */
export const FLOW_NUMBER_BITS = 24;

export const FLOW_STATE = { live: 1, operator: 2 } as const;

/** A bucket word is tag << 24 | flow number; no flow has number 0, so zero is an empty place. */
export const TAG_MASK = 0xff000000 | 0;
/** A place whose flow was removed; look-ups walk over it. */
export const TOMBSTONE = 0xff000000 | 0;

/** Words of a subtable: one for each mask. Written before the subtable is listed, `published` words excepted. */
export const SUBTABLE = {
  /** Place and size of the bucket array (bucket-array.ts). Published. Hot. */
  buckets: 0,
  /** Entries of `words`. Hot. */
  wordCount: 1,
  /** Blocks of the mask that are not zero. Hot. */
  blockCount: 2,
  /** Flows in this subtable, for statistics. Cold. */
  flowCount: 3,
  /** The mask's number (mask-numbers.ts): compiled code jumps by it. Hot. */
  maskNumber: 4,
  /** Three words for each mask word that is not zero: its index in a key, its bits, its index in a stored key. Hot. */
  words: 16,
  /** Indices of the blocks that are not zero, ascending. Hot in vector code. */
  blocks: 512,
  /** The whole mask, KEY_BYTES. Cold. */
  mask: 576,
} as const;

export const SUBTABLE_WORDS = SUBTABLE_BYTES / 4;

/** Words of the tableRoot region. Readers load the first line once a burst, so the writer's own words stand apart. */
export const ROOT = {
  /** The list in force: number of publications << 1 | which of the two lists. Published. */
  list: 0,
  /** Entries of either list. Published: a new subtable is appended to the list in force. */
  listCounts: 1,
  /** The highest flow number ever given. Published. */
  highWater: 32,
  /** Flows in the table. */
  flowCount: 33,
  /** f64, the `birth` of the newest flow. */
  birth: 34,
  /** Flows that were learned: the operator did not install them. */
  learnedCount: 36,
  /** Shapes of action lists, numbered from 1 (shape-store.ts). Published. */
  shapeCount: 37,
  /** Flows that were ever published: what a cache of look-ups learned before the last one may be wrong. Published. */
  publishedCount: 48,
  /** A key, and a mask, that the writer works on. KEY_BYTES each. */
  scratchKey: 64,
  scratchMask: 64 + 160,
} as const;

/** Byte offset of a list from the start of tableRoot. */
export const listOffset = (arena: Arena, list: number): number =>
  PAGE_BYTES + list * Math.ceil((arena.plan.sizes.maskCountMax * 4) / PAGE_BYTES) * PAGE_BYTES;

/** Fields of a flow's statistics by byte offset; intrinsics.countFlow writes them. */
export const STATS = { packets: 0, bytes: 8, usedMillis: 16, tcpFlags: 24 } as const;

/** Byte offset of the statistics that one worker keeps of all flows; flow n stands n * FLOW_STATS_BYTES behind. */
export const workerStatsOffset = (arena: Arena, worker: number): number =>
  arena.region("flowStats").offset + worker * (arena.plan.sizes.flowCountMax + 1) * FLOW_STATS_BYTES;

/** What workerStatsOffset says for each worker. No other thread forwards, so none counts. */
export const allStatsOffsets = (arena: Arena): readonly number[] =>
  Array.from({ length: arena.plan.sizes.workerCount }, (_, worker) => workerStatsOffset(arena, worker));

/** Byte offset of one thread's two counters of a subtable, both f64 and counted in whole numbers: hits, probes. */
export const subtableHitsOffset = (arena: Arena, threadIndex: number, subtableId: number): number =>
  arena.region("subtableHits").offset +
  (threadIndex * arena.plan.sizes.maskCountMax + subtableId) * SUBTABLE_HITS_BYTES;

/** First word of a flow's record. */
export const flowWord = (arena: Arena, flowNo: number): number =>
  (arena.region("flows").offset >>> 2) + flowNo * FLOW_WORDS;

/** First word of a subtable. */
export const subtableWord = (arena: Arena, subtableId: number): number =>
  (arena.region("subtables").offset >>> 2) + subtableId * SUBTABLE_WORDS;
