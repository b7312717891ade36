// Which flow has a ufid: open addressing over flow numbers, at most half full. The writer alone reads and writes it,
// so a removal moves words back instead of leaving tombstones, and the array never needs a rebuild. It is as large as
// the flow limit asks for; pages that no ufid falls on stay untouched.
import type { Arena } from "../memory/arena.ts";
import { finishHash, type HashSeeds, hashSeeds } from "./hash.ts";
import { FLOW, flowWord } from "./layout.ts";

export class UfidIndex {
  readonly #arena: Arena;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;
  readonly #first: number;
  readonly #mask: number;
  readonly #seeds: HashSeeds;

  constructor(arena: Arena) {
    const region = arena.region("ufidIndex");
    this.#arena = arena;
    this.#u32 = arena.u32;
    this.#i32 = arena.i32;
    this.#first = region.offset >>> 2;
    this.#mask = region.bytes / 4 - 1;
    this.#seeds = hashSeeds(arena);
  }

  /** The flow with this ufid of 16 bytes, 0 when there is none. */
  find(ufid: Uint8Array): number {
    const view = new DataView(ufid.buffer, ufid.byteOffset, 16);
    const a = view.getInt32(0, true);
    const b = view.getInt32(4, true);
    const c = view.getInt32(8, true);
    const d = view.getInt32(12, true);
    for (let place = this.#home(a, b, c, d); ; place = (place + 1) & this.#mask) {
      const flowNo = this.#u32[this.#first + place]!;
      if (flowNo === 0) return 0;
      const word = flowWord(this.#arena, flowNo) + FLOW.ufid;
      if (
        this.#i32[word] === a &&
        this.#i32[word + 1] === b &&
        this.#i32[word + 2] === c &&
        this.#i32[word + 3] === d
      ) {
        return flowNo;
      }
    }
  }

  /** Adds a flow whose record holds its ufid. */
  insert(flowNo: number): void {
    let place = this.#homeOf(flowNo);
    while (this.#u32[this.#first + place] !== 0) place = (place + 1) & this.#mask;
    this.#u32[this.#first + place] = flowNo;
  }

  /** Takes a flow out whose record still holds its ufid. */
  remove(flowNo: number): void {
    let hole = this.#homeOf(flowNo);
    while (this.#u32[this.#first + hole] !== flowNo) {
      if (this.#u32[this.#first + hole] === 0)
        throw new Error(`table: flow ${flowNo} is not in the ufid index`);
      hole = (hole + 1) & this.#mask;
    }
    for (let place = (hole + 1) & this.#mask; ; place = (place + 1) & this.#mask) {
      const moved = this.#u32[this.#first + place]!;
      if (moved === 0) break;
      // A word may move into the hole when that does not put it before its home.
      const distance = (place - this.#homeOf(moved)) & this.#mask;
      if (distance >= ((place - hole) & this.#mask)) {
        this.#u32[this.#first + hole] = moved;
        hole = place;
      }
    }
    this.#u32[this.#first + hole] = 0;
  }

  #homeOf(flowNo: number): number {
    const word = flowWord(this.#arena, flowNo) + FLOW.ufid;
    return this.#home(this.#i32[word]!, this.#i32[word + 1]!, this.#i32[word + 2]!, this.#i32[word + 3]!);
  }

  /** Operators choose ufids, often small numbers, so all four words are mixed. */
  #home(a: number, b: number, c: number, d: number): number {
    const { start, xor, multiplier } = this.#seeds;
    let hash = finishHash((start + Math.imul(a ^ xor, multiplier)) | 0);
    hash = finishHash((hash + Math.imul(b ^ xor, multiplier)) | 0);
    hash = finishHash((hash + Math.imul(c ^ xor, multiplier)) | 0);
    hash = finishHash((hash + Math.imul(d ^ xor, multiplier)) | 0);
    return hash & this.#mask;
  }
}
