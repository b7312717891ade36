// The region plan for any configuration: regions in order, apart, aligned and inside; refusals name what to lower.
import fc from "fast-check";
import t from "tap";
import {
  ARENA_BYTES_MAX,
  type ArenaSizes,
  DEFAULT_SIZES,
  formatPlan,
  HUGE_PAGE_BYTES,
  PAGE_BYTES,
  planRegions,
} from "../../src/memory/region-plan.ts";
import { runs } from "../support/seed.ts";

const sizes: fc.Arbitrary<ArenaSizes> = fc.record({
  workerCount: fc.integer({ min: 0, max: 16 }),
  frameCount: fc.integer({ min: 64, max: 200_000 }),
  frameBytes: fc.constantFrom(2048, 4096),
  flowCountMax: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 1_000_000 })),
  maskCountMax: fc.integer({ min: 1, max: 4096 }),
  portCountMax: fc.integer({ min: 1, max: 2048 }),
  upcallRingBytes: fc.constantFrom(1 << 17, 1 << 20),
  kernelRingBytes: fc.integer({ min: 0, max: 1000 }).map((pages) => pages * PAGE_BYTES),
});

t.test("regions do not overlap, are aligned and lie inside", async (t) => {
  fc.assert(
    fc.property(sizes, (size) => {
      let plan: ReturnType<typeof planRegions>;
      try {
        plan = planRegions(size);
      } catch (error) {
        // Large configurations may not fit; then the refusal says by how much and what to lower.
        return (
          error instanceof RangeError &&
          /needs \d+ bytes, .*lower (memory\.[a-z-]+|workers)/.test(error.message)
        );
      }
      let end = 0;
      for (const { offset, bytes } of Object.values(plan.regions)) {
        if (offset < end || offset % PAGE_BYTES !== 0 || bytes < 0 || !Number.isInteger(bytes)) return false;
        end = offset + bytes;
      }
      const huge = ["buckets", "flows", "frames"].every(
        (name) => plan.regions[name]!.offset % HUGE_PAGE_BYTES === 0,
      );
      return huge && end <= plan.bytes && plan.bytes <= ARENA_BYTES_MAX && plan.regions["null"]!.offset === 0;
    }),
    runs(300),
  );
  t.pass("every configuration");
});

t.test("a configuration above 4 GiB says which number to lower", async (t) => {
  const needs =
    (change: Partial<ArenaSizes>): (() => unknown) =>
    () =>
      planRegions({ ...DEFAULT_SIZES, ...change });
  t.throws(needs({ frameCount: 1 << 22 }), { name: "RangeError", message: /lower memory\.frames/ });
  t.throws(needs({ flowCountMax: 12_000_000 }), { name: "RangeError", message: /lower memory\.flows/ });
  t.throws(needs({ kernelRingBytes: 1 << 30, frameCount: 1_600_000 }), { message: /lower memory\.frames/ });
});

t.test("a size out of its range is refused by its name", async (t) => {
  const wrong: [Partial<ArenaSizes>, RegExp][] = [
    [{ workerCount: 65 }, /workers is 65/],
    [{ frameCount: 10 }, /memory\.frames is 10/],
    [{ frameBytes: 3000 }, /memory\.frame-bytes is 3000/],
    [{ flowCountMax: 1 << 24 }, /memory\.flows is 16777216/],
    [{ maskCountMax: 4097 }, /memory\.masks is 4097/],
    [{ portCountMax: 1.5 }, /memory\.ports is 1\.5/],
    [{ upcallRingBytes: 200_000 }, /upcall-ring-bytes must be a power of two/],
    [{ kernelRingBytes: 4097 }, /kernel-ring-bytes whole pages/],
  ];
  for (const [change, message] of wrong) {
    t.throws(() => planRegions({ ...DEFAULT_SIZES, ...change }), { name: "RangeError", message });
  }
});

t.test("the printed plan has a line for each region", async (t) => {
  const plan = planRegions(DEFAULT_SIZES);
  const lines = formatPlan(plan).split("\n");
  t.equal(lines.length, 1 + Object.keys(plan.regions).length);
  t.match(lines[0], `arena: ${plan.bytes} bytes`);
});
