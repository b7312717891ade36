// v128: the SIMD instructions of WebAssembly 2.0 that emitters use; names as in the text format.
import { unsignedLeb } from "../encoder/byte-writer.ts";
import { expression, type I32, type I64, type V128 } from "./expression.ts";

const PREFIX = 0xfd;
const opcode = (number: number): readonly number[] => [PREFIX, ...unsignedLeb(number)];
const unary =
  (number: number) =>
  (a: V128): V128 =>
    expression("v128", [a.code, ...opcode(number)]);
const binary =
  (number: number) =>
  (a: V128, b: V128): V128 =>
    expression("v128", [a.code, b.code, ...opcode(number)]);
const test =
  (number: number) =>
  (a: V128): I32 =>
    expression("i32", [a.code, ...opcode(number)]);

export const v128 = {
  /** @param bytes 16 of them */
  const: (bytes: Uint8Array | readonly number[]): V128 => expression("v128", [...opcode(0x0c), ...bytes]),
  not: unary(0x4d),
  and: binary(0x4e),
  or: binary(0x50),
  xor: binary(0x51),
  any_true: test(0x53),
} as const;

export const i8x16 = {
  /** @param lanes 16 of them: 0 to 15 of `a`, 16 to 31 of `b` */
  shuffle: (a: V128, b: V128, lanes: readonly number[]): V128 =>
    expression("v128", [a.code, b.code, ...opcode(0x0d), ...lanes]),
  swizzle: binary(0x0e),
  eq: binary(0x23),
  bitmask: test(0x64),
} as const;

export const i16x8 = {
  replace_lane: (a: V128, lane: number, value: I32): V128 =>
    expression("v128", [a.code, value.code, ...opcode(0x1a), lane]),
} as const;

export const i32x4 = {
  splat: (a: I32): V128 => expression("v128", [a.code, ...opcode(0x11)]),
  extract_lane: (a: V128, lane: number): I32 => expression("i32", [a.code, ...opcode(0x1b), lane]),
  replace_lane: (a: V128, lane: number, value: I32): V128 =>
    expression("v128", [a.code, value.code, ...opcode(0x1c), lane]),
  eq: binary(0x37),
  all_true: test(0xa3),
  bitmask: test(0xa4),
  add: binary(0xae),
  mul: binary(0xb5),
  shr_u: (a: V128, count: I32): V128 => expression("v128", [a.code, count.code, ...opcode(0xad)]),
} as const;

export const i64x2 = {
  splat: (a: I64): V128 => expression("v128", [a.code, ...opcode(0x12)]),
  extract_lane: (a: V128, lane: number): I64 => expression("i64", [a.code, ...opcode(0x1d), lane]),
} as const;
