// The subtables: one for each distinct mask, and the list in which look-ups probe them. The writer's side.
//
// A new subtable is written, then appended to the list in force by storing the list's new length. Any other change of
// the list (another order, subtables gone) is written into the second list and published by one store; the first one
// is free to be written again after a grace period, and until then the change waits. A subtable that lost its last
// flow stays listed until the next sorting, because a mask that was used is likely to be used again.
//
// Order: subtables with most hits in front. Hits are halved and added to at each sorting (once a second), and the list
// is published anew only when a subtable clearly overtook another, so that equals do not swap places for ever.

import { KEY_BLOCK_BYTES, KEY_BYTES } from "../flow/fields.ts";
import type { Arena } from "../memory/arena.ts";
import type { EpochWriter } from "../memory/epoch.ts";
import { threadCount } from "../memory/region-plan.ts";
import { BucketArray, type BucketContext } from "./bucket-array.ts";
import { type HashSeeds, hashSeeds, hashWords } from "./hash.ts";
import { listOffset, ROOT, SUBTABLE, SUBTABLE_WORDS, subtableHitsOffset, subtableWord } from "./layout.ts";
import { MaskNumbers } from "./mask-numbers.ts";

const KEY_WORDS = KEY_BYTES / 4;
const BLOCK_WORDS = KEY_BLOCK_BYTES / 4;
/** A subtable moves forward past another when its rate is this many times the other's. */
const OVERTAKE = 1.25;

export interface Subtable {
  readonly id: number;
  readonly maskHash: number;
  readonly buckets: BucketArray;
  /** Hits, the older ones weighing less. */
  rate: number;
  /** All threads' hits at the last sorting. */
  hits: number;
}

export class Subtables {
  readonly #arena: Arena;
  readonly #i32: Int32Array;
  readonly #root: number;
  readonly #epochs: EpochWriter;
  readonly #context: BucketContext;
  readonly #seeds: HashSeeds;
  readonly #byMask = new Map<number, Subtable[]>();
  readonly #byId: (Subtable | undefined)[] = [];
  readonly #freeIds: number[] = [];
  readonly #maskNumbers = new MaskNumbers();
  /** What the list in force names, in its order. */
  #listed: Subtable[] = [];
  #publications = 0;
  #spareFree = true;
  #last: Subtable | null = null;

  constructor(arena: Arena, epochs: EpochWriter, context: BucketContext) {
    this.#arena = arena;
    this.#i32 = arena.i32;
    this.#root = arena.region("tableRoot").offset >>> 2;
    this.#epochs = epochs;
    this.#context = context;
    this.#seeds = hashSeeds(arena);
  }

  /** Subtables in look-up order, empty ones among them. */
  get listed(): readonly Subtable[] {
    return this.#listed;
  }

  byId(id: number): Subtable {
    return this.#byId[id]!;
  }

  /** The subtable of the mask in scratch, made when there is none; null when masks or bucket memory ran out. */
  obtain(): Subtable | null {
    if (this.#last !== null && this.#hasMask(this.#last.id)) return this.#last;
    const maskHash = hashWords(this.#i32, this.#root + ROOT.scratchMask, KEY_WORDS, this.#seeds);
    const subtable =
      this.#byMask.get(maskHash)?.find(({ id }) => this.#hasMask(id)) ?? this.#create(maskHash);
    if (subtable !== null) this.#last = subtable;
    return subtable;
  }

  /** Keeps the flow count that readers of statistics see. */
  noteFlowCount({ id, buckets }: Subtable): void {
    this.#i32[subtableWord(this.#arena, id) + SUBTABLE.flowCount] = buckets.flowCount;
  }

  /** Sorts the list by hits and drops empty subtables. Call it once a second. */
  sort(): void {
    for (const subtable of this.#listed) {
      const hits = this.#hits(subtable.id);
      subtable.rate = subtable.rate / 2 + (hits - subtable.hits);
      subtable.hits = hits;
    }
    this.#dropEmpty(this.#overtaken());
  }

  /** Publishes the list without its empty subtables; sorted anew when `resort`. */
  #dropEmpty(resort: boolean): void {
    const used = this.#listed.filter(({ buckets }) => buckets.flowCount > 0);
    if (!this.#spareFree || (used.length === this.#listed.length && !resort)) return;
    const gone = this.#listed.filter(({ buckets }) => buckets.flowCount === 0);
    if (resort) used.sort((a, b) => b.rate - a.rate);
    this.#publish(used);
    for (const subtable of gone) this.#drop(subtable);
  }

  #overtaken(): boolean {
    let least = Number.POSITIVE_INFINITY;
    for (const { rate } of this.#listed) {
      // A few hits are no trend.
      if (rate > least * OVERTAKE + 16) return true;
      least = Math.min(least, rate);
    }
    return false;
  }

  #hits(id: number): number {
    let hits = 0;
    for (let thread = 0; thread < threadCount(this.#arena.plan.sizes); thread += 1) {
      hits += this.#arena.f64[subtableHitsOffset(this.#arena, thread, id) >>> 3]!;
    }
    return hits;
  }

  /** No thread counts a subtable any more that no list names since a grace period. */
  #zeroHits(id: number): void {
    for (let thread = 0; thread < threadCount(this.#arena.plan.sizes); thread += 1) {
      const index = subtableHitsOffset(this.#arena, thread, id) >>> 3;
      this.#arena.f64.fill(0, index, index + 2);
    }
  }

  #create(maskHash: number): Subtable | null {
    const id = this.#allocId();
    if (id === undefined) return null;
    this.#writeMask(id);
    const buckets = BucketArray.create(this.#context, (subtableWord(this.#arena, id) + SUBTABLE.buckets) * 4);
    if (buckets === null) {
      this.#freeIds.push(id);
      return null;
    }
    const subtable: Subtable = { id, maskHash, buckets, rate: 0, hits: 0 };
    this.#byId[id] = subtable;
    const sameHash = this.#byMask.get(maskHash);
    if (sameHash === undefined) this.#byMask.set(maskHash, [subtable]);
    else sameHash.push(subtable);
    this.#append(subtable);
    return subtable;
  }

  /** An id that no reader connects with an older mask; undefined when all are taken. */
  #allocId(): number | undefined {
    const id = this.#freeIds.pop();
    if (id !== undefined) return id;
    if (this.#byId.length < this.#arena.plan.sizes.maskCountMax) {
      this.#byId.push(undefined);
      return this.#byId.length - 1;
    }
    this.#dropEmpty(false);
    this.#epochs.reclaim();
    return this.#freeIds.pop();
  }

  #append(subtable: Subtable): void {
    const list = this.#publications & 1;
    const index = this.#listed.length;
    this.#listed.push(subtable);
    this.#i32[this.#listWord(list) + index] = subtable.id;
    // Pairs with the load in TableReader.refresh: the entry and the subtable are complete.
    this.#arena.intrinsics.store((this.#root + ROOT.listCounts + list) * 4, index + 1);
  }

