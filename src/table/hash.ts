// Hashes of the table. All are seeded at start (GLOBAL.hashSeed), so that nobody outside can prepare keys that collide;
// `--seed` repeats a run.
//
// The key hash is one rotate, one multiply and one add for each masked word that is not zero. The multiply stands off
// the chain (hash = rotate(hash, 9) + word * multiplier), so that words of one key overlap in the processor; the
// finish spreads the high bits, where a multiply leaves most of its mixing, over the low ones that pick the bucket.
import type { Arena } from "../memory/arena.ts";
import { GLOBAL } from "../memory/thread-block.ts";

export interface HashSeeds {
  readonly start: number;
  readonly xor: number;
  /** Odd, with about half of its bits set: a sparse multiplier mixes badly. */
  readonly multiplier: number;
}

/** Sets the seed of all hashes; the creator of the arena calls it before any other thread starts. */
export function setHashSeed(arena: Arena, seed: number): void {
  arena.u32[(arena.region("globals").offset + GLOBAL.hashSeed) >>> 2] = seed;
}

/** The seeds of this arena, derived from its one seed word. */
export function hashSeeds(arena: Arena): HashSeeds {
  let state = arena.i32[(arena.region("globals").offset + GLOBAL.hashSeed) >>> 2]!;
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0;
    return finishHash(Math.imul(finishHash(state), 0x85ebca6b) ^ state);
  };
  const start = next();
  const xor = next();
  let multiplier = next() | 1;
  while (Math.abs(bitCount(multiplier) - 16) > 3) multiplier = next() | 1;
  return { start, xor, multiplier };
}

function bitCount(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

/** Takes one word into a hash. */
export function hashStep(hash: number, word: number, xor: number, multiplier: number): number {
  return (((hash << 9) | (hash >>> 23)) + Math.imul(word ^ xor, multiplier)) | 0;
}

export function finishHash(hash: number): number {
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

/** Hash of `wordCount` words at index `first`: for what is hashed whole, as masks and action lists are. */
export function hashWords(
  i32: Int32Array,
  first: number,
  wordCount: number,
  { start, xor, multiplier }: HashSeeds,
): number {
  let hash = start ^ wordCount;
  for (let index = first; index < first + wordCount; index += 1) {
    hash = hashStep(hash, i32[index]!, xor, multiplier);
  }
  return finishHash(hash);
}

/** Hash of any bytes, read as little-endian words with zeros behind. */
export function hashBytes(bytes: Uint8Array, { start, xor, multiplier }: HashSeeds): number {
  let hash = start ^ bytes.length;
  for (let index = 0; index < bytes.length; index += 4) {
    const word =
      bytes[index]! |
      ((bytes[index + 1] ?? 0) << 8) |
      ((bytes[index + 2] ?? 0) << 16) |
      ((bytes[index + 3] ?? 0) << 24);
    hash = hashStep(hash, word, xor, multiplier);
  }
  return finishHash(hash);
}

/**
 * The ufid of a flow that was given none: 128 bits of the whole key, mask or no mask, as OVS derives it. Four hashes
 * with start values of their own stand behind each other. It carries the marks of a random UUID, as OVS's do.
 */
export function deriveUfid(i32: Int32Array, first: number, wordCount: number, seeds: HashSeeds): Uint8Array {
  const ufid = new Uint8Array(16);
  const view = new DataView(ufid.buffer);
  let start = seeds.start;
  for (let lane = 0; lane < 4; lane += 1) {
    start = finishHash((start + 0x9e3779b9) | 0);
    const multiplier = Math.imul(seeds.multiplier, 0x01000193 + 2 * lane);
    const hash = hashWords(i32, first, wordCount, {
      start,
      xor: Math.imul(seeds.xor, 2 * lane + 1),
      multiplier,
    });
    view.setInt32(lane * 4, hash, true);
  }
  ufid[6] = (ufid[6]! & 0x0f) | 0x40;
  ufid[8] = (ufid[8]! & 0x3f) | 0x80;
  return ufid;
}
