// Buckets: open addressing with linear probing over words of tag and flow number, at most half full. One array for
// each subtable; the writer's side, look-ups are in table-reader.ts.
//
// Readers need no version and no second look: a place goes from empty to a word by one ordered store after the flow's
// record is complete, and from a word to a tombstone by another; a word never moves within an array. The flow of a word
// that a reader loaded stays readable until the reader's next quiescent point.
//
// An array that gets half full, or mostly holds tombstones, is rebuilt into a new one in slices: first the new one is
// zeroed, then the old one's words are carried over from the front. A change in between goes into the old array, and
// into the new one too when its place was carried over already. Then one store publishes the new array, and the old one
// is freed after a grace period. Each change does a slice, so that a rebuild ends before the old array fills up.
import type { Arena } from "../memory/arena.ts";
import type { Heap } from "./heap.ts";
import { FLOW, FLOW_WORDS, TAG_MASK, TOMBSTONE } from "./layout.ts";

const PLACES_MIN_LOG2 = 4;
/** Zeroed in one slice: about a microsecond. */
const ZERO_SLICE_WORDS = 4096;
/** Places carried over in one slice; half of them hold a flow whose record has to be looked at for its hash. */
const CARRY_SLICE_PLACES = 32;
/** Bits of a published reference that hold the logarithm of the size; the heap block stands above. */
export const SIZE_BITS = 5;
/** The smallest array, and the unit of the buckets heap. */
export const BUCKET_UNIT_BYTES = 4 << PLACES_MIN_LOG2;
const FLOW_NUMBER_MASK = ~TAG_MASK;

interface Places {
  readonly block: number;
  readonly first: number;
  readonly log2: number;
  readonly mask: number;
  /** Places that are not empty, tombstones among them. */
  used: number;
}

/** What bucket arrays of a table share. */
export interface BucketContext {
  readonly arena: Arena;
  readonly heap: Heap;
  /** Frees a block after a grace period. */
  readonly retireBlock: (block: number) => void;
}

export class BucketArray {
  readonly #context: BucketContext;
  readonly #i32: Int32Array;
  readonly #flows: number;
  /** Byte address of the word that publishes the array. */
  readonly #refAddress: number;
  #places: Places;
  #flowCount = 0;
  #next: Places | null = null;
  /** Words of `#next` that are zeroed, places of `#places` that are carried over. */
  #zeroed = 0;
  #carried = 0;

  private constructor(context: BucketContext, refAddress: number, places: Places) {
    this.#context = context;
    this.#i32 = context.arena.i32;
    this.#flows = context.arena.region("flows").offset >>> 2;
    this.#refAddress = refAddress;
    this.#places = places;
    this.#i32.fill(0, places.first, places.first + places.mask + 1);
    this.#publish();
  }

  /** An empty array, published in the word at `refAddress`; null when the heap has no room. */
  static create(context: BucketContext, refAddress: number): BucketArray | null {
    const places = allocPlaces(context, PLACES_MIN_LOG2);
    return places === null ? null : new BucketArray(context, refAddress, places);
  }

  get flowCount(): number {
    return this.#flowCount;
  }

  get placeCount(): number {
    return this.#places.mask + 1;
  }

  get rebuilding(): boolean {
    return this.#next !== null;
  }