  #publish(subtables: Subtable[]): void {
    const list = (this.#publications + 1) & 1;
    const first = this.#listWord(list);
    for (const [index, { id }] of subtables.entries()) this.#i32[first + index] = id;
    this.#i32[this.#root + ROOT.listCounts + list] = subtables.length;
    this.#publications = (this.#publications + 1) & 0x3fffffff;
    this.#listed = subtables;
    // Pairs with the load in TableReader.refresh.
    this.#arena.intrinsics.store((this.#root + ROOT.list) * 4, (this.#publications << 1) | list);
    this.#spareFree = false;
    this.#epochs.retire(() => {
      this.#spareFree = true;
    });
  }

  /** Frees a subtable that is in no list any more. */
  #drop(subtable: Subtable): void {
    const sameHash = this.#byMask.get(subtable.maskHash)!;
    if (sameHash.length === 1) this.#byMask.delete(subtable.maskHash);
    else sameHash.splice(sameHash.indexOf(subtable), 1);
    if (this.#last === subtable) this.#last = null;
    subtable.buckets.retire();
    this.#epochs.retire(() => {
      this.#byId[subtable.id] = undefined;
      this.#zeroHits(subtable.id);
      this.#freeIds.push(subtable.id);
    });
  }

  /** Writes the mask in scratch in the forms that look-ups, vector code and dumps want. */
  #writeMask(id: number): void {
    const subtable = subtableWord(this.#arena, id);
    const mask = this.#root + ROOT.scratchMask;
    this.#i32.copyWithin(subtable + SUBTABLE.mask, mask, mask + KEY_WORDS);
    let words = 0;
    let blocks = 0;
    for (let block = 0; block < KEY_WORDS / BLOCK_WORDS; block += 1) {
      let used = false;
      for (let word = block * BLOCK_WORDS; word < (block + 1) * BLOCK_WORDS; word += 1) {
        const bits = this.#i32[mask + word]!;
        if (bits === 0) continue;
        const entry = subtable + SUBTABLE.words + words * 3;
        this.#i32[entry] = word;
        this.#i32[entry + 1] = bits;
        this.#i32[entry + 2] = blocks * BLOCK_WORDS + (word % BLOCK_WORDS);
        words += 1;
        used = true;
      }
      if (!used) continue;
      this.#i32[subtable + SUBTABLE.blocks + blocks] = block;
      blocks += 1;
    }
    this.#i32[subtable + SUBTABLE.wordCount] = words;
    this.#i32[subtable + SUBTABLE.blockCount] = blocks;
    this.#i32[subtable + SUBTABLE.flowCount] = 0;
    this.#i32[subtable + SUBTABLE.maskNumber] = this.#maskNumbers.of(
      this.#arena.u8.subarray(mask * 4, mask * 4 + KEY_BYTES),
    );
  }

  #hasMask(id: number): boolean {
    const mask = this.#root + ROOT.scratchMask;
    const own = id * SUBTABLE_WORDS + (this.#arena.region("subtables").offset >>> 2) + SUBTABLE.mask;
    for (let word = 0; word < KEY_WORDS; word += 1) {
      if (this.#i32[mask + word] !== this.#i32[own + word]) return false;
    }
    return true;
  }

  #listWord(list: number): number {
    return this.#root + listOffset(this.#arena, list) / 4;
  }
}
