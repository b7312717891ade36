// A reader of readers.test.ts: looks random flows up, or dumps the table, while another thread changes it, and checks
// that everything it finds is whole. A flow's actions follow from its key: output ports are a checksum of the key and
// the flow's turn, so key and actions that do not belong together give themselves away.
import type { Arena } from "../../src/memory/arena.ts";
import { BATCH } from "../../src/memory/batch-layout.ts";
import { EpochReader } from "../../src/memory/epoch.ts";
import { controlThread } from "../../src/memory/region-plan.ts";
import { FlowCursor } from "../../src/table/flow-cursor.ts";
import { TableReader } from "../../src/table/table-reader.ts";
import { SeededRandom } from "../support/random.ts";
import { runThread, type ThreadContext } from "../support/threads.ts";
import { checkActions, churnKey } from "./churn.ts";

export interface ReaderOptions {
  readonly role: "lookup" | "dump";
  readonly threadIndex: number;
  readonly seed: number;
  readonly flowCount: number;
  /** Flows 0 .. fixedCount - 1 are never removed: a look-up that misses one of them is wrong. */
  readonly fixedCount: number;
}

export interface ReaderResult {
  readonly checked: number;
  readonly errors: string[];
}

const ERRORS_MAX = 5;
const BATCH_PACKETS = 32;

function lookups({ arena, options, stopping }: ThreadContext<ReaderOptions>): ReaderResult {
  const random = new SeededRandom(options.seed);
  const reader = new TableReader(arena, options.threadIndex);
  const epochs = new EpochReader(arena, options.threadIndex);
  const batch = arena.region("batches").offset + options.threadIndex * 65536;
  const keys = Array.from({ length: options.flowCount }, (_, n) => churnKey(n));
  const errors: string[] = [];
  const numbers = new Int32Array(BATCH_PACKETS);
  let checked = 0;
  while (!stopping() && errors.length < ERRORS_MAX) {
    epochs.quiesce();
    for (let packet = 0; packet < BATCH_PACKETS; packet += 1) {
      numbers[packet] = random.below(options.flowCount);
      arena.u8.set(keys[numbers[packet]!]!, batch + BATCH.keys + packet * 640);
    }
    reader.lookupBatch(batch, BATCH_PACKETS);
    for (let packet = 0; packet < BATCH_PACKETS; packet += 1) {
      const flowNo = arena.u32[((batch + BATCH.flow) >>> 2) + packet]!;
      const error = checkHit(arena, reader, flowNo, numbers[packet]!, options.fixedCount);
      if (error !== "") errors.push(error);
      if (flowNo !== 0) checked += 1;
    }
  }
  epochs.goOffline();
  return { checked, errors };
}

function checkHit(arena: Arena, reader: TableReader, flowNo: number, n: number, fixedCount: number): string {
  if (flowNo === 0) return n < fixedCount ? `key ${n} is always in the table, but was missed` : "";
  const list = reader.actionList(flowNo);
  const from = reader.actionsOffset(list);
  const actions = arena.u8.subarray(from, from + reader.actionsBytes(list));
  return checkActions(n, actions) ? "" : `key ${n} hit flow ${flowNo} with the actions of another`;
}

function dumps({ arena, options, stopping }: ThreadContext<ReaderOptions>): ReaderResult {
  const epochs = new EpochReader(arena, controlThread(arena.plan.sizes));
  const errors: string[] = [];
  let checked = 0;
  while (!stopping() && errors.length < ERRORS_MAX) {
    const cursor = new FlowCursor(arena, epochs);
    const seen = new Set<number>();
    while (!cursor.done) {
      for (const { key, actions, flowNo } of cursor.next()) {
        const n = new DataView(key.buffer).getUint32(0, true) - 1;
        if (seen.has(n)) errors.push(`key ${n} is dumped twice`);
        seen.add(n);
        if (Buffer.compare(key, churnKey(n)) !== 0) errors.push(`flow ${flowNo} has half of a key`);
        if (!checkActions(n, actions)) errors.push(`key ${n} is dumped with the actions of another`);
        checked += 1;
      }
    }
    for (let n = 0; n < options.fixedCount; n += 1)
      if (!seen.has(n)) errors.push(`key ${n} is missing in a dump`);
  }
  return { checked, errors };
}

runThread<ReaderOptions>((context) =>
  context.options.role === "lookup" ? lookups(context) : dumps(context),
);
