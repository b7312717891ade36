// The tunnel lines of a slot's key, kept while the key tells another tunnel. One packet's at a time.
import { K, KEY_BYTES, KEY_LINE_BYTES } from "../flow/fields.ts";
import type { Arena } from "../memory/arena.ts";
import type { BatchColumns } from "../memory/batch-columns.ts";

const KEY_STRIDE = KEY_BYTES;
const LINE_WORDS = KEY_LINE_BYTES / 4;
const LINE_COUNT = KEY_BYTES / KEY_LINE_BYTES;
const FIRST_LINE = Math.floor(K.tun_id / KEY_LINE_BYTES);
/** Nothing else stands in these. */
const TUNNEL_LINES = ((1 << LINE_COUNT) - 1) & ~((1 << FIRST_LINE) - 1);

export class SavedTunnel {
  readonly #u32: Uint32Array;
  readonly #columns: BatchColumns;
  readonly #words = new Uint32Array(LINE_COUNT * LINE_WORDS);
  #lines = 0;

  constructor(arena: Arena, columns: BatchColumns) {
    this.#u32 = arena.u32;
    this.#columns = columns;
  }

  save(slot: number): void {
    this.#lines = this.#u32[this.#columns.dirtyLines + slot]! & TUNNEL_LINES;
    const key = (this.#columns.keys + slot * KEY_STRIDE) >>> 2;
    for (let line = FIRST_LINE; line < LINE_COUNT; line += 1) {
      if (((this.#lines >>> line) & 1) === 0) continue;
      for (let word = line * LINE_WORDS; word < (line + 1) * LINE_WORDS; word += 1)
        this.#words[word] = this.#u32[key + word]!;
    }
  }

  /** Makes the lines zero. Returns the key's arena offset. */
  clear(slot: number): number {
    const dirtyLines = this.#columns.dirtyLines + slot;
    const lines = this.#u32[dirtyLines]!;
    const key = this.#columns.keys + slot * KEY_STRIDE;
    for (let line = FIRST_LINE; line < LINE_COUNT; line += 1) {
      if (((lines >>> line) & 1) === 0) continue;
      const start = (key >>> 2) + line * LINE_WORDS;
      for (let word = start; word < start + LINE_WORDS; word += 1) this.#u32[word] = 0;
    }
    this.#u32[dirtyLines] = lines & ~TUNNEL_LINES;
    return key;
  }

  restore(slot: number): void {
    const key = this.clear(slot) >>> 2;
    for (let line = FIRST_LINE; line < LINE_COUNT; line += 1) {
      if (((this.#lines >>> line) & 1) === 0) continue;
      for (let word = line * LINE_WORDS; word < (line + 1) * LINE_WORDS; word += 1)
        this.#u32[key + word] = this.#words[word]!;
    }
    this.#u32[this.#columns.dirtyLines + slot]! |= this.#lines;
  }
}
