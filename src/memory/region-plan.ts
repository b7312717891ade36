// The map of the arena: every region's name, offset, size and writer, computed once from the configuration.
// Views are made from this plan and nowhere else. Pages that nobody touches cost no memory, so regions are sized
// for the worst case of the configuration and the plan's sum is address space, not residence.
//
// Writers: `control` is the main thread, `handler` the upcall thread (the flow table's only writer), `worker` the
// worker that the part of the region belongs to, `owner` whoever holds the frame.
import { BATCH_BYTES, RECIRC_DEPTH_MAX } from "./batch-layout.ts";
import { ENGINE_SCRATCH_BYTES, FLOW_CACHE_BYTES, TX_ROUTE_BYTES } from "./engine-layout.ts";
import { FRAME_META_BYTES, FRAME_STACK_CAPACITY } from "./frame-layout.ts";

/** wasm32 reaches 4 GiB; the last page is left out so that an end offset still fits in 32 bits. */
export const ARENA_BYTES_MAX = 0x1_0000_0000 - 0x1_0000;
export const HUGE_PAGE_BYTES = 2 << 20;
export const PAGE_BYTES = 4096;
/** Two cache lines: the adjacent-line prefetcher pairs them, so words of different writers stand this far apart. */
export const LINE_PAIR_BYTES = 128;

export type RegionWriter = "control" | "handler" | "worker" | "owner" | "shared";

export interface Region {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
  readonly writer: RegionWriter;
}

/** What the configuration decides. Counts, unless the name says otherwise. */
export interface ArenaSizes {
  /** PMD workers. Threads are workers + handler + control. */
  readonly workerCount: number;
  readonly frameCount: number;
  /** 2048 or 4096: the chunk sizes that AF_XDP takes. */
  readonly frameBytes: number;
  readonly flowCountMax: number;
  readonly maskCountMax: number;
  readonly portCountMax: number;
  /** Bytes of each worker's upcall ring, a power of two. */
  readonly upcallRingBytes: number;
  /** Pages for the rings that the kernel shares with us (AF_XDP, TPACKET) and for ports' own rings. */
  readonly kernelRingBytes: number;
}

export const DEFAULT_SIZES: ArenaSizes = {
  workerCount: 1,
  frameCount: 32768,
  frameBytes: 2048,
  flowCountMax: 262144,
  maskCountMax: 1024,
  portCountMax: 256,
  upcallRingBytes: 1 << 20,
  kernelRingBytes: 64 << 20,
};

/** A packet may probe every mask, and the writer sorts them within a millisecond. */
export const MASK_COUNT_MAX = 4096;

/** Thread block: status, epoch, counters and drops of one thread (thread-block.ts). */
export const THREAD_BLOCK_BYTES = 8192;
export const PORT_BLOCK_BYTES = 256;
/** Sixteen 64-bit counters for each port and thread (port/counters.ts). */
export const PORT_COUNTER_BYTES = 128;
export const FLOW_RECORD_BYTES = 128;
export const FLOW_STATS_BYTES = 32;
export const SUBTABLE_BYTES = 4096;
/** Shapes of action lists that are told apart, and the room of each: its length, its list and the first list of it (table/shape-store.ts). */
export const ACTION_SHAPE_COUNT_MAX = 1024;
export const ACTION_SHAPE_STRIDE = 1024;
/** Hits and probes of one subtable by one thread (table/layout.ts). */
export const SUBTABLE_HITS_BYTES = 16;
/** Composed tunnel headers of one thread, a power of two, and the room of each: header and egress key (tunnel/). */
export const TUNNEL_HEADER_COUNT = 256;
export const TUNNEL_HEADER_STRIDE = 1024;
/** Bonds that lb_output knows, and the buckets of each: OVS's BOND_BUCKETS. */
export const BOND_COUNT_MAX = 128;
export const BOND_BUCKETS = 256;
/** Meter numbers: OVS's MAX_METERS. */
export const METER_COUNT_MAX = 1 << 18;
/** A meter's record: its head and eight bands (action/meter-layout.ts). */
export const METER_BYTES = 384;
export const REINJECT_RING_ENTRIES = 8192;
export const HANDOFF_RING_ENTRIES = 4096;

