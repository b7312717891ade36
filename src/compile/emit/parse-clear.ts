// What has to be zero in key slots before packets are parsed into them. A slot's dirtyLines say which lines are not zero; line 0
// is written by every parse.
import { LINE_0, LINE_1, LINE_2, LINE_3 } from "../../flow/extract-cursor.ts";
import { K, KEY_LINE_BYTES, KEY_LINE_COUNT } from "../../flow/fields.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { brIf, ifElse, loop } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { emitFunction, type LocalI32 } from "../ops/function.ts";
import { i32Memory, i64Memory, v128Memory } from "../ops/memory.ts";
import { i32, i64 } from "../ops/numeric.ts";
import { v128 } from "../ops/vector.ts";
import { nextSlot } from "./parse-slot.ts";
import type { EmitScope } from "./scope.ts";

/** What a packet can set in lines 1 to 3; what conntrack keeps in these lines stays. */
const HEADER_RANGES: readonly (readonly [line: number, start: number, end: number])[] = [
  [LINE_1, K.ipv6_src, K.ct_mark],
  [LINE_1, K.nd_options_type, K.nd_options_type + 1],
  [LINE_2, K.nd_target, K.ct_label],
  [LINE_3, K.nsh_flags, K.nsh_context3 + 4],
];

/** clear_slots(batch, end): zeroes whole lines, all but line 0, as Extractor.receive does. */
export function emitClearSlots(scope: EmitScope): FunctionEntry {
  const lines = Array.from({ length: KEY_LINE_COUNT - 1 }, (_, index) => index + 1);
  return emitClear(scope, "clear_slots", i32.const(LINE_0), (key, dirty) =>
    lines.map((line) =>
      whenDirty(dirty, 1 << line, zero(key, line * KEY_LINE_BYTES, (line + 1) * KEY_LINE_BYTES)),
    ),
  );
}

/** clear_headers(batch, end): zeroes what earlier packets set and leaves metadata, as Extractor.extract does. */
export function emitClearHeaders(scope: EmitScope): FunctionEntry {
  return emitClear(scope, "clear_headers", null, (key, dirty) =>
    HEADER_RANGES.map(([line, start, end]) => whenDirty(dirty, line, zero(key, start, end))),
  );
}

/** @param left what dirtyLines say afterwards; null: what they said, and line 0 */
function emitClear(
  scope: EmitScope,
  name: string,
  left: I32 | null,
  clear: (key: LocalI32, dirty: LocalI32) => readonly Statement[],
): FunctionEntry {
  return emitFunction(scope.module, name, { batch: "i32", end: "i32" }, [], ({ params, locals }) => {
    const column = locals.i32("column");
    const key = locals.i32("key");
    const dirty = locals.i32("dirty");
    return [
      column.set(params.batch.get),
      key.set(params.batch.get),
      loop("slots", (next) => [
        dirty.set(i32Memory.load(column.get, BATCH.dirtyLines)),
        ifElse(i32.ne(dirty.get, i32.const(LINE_0)), [
          ...clear(key, dirty),
          i32Memory.store(column.get, left ?? i32.or(dirty.get, i32.const(LINE_0)), BATCH.dirtyLines),
        ]),
        ...nextSlot({ column, key }),
        brIf(next, i32.lt_u(column.get, params.end.get)),
      ]),
    ];
  });
}

const whenDirty = (dirty: LocalI32, line: number, then: readonly Statement[]): Statement =>
  ifElse(i32.and(dirty.get, i32.const(line)), then);

/** Zeroes a range of the key, in pieces as wide as they come. */
function zero(key: LocalI32, start: number, end: number): Statement[] {
  const pieces: Statement[] = [];
  for (let at = start; at < end; ) {
    const to = BATCH.keys + at;
    if (end - at >= 16) {
      pieces.push(v128Memory.store(key.get, v128.const(new Uint8Array(16)), to));
      at += 16;
    } else if (end - at >= 8) {
      pieces.push(i64Memory.store(key.get, i64.const(0n), to));
      at += 8;
    } else if (end - at >= 4) {
      pieces.push(i32Memory.store(key.get, i32.const(0), to));
      at += 4;
    } else {
      pieces.push(i32Memory.store8(key.get, i32.const(0), to));
      at += 1;
    }
  }
  return pieces;
}
