// What the table tells of itself: flows, masks, and what each mask costs. Any thread may ask; counts of other threads
// are as of about now. Control path.

import { KEY_BYTES } from "../flow/fields.ts";
import type { Arena } from "../memory/arena.ts";
import { threadCount } from "../memory/region-plan.ts";
import { SIZE_BITS } from "./bucket-array.ts";
import { listOffset, ROOT, SUBTABLE, subtableHitsOffset, subtableWord } from "./layout.ts";

export interface MaskStats {
  readonly mask: Uint8Array;
  readonly flowCount: number;
  readonly bucketCount: number;
  /** Packets that this mask matched, and packets that were compared under it. */
  readonly hits: number;
  readonly probes: number;
}

export interface TableStats {
  readonly flowCount: number;
  /** In look-up order. Masks that lost their last flow are left out. */
  readonly masks: readonly MaskStats[];
  readonly hits: number;
  readonly probes: number;
}

/** @throws nothing; the calling thread stands at an epoch, or is the writer. */
export function tableStats(arena: Arena): TableStats {
  const root = arena.region("tableRoot").offset;
  const list = arena.intrinsics.load(root + ROOT.list * 4) & 1;
  const count = arena.intrinsics.load(root + (ROOT.listCounts + list) * 4);
  const first = (root + listOffset(arena, list)) >>> 2;
  const masks: MaskStats[] = [];
  for (const id of arena.u32.subarray(first, first + count)) {
    const stats = maskStats(arena, id);
    if (stats.flowCount > 0) masks.push(stats);
  }
  return {
    flowCount: arena.u32[(root >>> 2) + ROOT.flowCount]!,
    masks,
    hits: masks.reduce((sum, mask) => sum + mask.hits, 0),
    probes: masks.reduce((sum, mask) => sum + mask.probes, 0),
  };
}

function maskStats(arena: Arena, id: number): MaskStats {
  const word = subtableWord(arena, id);
  const maskOffset = (word + SUBTABLE.mask) * 4;
  let hits = 0;
  let probes = 0;
  for (let thread = 0; thread < threadCount(arena.plan.sizes); thread += 1) {
    const index = subtableHitsOffset(arena, thread, id) >>> 3;
    hits += arena.f64[index]!;
    probes += arena.f64[index + 1]!;
  }
  return {
    mask: arena.u8.slice(maskOffset, maskOffset + KEY_BYTES),
    flowCount: arena.u32[word + SUBTABLE.flowCount]!,
    bucketCount: 2 ** (arena.u32[word + SUBTABLE.buckets]! & ((1 << SIZE_BITS) - 1)),
    hits,
    probes,
  };
}
