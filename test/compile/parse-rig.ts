// A burst parsed twice: by compiled code in one thread's batch and by the reference extractor in another's, from the same
// frames. Frames hold filler behind the data; the compiled parse runs once for each of two fillers and must not tell them apart.
import assert from "node:assert/strict";
import { emitParse, emitParseAgain, NOT_PARSED } from "../../src/compile/emit/parse.ts";
import { emitGeneralPass } from "../../src/compile/emit/parse-general.ts";
import { EmitScope } from "../../src/compile/emit/scope.ts";
import { BatchExtractor } from "../../src/datapath/batch-extractor.ts";
import { ThreadCounters } from "../../src/datapath/counters.ts";
import { ALL_LINES } from "../../src/flow/extract-cursor.ts";
import { FIELDS, KEY_BYTES, KEY_LINE_BYTES, KEY_LINE_COUNT } from "../../src/flow/fields.ts";
import { BatchColumns } from "../../src/memory/batch-columns.ts";
import { BATCH, BATCH_SIZE } from "../../src/memory/batch-layout.ts";
import { NO_FRAME } from "../../src/memory/frame-layout.ts";
import { ETH } from "../../src/packet/link-headers.ts";
import { ActionRig, type ChainPart } from "../action/rig.ts";
import { differingFields } from "../flow/slow-extract.ts";

const FRAME_BYTES = 2048;
const COMPILED_THREAD = 0;
const REFERENCE_THREAD = 1;
/** Behind a packet's end: nothing, and bytes that make good headers (a TCP data offset of 5). */
const FILLERS = [0x00, 0x50] as const;
const IN_PORT = 0x01020307;
/** What a parse under metadata leaves as it is. */
export const METADATA_FIELDS = FIELDS.filter(({ group }) =>
  ["metadata", "conntrack", "tunnel"].includes(group),
);

type Parse = (batch: number, count: number, portNo?: number) => number;

export interface LaidPacket {
  readonly bytes: Uint8Array;
  /** One frame when not given. */
  readonly chain?: readonly ChainPart[];
}

export class ParseRig {
  readonly rig: ActionRig;
  readonly #compiled: BatchColumns;
  readonly #reference: BatchColumns;
  readonly #extractor: BatchExtractor;
  readonly #parse: Parse;
  readonly #parseAgain: Parse;
  readonly #rewritten: readonly (readonly [name: string, column: number])[];

