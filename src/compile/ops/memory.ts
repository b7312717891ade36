// Loads and stores. The static offset of an instruction is unsigned and added without overflow, so a region's base
// stands there and costs nothing; an address beyond the memory traps by guard pages, without a compare.
// Alignment is a hint: packets' fields lie anywhere.
import { unsignedLeb } from "../encoder/byte-writer.ts";
import type { ValueType } from "../encoder/module.ts";
import { type Expression, expression, type I32, type Statement, statement } from "./expression.ts";

type Load<T extends ValueType> = (address: I32, offset?: number) => Expression<T>;
type Store<T extends ValueType> = (address: I32, value: Expression<T>, offset?: number) => Statement;

const PREFIX_SIMD = 0xfd;
const PREFIX_BULK = 0xfc;
const PREFIX_ATOMIC = 0xfe;

/** @param alignLog2 the access's natural alignment; plain accesses promise none */
const load =
  <T extends ValueType>(type: T, opcode: readonly number[], alignLog2 = 0): Load<T> =>
  (address, offset = 0) =>
    expression(type, [address.code, ...opcode, alignLog2, ...unsignedLeb(offset)]);
const store =
  <T extends ValueType>(opcode: readonly number[], alignLog2 = 0): Store<T> =>
  (address, value, offset = 0) =>
    statement([address.code, value.code, ...opcode, alignLog2, ...unsignedLeb(offset)]);

export const i32Memory = {
  load: load<"i32">("i32", [0x28]),
  load8_u: load<"i32">("i32", [0x2d]),
  load16_u: load<"i32">("i32", [0x2f]),
  store: store<"i32">([0x36]),
  store8: store<"i32">([0x3a]),
  store16: store<"i32">([0x3b]),
  /** Sequentially consistent; the address is a multiple of 4, or it traps. */
  atomicLoad: load<"i32">("i32", [PREFIX_ATOMIC, 0x10], 2),
  atomicStore: store<"i32">([PREFIX_ATOMIC, 0x17], 2),
} as const;

export const i64Memory = {
  load: load<"i64">("i64", [0x29]),
  load16_u: load<"i64">("i64", [0x33]),
  load32_u: load<"i64">("i64", [0x35]),
  store: store<"i64">([0x37]),
} as const;

export const f64Memory = {
  load: load<"f64">("f64", [0x2b]),
  store: store<"f64">([0x39]),
} as const;

export const v128Memory = {
  load: load<"v128">("v128", [PREFIX_SIMD, 0x00]),
  /** 64 bits, the upper half zero. */
  load64_zero: load<"v128">("v128", [PREFIX_SIMD, 0x5d]),
  /** 32 bits, the rest zero. */
  load32_zero: load<"v128">("v128", [PREFIX_SIMD, 0x5c]),
  store: store<"v128">([PREFIX_SIMD, 0x0b]),
} as const;

/** memory.copy: `bytes` from `source` to `target`, which may overlap. */
export const memoryCopy = (target: I32, source: I32, bytes: I32): Statement =>
  statement([target.code, source.code, bytes.code, PREFIX_BULK, 10, 0, 0]);

/** memory.fill with a byte. */
export const memoryFill = (target: I32, byte: I32, bytes: I32): Statement =>
  statement([target.code, byte.code, bytes.code, PREFIX_BULK, 11, 0]);
