// What the loop over a burst knows of the packet in hand, and the columns of the batch that it leaves facts in: those that
// datapath/batch-extractor.ts writes.
import { KEY_BYTES } from "../../flow/fields.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import { FRAME_META_BYTES, META16, META32 } from "../../memory/frame-layout.ts";
import type { I32, Statement } from "../ops/expression.ts";
import type { LocalI32, Locals } from "../ops/function.ts";
import { i32Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import type { EmitScope } from "./scope.ts";

const DATA_OFFSET_MASK = 0xffff;
const DATA_BYTES_SHIFT = 16;

/** In the `flow` column of a slot that has yet to be parsed, or that compiled code leaves to the reference. */
export const NOT_PARSED = -1;

const WORD_BYTES = 4;

export interface PacketSlot {
  /** Address that a column's BATCH offset goes on top of. */
  readonly column: LocalI32;
  /** Address that BATCH.keys goes on top of. */
  readonly key: LocalI32;
  /** The packet's first byte, counted from the start of the frames region. */
  readonly head: LocalI32;
  /** The record's word: dataOffset in its low half, dataBytes in its high one. */
  readonly data: LocalI32;
  readonly packetBytes: LocalI32;
}

export const packetSlot = (locals: Locals): PacketSlot => ({
  column: locals.i32("column"),
  key: locals.i32("key"),
  head: locals.i32("head"),
  data: locals.i32("data"),
  packetBytes: locals.i32("packetBytes"),
});

/** Finds the slot's packet and notes its length. */
export function loadPacket(scope: EmitScope, slot: PacketSlot, locals: Locals): Statement[] {
  const frame = locals.i32("frame");
  const record = i32.mul(frame.get, i32.const(FRAME_META_BYTES));
  const meta = scope.region("frameMeta");
  const { frameBytes } = scope.arena.plan.sizes;
  return [
    frame.set(i32Memory.load(slot.column.get, BATCH.frame)),
    slot.data.set(i32Memory.load(record, meta + META16.dataOffset * 2)),
    slot.packetBytes.set(i32Memory.load(record, meta + META32.packetBytes * 4)),
    slot.head.set(
      i32.add(i32.mul(frame.get, i32.const(frameBytes)), i32.and(slot.data.get, i32.const(DATA_OFFSET_MASK))),
    ),
    storeColumn(slot, BATCH.packetBytes, slot.packetBytes.get),
  ];
}

export const nextSlot = ({ column, key }: Pick<PacketSlot, "column" | "key">): Statement[] => [
  column.set(i32.add(column.get, i32.const(WORD_BYTES))),
  key.set(i32.add(key.get, i32.const(KEY_BYTES))),
];

export const storeColumn = (slot: PacketSlot, column: number, value: I32): Statement =>
  i32Memory.store(slot.column.get, value, column);

/** Bytes of the packet that lie in one piece from its head. */
export const linearBytes = (slot: PacketSlot): I32 => i32.shr_u(slot.data.get, i32.const(DATA_BYTES_SHIFT));

/** Whether those are at least `bytes`. */
export const hasLinear = (slot: PacketSlot, bytes: number): I32 =>
  i32.ge_u(slot.data.get, i32.const(bytes << DATA_BYTES_SHIFT));

/** The two bytes of a 16-bit word changed over: the product's bytes are first, second, first, 0 from the top. */
export const swap16 = (value: I32): I32 => i32.shr_u(i32.mul(value, i32.const(0x0100_0100)), i32.const(16));
