// Nanoseconds that extraction takes for a packet, by kind of packet: the reference extractor's and the compiled parse's, in
// turn, over the same frames. Frames lie one to a 2,048-byte chunk over more memory than the L2 cache holds, so each begins in a
// cold line, as it does when a card delivered it; `--frames 64` measures with all of them in the cache.
//
//   node build/scripts/bench-extract.js [--seconds 1] [--frames 4096]
//
// The figures are the best of the rounds that fit: what the code costs when nothing disturbs it.

import { parseArgs } from "node:util";
import v8 from "node:v8";
import { emitParse } from "../src/compile/emit/parse.ts";
import { EmitScope } from "../src/compile/emit/scope.ts";
import { BatchExtractor } from "../src/datapath/batch-extractor.ts";
import { ThreadCounters } from "../src/datapath/counters.ts";
import { Arena } from "../src/memory/arena.ts";
import { BatchColumns } from "../src/memory/batch-columns.ts";
import { BATCH_SIZE } from "../src/memory/batch-layout.ts";
import { FRAME_HEADROOM_BYTES } from "../src/memory/frame-layout.ts";
import { FramePool, fillReserve } from "../src/memory/frame-pool.ts";
import { Packets } from "../src/memory/packets.ts";
import { DEFAULT_SIZES } from "../src/memory/region-plan.ts";
import { buildFrame, type Layer, padFrame } from "../src/packet/builder.ts";
import { arp, ethernet, mpls, vlan } from "../src/packet/builder-link.ts";
import { ipv4, ipv6 } from "../src/packet/builder-network.ts";
import { icmp, tcp, udp } from "../src/packet/builder-transport.ts";

const FRAME_COUNT_MAX = 4096;
const FRAME_BYTES = 64;
const BATCHES_PER_ROUND = 640;
const VLAN_LIMIT = 2;
const IN_PORT = 1;

const KINDS: Readonly<Record<string, Layer[]>> = {
  "ipv4 udp": [ethernet(), ipv4({}), udp({})],
  "ipv4 tcp": [ethernet(), ipv4({}), tcp({})],
  "ipv4 icmp": [ethernet(), ipv4({}), icmp({})],
  "vlan ipv4 udp": [ethernet(), vlan({ vid: 5 }), ipv4({}), udp({})],
  "qinq ipv4 udp": [ethernet(), vlan({ vid: 5 }), vlan({ vid: 6 }), ipv4({}), udp({})],
  "ipv6 tcp": [ethernet(), ipv6({}), tcp({})],
  "ipv4 udp, first fragment": [ethernet(), ipv4({ moreFragments: true }), udp({})],
  arp: [ethernet(), arp({})],
  mpls: [ethernet(), mpls({ label: 5 }), ipv4({}), udp({})],
};

type Extract = () => void;

class ExtractBench {
  readonly #arena: Arena;
  readonly #packets: Packets;
  readonly #columns: BatchColumns;
  readonly #frames: readonly number[];
  /** Arena offset of the frames' numbers, a burst after the other. */
  readonly #list: number;
  readonly reference: Extract;
  readonly compiled: Extract;

  constructor(frameCount: number) {
    this.#arena = Arena.create({ ...DEFAULT_SIZES, frameCount: FRAME_COUNT_MAX, flowCountMax: 1 });
    const arena = this.#arena;
    fillReserve(arena);
    const pool = new FramePool(arena, 0);
    this.#packets = new Packets(arena, pool);
    this.#columns = new BatchColumns(arena, 0);
    this.#frames = Array.from({ length: frameCount }, () => pool.alloc());
    this.#list = arena.region("kernelRings").offset;
    arena.u32.set(this.#frames, this.#list >>> 2);
    const extractor = new BatchExtractor({
      arena,
      columns: this.#columns,
      pool,
      packets: this.#packets,
      counters: new ThreadCounters(arena, 0),
      programs: { current: null },
      vlanLimit: VLAN_LIMIT,
    });
    this.reference = () => extractor.extract(BATCH_SIZE, IN_PORT);
    this.compiled = this.#compile();
  }

  #compile(): Extract {
    // As in a worker: optimised code from the first call on.
    for (const flag of ["--no-liftoff", "--no-wasm-lazy-compilation", "--no-wasm-tier-up"])
      v8.setFlagsFromString(flag);
    const scope = new EmitScope(this.#arena, "bench_extract");
    scope.module.exportFunction("parse", emitParse(scope, { vlanLimit: VLAN_LIMIT }));
    const module = new WebAssembly.Module(scope.module.encode());
    const { exports } = new WebAssembly.Instance(module, EmitScope.imports(this.#arena, 0));
    const parse = exports["parse"] as (batch: number, count: number, portNo: number) => number;
    const { batch } = this.#columns;
    return () => {
      if (parse(batch, BATCH_SIZE, IN_PORT) !== 0) throw new Error("bench-extract: a packet was not parsed");
    };
  }

  fill(bytes: Uint8Array): void {
    for (const frame of this.#frames) {
      this.#packets.setSingle(frame, FRAME_HEADROOM_BYTES, bytes.length);
      this.#arena.u8.set(bytes, this.#packets.head(frame));
    }
  }

  /** Nanoseconds a packet of each, best rounds of as many as fit into `seconds`. */
  measure(seconds: number): readonly [reference: number, compiled: number] {
    const end = process.hrtime.bigint() + BigInt(Math.round(seconds * 1e9));
    let reference = Number.POSITIVE_INFINITY;
    let compiled = Number.POSITIVE_INFINITY;
    do {
      reference = Math.min(reference, this.#round(this.reference));
      compiled = Math.min(compiled, this.#round(this.compiled));
    } while (process.hrtime.bigint() < end);
    return [reference, compiled];
  }

  #round(extract: Extract): number {
    const { intrinsics } = this.#arena;
    const column = this.#columns.frames * 4;
    const burstBytes = BATCH_SIZE * 4;
    const listBytes = this.#frames.length * 4;
    const start = process.hrtime.bigint();
    for (let batch = 0; batch < BATCHES_PER_ROUND; batch++) {
      intrinsics.copy(column, this.#list + ((batch * burstBytes) % listBytes), burstBytes);
      extract();
    }
    return Number(process.hrtime.bigint() - start) / (BATCHES_PER_ROUND * BATCH_SIZE);
  }
}

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "1" }, frames: { type: "string", default: "4096" } },
});
const seconds = Number(values.seconds);
if (!(seconds >= 0)) throw new RangeError(`--seconds ${values.seconds}: expected a number of seconds`);
const frames = Number(values.frames);
if (!(frames >= BATCH_SIZE && frames <= FRAME_COUNT_MAX && frames % BATCH_SIZE === 0))
  throw new RangeError(
    `--frames ${values.frames}: expected a multiple of ${BATCH_SIZE} up to ${FRAME_COUNT_MAX}`,
  );
const bench = new ExtractBench(frames);
for (const [kind, layers] of Object.entries(KINDS)) {
  bench.fill(padFrame(buildFrame(layers), FRAME_BYTES));
  const [reference, compiled] = bench.measure(seconds);
  process.stdout.write(
    `extract ${kind.padEnd(26)} reference ${reference.toFixed(1)}, compiled ${compiled.toFixed(1)} ns/packet\n`,
  );
}
