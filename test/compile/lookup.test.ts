// Compiled look-ups against the reference's: random tables of up to 16 masks, of which some have probes of their own and
// the others go to the general one, with flows put and removed in between. The flow of every packet and every counter
// must be the same.
import fc from "fast-check";
import t from "tap";
import { emitLookup } from "../../src/compile/emit/lookup.ts";
import { EmitScope } from "../../src/compile/emit/scope.ts";
import { readMasks } from "../../src/compile/table-masks.ts";
import { readThreadTotals } from "../../src/datapath/counters.ts";
import { KEY_BYTES } from "../../src/flow/fields.ts";
import { BATCH, BATCH_BYTES } from "../../src/memory/batch-layout.ts";
import { subtableHitsOffset } from "../../src/table/layout.ts";
import { TableReader } from "../../src/table/table-reader.ts";
import { runs } from "../support/seed.ts";
import {
  createTable,
  keyBits,
  keyOfBits,
  maskBits,
  maskOfBits,
  outputTo,
  settle,
  type TestTable,
} from "../table/model.ts";

type Lookup = (batch: number, count: number) => number;

/** Worker 0 looks up by the reference, worker 1 by the program. */
const REFERENCE = 0;
const COMPILED = 1;

function compile({ arena }: TestTable, masksKept: (index: number) => boolean): Lookup {
  const scope = new EmitScope(arena, "lookup");
  const entry = emitLookup(
    scope,
    readMasks(arena).filter((_, index) => masksKept(index)),
  );
  scope.module.exportFunction("lookup", entry);
  const module = new WebAssembly.Module(scope.module.encode());
  const { exports } = new WebAssembly.Instance(module, EmitScope.imports(arena, COMPILED));
  return exports["lookup"] as Lookup;
}

function batchOf({ arena }: TestTable, thread: number, keys: readonly number[]): number {
  const batch = arena.region("batches").offset + thread * BATCH_BYTES;
  for (const [slot, bits] of keys.entries())
    arena.u8.set(keyOfBits(bits), batch + BATCH.keys + slot * KEY_BYTES);
  arena.u32.fill(0xdeadbeef, (batch + BATCH.flow) >>> 2, ((batch + BATCH.flow) >>> 2) + 64);
  return batch;
}

const flowsOf = ({ arena }: TestTable, batch: number, count: number): number[] => [
  ...arena.i32.subarray((batch + BATCH.flow) >>> 2, ((batch + BATCH.flow) >>> 2) + count),
];

function hitsOf({ arena }: TestTable, thread: number): number[] {
  const first = subtableHitsOffset(arena, thread, 0) >>> 3;
  return [...arena.f64.subarray(first, first + 2 * arena.plan.sizes.maskCountMax)];
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ put: keyBits, mask: maskBits }) },
  { weight: 1, arbitrary: fc.record({ remove: fc.nat(1000) }) },
  { weight: 3, arbitrary: fc.record({ lookup: fc.array(keyBits, { minLength: 1, maxLength: 64 }) }) },
  { weight: 1, arbitrary: fc.record({ sort: fc.constant(true) }) },
  { weight: 1, arbitrary: fc.record({ compile: fc.nat(0xffff) }) },
);

t.test("every flow and every count as the reference", (t) => {
  let cacheHits = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 150 }), (steps) => {
      const test = createTable();
      const { arena, table } = test;
      const reader = new TableReader(arena, REFERENCE);
      let lookup = compile(test, () => false);
      const flows: number[] = [];
      let probes = 0;
      for (const one of steps) {
        if ("put" in one) {
          const put = {
            key: keyOfBits(one.put),
            mask: maskOfBits(one.mask),
            actions: outputTo(1),
            ufid: undefined,
          };
          const result = table.put({ ...put, create: true, modify: false, operator: true, nowMillis: 1 });
          if (result.error === null) flows.push(result.flowNo);
        } else if ("remove" in one) {
          const [flowNo] = flows.splice(one.remove % Math.max(1, flows.length), 1);
          if (flowNo !== undefined) table.remove(flowNo);
        } else if ("sort" in one) {
          table.sortSubtables();
          settle(test);
        } else if ("compile" in one) {
          lookup = compile(test, (index) => one.compile > 0x7fff || ((one.compile >>> index) & 1) === 1);
        } else {
          // Twice, so that the second time the cache knows what the first has learned.
          for (let time = 0; time < 2; time += 1) {
            const count = one.lookup.length;
            const expectedBatch = batchOf(test, REFERENCE, one.lookup);
            const batch = batchOf(test, COMPILED, one.lookup);
            const expectedHits = reader.lookupBatch(expectedBatch, count);
            if (lookup(batch, count) !== expectedHits) return false;
            if (flowsOf(test, batch, count).join() !== flowsOf(test, expectedBatch, count).join())
              return false;
            probes += count;
          }
        }
      }
      const { counters } = readThreadTotals(arena, COMPILED);
      // What the cache answers no subtable is probed for.
      const same =
        counters.cache_hit > 0
          ? counters.masks_probed < reader.probes
          : counters.masks_probed === reader.probes &&
            hitsOf(test, COMPILED).join() === hitsOf(test, REFERENCE).join();
      cacheHits += counters.cache_hit;
      settle(test);
      return same && counters.lookup_hit + counters.lookup_miss === probes;
    }),
    runs(150),
  );
  t.ok(cacheHits > 0, `the cache answered ${cacheHits} times`);
  t.end();
});

t.test("a subtable whose id is used again for another mask is not taken for the first", (t) => {
  const test = createTable({ maskCountMax: 1 });
  const put = (bits: number, mask: number): number => {
    const entry = { key: keyOfBits(bits), mask: maskOfBits(mask), actions: outputTo(1), ufid: undefined };
    const result = test.table.put({ ...entry, create: true, modify: false, operator: true, nowMillis: 1 });
    if (result.error !== null) throw new Error(result.error);
    return result.flowNo;
  };
  const first = put(0x05, 0x05);
  const lookup = compile(test, () => true);
  const batch = batchOf(test, COMPILED, [0x05, 0x04]);
  t.equal(lookup(batch, 2), 1);
  t.strictSame(flowsOf(test, batch, 2), [first, 0]);
  test.table.remove(first);
  settle(test);
  test.table.sortSubtables();
  settle(test);
  const second = put(0x04, 0x04);
  t.equal(lookup(batch, 2), 2, "the general probe serves the new mask");
  t.strictSame(flowsOf(test, batch, 2), [second, second]);
  t.end();
});
