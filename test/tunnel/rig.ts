// Encapsulation and decapsulation over an arena of their own, for tests: bytes in, bytes and key out. Every run checks
// that no frame was lost.
import { Extractor } from "../../src/flow/extract.ts";
import { ALL_LINES } from "../../src/flow/extract-cursor.ts";
import { KEY_BYTES } from "../../src/flow/fields.ts";
import { Arena } from "../../src/memory/arena.ts";
import { BATCH } from "../../src/memory/batch-layout.ts";
import { NO_FRAME } from "../../src/memory/frame-layout.ts";
import { FramePool, fillReserve, reserveCount } from "../../src/memory/frame-pool.ts";
import { Packets } from "../../src/memory/packets.ts";
import { DEFAULT_SIZES } from "../../src/memory/region-plan.ts";
import { POP_REFUSED } from "../../src/tunnel/outer-headers.ts";
import { type PopPort, TunnelPop } from "../../src/tunnel/pop.ts";
import { TunnelPush } from "../../src/tunnel/push.ts";

const FRAME_COUNT = 256;

export interface Popped {
  readonly inner: Uint8Array;
  readonly innerType: number;
  readonly key: Uint8Array;
}

export class TunnelRig {
  readonly arena: Arena;
  readonly pool: FramePool;
  readonly packets: Packets;
  readonly push: TunnelPush;
  readonly pop: TunnelPop;
  readonly #extractor: Extractor;
  readonly #batch: number;
  readonly #header: number;
  readonly #sequence: number;

  constructor(frameBytes = 2048) {
    this.arena = Arena.create({
      ...DEFAULT_SIZES,
      frameCount: FRAME_COUNT,
      frameBytes,
      flowCountMax: 16,
      maskCountMax: 4,
      portCountMax: 4,
      kernelRingBytes: 0,
    });
    fillReserve(this.arena);
    this.pool = new FramePool(this.arena, 0, true);
    this.packets = new Packets(this.arena, this.pool);
    this.#batch = this.arena.region("batches").offset;
    this.push = new TunnelPush(this.arena, this.pool, this.packets);
    this.pop = new TunnelPop(this.arena, this.packets, this.#batch + BATCH.linear);
    this.#extractor = new Extractor(this.arena, 1);
    this.#header = this.arena.region("actions").offset;
    this.#sequence = this.arena.region("ports").offset;
  }

  /** The packet behind a header; undefined when it was refused. @param segmentBytesMax makes chains of frames */
  encapsulate(
    packet: Uint8Array,
    header: Uint8Array,
    type: number,
    innerType = 0,
    segmentBytesMax = Number.MAX_SAFE_INTEGER,
  ): Uint8Array | undefined {
    const frame = this.packets.fromBytes(packet, 1, segmentBytesMax);
    this.arena.u8.set(header, this.#header);
    const first = this.push.push(frame, this.#header, header.length, type, innerType, this.#sequence);
    const kept = first === NO_FRAME ? frame : first;
    const bytes = first === NO_FRAME ? undefined : this.packets.toBytes(kept);
    this.pool.freePacket(kept);
    this.#checkFrames();
    return bytes;
  }

  set sequence(value: number) {
    this.arena.u32[this.#sequence >>> 2] = value;
  }

  /** What the outer headers say and what is behind them; undefined when the packet was refused. */
  decapsulate(
    packet: Uint8Array,
    port: Partial<PopPort> & { readonly type: number },
    segmentBytesMax = Number.MAX_SAFE_INTEGER,
  ): Popped | undefined {
    const frame = this.packets.fromBytes(packet, 1, segmentBytesMax);
    const linear = this.#batch + BATCH.linear;
    const bytes = this.packets.gather(frame, linear, packet.length);
    this.#extractor.receive(linear, bytes, bytes, this.#batch + BATCH.keys, ALL_LINES, 1);
    const offsetOf = (offset: number): number => (offset === 0xffff ? -1 : offset);
    const key = this.#batch + BATCH.spareKey;
    const l3 = offsetOf(this.#extractor.l3Offset);
    const l4 = offsetOf(this.#extractor.l4Offset);
    const full: PopPort = { hasGbp: false, payloadType: 0, ...port };
    const offset = this.pop.pop(frame, l3, l4, key, ALL_LINES, full);
    const inner = this.packets.toBytes(frame).slice(Math.max(0, offset));
    this.pool.freePacket(frame);
    this.#checkFrames();
    if (offset === POP_REFUSED) return undefined;
    return { inner, innerType: this.pop.innerType, key: this.arena.u8.slice(key, key + KEY_BYTES) };
  }

  #checkFrames(): void {
    const lost = FRAME_COUNT - this.pool.stackCount - reserveCount(this.arena);
    if (lost !== 0) throw new Error(`${lost} frames lost`);
  }
}
