// The masks in force, as compiled code wants them: read from the arena by any thread.
import { FIELDS, KEY_BYTES } from "../flow/fields.ts";
import type { Arena } from "../memory/arena.ts";
import { listOffset, ROOT, SUBTABLE, subtableWord } from "../table/layout.ts";
import type { CompiledMask } from "./emit/lookup.ts";

/** The word that names the list in force, and how many subtables are in it. */
export function publishedList(arena: Arena): { readonly list: number; readonly count: number } {
  const root = arena.region("tableRoot").offset;
  // Pair with the stores of table/subtables.ts, as in TableReader.refresh.
  const list = arena.intrinsics.load(root + ROOT.list * 4);
  return { list, count: arena.intrinsics.load(root + (ROOT.listCounts + (list & 1)) * 4) };
}

/** The masks of the published list, in its order; a mask without a number is left to the general probe. */
export function readMasks(arena: Arena): readonly CompiledMask[] {
  const { list, count } = publishedList(arena);
  const first = (arena.region("tableRoot").offset + listOffset(arena, list & 1)) >>> 2;
  const masks = Array.from({ length: count }, (_, rank): CompiledMask => {
    const word = subtableWord(arena, arena.i32[first + rank]!);
    const bytes = arena.u8.slice((word + SUBTABLE.mask) * 4, (word + SUBTABLE.mask) * 4 + KEY_BYTES);
    return { number: arena.i32[word + SUBTABLE.maskNumber]!, name: maskName(bytes), bytes };
  });
  return masks.filter(({ number }) => number !== 0);
}

/** The fields that a mask looks at, `any` when it looks at none: what profilers show. */
function maskName(mask: Uint8Array): string {
  const names = FIELDS.filter(({ offset, bytes }) =>
    mask.subarray(offset, offset + bytes).some((byte) => byte !== 0),
  ).map(({ name }) => name);
  return names.length === 0 ? "any" : names.join("_");
}
