// Figures of the megaflow table: time and memory of a million flows, and the cost of a look-up. Prints, asserts nothing
// but that every answer is right.
//   node build/scripts/bench-table.js [--flows 1000000] [--lookup-flows 10000] [--masks 1] [--seconds 2]
import { parseArgs } from "node:util";
import { K, KEY_BYTES } from "../src/flow/fields.ts";
import { Arena } from "../src/memory/arena.ts";
import { BATCH, BATCH_SIZE } from "../src/memory/batch-layout.ts";
import { EpochWriter } from "../src/memory/epoch.ts";
import { DEFAULT_SIZES } from "../src/memory/region-plan.ts";
import { FlowCursor } from "../src/table/flow-cursor.ts";
import { setHashSeed } from "../src/table/hash.ts";
import { TableReader } from "../src/table/table-reader.ts";
import { TableWriter } from "../src/table/table-writer.ts";

const { values } = parseArgs({
  options: {
    flows: { type: "string", default: "1000000" },
    "lookup-flows": { type: "string", default: "10000" },
    masks: { type: "string", default: "1" },
    seconds: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
  },
});
const SEED = Number(values.seed);

/** The key of the nth flow: an IPv4 UDP five-tuple on port 1. */
function fiveTuple(n: number): Uint8Array {
  const key = new Uint8Array(KEY_BYTES);
  const view = new DataView(key.buffer);
  view.setUint32(K.in_port, 1, true);
  view.setUint16(K.eth_type, 0x0800);
  key[K.nw_proto] = 17;
  view.setUint32(K.nw_src, 0x0a000000 + (n & 0xffff));
  view.setUint32(K.nw_dst, 0xc0a80000 + (n >>> 16));
  view.setUint16(K.tp_src, 1024 + (n % 50000));
  view.setUint16(K.tp_dst, 53);
  return key;
}

/** Exact on the five-tuple and what a datapath flow always matches; mask n > 0 looks at n bits of the MAC too. */
function fiveTupleMask(n: number): Uint8Array {
  const mask = new Uint8Array(KEY_BYTES);
  mask.fill(0xff, K.in_port, K.in_port + 8);
  mask.fill(0xff, K.eth_type, K.eth_type + 4);
  mask.fill(0xff, K.nw_src, K.tp_dst + 2);
  new DataView(mask.buffer).setUint32(K.eth_src, n);
  return mask;
}

const output = (port: number): Uint8Array => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint16(0, 8, true);
  new DataView(bytes.buffer).setUint16(2, 1, true);
  new DataView(bytes.buffer).setUint32(4, port, true);
  return bytes;
};

function makeTable(flowCountMax: number): { arena: Arena; table: TableWriter } {
  const arena = Arena.create({ ...DEFAULT_SIZES, frameCount: 1024, flowCountMax });
  setHashSeed(arena, SEED);
  const epochs = new EpochWriter(arena);
  epochs.initialise();
  return { arena, table: new TableWriter(arena, epochs) };
}

const mib = (bytes: number): string => (bytes / (1 << 20)).toFixed(1);

function put(table: TableWriter, n: number, mask: Uint8Array, ufid?: Uint8Array): void {
  const result = table.put({
    key: fiveTuple(n),
    mask,
    ufid,
    actions: output(2 + (n % 16)),
    create: true,
    modify: false,
    operator: true,
    nowMillis: n,
  });
  if (result.error !== null) throw new Error(`flow ${n}: ${result.error}`);
}

/** Calls `work` `count` times. Prints the mean, and the longest single call: what a waiting upcall would see. */
function timed(what: string, count: number, work: (n: number) => void): void {
  let longest = 0;
  const start = process.hrtime.bigint();
  for (let n = 0; n < count; n += 1) {
    const before = performance.now();
    work(n);
    longest = Math.max(longest, performance.now() - before);
  }
  const nanos = Number(process.hrtime.bigint() - start);
  console.log(
    `${what}: ${count} in ${(nanos / 1e6).toFixed(0)} ms, ${(nanos / count).toFixed(0)} ns each, ` +
      `longest ${longest.toFixed(2)} ms`,
  );
}