/** The handler's thread index; control's is one more. Workers are 0 .. workerCount - 1. */
export const handlerThread = (sizes: ArenaSizes): number => sizes.workerCount;
export const controlThread = (sizes: ArenaSizes): number => sizes.workerCount + 1;
export const threadCount = (sizes: ArenaSizes): number => sizes.workerCount + 2;

const alignUp = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment;
const powerOfTwoAtLeast = (value: number): number => 2 ** Math.ceil(Math.log2(value));

/**
 * Bytes of the heap of bucket arrays, a power of two as its allocator wants: every flow in an array a quarter full,
 * the array it grows out of, and as much again for arrays that wait for a grace period. Each mask has a smallest array.
 */
const bucketHeapBytes = (sizes: ArenaSizes): number =>
  powerOfTwoAtLeast(sizes.flowCountMax * 4 * 4 * 4 + sizes.maskCountMax * 512);

const ringBytes = (entries: number, wordsPerEntry: number): number =>
  3 * LINE_PAIR_BYTES + entries * wordsPerEntry * 4;
const recordRingBytes = (bytes: number): number => 3 * LINE_PAIR_BYTES + bytes;

/** One row for each region, in layout order; frames last, on huge pages where the system has them. */
function regionRows(sizes: ArenaSizes): readonly [name: string, bytes: number, writer: RegionWriter][] {
  const threads = threadCount(sizes);
  const { workerCount } = sizes;
  return [
    // Offset 0 stays unused: a zero offset always means "none".
    ["null", PAGE_BYTES, "shared"],
    ["globals", PAGE_BYTES, "shared"],
    ["threads", threads * THREAD_BLOCK_BYTES, "worker"],
    ["portNumbers", 65536 * 2, "control"],
    ["ports", sizes.portCountMax * PORT_BLOCK_BYTES, "control"],
    ["portCounters", threads * sizes.portCountMax * PORT_COUNTER_BYTES, "worker"],
    ["batches", threads * BATCH_BYTES, "worker"],
    ["recircBatches", threads * RECIRC_DEPTH_MAX * BATCH_BYTES, "worker"],
    ["engineScratch", threads * ENGINE_SCRATCH_BYTES, "worker"],
    ["flowCaches", threads * FLOW_CACHE_BYTES, "worker"],
    ["txRoutes", threads * sizes.portCountMax * TX_ROUTE_BYTES, "worker"],
    ["tunnelHeaders", threads * TUNNEL_HEADER_COUNT * TUNNEL_HEADER_STRIDE, "worker"],
    ["frameStacks", threads * FRAME_STACK_CAPACITY * 4, "worker"],
    ["upcallRings", workerCount * alignUp(recordRingBytes(sizes.upcallRingBytes), PAGE_BYTES), "worker"],
    ["reinjectRings", workerCount * alignUp(ringBytes(REINJECT_RING_ENTRIES, 4), PAGE_BYTES), "handler"],
    [
      "handoffRings",
      workerCount * workerCount * alignUp(ringBytes(HANDOFF_RING_ENTRIES, 2), PAGE_BYTES),
      "worker",
    ],
    ["bonds", BOND_COUNT_MAX * BOND_BUCKETS * 4, "handler"],
    ["bondCounters", threads * BOND_COUNT_MAX * BOND_BUCKETS * 8, "worker"],
    ["meters", METER_COUNT_MAX * METER_BYTES, "shared"],
    ["kernelRings", sizes.kernelRingBytes, "shared"],
    ["tableRoot", PAGE_BYTES + 2 * alignUp(sizes.maskCountMax * 4, PAGE_BYTES), "handler"],
    ["subtables", sizes.maskCountMax * SUBTABLE_BYTES, "handler"],
    ["subtableHits", threads * sizes.maskCountMax * SUBTABLE_HITS_BYTES, "worker"],
    ["buckets", bucketHeapBytes(sizes), "handler"],
    ["ufidIndex", powerOfTwoAtLeast(sizes.flowCountMax) * 2 * 4, "handler"],
    // Flow numbers start at 1; number 0 means "none" and keeps its place empty.
    ["flows", (sizes.flowCountMax + 1) * FLOW_RECORD_BYTES, "handler"],
    ["flowKeys", powerOfTwoAtLeast(Math.max(1 << 20, sizes.flowCountMax * 64)), "handler"],
    ["actions", powerOfTwoAtLeast(Math.max(4 << 20, sizes.flowCountMax * 64)), "handler"],
    ["actionShapes", ACTION_SHAPE_COUNT_MAX * ACTION_SHAPE_STRIDE, "handler"],
    ["flowStats", workerCount * (sizes.flowCountMax + 1) * FLOW_STATS_BYTES, "worker"],
    ["frameMeta", sizes.frameCount * FRAME_META_BYTES, "owner"],
    ["frames", sizes.frameCount * sizes.frameBytes, "owner"],
  ];
}

