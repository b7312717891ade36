// Action lists, interned by content: flows with equal actions share one list with a count of its flows, because
// thousands of flows send to the same few ports. A list is the OVS netlink action attributes, never changed.
//
// A list is a block of the `actions` region: four words and the attributes. The upper half of the first word is the
// list's shape (shape-store.ts), by which compiled code knows what to do. Blocks of equal hash hang together through
// `next`; the heads of these chains are an array outside the arena, since only the writer looks lists up.
// Whoever drops a reference does so after the grace period in which a reader might still have followed it.
import type { Arena } from "../memory/arena.ts";
import { type HashSeeds, hashBytes, hashSeeds } from "./hash.ts";
import { Heap } from "./heap.ts";
import { ShapeStore } from "./shape-store.ts";

/** Unit of action references: a list stands `reference * ACTION_UNIT_BYTES` behind the region's start. */
export const ACTION_UNIT_BYTES = 16;
/** Words before the attributes. */
export const ACTION_HEADER = { bytesAndShape: 0, flowCount: 1, hash: 2, next: 3 } as const;
/** The first word: bytes of the attributes below, the shape's number above. */
export const ACTION_LENGTH_MASK = 0xffff;
export const ACTION_SHAPE_SHIFT = 16;
export const ACTION_HEADER_BYTES = 16;
/** A netlink attribute states its length in 16 bits, and the list travels in one. */
export const ACTION_BYTES_MAX = 65531;

export class ActionStore {
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #heap: Heap;
  readonly #seeds: HashSeeds;
  readonly #shapes: ShapeStore;
  readonly #chains: Uint32Array;
  #listCount = 0;

  constructor(arena: Arena) {
    this.#u8 = arena.u8;
    this.#u32 = arena.u32;
    this.#heap = new Heap(arena, "actions", ACTION_UNIT_BYTES);
    this.#seeds = hashSeeds(arena);
    this.#shapes = new ShapeStore(arena, this.#seeds);
    this.#chains = new Uint32Array(2 ** Math.ceil(Math.log2(arena.plan.sizes.flowCountMax + 1)));
  }

  /** Distinct lists. */
  get listCount(): number {
    return this.#listCount;
  }

  get usedBytes(): number {
    return this.#heap.usedBytes;
  }

  /** Reference of a list with these attributes, one flow added to it; 0 when the region is full. */
  acquire(actions: Uint8Array): number {
    const hash = hashBytes(actions, this.#seeds);
    const chain = (hash & (this.#chains.length - 1)) >>> 0;
    for (let list = this.#chains[chain]!; list !== 0; ) {
      const word = this.#heap.word(list);
      if (this.#u32[word + ACTION_HEADER.hash] === hash >>> 0 && this.#equals(list, actions)) {
        this.#u32[word + ACTION_HEADER.flowCount]! += 1;
        return list;
      }
      list = this.#u32[word + ACTION_HEADER.next]!;
    }
    const list = this.#heap.alloc(ACTION_HEADER_BYTES + actions.length);
    if (list === 0) return 0;
    const word = this.#heap.word(list);
    this.#u32[word + ACTION_HEADER.bytesAndShape] =
      actions.length | (this.#shapes.acquire(actions) << ACTION_SHAPE_SHIFT);
    this.#u32[word + ACTION_HEADER.flowCount] = 1;
    this.#u32[word + ACTION_HEADER.hash] = hash;
    this.#u32[word + ACTION_HEADER.next] = this.#chains[chain]!;
    this.#u8.set(actions, this.#heap.offset(list) + ACTION_HEADER_BYTES);
    this.#chains[chain] = list;
    this.#listCount += 1;
    return list;
  }

  /** Takes one flow from a list; the last one frees it. */
  release(list: number): void {
    const word = this.#heap.word(list);
    const left = this.#u32[word + ACTION_HEADER.flowCount]! - 1;
    this.#u32[word + ACTION_HEADER.flowCount] = left;
    if (left > 0) return;
    const next = this.#u32[word + ACTION_HEADER.next]!;
    const chain = (this.#u32[word + ACTION_HEADER.hash]! & (this.#chains.length - 1)) >>> 0;
    if (this.#chains[chain] === list) {
      this.#chains[chain] = next;
    } else {
      let before = this.#chains[chain]!;
      while (this.#u32[this.#heap.word(before) + ACTION_HEADER.next] !== list) {
        before = this.#u32[this.#heap.word(before) + ACTION_HEADER.next]!;
      }
      this.#u32[this.#heap.word(before) + ACTION_HEADER.next] = next;
    }
    this.#heap.free(list);
    this.#listCount -= 1;
  }

  #equals(list: number, actions: Uint8Array): boolean {
    const bytes = this.#u32[this.#heap.word(list) + ACTION_HEADER.bytesAndShape]! & ACTION_LENGTH_MASK;
    if (bytes !== actions.length) return false;
    const start = this.#heap.offset(list) + ACTION_HEADER_BYTES;
    for (let index = 0; index < actions.length; index += 1) {
      if (this.#u8[start + index] !== actions[index]) return false;
    }
    return true;
  }
}
