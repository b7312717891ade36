// Pages of the kernelRings region against a model: a map of which page belongs to whom.
import fc from "fast-check";
import t from "tap";
import { PAGE_BYTES } from "../../src/memory/region-plan.ts";
import { ArenaPages } from "../../src/port/page-allocator.ts";
import { createTestArena } from "../support/dataplane.ts";
import { runs } from "../support/seed.ts";

const PAGES = 16;
const { arena } = createTestArena({ kernelRingBytes: PAGES * PAGE_BYTES });
const { offset: start } = arena.region("kernelRings");

const step = fc.oneof(
  fc.record({ bytes: fc.integer({ min: 1, max: 6 * PAGE_BYTES }) }),
  fc.record({ index: fc.nat(PAGES) }),
);

/** The first run of `count` pages that nobody has, or -1: first fit. */
function firstFit(pages: readonly boolean[], count: number): number {
  for (let page = 0; page + count <= PAGES; page += 1) {
    if (pages.slice(page, page + count).every((taken) => !taken)) return page;
  }
  return -1;
}

t.test("any order of allocations and frees is the model's", async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const pages = new ArenaPages(arena);
      const taken = new Array<boolean>(PAGES).fill(false);
      const held: { offset: number; bytes: number }[] = [];
      for (const one of steps) {
        if ("bytes" in one) {
          const count = Math.ceil(one.bytes / PAGE_BYTES);
          const page = firstFit(taken, count);
          if (page < 0) {
            t.throws(() => pages.allocate(one.bytes), { message: /raise memory\.kernel-ring-bytes/ });
            continue;
          }
          const offset = pages.allocate(one.bytes);
          t.equal(offset, start + page * PAGE_BYTES);
          t.ok(
            arena.u8.subarray(offset, offset + count * PAGE_BYTES).every((byte) => byte === 0),
            "zeroed",
          );
          arena.u8.fill(0xaa, offset, offset + count * PAGE_BYTES);
          taken.fill(true, page, page + count);
          held.push({ offset, bytes: one.bytes });
        } else {
          const [range] = held.splice(one.index % (held.length || 1), 1);
          if (range === undefined) continue;
          pages.free(range.offset, range.bytes);
          const page = (range.offset - start) / PAGE_BYTES;
          taken.fill(false, page, page + Math.ceil(range.bytes / PAGE_BYTES));
        }
        t.equal(pages.freeBytes, taken.filter((isTaken) => !isTaken).length * PAGE_BYTES);
      }
    }),
    runs(150),
  );
});

t.test("freeing twice is an error that changes nothing", async (t) => {
  const pages = new ArenaPages(arena);
  const [first, second] = [pages.allocate(PAGE_BYTES), pages.allocate(2 * PAGE_BYTES)];
  pages.free(first, PAGE_BYTES);
  const before = pages.freeBytes;
  t.throws(() => pages.free(first, PAGE_BYTES), /are free already/);
  pages.free(second, 2 * PAGE_BYTES);
  t.throws(() => pages.free(second, PAGE_BYTES), /are free already/);
  t.equal(pages.freeBytes, before + 2 * PAGE_BYTES);
  t.equal(pages.allocate(PAGES * PAGE_BYTES), start, "all is one range again");
});