  constructor(vlanLimit: number, frameBytes = FRAME_BYTES) {
    this.rig = new ActionRig(vlanLimit, frameBytes);
    const { arena, pool, packets } = this.rig;
    this.#compiled = new BatchColumns(arena, COMPILED_THREAD);
    this.#reference = new BatchColumns(arena, REFERENCE_THREAD);
    this.#extractor = new BatchExtractor({
      arena,
      columns: this.#reference,
      pool,
      packets,
      counters: new ThreadCounters(arena, REFERENCE_THREAD),
      vlanLimit,
      programs: { current: null },
    });
    const scope = new EmitScope(arena, "parse");
    const general = emitGeneralPass(scope, vlanLimit);
    scope.module.exportFunction("parse", emitParse(scope, { vlanLimit, general }));
    scope.module.exportFunction("parse_again", emitParseAgain(scope, { vlanLimit, general }));
    const module = new WebAssembly.Module(scope.module.encode());
    const { exports } = new WebAssembly.Instance(module, EmitScope.imports(arena, COMPILED_THREAD));
    this.#parse = exports["parse"] as Parse;
    this.#parseAgain = exports["parse_again"] as Parse;
    this.#rewritten = (["packetBytes", "l3Offset", "l4Offset", "dirtyLines", "tcpFlags"] as const).map(
      (name) => [name, BATCH[name]],
    );
    arena.u32.fill(
      (1 << KEY_LINE_COUNT) - 1,
      this.#compiled.dirtyLines,
      this.#compiled.dirtyLines + BATCH_SIZE,
    );
  }

  /** Bytes of the compiled side's key slots before the next burst, and which lines are said to be dirty. */
  soil(bytes: Uint8Array): void {
    const { arena } = this.rig;
    const { keys, dirtyLines } = this.#compiled;
    for (let at = 0; at < BATCH_SIZE * KEY_BYTES; at += bytes.length)
      arena.u8.set(bytes.subarray(0, Math.min(bytes.length, BATCH_SIZE * KEY_BYTES - at)), keys + at);
    arena.u32.fill(ALL_LINES, dirtyLines, dirtyLines + BATCH_SIZE);
  }

  /** Parses the burst on both sides and compares. Returns how many slots the compiled side left. */
  check(burst: readonly LaidPacket[]): number {
    const frames = this.#lay(burst);
    const left = this.#runCompiled(frames, (batch, count) => this.#parse(batch, count, IN_PORT));
    const slots = frames
      .map((_, slot) => slot)
      .filter((slot) => burst[slot]!.bytes.length >= ETH.headerBytes);
    const { u32 } = this.rig.arena;
    u32.set(
      slots.map((slot) => frames[slot]!),
      this.#reference.frames,
    );
    assert.equal(this.#extractor.extract(slots.length, IN_PORT), slots.length);
    for (const [slot, packet] of burst.entries()) {
      const isShort = packet.bytes.length < ETH.headerBytes;
      assert.equal(left.has(slot), isShort || this.#goesOn(frames[slot]!), `left: ${describe(packet)}`);
      if (!left.has(slot)) this.#compare(slot, slots.indexOf(slot), packet);
    }
    this.#checkDirtyLines(frames.length);
    for (const frame of frames) this.rig.pool.freePacket(frame);
    return left.size;
  }

  /** As check(), under the metadata of these keys, one for each packet. */
  checkAgain(burst: readonly LaidPacket[], keys: readonly Uint8Array[]): number {
    const frames = this.#lay(burst);
    const { u8, u32 } = this.rig.arena;
    for (const { keys: at, dirtyLines, frames: column } of [this.#compiled, this.#reference]) {
      for (const [slot, key] of keys.entries()) {
        u8.set(key, at + slot * KEY_BYTES);
        u32[dirtyLines + slot] = dirtyLinesOf(key);
      }
      u32.set(frames, column);
    }
    const left = this.#runCompiled(frames, (batch, count) => this.#parseAgain(batch, count));
    this.#extractor.extractAgain(frames.length);
    for (const [slot, packet] of burst.entries()) {
      if (!left.has(slot)) this.#compare(slot, slot, packet);
      else this.#compareMetadata(slot, keys[slot]!, packet);
    }
    this.#checkDirtyLines(frames.length);
    for (const frame of frames) this.rig.pool.freePacket(frame);
    return left.size;
  }

  #lay(burst: readonly LaidPacket[]): number[] {
    assert.ok(burst.length <= BATCH_SIZE);
    return burst.map(({ bytes, chain }) => this.rig.lay(bytes, chain));
  }

  /** Whether the reference asks for more of the packet than its first frame. */
  #goesOn(frame: number): boolean {
    const { packets, extractor } = this.rig;
    const spareKey = this.#reference.batch + BATCH.spareKey;
    const [head, linearBytes] = [packets.head(frame), packets.dataBytes(frame)];
    extractor.receive(head, linearBytes, packets.packetBytes(frame), spareKey, ALL_LINES, IN_PORT);
    return extractor.needsMoreLinear;
  }

  /** Runs with each filler, from the same start. Returns the slots that are left. */
  #runCompiled(frames: readonly number[], run: (batch: number, count: number) => number): Set<number> {
    const { arena } = this.rig;
    const { batch, flows } = this.#compiled;
    const batchBytes = BATCH.spareKey + KEY_BYTES;
    const start = arena.u8.slice(batch, batch + batchBytes);
    const results = FILLERS.map((filler) => {
      for (const frame of frames) this.#fillBehind(frame, filler);
      arena.u8.set(start, batch);
      arena.u32.set(frames, this.#compiled.frames);
      const count = run(batch, frames.length);
      const left = frames.flatMap((_, slot) => (arena.i32[flows + slot] === NOT_PARSED ? [slot] : []));
      assert.equal(count, left.length, "slots not parsed");
      for (const slot of frames.keys())
        if (!left.includes(slot)) assert.equal(arena.u32[flows + slot], 0, "flow of a parsed slot");
      return { left, memory: Buffer.from(arena.u8.slice(batch, batch + batchBytes)) };
    });
    assert.deepEqual(results[0]!.left, results[1]!.left, "left with the other filler");
    assert.ok(results[0]!.memory.equals(results[1]!.memory), "bytes behind the packet's end were looked at");
    return new Set(results[0]!.left);
  }

  /** All of the packet's frames but its data. */
  #fillBehind(first: number, filler: number): void {
    const { arena, packets } = this.rig;
    for (let frame = first; frame !== NO_FRAME; frame = packets.nextFrame(frame)) {
      const start = packets.frameStart(frame);
      const head = packets.head(frame);
      arena.u8.fill(filler, start, head);
      arena.u8.fill(filler, head + packets.dataBytes(frame), start + arena.plan.sizes.frameBytes);
    }
  }

  #key({ keys }: BatchColumns, slot: number): Uint8Array {
    return this.rig.arena.u8.slice(keys + slot * KEY_BYTES, keys + (slot + 1) * KEY_BYTES);
  }

  #compare(slot: number, referenceSlot: number, packet: LaidPacket): void {
    const { u32 } = this.rig.arena;
    const context = `slot ${slot}: ${describe(packet)}`;
    const key = this.#key(this.#compiled, slot);
    assert.deepEqual(differingFields(key, this.#key(this.#reference, referenceSlot)), [], context);
    const words = ({ batch }: BatchColumns, at: number): Record<string, number> =>
      Object.fromEntries(
        this.#rewritten.map(([name, column]) => [name, u32[((batch + column) >>> 2) + at]!]),
      );
    assert.deepEqual(words(this.#compiled, slot), words(this.#reference, referenceSlot), context);
  }

  #compareMetadata(slot: number, given: Uint8Array, packet: LaidPacket): void {
    const key = this.#key(this.#compiled, slot);
    for (const { name, offset, bytes } of METADATA_FIELDS) {
      const [kept, wanted] = [key.slice(offset, offset + bytes), given.slice(offset, offset + bytes)];
      assert.deepEqual(kept, wanted, `${name} of a slot that is left: ${describe(packet)}`);
    }
  }

  /** Every line that is not zero is reported, in slots that were left too. */
  #checkDirtyLines(count: number): void {
    for (let slot = 0; slot < count; slot += 1) {
      const lines = dirtyLinesOf(this.#key(this.#compiled, slot));
      const reported = this.rig.arena.u32[this.#compiled.dirtyLines + slot]!;
      assert.equal(lines & ~reported, 0, `slot ${slot}: lines ${lines} are dirty, ${reported} reported`);
    }
  }
}

const describe = ({ bytes, chain }: LaidPacket): string =>
  `${Buffer.from(bytes).toString("hex")} in ${JSON.stringify(chain)}`;

/** Bit n when line n of the key has a byte that is not zero. */
function dirtyLinesOf(key: Uint8Array): number {
  let lines = 0;
  for (let line = 0; line < KEY_LINE_COUNT; line += 1) {
    const bytes = key.subarray(line * KEY_LINE_BYTES, (line + 1) * KEY_LINE_BYTES);
    if (bytes.some((byte) => byte !== 0)) lines |= 1 << line;
  }
  return lines;
}
