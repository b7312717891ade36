// Rings of a dummy port in pages of the kernelRings region: one ring for each rx queue (control puts, the worker
// takes), then one for each tx queue (the worker puts, control takes). An entry is a packet's first frame.
import { PAGE_BYTES } from "../../memory/region-plan.ts";
import { spscRingBytes } from "../../ring/spsc-ring.ts";

/** Packets that wait in one direction of one queue. A power of two. */
export const DUMMY_RING_ENTRIES = 1024;

/** Bytes from one ring to the next. */
export const DUMMY_RING_STRIDE = Math.ceil(spscRingBytes(DUMMY_RING_ENTRIES, 1) / PAGE_BYTES) * PAGE_BYTES;
