// Statistics of the flows that one burst hits, collected so that each flow is counted once a burst however many of its
// packets are in it.
//
// Which of the collected flows a packet belongs to is found through a small table of guesses that is never cleared: a
// guess counts only when the entry it names is in use and is of that flow. Two flows that share a guess just get an
// entry twice. Per packet: a few loads and stores. Per burst and flow: one intrinsic.
// Memory: arrays of its own; writes this thread's part of flowStats.
import type { Arena } from "../memory/arena.ts";
import { BATCH_SIZE } from "../memory/batch-layout.ts";
import { FLOW_STATS_BYTES } from "../memory/region-plan.ts";
import type { TableReader } from "../table/table-reader.ts";

const GUESSES = 256;
const STATS_STRIDE = FLOW_STATS_BYTES;

export class FlowCounts {
  readonly #arena: Arena;
  readonly #stats: number;
  readonly #guesses = new Uint8Array(GUESSES);
  readonly #flows = new Int32Array(BATCH_SIZE);
  readonly #packets = new Int32Array(BATCH_SIZE);
  readonly #bytes = new Int32Array(BATCH_SIZE);
  readonly #tcpFlags = new Int32Array(BATCH_SIZE);
  #count = 0;

  constructor(arena: Arena, table: TableReader) {
    this.#arena = arena;
    this.#stats = table.statsOffset(0);
  }

  /** Counts a packet of flow `flowNo`; at most BATCH_SIZE of them between two flushes. */
  add(flowNo: number, packetBytes: number, tcpFlags: number): void {
    const place = flowNo & (GUESSES - 1);
    const guess = this.#guesses[place]!;
    if (guess < this.#count && this.#flows[guess] === flowNo) {
      this.#packets[guess]! += 1;
      this.#bytes[guess]! += packetBytes;
      this.#tcpFlags[guess]! |= tcpFlags;
      return;
    }
    const entry = this.#count;
    this.#count = entry + 1;
    this.#guesses[place] = entry;
    this.#flows[entry] = flowNo;
    this.#packets[entry] = 1;
    this.#bytes[entry] = packetBytes;
    this.#tcpFlags[entry] = tcpFlags;
  }

  /** Adds what was collected to the flows' statistics. @param now [0] the time in milliseconds */
  flush(now: Float64Array): void {
    const { intrinsics } = this.#arena;
    for (let entry = 0; entry < this.#count; entry += 1) {
      intrinsics.countFlow(
        this.#stats + this.#flows[entry]! * STATS_STRIDE,
        this.#packets[entry]!,
        this.#bytes[entry]!,
        now[0]!,
        this.#tcpFlags[entry]!,
      );
    }
    this.#count = 0;
  }
}
