// Arithmetic, comparison and conversion of i32, i64 and f64; names as in the text format. Constants fold: an addition
// of 0 or an `and` of all ones is no instruction, because emitters write formulas whose terms are often trivial.
import { signedLeb } from "../encoder/byte-writer.ts";
import type { ValueType } from "../encoder/module.ts";
import { type Expression, expression, type F64, type I32, type I64 } from "./expression.ts";

type Unary<From extends ValueType, To extends ValueType> = (a: Expression<From>) => Expression<To>;
type Binary<From extends ValueType, To extends ValueType = From> = (
  a: Expression<From>,
  b: Expression<From>,
) => Expression<To>;

const unary =
  <From extends ValueType, To extends ValueType>(type: To, opcode: number): Unary<From, To> =>
  (a) =>
    expression(type, [a.code, opcode]);
const binary =
  <From extends ValueType, To extends ValueType>(type: To, opcode: number): Binary<From, To> =>
  (a, b) =>
    expression(type, [a.code, b.code, opcode]);

const OP_I32_CONST = 0x41;
const OP_I64_CONST = 0x42;
const OP_F64_CONST = 0x44;

/** The value of a constant, undefined for other expressions. */
const constants = new WeakMap<object, number>();
const constantOf = (a: I32): number | undefined => constants.get(a);

function i32Const(value: number): I32 {
  const made = expression("i32", [OP_I32_CONST, ...signedLeb(BigInt(value | 0))]);
  constants.set(made, value | 0);
  return made;
}

/** `identity` on the right changes nothing. */
const foldingRight =
  (opcode: number, identity: number): Binary<"i32"> =>
  (a, b) =>
    constantOf(b) === identity ? a : expression("i32", [a.code, b.code, opcode]);

export const i32 = {
  /** @param value -2^31 to 2^32 - 1 */
  const: i32Const,
  eqz: unary<"i32", "i32">("i32", 0x45),
  eq: binary<"i32", "i32">("i32", 0x46),
  ne: binary<"i32", "i32">("i32", 0x47),
  lt_s: binary<"i32", "i32">("i32", 0x48),
  lt_u: binary<"i32", "i32">("i32", 0x49),
  gt_s: binary<"i32", "i32">("i32", 0x4a),
  gt_u: binary<"i32", "i32">("i32", 0x4b),
  le_s: binary<"i32", "i32">("i32", 0x4c),
  le_u: binary<"i32", "i32">("i32", 0x4d),
  ge_s: binary<"i32", "i32">("i32", 0x4e),
  ge_u: binary<"i32", "i32">("i32", 0x4f),
  clz: unary<"i32", "i32">("i32", 0x67),
  ctz: unary<"i32", "i32">("i32", 0x68),
  popcnt: unary<"i32", "i32">("i32", 0x69),
  add: foldingRight(0x6a, 0),
  sub: foldingRight(0x6b, 0),
  mul: foldingRight(0x6c, 1),
  div_u: foldingRight(0x6e, 1),
  rem_u: binary<"i32", "i32">("i32", 0x70),
  and: foldingRight(0x71, -1),
  or: foldingRight(0x72, 0),
  xor: foldingRight(0x73, 0),
  shl: foldingRight(0x74, 0),
  shr_s: foldingRight(0x75, 0),
  shr_u: foldingRight(0x76, 0),
  rotl: foldingRight(0x77, 0),
  wrap_i64: unary<"i64", "i32">("i32", 0xa7),
} as const;

export const i64 = {
  const: (value: bigint): I64 => expression("i64", [OP_I64_CONST, ...signedLeb(BigInt.asIntN(64, value))]),
  eqz: unary<"i64", "i32">("i32", 0x50),
  eq: binary<"i64", "i32">("i32", 0x51),
  ne: binary<"i64", "i32">("i32", 0x52),
  lt_u: binary<"i64", "i32">("i32", 0x54),
  ge_u: binary<"i64", "i32">("i32", 0x5a),
  add: binary<"i64", "i64">("i64", 0x7c),
  sub: binary<"i64", "i64">("i64", 0x7d),
  mul: binary<"i64", "i64">("i64", 0x7e),
  and: binary<"i64", "i64">("i64", 0x83),
  or: binary<"i64", "i64">("i64", 0x84),
  xor: binary<"i64", "i64">("i64", 0x85),
  shl: binary<"i64", "i64">("i64", 0x86),
  shr_u: binary<"i64", "i64">("i64", 0x88),
  extend_i32_u: unary<"i32", "i64">("i64", 0xad),
  trunc_sat_f64_u: (a: F64): I64 => expression("i64", [a.code, 0xfc, 0x07]),
} as const;

function f64Const(value: number): F64 {
  const bytes = new Uint8Array(new Float64Array([value]).buffer);
  return expression("f64", [OP_F64_CONST, ...bytes]);
}

export const f64 = {
  const: f64Const,
  add: binary<"f64", "f64">("f64", 0xa0),
  sub: binary<"f64", "f64">("f64", 0xa1),
  ge: binary<"f64", "i32">("i32", 0x66),
  convert_i32_u: unary<"i32", "f64">("f64", 0xb8),
} as const;
