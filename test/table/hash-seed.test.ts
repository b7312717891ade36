// Why hashes are seeded: keys that somebody chose to fall into one bucket under a seed that he knew lie apart under
// another one.
import t from "tap";
import { BATCH } from "../../src/memory/batch-layout.ts";
import { setHashSeed } from "../../src/table/hash.ts";
import { TableReader } from "../../src/table/table-reader.ts";
import { SEED } from "../support/seed.ts";
import { createTable, fiveTuple, fiveTupleMask, outputTo } from "./model.ts";

const BUCKETS = 1024;
const CHOSEN = 64;

/** The bucket of the nth five-tuple in an array of BUCKETS places, under a seed. */
function bucketsUnder(seed: number): (n: number) => number {
  const { arena, table } = createTable();
  const how = { create: true, modify: false, operator: false, nowMillis: 0 };
  const put = table.put({ key: fiveTuple(0), mask: fiveTupleMask(), actions: outputTo(1), ...how });
  if (put.error !== null) throw new Error(put.error);
  setHashSeed(arena, seed);
  const reader = new TableReader(arena, 0);
  const keyAt = arena.region("batches").offset + BATCH.spareKey;
  return (n) => {
    arena.u8.set(fiveTuple(n), keyAt);
    return reader.hash(keyAt, 0) & (BUCKETS - 1);
  };
}

t.test("keys that collide under one seed do not under another", async (t) => {
  const [known, other] = [bucketsUnder(SEED), bucketsUnder(SEED ^ 0x5bd1e995)];
  const target = known(0);
  const chosen: number[] = [];
  for (let n = 0; chosen.length < CHOSEN; n += 1) if (known(n) === target) chosen.push(n);
  t.same([...new Set(chosen.map(bucketsUnder(SEED)))], [target], "the same seed gives the same hashes");
  const spread = new Set(chosen.map(other)).size;
  // Balls into bins: 62 of 64 are expected apart, and fewer than half has no chance at all.
  t.ok(spread > CHOSEN / 2, `${CHOSEN} keys of one bucket lie in ${spread}`);
});