  /** False when the array is full and no room is left for a larger one. */
  hasRoom(): boolean {
    const places = this.#places.mask + 1;
    if (this.#places.used < places / 2) return true;
    if (this.#next === null) this.#startRebuild();
    // Without a larger array look-ups get slower; one place must stay empty in any case, it ends them.
    return this.#next !== null || this.#places.used < places - places / 8;
  }

  /** Publishes a flow whose record is complete; call only when hasRoom(). */
  insert(flowNo: number, hash: number): void {
    const place = this.#put(this.#places, flowNo, hash, true);
    if (this.#next !== null && place < this.#carried) this.#put(this.#next, flowNo, hash, false);
    this.#flowCount += 1;
    if (this.#next === null && this.#places.used > this.#places.mask >>> 1) this.#startRebuild();
    this.slice();
  }

  /** Unpublishes a flow. @throws Error when it is not here. */
  remove(flowNo: number, hash: number): void {
    const place = this.#clear(this.#places, flowNo, hash);
    if (this.#next !== null && place < this.#carried) this.#clear(this.#next, flowNo, hash);
    this.#flowCount -= 1;
    const places = this.#places.mask + 1;
    if (this.#next === null && this.#flowCount * 16 < places && places > 1 << PLACES_MIN_LOG2) {
      this.#startRebuild();
    }
    this.slice();
  }

  /** Carries a rebuild on. True while one is under way. */
  slice(): boolean {
    const next = this.#next;
    if (next === null) return false;
    if (this.#zeroed <= next.mask) {
      const end = Math.min(this.#zeroed + ZERO_SLICE_WORDS, next.mask + 1);
      this.#i32.fill(0, next.first + this.#zeroed, next.first + end);
      this.#zeroed = end;
      if (end <= next.mask) return true;
    }
    const { first, mask } = this.#places;
    const end = Math.min(this.#carried + CARRY_SLICE_PLACES, mask + 1);
    for (; this.#carried < end; this.#carried += 1) {
      const flowNo = this.#i32[first + this.#carried]! & FLOW_NUMBER_MASK;
      if (flowNo !== 0) {
        this.#put(next, flowNo, this.#i32[this.#flows + flowNo * FLOW_WORDS + FLOW.hash]!, false);
      }
    }
    if (this.#carried <= mask) return true;
    const old = this.#places.block;
    this.#places = next;
    this.#next = null;
    this.#publish();
    this.#context.retireBlock(old);
    return false;
  }

  /** Gives all memory back after a grace period; nobody may find the array any more. */
  retire(): void {
    this.#context.retireBlock(this.#places.block);
    // Never published: no reader can be in it.
    if (this.#next !== null) this.#context.heap.free(this.#next.block);
    this.#next = null;
  }

  #startRebuild(): void {
    // Room for what may come in until the rebuild ends, each change carrying one slice.
    const flows = this.#flowCount + 1 + (this.#places.mask + 1) / CARRY_SLICE_PLACES;
    const log2 = Math.max(PLACES_MIN_LOG2, Math.ceil(Math.log2(flows * 3)));
    this.#next = allocPlaces(this.#context, log2);
    this.#zeroed = 0;
    this.#carried = 0;
  }

  /** Pairs with the load of this word in TableReader. */
  #publish(): void {
    const { block, log2 } = this.#places;
    this.#context.arena.intrinsics.store(this.#refAddress, (block << SIZE_BITS) | log2);
  }

  /** Writes a flow's word into the first free place of its chain. Returns the place. */
  #put(places: Places, flowNo: number, hash: number, published: boolean): number {
    const { first, mask } = places;
    let place = hash & mask;
    for (; ; place = (place + 1) & mask) {
      const word = this.#i32[first + place]!;
      if (word === 0) {
        places.used += 1;
        break;
      }
      if (word === TOMBSTONE) break;
    }
    const word = (hash & TAG_MASK) | flowNo;
    // Pairs with the reader's load of the place: the flow's record is complete before the word is seen.
    if (published) this.#context.arena.intrinsics.store((first + place) * 4, word);
    else this.#i32[first + place] = word;
    return place;
  }

  /** Takes a flow's word out. Returns its place. */
  #clear(places: Places, flowNo: number, hash: number): number {
    const { first, mask } = places;
    const wanted = (hash & TAG_MASK) | flowNo;
    let place = hash & mask;
    while (this.#i32[first + place] !== wanted) {
      if (this.#i32[first + place] === 0) throw new Error(`table: flow ${flowNo} is not in its bucket array`);
      place = (place + 1) & mask;
    }
    const { intrinsics } = this.#context.arena;
    if (this.#i32[first + ((place + 1) & mask)] !== 0) {
      intrinsics.store((first + place) * 4, TOMBSTONE);
      return place;
    }
    // Nothing stands behind: this place and the tombstones before it end chains just as well when they are empty.
    let last = place;
    intrinsics.store((first + place) * 4, 0);
    places.used -= 1;
    for (;;) {
      last = (last - 1) & mask;
      if (this.#i32[first + last] !== TOMBSTONE) return place;
      intrinsics.store((first + last) * 4, 0);
      places.used -= 1;
    }
  }
}

function allocPlaces({ heap }: BucketContext, log2: number): Places | null {
  const block = heap.alloc(4 * 2 ** log2);
  return block === 0 ? null : { block, first: heap.word(block), log2, mask: 2 ** log2 - 1, used: 0 };
}
