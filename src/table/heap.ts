// A buddy allocator over a region of the arena: blocks of power-of-two sizes that merge with their neighbour when both
// are free, so that space given back in small pieces serves large ones again. The table's writer alone calls it.
//
// A block is named by the number of its first unit; 0 means none, unit 0 is never given. Free blocks are linked
// through their own first two words; which blocks are free stands in a byte for each unit outside the arena, so that a
// stray write into a freed block cannot mislead a merge. Pages that no block was given from stay untouched, but for a
// link here and there. What is freed here must have passed its grace period before.
import type { Arena } from "../memory/arena.ts";
import type { Region } from "../memory/region-plan.ts";

const ORDERS = 32;
/** State of a unit: 0 inside a block, order + 1 the start of a free block, USED | order the start of a given one. */
const USED = 0x80;

export class Heap {
  readonly unitBytes: number;
  readonly #u32: Uint32Array;
  readonly #region: Region;
  readonly #unitWords: number;
  readonly #firstWord: number;
  readonly #unitCount: number;
  readonly #states: Uint8Array;
  /** First free block of each order, 0 when there is none. */
  readonly #heads = new Uint32Array(ORDERS);
  #usedUnits = 0;

  /** @param unitBytes the smallest block, a power of two of at least 16; the region must hold a power of two of them */
  constructor(arena: Arena, regionName: string, unitBytes: number) {
    const region = arena.region(regionName);
    const units = region.bytes / unitBytes;
    if (unitBytes < 16 || !Number.isInteger(Math.log2(unitBytes)) || !Number.isInteger(Math.log2(units))) {
      throw new RangeError(
        `heap: region ${regionName} of ${region.bytes} bytes can't be cut into units of ${unitBytes}: ` +
          "both must be powers of two, and a unit at least 16 bytes",
      );
    }
    this.unitBytes = unitBytes;
    this.#u32 = arena.u32;
    this.#region = region;
    this.#unitWords = unitBytes / 4;
    this.#firstWord = region.offset >>> 2;
    this.#unitCount = units;
    this.#states = new Uint8Array(units);
    // All blocks that together with unit 0 make the whole: one of each order.
    this.#states[0] = USED;
    for (let order = 0; 1 << order < units; order += 1) this.#link(1 << order, order);
  }

  /** Bytes given out, unit 0 left out. */
  get usedBytes(): number {
    return this.#usedUnits * this.unitBytes;
  }

  /** Byte offset of a block in the arena. */
  offset(block: number): number {
    return this.#region.offset + block * this.unitBytes;
  }

  /** Index of a block's first word in the arena's 32-bit views. */
  word(block: number): number {
    return this.#firstWord + block * this.#unitWords;
  }

  /** A block of at least `bytes` bytes with any content; 0 when none is left. */
  alloc(bytes: number): number {
    const wanted = this.#orderOf(bytes);
    let order = wanted;
    while (order < ORDERS && this.#heads[order] === 0) order += 1;
    if (order >= ORDERS) return 0;
    const block = this.#heads[order]!;
    this.#unlink(block, order);
    while (order > wanted) {
      order -= 1;
      this.#link(block + 2 ** order, order);
    }
    this.#states[block] = USED | order;
    this.#usedUnits += 2 ** order;
    return block;
  }

  /** Takes a block back. @throws Error when this is no block that was given, or was freed before. */
  free(block: number): void {
    const state = this.#states[block] ?? 0;
    if (block === 0 || (state & USED) === 0) {
      throw new Error(`heap ${this.#region.name}: block ${block} is freed, but nobody was given it`);
    }
    let order = state & ~USED;
    this.#usedUnits -= 2 ** order;
    this.#states[block] = 0;
    let first = block;
    while (2 ** (order + 1) <= this.#unitCount) {
      const buddy = (first ^ (1 << order)) >>> 0;
      if (this.#states[buddy] !== order + 1) break;
      this.#unlink(buddy, order);
      first = Math.min(first, buddy);
      order += 1;
    }
    this.#link(first, order);
  }

  #orderOf(bytes: number): number {
    return Math.max(0, Math.ceil(Math.log2(bytes / this.unitBytes)));
  }

  /** Puts a free block at the front of its list: first word next block, second word previous one. */
  #link(block: number, order: number): void {
    const next = this.#heads[order]!;
    const word = this.word(block);
    this.#u32[word] = next;
    this.#u32[word + 1] = 0;
    if (next !== 0) this.#u32[this.word(next) + 1] = block;
    this.#heads[order] = block;
    this.#states[block] = order + 1;
  }

  #unlink(block: number, order: number): void {
    const word = this.word(block);
    const next = this.#u32[word]!;
    const previous = this.#u32[word + 1]!;
    if (next !== 0) this.#u32[this.word(next) + 1] = previous;
    if (previous === 0) this.#heads[order] = next;
    else this.#u32[this.word(previous)] = next;
    this.#states[block] = 0;
  }
}
