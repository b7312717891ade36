// An executor over an arena of its own, for tests: packets in any chain of frames go in, what the sink got
// comes out. Every run ends with the check that no frame was lost or freed twice (the pool's ledger throws on
// the latter).

import { ACTION } from "../../src/action/attributes.ts";
import { BondReader } from "../../src/action/bond-table.ts";
import { Executor } from "../../src/action/executor.ts";
import { Meters } from "../../src/action/meters.ts";
import { ACTION_END, type OutputSink } from "../../src/action/output-sink.ts";
import type { Recirculator } from "../../src/action/recirculator.ts";
import { Extractor } from "../../src/flow/extract.ts";
import { K, KEY_BYTES, KEY_LINE_COUNT } from "../../src/flow/fields.ts";
import { Arena } from "../../src/memory/arena.ts";
import { BatchColumns } from "../../src/memory/batch-columns.ts";
import { BATCH } from "../../src/memory/batch-layout.ts";
import { NO_FRAME, PACKET_L3 } from "../../src/memory/frame-layout.ts";
import { FramePool, fillReserve, reserveCount } from "../../src/memory/frame-pool.ts";
import { Packets } from "../../src/memory/packets.ts";
import { DEFAULT_SIZES } from "../../src/memory/region-plan.ts";
import { bytesToHex } from "../../src/packet/bytes.ts";
import { TunnelEngine } from "../../src/tunnel/tunnel-engine.ts";

/** What became of a packet or a copy of it. */
export type Fate =
  /** outputL3: without Ethernet header, which an Ethernet port does not take. */
  | { readonly kind: "output" | "outputL3"; readonly portNo: number; readonly hex: string }
  | {
      readonly kind: "upcall" | "psample";
      readonly slot: number;
      readonly attributes: string;
      readonly packetBytes: number;
      readonly hex: string;
    }
  | { readonly kind: "recirc"; readonly recircId: number; readonly hex: string }
  | { readonly kind: "drop"; readonly end: keyof typeof ACTION_END };

/** One frame of a chain: where its data begins and how much of the packet it holds. */
export interface ChainPart {
  readonly dataOffset: number;
  readonly dataBytes: number;
}

/** A partial checksum to go in with. */
export interface Partial {
  readonly flags: number;
  readonly csumStart: number;
  readonly csumOffset: number;
}

const FRAME_COUNT = 256;
const ACTION_LIST_BYTES_MAX = 1 << 17;

class RecordingSink implements OutputSink {
  readonly fates: Fate[] = [];
  readonly #rig: ActionRig;

  constructor(rig: ActionRig) {
    this.#rig = rig;
  }