/** Regions that hot code walks at random start on a huge page, the others on a page. */
const HUGE_ALIGNED: ReadonlySet<string> = new Set([
  "buckets",
  "flows",
  "flowKeys",
  "actions",
  "flowStats",
  "frames",
]);

export interface RegionPlan {
  readonly sizes: ArenaSizes;
  readonly bytes: number;
  readonly regions: Readonly<Record<string, Region>>;
}

/**
 * Lays the arena out.
 * @throws RangeError that names the size to lower when the sum is above 4 GiB, or the size that is out of its range.
 */
export function planRegions(sizes: ArenaSizes): RegionPlan {
  checkSizes(sizes);
  const regions: Record<string, Region> = {};
  let offset = 0;
  let largest: { name: string; bytes: number } = { name: "null", bytes: 0 };
  for (const [name, bytes, writer] of regionRows(sizes)) {
    offset = alignUp(offset, HUGE_ALIGNED.has(name) ? HUGE_PAGE_BYTES : PAGE_BYTES);
    regions[name] = { name, offset, bytes, writer };
    offset += bytes;
    if (bytes > largest.bytes) largest = { name, bytes };
  }
  const bytes = alignUp(offset, HUGE_PAGE_BYTES);
  if (bytes > ARENA_BYTES_MAX) {
    throw new RangeError(
      `arena: the configuration needs ${bytes} bytes, 4 GiB is the most; lower ${sizeToLower(largest.name)} ` +
        `(${largest.name} takes ${largest.bytes} bytes)`,
    );
  }
  return { sizes, bytes, regions };
}

function sizeToLower(region: string): string {
  if (region.startsWith("frame")) return "memory.frames";
  if (region.startsWith("kernel")) return "memory.kernel-ring-bytes";
  if (/Rings$|atches$|^threads$|^engineScratch$|^flowCaches$/.test(region)) return "workers";
  if (region.startsWith("port") || region === "txRoutes") return "memory.ports";
  if (region.startsWith("subtable")) return "memory.masks";
  return "memory.flows";
}

function checkSizes(sizes: ArenaSizes): void {
  const rules: [name: string, value: number, least: number, most: number][] = [
    ["workers", sizes.workerCount, 0, 64],
    ["memory.frames", sizes.frameCount, 64, 1 << 22],
    ["memory.flows", sizes.flowCountMax, 1, (1 << 24) - 2],
    ["memory.masks", sizes.maskCountMax, 1, MASK_COUNT_MAX],
    ["memory.ports", sizes.portCountMax, 1, 65535],
    ["memory.kernel-ring-bytes", sizes.kernelRingBytes, 0, 1 << 30],
    ["memory.upcall-ring-bytes", sizes.upcallRingBytes, 1 << 17, 1 << 26],
  ];
  for (const [name, value, least, most] of rules) {
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new RangeError(`arena: ${name} is ${value}, it must be a whole number from ${least} to ${most}`);
    }
  }
  if (sizes.frameBytes !== 2048 && sizes.frameBytes !== 4096) {
    throw new RangeError(`arena: memory.frame-bytes is ${sizes.frameBytes}, AF_XDP takes 2048 or 4096`);
  }
  if (
    (sizes.upcallRingBytes & (sizes.upcallRingBytes - 1)) !== 0 ||
    sizes.kernelRingBytes % PAGE_BYTES !== 0
  ) {
    throw new RangeError(
      "arena: memory.upcall-ring-bytes must be a power of two, memory.kernel-ring-bytes whole pages",
    );
  }
}

/** The plan as text, a line for each region: what `millrace run` prints at start. */
export function formatPlan(plan: RegionPlan): string {
  const rows = Object.values(plan.regions).map(
    ({ name, offset, bytes, writer }) =>
      `  ${name.padEnd(14)} ${String(bytes).padStart(11)} bytes at ${offset.toString(16).padStart(8, "0")}  written by ${writer}`,
  );
  return `arena: ${plan.bytes} bytes\n${rows.join("\n")}`;
}
