// The heap against a model: blocks are apart, aligned and inside, and everything given back merges to the whole again.
import fc from "fast-check";
import t from "tap";
import { Heap } from "../../src/table/heap.ts";
import { runs } from "../support/seed.ts";
import { createTable } from "./model.ts";

const { arena } = createTable();
const UNIT = 16;
const REGION = arena.region("flowKeys");

t.test("random blocks against a model", async (t) => {
  const size = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 70_000 }));
  const step = fc.oneof(
    fc.record({ alloc: size, free: fc.constant(-1) }),
    fc.record({ alloc: fc.constant(0), free: fc.nat(1000) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = new Heap(arena, "flowKeys", UNIT);
      const blocks: { block: number; bytes: number }[] = [];
      for (const { alloc, free } of steps) {
        if (alloc > 0) {
          const block = heap.alloc(alloc);
          if (block === 0) continue;
          const bytes = UNIT * 2 ** Math.ceil(Math.log2(Math.max(1, alloc / UNIT)));
          const offset = heap.offset(block);
          if ((offset - REGION.offset) % bytes !== 0) return false;
          if (offset < REGION.offset + UNIT || offset + bytes > REGION.offset + REGION.bytes) return false;
          if (heap.word(block) !== offset / 4) return false;
          if (
            blocks.some(
              (other) => block < other.block + other.bytes / UNIT && other.block < block + bytes / UNIT,
            )
          ) {
            return false;
          }
          // What a block holds is its owner's; links of free blocks must not be led astray by it.
          arena.u8.fill(0xff, offset, offset + bytes);
          blocks.push({ block, bytes });
        } else if (blocks.length > 0) {
          heap.free(blocks.splice(free % blocks.length, 1)[0]!.block);
        }
        if (heap.usedBytes !== blocks.reduce((sum, { bytes }) => sum + bytes, 0)) return false;
      }
      for (const { block } of blocks) heap.free(block);
      // Half of the region in one block: only when all smaller ones merged.
      return heap.usedBytes === 0 && heap.alloc(REGION.bytes / 2) !== 0;
    }),
    runs(300),
  );
  t.pass("every sequence");
});

t.test("a full heap says so and serves again", async (t) => {
  const heap = new Heap(arena, "flowKeys", UNIT);
  t.not(heap.alloc(REGION.bytes / 2), 0);
  t.equal(heap.alloc(REGION.bytes / 2), 0);
  const quarter = heap.alloc(REGION.bytes / 4);
  t.not(quarter, 0);
  heap.free(quarter);
  t.not(heap.alloc(REGION.bytes / 4), 0);
});

t.test("a double free, and a block that nobody was given, are refused", async (t) => {
  const heap = new Heap(arena, "flowKeys", UNIT);
  const block = heap.alloc(64);
  heap.free(block);
  t.throws(() => heap.free(block), {
    message: `heap flowKeys: block ${block} is freed, but nobody was given it`,
  });
  t.throws(() => heap.free(0), /nobody was given it/);
  t.throws(() => new Heap(arena, "flowKeys", 24), RangeError);
});
