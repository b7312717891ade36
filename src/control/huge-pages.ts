// Huge pages under the regions that hot code walks at random. Explicit ones (hugetlb) where the system has them to
// give, transparent ones where it does not; without either the switch works, only with more TLB misses.
import type { Arena } from "../memory/arena.ts";
import { HUGE_PAGE_BYTES } from "../memory/region-plan.ts";
import { isNativeError, native, nativeUnavailable } from "../native.ts";

export type HugePages = "auto" | "off" | "require";

/** Regions that start on a huge page, the most used first. */
const REGIONS = ["frames", "buckets", "flows", "flowStats"] as const;

/**
 * Maps huge pages; called before anything is written to the arena.
 * @returns a line for the log
 * @throws Error under `require` when there are none
 */
export function mapHugePages(arena: Arena, wanted: HugePages): string {
  if (wanted === "off") return "huge pages: off";
  const unavailable = nativeUnavailable();
  if (unavailable !== undefined) {
    if (wanted === "require")
      throw new Error(`huge pages: ${unavailable}; set memory.huge-pages to auto or off`);
    return `huge pages: none, ${unavailable}`;
  }
  const results = REGIONS.map((name) => `${name} ${mapRegion(arena, name, wanted)}`);
  return `huge pages: ${results.join(", ")}`;
}

function mapRegion(arena: Arena, name: string, wanted: HugePages): string {
  const { offset, bytes } = arena.region(name);
  const whole = Math.floor(bytes / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES;
  if (whole === 0) return "too small";
  // Statistics are sized for all threads and mostly never touched: explicit huge pages would hold them all.
  if (name !== "flowStats") {
    try {
      native().pagesMapHuge(arena.u8, offset, whole);
      return `${whole >>> 20} MiB`;
    } catch (error) {
      if (!isNativeError(error)) throw error;
      if (wanted === "require") {
        throw new Error(
          `huge pages: ${name} needs ${whole / HUGE_PAGE_BYTES} of 2 MiB (${error.code}); raise vm.nr_hugepages or set memory.huge-pages to auto`,
          { cause: error },
        );
      }
    }
  }
  try {
    native().pagesAdviseHuge(arena.u8, offset, whole);
    return "transparent";
  } catch (error) {
    if (!isNativeError(error)) throw error;
    return `ordinary (${error.code})`;
  }
}
