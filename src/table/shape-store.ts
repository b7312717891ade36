// Numbers of action lists' shapes (action-shape.ts), 1 and up, given in the order in which shapes appear and kept as long
// as the process lives. A list whose shape has no number, because it has none or all are taken, has number 0.
//
// Memory: region `actionShapes`, an entry of ACTION_SHAPE_STRIDE bytes for each number: the shape's length, a word, at
// SHAPE_AT the shape and at EXAMPLE_AT the first list that had it. The table's writer writes an entry once, then publishes
// it by the ordered store of ROOT.shapeCount; whoever compiles reads them on another thread.
import type { Arena } from "../memory/arena.ts";
import { ACTION_SHAPE_COUNT_MAX, ACTION_SHAPE_STRIDE } from "../memory/region-plan.ts";
import { SHAPE_BYTES_MAX, writeShape } from "./action-shape.ts";
import { type HashSeeds, hashBytes } from "./hash.ts";
import { ROOT } from "./layout.ts";

const SHAPE_AT = 32;
const EXAMPLE_AT = SHAPE_AT + SHAPE_BYTES_MAX;
/** A power of two, twice as many as there are numbers. */
const PLACES = 2 * ACTION_SHAPE_COUNT_MAX;

export interface ActionShape {
  /** As in the header of every list of this shape. */
  readonly number: number;
  /** The list with its values set to zero. */
  readonly list: Uint8Array;
  /** The first list that had this shape, for trying code out: its values are some that lists have. */
  readonly example: Uint8Array;
}

export class ShapeStore {
  readonly #arena: Arena;
  readonly #seeds: HashSeeds;
  readonly #scratch = new Uint8Array(SHAPE_BYTES_MAX);
  /** Numbers by hash, open addressing; 0 is an empty place. */
  readonly #places = new Uint16Array(PLACES);
  #count = 0;

  constructor(arena: Arena, seeds: HashSeeds) {
    this.#arena = arena;
    this.#seeds = seeds;
  }

  /** The number of the list's shape, which a new shape is given; 0 when there is none. */
  acquire(list: Uint8Array): number {
    if (!writeShape(list, this.#scratch)) return 0;
    const shape = this.#scratch.subarray(0, list.length);
    let place = hashBytes(shape, this.#seeds) & (PLACES - 1);
    for (let number = this.#places[place]!; number !== 0; number = this.#places[place]!) {
      if (this.#equals(number, shape)) return number;
      place = (place + 1) & (PLACES - 1);
    }
    if (this.#count === ACTION_SHAPE_COUNT_MAX) return 0;
    this.#count += 1;
    this.#places[place] = this.#count;
    this.#publish(shape, list);
    return this.#count;
  }

  #publish(shape: Uint8Array, example: Uint8Array): void {
    const { u8, u32, intrinsics } = this.#arena;
    const entry = entryOffset(this.#arena, this.#count);
    u32[entry >>> 2] = shape.length;
    u8.set(shape, entry + SHAPE_AT);
    u8.set(example, entry + EXAMPLE_AT);
    // Pairs with the load in readShapes.
    intrinsics.store(this.#arena.region("tableRoot").offset + ROOT.shapeCount * 4, this.#count);
  }

  #equals(number: number, shape: Uint8Array): boolean {
    const { u8, u32 } = this.#arena;
    const entry = entryOffset(this.#arena, number);
    if (u32[entry >>> 2] !== shape.length) return false;
    for (let index = 0; index < shape.length; index += 1)
      if (u8[entry + SHAPE_AT + index] !== shape[index]) return false;
    return true;
  }
}

const entryOffset = (arena: Arena, number: number): number =>
  arena.region("actionShapes").offset + (number - 1) * ACTION_SHAPE_STRIDE;

/** How many shapes there are. Any thread. */
export const shapeCount = (arena: Arena): number =>
  arena.intrinsics.load(arena.region("tableRoot").offset + ROOT.shapeCount * 4);

/** The shapes numbered `first` and above, in order; those before it do not change. Any thread. */
export function readShapes(arena: Arena, first = 1): ActionShape[] {
  const { u8, u32 } = arena;
  const count = shapeCount(arena);
  return Array.from({ length: Math.max(0, count - first + 1) }, (_, index) => {
    const number = first + index;
    const entry = entryOffset(arena, number);
    const part = (at: number): Uint8Array => u8.slice(entry + at, entry + at + u32[entry >>> 2]!);
    return { number, list: part(SHAPE_AT), example: part(EXAMPLE_AT) };
  });
}
