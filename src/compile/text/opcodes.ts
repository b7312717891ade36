// Names of the instructions that ops/ makes, by opcode, and what follows each in the binary format (WebAssembly core
// specification 2.0, section 5.4; atomics: threads proposal).

/** What stands behind an opcode. */
export type Immediate =
  | "none"
  | "block"
  | "label"
  | "labels"
  | "function"
  | "local"
  | "global"
  | "i32"
  | "i64"
  | "f64"
  | "memory"
  | "lane"
  | "v128"
  | "lanes"
  | "zero"
  | "zeros";

export interface Instruction {
  readonly name: string;
  readonly immediate: Immediate;
  /** Of a memory access: the alignment that text leaves out. */
  readonly naturalAlignLog2?: number;
}

const plain = (rows: readonly (readonly [number, string])[]): [number, Instruction][] =>
  rows.map(([opcode, name]) => [opcode, { name, immediate: "none" }]);
const accesses = (rows: readonly (readonly [number, string, number])[]): [number, Instruction][] =>
  rows.map(([opcode, name, naturalAlignLog2]) => [opcode, { name, immediate: "memory", naturalAlignLog2 }]);
const other = (rows: readonly (readonly [number, string, Immediate])[]): [number, Instruction][] =>
  rows.map(([opcode, name, immediate]) => [opcode, { name, immediate }]);

/** `i32.` before each of names that stand at consecutive opcodes. */
const run = (first: number, prefix: string, names: string): [number, Instruction][] =>
  plain(names.split(" ").map((name, index) => [first + index, `${prefix}.${name}`]));

const COMPARISONS = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const ARITHMETIC = "clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr";

export const INSTRUCTIONS: ReadonlyMap<number, Instruction> = new Map([
  ...plain([
    [0x00, "unreachable"],
    [0x01, "nop"],
    [0x05, "else"],
    [0x0b, "end"],
    [0x0f, "return"],
    [0x1a, "drop"],
    [0x1b, "select"],
  ]),
  ...other([
    [0x02, "block", "block"],
    [0x03, "loop", "block"],
    [0x04, "if", "block"],
    [0x0c, "br", "label"],
    [0x0d, "br_if", "label"],
    [0x0e, "br_table", "labels"],
    [0x10, "call", "function"],
    [0x20, "local.get", "local"],
    [0x21, "local.set", "local"],
    [0x22, "local.tee", "local"],
    [0x23, "global.get", "global"],
    [0x41, "i32.const", "i32"],
    [0x42, "i64.const", "i64"],
    [0x44, "f64.const", "f64"],
  ]),
  ...accesses([
    [0x28, "i32.load", 2],
    [0x29, "i64.load", 3],
    [0x2b, "f64.load", 3],
    [0x2c, "i32.load8_s", 0],
    [0x2d, "i32.load8_u", 0],
    [0x2e, "i32.load16_s", 1],
    [0x2f, "i32.load16_u", 1],
    [0x31, "i64.load8_u", 0],
    [0x33, "i64.load16_u", 1],
    [0x35, "i64.load32_u", 2],
    [0x36, "i32.store", 2],
    [0x37, "i64.store", 3],
    [0x39, "f64.store", 3],
    [0x3a, "i32.store8", 0],
    [0x3b, "i32.store16", 1],
    [0x3c, "i64.store8", 0],
    [0x3d, "i64.store16", 1],
    [0x3e, "i64.store32", 2],
  ]),
  ...run(0x45, "i32", `eqz ${COMPARISONS}`),
  ...run(0x50, "i64", `eqz ${COMPARISONS}`),
  ...run(0x61, "f64", "eq ne lt gt le ge"),
  ...run(0x67, "i32", ARITHMETIC),
  ...run(0x79, "i64", ARITHMETIC),
  ...run(0x99, "f64", "abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign"),
  ...run(0xa7, "i32", "wrap_i64 trunc_f32_s trunc_f32_u trunc_f64_s trunc_f64_u"),
  ...run(0xac, "i64", "extend_i32_s extend_i32_u trunc_f32_s trunc_f32_u trunc_f64_s trunc_f64_u"),
  ...run(0xb7, "f64", "convert_i32_s convert_i32_u convert_i64_s convert_i64_u promote_f32"),
  ...plain([
    [0xbd, "i64.reinterpret_f64"],
    [0xbf, "f64.reinterpret_i64"],
    [0xc0, "i32.extend8_s"],
    [0xc1, "i32.extend16_s"],
  ]),
]);

