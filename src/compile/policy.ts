// Which program should be in force: for the masks and action shapes that the table has now. A program that knows more than
// the table has is as good, so only something new asks for another one; until it is there, the general parts of the one in
// force serve what is new.
import type { Arena } from "../memory/arena.ts";
import { readShapes, shapeCount } from "../table/shape-store.ts";
import type { ProgramSource } from "./program-module.ts";
import { publishedList, readMasks } from "./table-masks.ts";

/**
 * Masks that get a probe of their own, those with most hits first: 600 bytes of code each. Beyond, the code outgrows the
 * processor's instruction cache and compiling takes tens of milliseconds.
 */
export const COMPILED_MASKS_MAX = 128;

export class ProgramPolicy {
  readonly #arena: Arena;
  readonly #vlanLimit: number;
  readonly #debugLedger: boolean;
  /** Numbers of masks that the program last asked for knows. */
  #known: ReadonlySet<number> = new Set();
  #shapeCount = -1;
  /** The published list when it was last read: the same word and length name the same masks. */
  #list = -1;
  #listCount = -1;

  constructor(arena: Arena, vlanLimit: number, debugLedger: boolean) {
    this.#arena = arena;
    this.#debugLedger = debugLedger;
    this.#vlanLimit = vlanLimit;
  }

  /** What to compile now; null while the program last asked for knows all that there is. */
  next(): ProgramSource | null {
    const shapes = shapeCount(this.#arena);
    if (!this.#listChanged() && shapes === this.#shapeCount) return null;
    const masks = readMasks(this.#arena).slice(0, COMPILED_MASKS_MAX);
    if (shapes === this.#shapeCount && masks.every(({ number }) => this.#known.has(number))) return null;
    this.#known = new Set(masks.map(({ number }) => number));
    this.#shapeCount = shapes;
    return {
      masks,
      shapes: readShapes(this.#arena),
      vlanLimit: this.#vlanLimit,
      debugLedger: this.#debugLedger,
    };
  }

  #listChanged(): boolean {
    const { list, count } = publishedList(this.#arena);
    const changed = list !== this.#list || count !== this.#listCount;
    this.#list = list;
    this.#listCount = count;
    return changed;
  }
}
