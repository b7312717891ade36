// The few instructions that the arena needs and JavaScript lacks: ordered loads and stores (an Atomics call costs
// 10 ns in the V8 of Node 20, a call into this module 2 to 3), untorn 64-bit counters without BigInt, copies.
// Rules: addresses are byte offsets into the arena; `load`/`store` run once a burst, never once a packet.
import { INTRINSICS_BASE64 } from "./intrinsics-bytes.ts";

export interface Intrinsics {
  /** Ordered 32-bit load (signed result); pairs with `store`. */
  load(address: number): number;
  /** Ordered 32-bit store: publishes all earlier stores of this thread. */
  store(address: number, value: number): void;
  /** Adds to a 32-bit word that several threads count up (6 ns); what it was before, signed. */
  add(address: number, delta: number): number;
  /** Adds an unsigned 32-bit delta to a 64-bit counter that only this thread writes. */
  count(address: number, delta: number): void;
  /** Adds one flow's share of a burst to its statistics of this thread (layout: table/flow-stats.ts). */
  countFlow(address: number, packets: number, bytes: number, nowMillis: number, tcpFlags: number): void;
  /**
   * As countFlow for `count` packets, each of them a word in three columns: the flow that it hit, its bytes, its TCP flags.
   * @param stats where the statistics of flow 0 stand
   */
  countFlows(
    flows: number,
    packetBytes: number,
    tcpFlags: number,
    count: number,
    stats: number,
    nowMillis: number,
  ): void;
  /** Copies between ranges that do not overlap; 2 to 512 bytes are fastest. */
  copy(target: number, source: number, bytes: number): void;
  /** Copies between ranges that may overlap. */
  move(target: number, source: number, bytes: number): void;
  zero(address: number, bytes: number): void;
  /** Adds to a 64-bit counter that several threads write; at most once a burst. */
  addShared(address: number, delta: number): void;
  /** Draws up to `wanted` milliseconds from a shared token bucket that holds `burst` at most. Returns how many. */
  bucketDraw(address: number, now: number, wanted: number, burst: number): number;
  /** Gives back what was drawn from a bucket and not spent. */
  bucketReturn(address: number, amount: number): void;
  /** Pushes node `index` on the shared stack whose 8-byte head is at `head`. */
  stackPush(head: number, links: number, stride: number, index: number): void;
  /** Pops a node, -1 when empty. */
  stackPop(head: number, links: number, stride: number): number;
}

let compiled: WebAssembly.Module | undefined;

/** One instance a thread; the module is compiled once a thread, which takes under a millisecond. */
export function instantiateIntrinsics(memory: WebAssembly.Memory): Intrinsics {
  compiled ??= new WebAssembly.Module(Buffer.from(INTRINSICS_BASE64, "base64"));
  const instance = new WebAssembly.Instance(compiled, { env: { memory } });
  // A module's exports are a dictionary to V8, looked up at every call; a plain object's properties are not.
  return { ...(instance.exports as unknown as Intrinsics) };
}
