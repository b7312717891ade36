// Dumps in slices beside a writer: for any changes between slices, a flow that was there all the time is shown exactly
// once and with one of its states, and no flow is shown twice or was made after the dump began.
import fc from "fast-check";
import t from "tap";
import { EpochReader } from "../../src/memory/epoch.ts";
import { controlThread } from "../../src/memory/region-plan.ts";
import { CURSOR_SLICE_NUMBERS, FlowCursor } from "../../src/table/flow-cursor.ts";
import { runs } from "../support/seed.ts";
import { createTable, fiveTuple, fiveTupleMask, outputTo, settle, type TestTable } from "./model.ts";

const FLOWS = CURSOR_SLICE_NUMBERS * 4;
const mask = fiveTupleMask();

function put({ table }: TestTable, n: number): number {
  const result = table.put({
    key: fiveTuple(n),
    mask,
    actions: outputTo(n),
    create: true,
    modify: false,
    operator: false,
    nowMillis: 0,
  });
  if (result.error !== null) throw new Error(`put ${n}: ${result.error}`);
  return result.flowNo;
}

/** Between two slices: which flows go, which come (some of them again), whether background work gets its turn. */
const between = fc.record({
  remove: fc.array(fc.nat(FLOWS - 1), { maxLength: 200 }),
  put: fc.array(fc.nat(FLOWS * 2 - 1), { maxLength: 200 }),
  steps: fc.nat(3),
  flush: fc.constantFrom(false, false, false, true),
});

t.test("changes between slices", async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: FLOWS }),
      fc.array(between, { minLength: 4, maxLength: 8 }),
      (count, changes) => {
        const test = createTable({ flowCountMax: FLOWS * 2 });
        const { arena, table } = test;
        const control = new EpochReader(arena, controlThread(arena.plan.sizes));
        for (let n = 0; n < count; n += 1) put(test, n);
        const always = new Set(Array.from({ length: count }, (_, n) => n));
        const atStart = new Set(always);
        const shown = new Map<string, number>();
        const cursor = new FlowCursor(arena, control);
        for (let slice = 0; !cursor.done; slice += 1) {
          for (const { key } of cursor.next()) {
            const text = Buffer.from(key).toString("hex");
            shown.set(text, (shown.get(text) ?? 0) + 1);
          }
          const change = changes[slice];
          if (change === undefined) continue;
          for (const n of change.remove) {
            const flowNo = table.findByKey(fiveTuple(n));
            if (flowNo !== 0) table.remove(flowNo);
            always.delete(n);
          }
          if (change.flush) {
            table.flush();
            always.clear();
          }
          for (let step = 0; step < change.steps; step += 1) table.step();
          for (const n of change.put) if (table.findByKey(fiveTuple(n)) === 0) put(test, n);
        }
        const text = (n: number): string => Buffer.from(fiveTuple(n)).toString("hex");
        for (const n of always) if (shown.get(text(n)) !== 1) return false;
        const allowed = new Set([...atStart].map(text));
        for (const [key, times] of shown) if (times !== 1 || !allowed.has(key)) return false;
        return true;
      },
    ),
    runs(60),
  );
  t.pass("every schedule");
});

t.test("a reader in the middle of a slice holds back what it may still see, and only then", async (t) => {
  const test = createTable({ flowCountMax: 512 });
  const { arena, table } = test;
  const flowNo = put(test, 1);
  const cursor = new FlowCursor(arena, new EpochReader(arena, controlThread(arena.plan.sizes)));
  cursor.walk(() => {
    table.remove(flowNo);
    for (let step = 0; step < 5; step += 1) table.step();
    t.equal(table.memory.deadFlows, 1, "within the slice the flow is kept");
  });
  settle(test);
  t.equal(table.memory.deadFlows, 0, "after it the flow goes");
});

t.test("an empty table is done at once", async (t) => {
  const { arena } = createTable();
  const cursor = new FlowCursor(arena, null);
  t.ok(cursor.done);
  t.strictSame(cursor.next(), []);
});

t.test("flags, times and residue of a flow are shown as they were given", async (t) => {
  const { arena, table } = createTable();
  const key = fiveTuple(77);
  key[20] = 9;
  key[600] = 3;
  key[639] = 8;
  table.put({
    key,
    mask,
    actions: outputTo(3),
    create: true,
    modify: false,
    operator: true,
    nowMillis: 123456.5,
  });
  const [view] = new FlowCursor(arena, null).next();
  t.same(view!.key, key, "bits outside the mask as well");
  t.same(view!.mask, mask);
  t.ok(view!.operator);
  t.equal(view!.createdMillis, 123456.5);
});
