// The policy of memory.huge-pages, under kernels that give all huge pages, none, or not even transparent ones.
import t from "tap";
import { mapHugePages } from "../../src/control/huge-pages.ts";
import { HUGE_PAGE_BYTES } from "../../src/memory/region-plan.ts";
import { nativeUnavailable } from "../../src/native.ts";
import { createTestArena } from "../support/dataplane.ts";
import { kernelRefusal, plant } from "../support/plant.ts";

const skip = nativeUnavailable() ?? false;
const FRAMES = 2 * (HUGE_PAGE_BYTES / 2048);

/** An arena whose frames take two huge pages; what is called of the kernel, and what it answers. */
function kernel(t: Parameters<typeof plant>[0], explicit: boolean, transparent: boolean) {
  const { arena } = createTestArena({ frameCount: FRAMES });
  const calls: string[] = [];
  const regionAt = (offset: number): string =>
    Object.values(arena.plan.regions).find((region) => region.offset === offset)?.name ?? `${offset}`;
  plant(t, "pagesMapHuge", () => (_u8, offset, bytes) => {
    calls.push(`map ${regionAt(offset)} ${bytes / HUGE_PAGE_BYTES}`);
    if (!explicit) throw kernelRefusal("mmap", "huge pages", "ENOMEM", 12);
  });
  plant(t, "pagesAdviseHuge", () => (_u8, offset, bytes) => {
    calls.push(`advise ${regionAt(offset)} ${bytes / HUGE_PAGE_BYTES}`);
    if (!transparent) throw kernelRefusal("madvise", "huge pages", "EINVAL", 22);
  });
  return { arena, calls };
}

t.test("off asks the kernel for nothing", { skip }, async (t) => {
  const { arena, calls } = kernel(t, true, true);
  t.equal(mapHugePages(arena, "off"), "huge pages: off");
  t.strictSame(calls, []);
});

for (const wanted of ["auto", "require"] as const) {
  t.test(`${wanted} takes explicit ones where the kernel has them`, { skip }, async (t) => {
    const { arena, calls } = kernel(t, true, true);
    t.match(mapHugePages(arena, wanted), /^huge pages: frames 4 MiB, /);
    t.equal(calls[0], "map frames 2");
    t.notOk(
      calls.some((call) => call.startsWith("advise frames")),
      "no second wish",
    );
    t.notOk(
      calls.some((call) => call.startsWith("map flowStats")),
      "statistics are sparse",
    );
  });
}

t.test("auto goes on with transparent ones, then with ordinary pages", { skip }, async (t) => {
  const { arena, calls } = kernel(t, false, true);
  t.match(mapHugePages(arena, "auto"), /^huge pages: frames transparent, /);
  t.strictSame(calls.slice(0, 2), ["map frames 2", "advise frames 2"]);
  const poor = kernel(t, false, false);
  t.match(mapHugePages(poor.arena, "auto"), /^huge pages: frames ordinary \(EINVAL\), /);
});

t.test("require refuses to go on without, with the number that is missing", { skip }, async (t) => {
  const { arena, calls } = kernel(t, false, true);
  t.throws(() => mapHugePages(arena, "require"), {
    message:
      "huge pages: frames needs 2 of 2 MiB (ENOMEM); raise vm.nr_hugepages or set memory.huge-pages to auto",
  });
  t.strictSame(calls, ["map frames 2"]);
});

t.test("an error that is not the kernel's is no answer", { skip }, async (t) => {
  const { arena } = kernel(t, true, true);
  plant(t, "pagesMapHuge", () => () => {
    throw new RangeError("beyond the arena");
  });
  t.throws(() => mapHugePages(arena, "auto"), { name: "RangeError", message: "beyond the arena" });
});
