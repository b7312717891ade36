// A burst parsed twice: by compiled code in one thread's batch and by the reference extractor in another's, from the same
// frames. Frames hold filler behind the data; the compiled parse runs once for each of two fillers and must not tell them apart.
import assert from "node:assert/strict";
import { emitParse, NOT_PARSED } from "../../src/compile/emit/parse.ts";
import { EmitScope } from "../../src/compile/emit/scope.ts";
import { BatchExtractor } from "../../src/datapath/batch-extractor.ts";
import { ThreadCounters } from "../../src/datapath/counters.ts";
import { KEY_BYTES, KEY_LINE_BYTES, KEY_LINE_COUNT } from "../../src/flow/fields.ts";
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

type Parse = (batch: number, count: number, portNo: number) => number;

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
  readonly #rewritten: readonly (readonly [name: string, column: number])[];

  constructor(vlanLimit: number) {
    this.rig = new ActionRig(vlanLimit, FRAME_BYTES);
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
    });
    const scope = new EmitScope(arena, "parse");
    scope.module.exportFunction("parse", emitParse(scope, { vlanLimit }));
    const module = new WebAssembly.Module(scope.module.encode());
    const instance = new WebAssembly.Instance(module, EmitScope.imports(arena, COMPILED_THREAD));
    this.#parse = instance.exports["parse"] as Parse;
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
    arena.u32.fill((1 << KEY_LINE_COUNT) - 1, dirtyLines, dirtyLines + BATCH_SIZE);
  }

  /** Parses the burst on both sides and compares. Returns the slots that the compiled side left. */
  check(burst: readonly LaidPacket[]): number[] {
    assert.ok(burst.length <= BATCH_SIZE);
    const frames = burst.map(({ bytes, chain }) => this.rig.lay(bytes, chain));
    const left = this.#parseCompiled(frames);
    const slots = frames
      .map((_, slot) => slot)
      .filter((slot) => burst[slot]!.bytes.length >= ETH.headerBytes);
    this.rig.arena.u32.set(
      slots.map((slot) => frames[slot]!),
      this.#reference.frames,
    );
    assert.equal(this.#extractor.extract(slots.length, IN_PORT), slots.length);
    const isLeft = new Set(left);
    for (const [index, slot] of slots.entries())
      if (!isLeft.has(slot)) this.#compare(slot, index, burst[slot]!);
    this.#checkDirtyLines(frames.length);
    for (const frame of frames) this.rig.pool.freePacket(frame);
    return left;
  }

  /** Parses with each filler, from the same start. */
  #parseCompiled(frames: readonly number[]): number[] {
    const { arena } = this.rig;
    const { batch, flows } = this.#compiled;
    const batchBytes = BATCH.spareKey + KEY_BYTES;
    const start = arena.u8.slice(batch, batch + batchBytes);
    const results = FILLERS.map((filler) => {
      for (const frame of frames) this.#fillBehind(frame, filler);
      arena.u8.set(start, batch);
      arena.u32.set(frames, this.#compiled.frames);
      const count = this.#parse(batch, frames.length, IN_PORT);
      const left = frames.flatMap((_, slot) => (arena.i32[flows + slot] === NOT_PARSED ? [slot] : []));
      assert.equal(count, left.length, "slots not parsed");
      for (const slot of frames.keys())
        if (!left.includes(slot)) assert.equal(arena.u32[flows + slot], 0, "flow of a parsed slot");
      return { left, memory: Buffer.from(arena.u8.slice(batch, batch + batchBytes)) };
    });
    assert.deepEqual(results[0]!.left, results[1]!.left, "left with the other filler");
    assert.ok(results[0]!.memory.equals(results[1]!.memory), "bytes behind the packet's end were looked at");
    return results[0]!.left;
  }

  /** All of the packet's frames but its data. */
  #fillBehind(first: number, filler: number): void {
    const { arena, packets } = this.rig;
    for (let frame = first; frame !== NO_FRAME; frame = packets.nextFrame(frame)) {
      const start = packets.frameStart(frame);
      const head = packets.head(frame);
      arena.u8.fill(filler, start, head);
      arena.u8.fill(filler, head + packets.dataBytes(frame), start + FRAME_BYTES);
    }
  }

  #key({ keys }: BatchColumns, slot: number): Uint8Array {
    return this.rig.arena.u8.slice(keys + slot * KEY_BYTES, keys + (slot + 1) * KEY_BYTES);
  }

  #compare(slot: number, referenceSlot: number, { bytes, chain }: LaidPacket): void {
    const { u32 } = this.rig.arena;
    const context = `slot ${slot}: ${Buffer.from(bytes).toString("hex")} in ${JSON.stringify(chain)}`;
    const key = this.#key(this.#compiled, slot);
    assert.deepEqual(differingFields(key, this.#key(this.#reference, referenceSlot)), [], context);
    const words = ({ batch }: BatchColumns, at: number): Record<string, number> =>
      Object.fromEntries(
        this.#rewritten.map(([name, column]) => [name, u32[((batch + column) >>> 2) + at]!]),
      );
    const expected = words(this.#reference, referenceSlot);
    assert.deepEqual(words(this.#compiled, slot), expected, context);
  }

  /** Every line that is not zero is reported, also in slots that were left and those behind the burst. */
  #checkDirtyLines(count: number): void {
    const { dirtyLines } = this.#compiled;
    for (let slot = 0; slot < count; slot += 1) {
      const key = this.#key(this.#compiled, slot);
      const reported = this.rig.arena.u32[dirtyLines + slot]!;
      for (let line = 0; line < KEY_LINE_COUNT; line += 1) {
        const isZero = key
          .subarray(line * KEY_LINE_BYTES, (line + 1) * KEY_LINE_BYTES)
          .every((byte) => byte === 0);
        assert.ok(
          isZero || ((reported >>> line) & 1) === 1,
          `slot ${slot}: line ${line} is dirty and not reported`,
        );
      }
    }
  }
}
