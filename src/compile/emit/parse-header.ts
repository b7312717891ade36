// What the functions of the general parser are written in: flow/extract-cursor.ts in registers. One function a kind of header;
// each is given where the packet stands and hands on to the function of the next header.
//
// A header that is not there ends the parse and leaves what was written before. One that is there, but not in the packet's first
// frame, makes the result UNREADABLE: the reference then extracts the packet from a gathered copy.
import { BATCH } from "../../memory/batch-layout.ts";
import type { FunctionEntry } from "../encoder/module.ts";
import { call, ifElse, ret } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { emitFunction, type FunctionScope, type LocalI32, type Locals } from "../ops/function.ts";
import { i32Memory, i64Memory, v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { swap16 } from "./parse-slot.ts";
import type { EmitScope } from "./scope.ts";

/** In the result of a header's function, above the bits of the key lines that were written. */
export const UNREADABLE = 1 << 30;

const POSITION = {
  /** The packet's first byte, and the header's, counted from the start of the frames region. */
  head: "i32",
  at: "i32",
  /** Behind the last byte that lies in one piece with `head`. */
  end: "i32",
  /** Bytes from `at` to the end that the enclosing headers state. */
  size: "i32",
  /** Addresses that BATCH.keys and the BATCH offset of a column go on top of. */
  key: "i32",
  column: "i32",
} as const;

/** A header's function: what the header before it said of it, then the position. The result: lines written, UNREADABLE. */
export function emitHeader(
  scope: EmitScope,
  name: string,
  body: (header: HeaderReader, kind: LocalI32, locals: Locals) => readonly Statement[],
): FunctionEntry {
  const params = { kind: "i32", ...POSITION } as const;
  return emitFunction(scope.module, name, params, ["i32"], (own) => {
    const header = new HeaderReader(scope, own);
    return [...body(header, own.params.kind, own.locals), header.end()];
  });
}

export class HeaderReader {
  readonly size: LocalI32;
  readonly #position: FunctionScope<typeof POSITION>["params"];
  readonly #lines: LocalI32;
  readonly #frames: number;

  constructor(scope: EmitScope, { params, locals }: FunctionScope<typeof POSITION>) {
    this.#position = params;
    this.size = params.size;
    this.#lines = locals.i32("lines");
    this.#frames = scope.region("frames");
  }

  /** Ends the parse. */
  end(): Statement {
    return ret(this.#lines.get);
  }

  endIf(condition: I32): Statement {
    return ifElse(condition, [this.end()]);
  }

  /** Goes on when the next `bytes` are there and readable. @param absent ends the parse when not given */
  need(bytes: number, absent: readonly Statement[] = [this.end()]): Statement[] {
    const { at, end } = this.#position;
    return [
      ifElse(i32.lt_u(this.size.get, i32.const(bytes)), absent),
      ifElse(i32.gt_u(i32.add(at.get, i32.const(bytes)), end.get), [
        ret(i32.or(this.#lines.get, i32.const(UNREADABLE))),
      ]),
    ];
  }

  /** Passes bytes that the caller knows to be there; they need not be readable. */
  pull(bytes: number | I32): Statement[] {
    const { at, size } = this.#position;
    const count = typeof bytes === "number" ? i32.const(bytes) : bytes;
    return [at.set(i32.add(at.get, count)), size.set(i32.sub(size.get, count))];
  }

  byte(at: number): I32 {
    return i32Memory.load8_u(this.#position.at.get, this.#frames + at);
  }

  /** As a little-endian load sees it: for comparison with raw16(), and for copies. */
  raw16(at: number): I32 {
    return i32Memory.load16_u(this.#position.at.get, this.#frames + at);
  }

  raw32(at: number): I32 {
    return i32Memory.load(this.#position.at.get, this.#frames + at);
  }

  be16(at: number): I32 {
    return swap16(this.raw16(at));
  }

  put8(field: number, value: I32): Statement {
    return i32Memory.store8(this.#position.key.get, value, BATCH.keys + field);
  }

  put16(field: number, raw: I32): Statement {
    return i32Memory.store16(this.#position.key.get, raw, BATCH.keys + field);
  }

  put32(field: number, raw: I32): Statement {
    return i32Memory.store(this.#position.key.get, raw, BATCH.keys + field);
  }

  /** Copies header bytes into the key, in pieces as wide as they come. */
  copy(at: number, field: number, bytes: number): Statement[] {
    const from = this.#frames + at;
    const to = BATCH.keys + field;
    const { at: source, key } = this.#position;
    const pieces: Statement[] = [];
    for (let done = 0; done < bytes; ) {
      const left = bytes - done;
      if (left >= 16) {
        pieces.push(v128Memory.store(key.get, v128Memory.load(source.get, from + done), to + done));
        done += 16;
      } else if (left >= 8) {
        pieces.push(i64Memory.store(key.get, i64Memory.load(source.get, from + done), to + done));
        done += 8;
      } else if (left >= 4) {
        pieces.push(i32Memory.store(key.get, i32Memory.load(source.get, from + done), to + done));
        done += 4;
      } else {
        pieces.push(i32Memory.store16(key.get, i32Memory.load16_u(source.get, from + done), to + done));
        done += 2;
      }
    }
    return pieces;
  }

  /** Address of a field of the key, for a field that is only known at run time. */
  keyAt(offset: I32): I32 {
    return i32.add(this.#position.key.get, offset);
  }

  /** Address of a byte of the header, likewise; the start of the frames region goes on top. */
  get here(): I32 {
    return this.#position.at.get;
  }

  marks(line: number): Statement {
    return this.#lines.set(i32.or(this.#lines.get, i32.const(line)));
  }

  /** Notes where this header stands in one of the columns of offsets. */
  notes(column: number): Statement {
    const { at, head } = this.#position;
    return this.notesValue(column, i32.sub(at.get, head.get));
  }

  notesValue(column: number, value: I32): Statement {
    return i32Memory.store(this.#position.column.get, value, column);
  }

  /** Goes on with the function of the header that stands at the position now. */
  handOn(next: FunctionEntry, kind: I32): Statement {
    const { head, at, end, size, key, column } = this.#position;
    const lines = call("i32", next, kind, head.get, at.get, end.get, size.get, key.get, column.get);
    return ret(i32.or(this.#lines.get, lines));
  }
}

/** A 16-bit value in network order as a little-endian load sees it. */
export const raw16 = (value: number): number => ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
/** `value` is what the packet says in network order. */
export const isRaw16 = (raw: I32, value: number): I32 => i32.eq(raw, i32.const(raw16(value)));
