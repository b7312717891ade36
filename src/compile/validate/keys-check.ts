// Look-ups of keys that stand close to flows. Of each mask: keys that differ from a flow's in every bit that the mask leaves
// out, which hit all the same; and for each bit of the mask, a key that differs from it there, which does not. So a mask, an
// offset or a hash that is wrong in one bit shows, whether packets with such keys can be made up or not.
import { KEY_BYTES } from "../../flow/fields.ts";
import { BATCH_SIZE } from "../../memory/batch-layout.ts";
import type { CompiledMask } from "../emit/lookup.ts";
import type { SeededRandom } from "./random.ts";
import type { TwinFlow, Twins } from "./twins.ts";

/** Of most masks; the first masks have enough that their buckets overflow and grow. */
const FLOWS_OF_A_MASK = 3;
const FLOWS_OF_A_LARGE_ONE = 48;
const LARGE_MASKS = 4;
/** Keys of each flow that differ from it outside of the mask: a wrong bit stays unseen in one of 2^24 cases. */
const OUTSIDE_KEYS = 8;
/** Bits of a mask that are tried, drawn where there are more: masks of tunnels' options have two thousand. */
const BITS_MOST = 384;

/** Returns how many keys were looked up. Leaves no flow behind. @throws Differs */
export function checkKeys(twins: Twins, masks: readonly CompiledMask[], random: SeededRandom): number {
  const flows = masks.flatMap((mask, index) => {
    const count = index < LARGE_MASKS ? FLOWS_OF_A_LARGE_ONE : FLOWS_OF_A_MASK;
    return Array.from({ length: count }, () => twins.put(keyWithin(random, mask.bytes), mask, DROP_LIST));
  });
  const known = flows.filter((flow) => flow !== null);
  const ofMasks = new Map(known.map((flow) => [flow.mask, flow]));
  const hits = known.map((flow) => outsideKeys(random, flow));
  const near = [...hits.flat(), ...[...ofMasks.values()].flatMap((flow) => narrowMisses(random, flow))];
  // Twice, because what was looked up once is known to the cache; and once more when flows have gone and come.
  let count = lookAll(twins, near) + lookAll(twins, near);
  for (const [index, flow] of known.entries()) if (index % 3 === 0) twins.remove(flow);
  const others = [
    ...masks.map((mask) => twins.put(keyWithin(random, mask.bytes), mask, DROP_LIST)),
    ...known.map((flow, index) => putOver(twins, hits[index]!.at(-1)!, flow, random.pick(masks))),
  ];
  count += lookAll(twins, near);
  for (const [index, flow] of [...known, ...others].entries())
    if (flow !== null && (index % 3 !== 0 || index >= known.length)) twins.remove(flow);
  twins.dropEmptySubtables();
  return count;
}

const DROP_LIST = new Uint8Array(0);

function keyWithin(random: SeededRandom, mask: Uint8Array): Uint8Array {
  const key = random.bytes(KEY_BYTES);
  for (let at = 0; at < KEY_BYTES; at += 1) key[at]! &= mask[at]!;
  return key;
}

/** Hits, of this flow or of one before it. */
function outsideKeys(random: SeededRandom, flow: TwinFlow): Uint8Array[] {
  return [flow.key, ...Array.from({ length: OUTSIDE_KEYS }, () => outside(random, flow))];
}

/** Misses as far as this flow goes. */
function narrowMisses(random: SeededRandom, flow: TwinFlow): Uint8Array[] {
  const bits = maskBits(flow.mask.bytes);
  while (bits.length > BITS_MOST) bits.splice(random.below(bits.length), 1);
  return bits.map((bit) => {
    const near = outside(random, flow);
    near[bit >>> 3]! ^= 1 << (bit & 7);
    return near;
  });
}

/**
 * A flow under another mask that takes a key which hits this one, as far as its mask is probed before. Its own key misses
 * this flow, else it would not be put. Null when there is none: the other mask has all bits of this one.
 */
function putOver(
  twins: Twins,
  hit: Uint8Array,
  { mask: { bytes } }: TwinFlow,
  other: CompiledMask,
): TwinFlow | null {
  const bit = maskBits(bytes).find((bit) => ((other.bytes[bit >>> 3]! >>> (bit & 7)) & 1) === 0);
  if (bit === undefined) return null;
  const key = hit.slice();
  key[bit >>> 3]! ^= 1 << (bit & 7);
  return twins.put(key, other, DROP_LIST);
}

/** The flow's key with other bits where the mask has none. */
function outside(random: SeededRandom, { key, mask: { bytes: mask } }: TwinFlow): Uint8Array {
  const near = random.bytes(KEY_BYTES);
  for (let at = 0; at < KEY_BYTES; at += 1) near[at] = (near[at]! & ~mask[at]!) | (key[at]! & mask[at]!);
  return near;
}

function maskBits(mask: Uint8Array): number[] {
  const bits: number[] = [];
  for (let bit = 0; bit < KEY_BYTES * 8; bit += 1)
    if (((mask[bit >>> 3]! >>> (bit & 7)) & 1) !== 0) bits.push(bit);
  return bits;
}

function lookAll(twins: Twins, keys: readonly Uint8Array[]): number {
  for (let from = 0; from < keys.length; from += BATCH_SIZE)
    twins.lookKeys(keys.slice(from, from + BATCH_SIZE));
  return keys.length;
}