  output(portNo: number, frame: number): void {
    const isEthernet = (this.#rig.packets.flags(frame) & PACKET_L3) === 0;
    this.fates.push({ kind: isEthernet ? "output" : "outputL3", portNo, hex: this.#rig.consume(frame) });
  }

  upcall(
    _columns: BatchColumns,
    slot: number,
    frame: number,
    action: number,
    attributes: number,
    attributeBytes: number,
    packetBytes: number,
  ): void {
    this.#rig.upcallKey = this.#rig.key(KEY_BYTES);
    const copy = bytesToHex(this.#rig.arena.u8.slice(attributes, attributes + attributeBytes));
    this.fates.push({
      kind: action === ACTION.userspace ? "upcall" : "psample",
      slot,
      attributes: copy,
      packetBytes,
      hex: this.#rig.consume(frame),
    });
  }

  drop(frame: number, end: number): void {
    this.#rig.consume(frame);
    const name = Object.entries(ACTION_END).find(([, value]) => value === end)![0];
    this.fates.push({ kind: "drop", end: name as keyof typeof ACTION_END });
  }
}

/** What recirculates is noted when it is flushed, which is when the executor has written its key. */
class RecordingRecirculator implements Recirculator {
  readonly #rig: ActionRig;
  readonly #fates: Fate[];
  readonly #key: number;
  #waiting: number[] = [];

  constructor(rig: ActionRig, fates: Fate[], key: number) {
    this.#rig = rig;
    this.#fates = fates;
    this.#key = key;
  }

  add(_columns: BatchColumns, _slot: number, frame: number): number {
    this.flush();
    this.#waiting.push(frame);
    return this.#key;
  }

  lend(): void {}
  takeBack(): void {}
  addLines(): void {}

  flush(): void {
    const recircId = this.#rig.arena.u32[(this.#key + K.recirc_id) >>> 2]!;
    for (const frame of this.#waiting)
      this.#fates.push({ kind: "recirc", recircId, hex: this.#rig.consume(frame) });
    this.#waiting = [];
  }
}

const SLOT = 7;

export class ActionRig {
  readonly arena: Arena;
  readonly pool: FramePool;
  readonly packets: Packets;
  readonly executor: Executor;
  readonly meters: Meters;
  /** The key that the last upcall reported. */
  upcallKey: Uint8Array = new Uint8Array(KEY_BYTES);
  readonly extractor: Extractor;
  readonly #sink: RecordingSink;
  readonly #recirculator: RecordingRecirculator;
  readonly #columns: BatchColumns;
  readonly #actions: number;

  constructor(vlanLimit = 1, frameBytes = 2048) {
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
    this.extractor = new Extractor(this.arena, vlanLimit);
    this.#columns = new BatchColumns(this.arena, 0);
    this.#actions = this.arena.region("actions").offset;
    this.#sink = new RecordingSink(this);
    const spareKey = this.#columns.batch + BATCH.spareKey;
    this.#recirculator = new RecordingRecirculator(this, this.#sink.fates, spareKey);
    this.meters = new Meters(this.arena, new Float64Array([1000]));
    this.executor = new Executor({
      arena: this.arena,
      pool: this.pool,
      packets: this.packets,
      sink: this.#sink,
      columns: this.#columns,
      next: this.#recirculator,
      bonds: new BondReader(this.arena, 0),
      meters: this.meters,
      tunnels: new TunnelEngine(this.arena, 0, this.pool, this.packets, new Float64Array(1), () => undefined),
      vlanLimit,
    });
  }

  /** Sends one packet through the list. @param chain the frames to lay it in, one frame when not given */
  run(packet: Uint8Array, actions: Uint8Array, chain?: readonly ChainPart[], partial?: Partial): Fate[] {
    if (actions.length > ACTION_LIST_BYTES_MAX) throw new RangeError(`${actions.length} bytes of actions`);
    const frame = this.lay(packet, chain);
    if (partial !== undefined) {
      this.packets.setFlags(frame, partial.flags);
      this.packets.setCsum(frame, partial.csumStart, partial.csumOffset);
    }
    return this.runFrame(frame, actions);
  }

  runFrame(frame: number, actions: Uint8Array): Fate[] {
    return this.runHeld(frame, actions, 0);
  }

  /** As runFrame while the test itself holds `heldFrames` frames back. */
  runHeld(frame: number, actions: Uint8Array, heldFrames: number): Fate[] {
    this.arena.u8.set(actions, this.#actions);
    this.#extract(frame);
    this.#sink.fates.length = 0;
    this.executor.execute(frame, SLOT, this.#actions, actions.length);
    this.#recirculator.flush();
    this.meters.settle();
    const lost = FRAME_COUNT - this.freeFrames() - heldFrames;
    if (lost !== 0) throw new Error(`${lost} frames lost`);
    return [...this.#sink.fates];
  }

  freeFrames(): number {
    return this.pool.stackCount + reserveCount(this.arena);
  }

  /** The packet in frames of the pool. */
  lay(packet: Uint8Array, chain?: readonly ChainPart[]): number {
    if (chain === undefined) return this.packets.fromBytes(packet, 1);
    let first = NO_FRAME;
    let previous = NO_FRAME;
    let from = 0;
    for (const { dataOffset, dataBytes } of chain) {
      const frame = this.pool.alloc();
      this.packets.setSingle(frame, dataOffset, dataBytes);
      this.arena.u8.set(packet.subarray(from, from + dataBytes), this.packets.head(frame));
      if (first === NO_FRAME) first = frame;
      else this.packets.setNext(previous, frame);
      previous = frame;
      from += dataBytes;
    }
    this.packets.setTotals(first, packet.length, chain.length);
    this.packets.setPortNo(first, 1);
    return first;
  }

  /** Takes the packet's bytes as hex and gives its frames back; checks that the chain's records agree. */
  consume(frame: number): string {
    let bytes = 0;
    let segments = 0;
    for (let part = frame; part !== NO_FRAME; part = this.packets.nextFrame(part)) {
      const { dataBytes, dataOffset } = {
        dataBytes: this.packets.dataBytes(part),
        dataOffset: this.packets.dataOffset(part),
      };
      if (dataBytes === 0) throw new Error(`frame ${part} of packet ${frame} is empty`);
      if (dataOffset + dataBytes > this.arena.plan.sizes.frameBytes) throw new Error("data beyond its frame");
      bytes += dataBytes;
      segments += 1;
    }
    if (bytes !== this.packets.packetBytes(frame) || segments !== this.packets.segmentCount(frame)) {
      throw new Error(
        `packet ${frame}: records say ${this.packets.packetBytes(frame)} bytes, frames ${bytes}`,
      );
    }
    const hex = bytesToHex(this.packets.toBytes(frame));
    this.pool.freePacket(frame);
    return hex;
  }

  #extract(frame: number): void {
    const { batch, keys, l3Offsets, l4Offsets } = this.#columns;
    const linear = batch + BATCH.linear;
    const bytes = this.packets.packetBytes(frame);
    this.packets.gather(frame, linear, bytes);
    this.extractor.receive(linear, bytes, bytes, keys + SLOT * KEY_BYTES, (1 << KEY_LINE_COUNT) - 1, 1);
    this.arena.u32[l3Offsets + SLOT] = this.extractor.l3Offset;
    this.arena.u32[l4Offsets + SLOT] = this.extractor.l4Offset;
  }

  /** The key of the last packet, as extracted. */
  key(keyBytes: number): Uint8Array {
    const key = this.#columns.keys + SLOT * KEY_BYTES;
    return this.arena.u8.slice(key, key + keyBytes);
  }
}

/** A random way to lay `packetBytes` bytes in frames, from a generator of numbers below a limit. */
export function randomChain(
  packetBytes: number,
  frameBytes: number,
  below: (limit: number) => number,
): ChainPart[] {
  const chain: ChainPart[] = [];
  let left = packetBytes;
  while (left > 0) {
    const shape = below(3);
    const most = shape === 0 ? 4 : shape === 1 ? 40 : 700;
    const dataBytes = Math.min(left, 1 + below(most));
    const dataOffset = below(4) === 0 ? below(frameBytes - dataBytes + 1) : 258;
    chain.push({ dataOffset, dataBytes });
    left -= dataBytes;
  }
  return chain;
}
