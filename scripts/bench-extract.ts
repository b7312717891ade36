// Nanoseconds that extraction takes for a packet, by kind of packet. Frames lie one to a 2,048-byte chunk over more
// memory than the L2 cache holds, so each begins in a cold line, as it does when a card delivered it.
//
//   node build/scripts/bench-extract.js [--seconds 1]
//
// The figure is the best of the rounds that fit: what the code costs when nothing disturbs it.

import { parseArgs } from "node:util";
import { Extractor } from "../src/flow/extract.ts";
import { KEY_BYTES } from "../src/flow/fields.ts";
import { buildFrame, type Layer, padFrame } from "../src/packet/builder.ts";
import { arp, ethernet, vlan } from "../src/packet/builder-link.ts";
import { ipv4, ipv6 } from "../src/packet/builder-network.ts";
import { icmp, tcp, udp } from "../src/packet/builder-transport.ts";

const BATCH_SIZE = 64;
const CHUNK_BYTES = 2048;
const CHUNK_COUNT = 4096;
/** UMEM headroom: frames begin at 2 mod 4. */
const HEADROOM_BYTES = 258;
const KEYS_AT = 4096;
const DIRTY_LINES_AT = 512;
const CHUNKS_AT = 1 << 20;
const FRAME_BYTES = 64;
const BATCHES_PER_ROUND = 10_000;
const IN_PORT = 1;
const PAGE_BYTES = 65536;

const KINDS: Readonly<Record<string, Layer[]>> = {
  "ipv4 udp": [ethernet(), ipv4({}), udp({})],
  "ipv4 tcp": [ethernet(), ipv4({}), tcp({})],
  "ipv4 icmp": [ethernet(), ipv4({}), icmp({})],
  "vlan ipv4 udp": [ethernet(), vlan({ vid: 5 }), ipv4({}), udp({})],
  "ipv6 tcp": [ethernet(), ipv6({}), tcp({})],
  "ipv4 udp, first fragment": [ethernet(), ipv4({ moreFragments: true }), udp({})],
  arp: [ethernet(), arp({})],
};

class ExtractBench {
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #extractor: Extractor;
  #frameBytes = 0;

  constructor() {
    const pages = (CHUNKS_AT + CHUNK_COUNT * CHUNK_BYTES) / PAGE_BYTES;
    const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.#u8 = new Uint8Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#extractor = new Extractor({ u8: this.#u8, u16: new Uint16Array(buffer), u32: this.#u32 });
  }

  fill(frame: Uint8Array): void {
    this.#frameBytes = frame.length;
    for (let chunk = 0; chunk < CHUNK_COUNT; chunk++) {
      this.#u8.set(frame, CHUNKS_AT + chunk * CHUNK_BYTES + HEADROOM_BYTES);
    }
  }

  /** Nanoseconds a packet, best round of as many as fit into `seconds`. */
  measure(seconds: number): number {
    const end = process.hrtime.bigint() + BigInt(Math.round(seconds * 1e9));
    let best = Number.POSITIVE_INFINITY;
    do {
      const start = process.hrtime.bigint();
      for (let batch = 0; batch < BATCHES_PER_ROUND; batch++) this.#extractBatch(batch * BATCH_SIZE);
      const nanoseconds = Number(process.hrtime.bigint() - start);
      best = Math.min(best, nanoseconds / (BATCHES_PER_ROUND * BATCH_SIZE));
    } while (process.hrtime.bigint() < end);
    return best;
  }

  #extractBatch(first: number): void {
    const u32 = this.#u32;
    for (let slot = 0; slot < BATCH_SIZE; slot++) {
      const chunk = (first + slot) & (CHUNK_COUNT - 1);
      const head = CHUNKS_AT + chunk * CHUNK_BYTES + HEADROOM_BYTES;
      const key = KEYS_AT + slot * KEY_BYTES;
      const dirtyWord = (DIRTY_LINES_AT >>> 2) + slot;
      u32[dirtyWord] = this.#extractor.receive(
        head,
        this.#frameBytes,
        this.#frameBytes,
        key,
        u32[dirtyWord]!,
        IN_PORT,
      );
    }
  }
}

const { values } = parseArgs({ options: { seconds: { type: "string", default: "1" } } });
const seconds = Number(values.seconds);
if (!(seconds >= 0)) throw new RangeError(`--seconds ${values.seconds}: expected a number of seconds`);
const bench = new ExtractBench();
for (const [kind, layers] of Object.entries(KINDS)) {
  bench.fill(padFrame(buildFrame(layers), FRAME_BYTES));
  process.stdout.write(`extract ${kind.padEnd(26)} ${bench.measure(seconds).toFixed(1)} ns/packet\n`);
}
