// What the ring tests share: an arena with room for a ring, and rings whose indices start anywhere.
import { Arena } from "../../src/memory/arena.ts";
import { DEFAULT_SIZES, LINE_PAIR_BYTES } from "../../src/memory/region-plan.ts";
import { RING_STAGED } from "../../src/ring/spsc-ring.ts";

export function createRingArena(): Arena {
  return Arena.create({
    ...DEFAULT_SIZES,
    workerCount: 2,
    frameCount: 64,
    flowCountMax: 16,
    kernelRingBytes: 1 << 20,
  });
}

/** An empty ring whose positions stand at `start`: as a ring that was used for a long time. */
export function startAt(arena: Arena, offset: number, start: number): void {
  arena.u32[offset >>> 2] = start;
  arena.u32[(offset + LINE_PAIR_BYTES) >>> 2] = start;
  arena.u32[(offset + RING_STAGED) >>> 2] = start;
}

/** Starts that wrap during a test, and some that do not; multiples of eight, as record positions are. */
export const RING_STARTS = [0, 8, 4096, 0xffff_fff8, 0xffff_ff00, 0x7fff_fff8];
