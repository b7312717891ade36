// How much of a CPU this thread got: on a machine with other work the clock measures the others too.
import { existsSync, readFileSync } from "node:fs";

/** Nanoseconds that the thread ran, nanoseconds that it stood in the run queue, slices. */
const SCHEDSTAT = "/proc/thread-self/schedstat";

/** CPU time of this thread, as the kernel's scheduler counts it. Null on systems that don't. */
export function cpuSeconds(): number | null {
  if (!existsSync(SCHEDSTAT)) return null;
  return Number(readFileSync(SCHEDSTAT, "utf8").split(" ")[0]) / 1e9;
}