function manyFlows(flowCount: number): void {
  const collect = globalThis.gc ?? (() => undefined);
  collect();
  const before = process.memoryUsage.rss();
  const { arena, table } = makeTable(flowCount);
  const mask = fiveTupleMask(0);
  timed("put", flowCount, (n) => {
    const ufid = new Uint8Array(16);
    new DataView(ufid.buffer).setUint32(0, n, true);
    put(table, n, mask, ufid);
  });
  collect();
  const full = process.memoryUsage.rss();
  console.log(
    `resident for ${flowCount} flows: ${mib(full - before)} MiB; heaps ${JSON.stringify(table.memory)}`,
  );
  const cursor = new FlowCursor(arena, null);
  let dumped = 0;
  let slices = 0;
  timed("dump slices", Math.ceil(flowCount / 256), () => {
    dumped += cursor.next().length;
    slices += 1;
  });
  if (dumped !== flowCount || !cursor.done)
    throw new Error(`dumped ${dumped} of ${flowCount} in ${slices} slices`);
  collect();
  console.log(`resident after the dump: ${mib(process.memoryUsage.rss() - before)} MiB more`);
  table.flush();
  let steps = 0;
  let longest = 0;
  for (let busy = true; busy || table.memory.deadFlows > 0; steps += 1) {
    const start = performance.now();
    busy = table.step();
    longest = Math.max(longest, performance.now() - start);
  }
  console.log(`flush: ${steps} steps, longest ${longest.toFixed(2)} ms, ${table.flowCount} flows left`);
  if (table.flowCount !== 0) throw new Error("the flush left flows behind");
  console.log(`resident after the flush: ${mib(process.memoryUsage.rss() - before)} MiB more`);
}

function lookups(flowCount: number, maskCount: number, seconds: number): void {
  const { arena, table } = makeTable(Math.max(flowCount, 1024));
  for (let n = 0; n < flowCount; n += 1) put(table, n, fiveTupleMask(n % maskCount));
  const reader = new TableReader(arena, 0);
  const batch = arena.region("batches").offset;
  const keys = arena.region("frames").offset;
  const prepared = Math.min(flowCount, Math.floor(arena.region("frames").bytes / 64));
  for (let n = 0; n < prepared; n += 1) arena.u8.set(fiveTuple(n).subarray(0, 64), keys + n * 64);
  let order = SEED;
  let packets = 0;
  let hits = 0;
  const run = (withLookup: boolean, until: number): number => {
    packets = 0;
    hits = 0;
    const start = performance.now();
    const before = process.cpuUsage();
    while (performance.now() - start < until) {
      for (let round = 0; round < 64; round += 1) {
        for (let packet = 0; packet < BATCH_SIZE; packet += 1) {
          order = (Math.imul(order, 1664525) + 1013904223) | 0;
          const key = keys + ((order >>> 8) % prepared) * 64;
          arena.intrinsics.copy(batch + BATCH.keys + packet * KEY_BYTES, key, 64);
        }
        if (withLookup) hits += reader.lookupBatch(batch, BATCH_SIZE);
        packets += BATCH_SIZE;
      }
    }
    // Processor time, so that another process on the machine does not count.
    const { user, system } = process.cpuUsage(before);
    return ((user + system) * 1e3) / packets;
  };
  run(true, 300);
  run(false, 300);
  const floor = run(false, (seconds * 1000) / 2);
  const whole = run(true, (seconds * 1000) / 2);
  if (hits !== packets) throw new Error(`${hits} hits of ${packets} packets`);
  console.log(
    `lookup: ${flowCount} flows, ${maskCount} masks: ${(whole - floor).toFixed(1)} ns a packet ` +
      `(${whole.toFixed(1)} less ${floor.toFixed(1)} to choose and copy the key)`,
  );
}

manyFlows(Number(values.flows));
lookups(Number(values["lookup-flows"]), Number(values.masks), Number(values.seconds));
