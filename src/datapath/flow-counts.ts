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

const GUESSES = 256;
const ENTRY_WORDS = FLOW_COUNT_BYTES / 4;

export class FlowCounts {
  readonly #arena: Arena;
  readonly #i32: Int32Array;
  readonly #stats: number;
  readonly #entries: number;
  readonly #first: number;
  readonly #guesses = new Uint8Array(GUESSES);
  #count = 0;

  /** @param batch arena offset of the thread's batch */
  constructor(arena: Arena, batch: number, table: TableReader) {
    this.#arena = arena;
    this.#i32 = arena.i32;
    this.#stats = table.statsOffset(0);
    this.#entries = batch + BATCH.flowCounts;
    this.#first = this.#entries >>> 2;
  }

  /** Counts a packet of flow `flowNo`; at most BATCH_SIZE of them between two flushes. */
  add(flowNo: number, packetBytes: number, tcpFlags: number): void {
    const i32 = this.#i32;
    const place = flowNo & (GUESSES - 1);
    const guess = this.#guesses[place]!;
    let entry = this.#first + guess * ENTRY_WORDS;
    if (guess < this.#count && i32[entry] === flowNo) {
      i32[entry + 1]! += 1;
      i32[entry + 2]! += packetBytes;
      i32[entry + 3]! |= tcpFlags;
      return;
    }
    entry = this.#first + this.#count * ENTRY_WORDS;
    this.#guesses[place] = this.#count;
    this.#count += 1;
    i32[entry] = flowNo;
    i32[entry + 1] = 1;
    i32[entry + 2] = packetBytes;
    i32[entry + 3] = tcpFlags;
  }

  /** Adds what was collected to the flows' statistics. @param now [0] the time in milliseconds */
  flush(now: Float64Array): void {
    if (this.#count === 0) return;
    this.#arena.intrinsics.countFlows(this.#entries, this.#count, this.#stats, now[0]!);
    this.#count = 0;
  }
}