export const BULK_INSTRUCTIONS: ReadonlyMap<number, Instruction> = new Map([
  ...run(0, "i32", "trunc_sat_f32_s trunc_sat_f32_u trunc_sat_f64_s trunc_sat_f64_u"),
  ...run(4, "i64", "trunc_sat_f32_s trunc_sat_f32_u trunc_sat_f64_s trunc_sat_f64_u"),
  ...other([
    [10, "memory.copy", "zeros"],
    [11, "memory.fill", "zero"],
  ]),
]);

export const VECTOR_INSTRUCTIONS: ReadonlyMap<number, Instruction> = new Map([
  ...accesses([
    [0x00, "v128.load", 4],
    [0x07, "v128.load8_splat", 0],
    [0x08, "v128.load16_splat", 1],
    [0x09, "v128.load32_splat", 2],
    [0x0a, "v128.load64_splat", 3],
    [0x0b, "v128.store", 4],
    [0x5c, "v128.load32_zero", 2],
    [0x5d, "v128.load64_zero", 3],
  ]),
  ...other([
    [0x0c, "v128.const", "v128"],
    [0x0d, "i8x16.shuffle", "lanes"],
    [0x15, "i8x16.extract_lane_s", "lane"],
    [0x16, "i8x16.extract_lane_u", "lane"],
    [0x17, "i8x16.replace_lane", "lane"],
    [0x18, "i16x8.extract_lane_s", "lane"],
    [0x19, "i16x8.extract_lane_u", "lane"],
    [0x1a, "i16x8.replace_lane", "lane"],
    [0x1b, "i32x4.extract_lane", "lane"],
    [0x1c, "i32x4.replace_lane", "lane"],
    [0x1d, "i64x2.extract_lane", "lane"],
    [0x1e, "i64x2.replace_lane", "lane"],
  ]),
  ...plain([
    [0x0e, "i8x16.swizzle"],
    [0x0f, "i8x16.splat"],
    [0x10, "i16x8.splat"],
    [0x11, "i32x4.splat"],
    [0x12, "i64x2.splat"],
  ]),
  ...run(0x23, "i8x16", "eq ne"),
  ...run(0x2d, "i16x8", "eq ne"),
  ...run(0x37, "i32x4", COMPARISONS),
  ...run(0x4d, "v128", "not and andnot or xor bitselect any_true"),
  ...run(0x63, "i8x16", "all_true bitmask"),
  ...run(0x83, "i16x8", "all_true bitmask"),
  ...run(0x8b, "i16x8", "shl shr_s shr_u add"),
  ...run(0xa3, "i32x4", "all_true bitmask"),
  ...run(0xab, "i32x4", "shl shr_s shr_u add"),
  ...plain([
    [0x6e, "i8x16.add"],
    [0x7c, "i16x8.extadd_pairwise_i8x16_s"],
    [0x7d, "i16x8.extadd_pairwise_i8x16_u"],
    [0x7e, "i32x4.extadd_pairwise_i16x8_s"],
    [0x7f, "i32x4.extadd_pairwise_i16x8_u"],
    [0x91, "i16x8.sub"],
    [0x95, "i16x8.mul"],
    [0xa7, "i32x4.extend_low_i16x8_s"],
    [0xa8, "i32x4.extend_high_i16x8_s"],
    [0xa9, "i32x4.extend_low_i16x8_u"],
    [0xaa, "i32x4.extend_high_i16x8_u"],
    [0xb1, "i32x4.sub"],
    [0xb5, "i32x4.mul"],
    [0xce, "i64x2.add"],
    [0xd6, "i64x2.eq"],
  ]),
]);

export const ATOMIC_INSTRUCTIONS: ReadonlyMap<number, Instruction> = new Map(
  accesses([
    [0x10, "i32.atomic.load", 2],
    [0x11, "i64.atomic.load", 3],
    [0x17, "i32.atomic.store", 2],
    [0x18, "i64.atomic.store", 3],
    [0x1e, "i32.atomic.rmw.add", 2],
    [0x1f, "i64.atomic.rmw.add", 3],
    [0x48, "i32.atomic.rmw.cmpxchg", 2],
    [0x49, "i64.atomic.rmw.cmpxchg", 3],
  ]),
);
