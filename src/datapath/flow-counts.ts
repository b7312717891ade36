// Statistics of the flows that one burst hits, collected so that each flow is counted once a burst however many of its
// packets are in it.
//
// Which of the collected flows a packet belongs to is found through a small table of guesses that is never cleared: a
// guess counts only when the entry it names is in use and is of that flow. Two flows that share a guess just get an
// entry twice. Per packet: a few loads and stores. Per burst: one intrinsic.
// Memory: the batch's `flowCounts`; writes this thread's part of flowStats.
import type { Arena } from "../memory/arena.ts";
import { BATCH, FLOW_COUNT_BYTES } from "../memory/batch-layout.ts";
import type { TableReader } from "../table/table-reader.ts";
import type { BatchColumns } from "./batch-columns.ts";

const GUESSES = 256;
const ENTRY_WORDS = FLOW_COUNT_BYTES / 4;

export class FlowCounts {
  readonly #arena: Arena;
  readonly #i32: Int32Array;
  readonly #columns: BatchColumns;
  readonly #stats: number;
  readonly #entries: number;
  readonly #guesses = new Uint8Array(GUESSES);
  #count = 0;

  constructor(arena: Arena, columns: BatchColumns, table: TableReader) {
    this.#arena = arena;
    this.#i32 = arena.i32;
    this.#columns = columns;
    this.#stats = table.statsOffset(0);
    this.#entries = columns.batch + BATCH.flowCounts;
  }

  /** Counts the packets of slots `from` .. `to` - 1, which all hit; at most BATCH_SIZE between two flushes. */
  add(from: number, to: number): void {
    const i32 = this.#i32;
    const guesses = this.#guesses;
    const { flows, packetBytes, tcpFlags } = this.#columns;
    const first = this.#entries >>> 2;
    let count = this.#count;
    for (let slot = from; slot < to; slot += 1) {
      const flowNo = i32[(flows + slot) | 0]!;
      const place = flowNo & (GUESSES - 1);
      const guess = guesses[place]!;
      let entry = (first + guess * ENTRY_WORDS) | 0;
      if (guess >= count || i32[entry] !== flowNo) {
        entry = (first + count * ENTRY_WORDS) | 0;
        guesses[place] = count;
        count += 1;
        i32[entry] = flowNo;
        i32[(entry + 1) | 0] = 0;
        i32[(entry + 2) | 0] = 0;
        i32[(entry + 3) | 0] = 0;
      }
      i32[(entry + 1) | 0]! += 1;
      i32[(entry + 2) | 0]! += i32[(packetBytes + slot) | 0]!;
      i32[(entry + 3) | 0]! |= i32[(tcpFlags + slot) | 0]!;
    }
    this.#count = count;
  }

  /** Adds what was collected to the flows' statistics. @param now [0] the time in milliseconds */
  flush(now: Float64Array): void {
    if (this.#count === 0) return;
    this.#arena.intrinsics.countFlows(this.#entries, this.#count, this.#stats, now[0]!);
    this.#count = 0;
  }
}
