// Typed code: an expression carries the type of the value that it leaves on the stack, so that TypeScript refuses an
// operand of another type. Statements leave nothing.
import type { Code } from "../encoder/code.ts";
import type { ValueType } from "../encoder/module.ts";

export interface Expression<T extends ValueType> {
  readonly type: T;
  readonly code: Code;
}

export type I32 = Expression<"i32">;
export type I64 = Expression<"i64">;
export type F64 = Expression<"f64">;
export type V128 = Expression<"v128">;

/** Code that leaves no value. */
export interface Statement {
  readonly type: "void";
  readonly code: Code;
}

export const expression = <T extends ValueType>(type: T, code: Code): Expression<T> => ({ type, code });
export const statement = (code: Code): Statement => ({ type: "void", code });

/** Statements one after the other. */
export const sequence = (...parts: readonly Statement[]): Statement =>
  statement(parts.map(({ code }) => code));
export const nothing: Statement = statement([]);
