// Rings of a pair of patch ports in pages of the kernelRings region: for either end one ring for each of its receive
// queues. The other end's transmit queue of the same number fills it. An entry is a packet's first frame.
import { PAGE_BYTES } from "../../memory/region-plan.ts";
import { spscRingBytes } from "../../ring/spsc-ring.ts";

/** Packets that wait at one queue of an end: many bursts, because a worker empties it once a loop. A power of two. */
export const PATCH_RING_ENTRIES = 1024;

/** Bytes from one ring to the next. */
export const PATCH_RING_STRIDE = Math.ceil(spscRingBytes(PATCH_RING_ENTRIES, 1) / PAGE_BYTES) * PAGE_BYTES;

/** Patch ports that a packet may pass: as many as OVS allows resubmits in one translation. It ends loops of patches. */
export const PATCH_HOPS_MAX = 64;
