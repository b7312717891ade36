// The encoder and the typed opcodes: what is built is a valid module, reads back as text with its names, and computes what
// the same formula computes in JavaScript.
import fc from "fast-check";
import t from "tap";
import loadWabt from "wabt";
import { signedLeb, unsignedLeb } from "../../src/compile/encoder/byte-writer.ts";
import { Label } from "../../src/compile/encoder/code.ts";
import { ModuleBuilder } from "../../src/compile/encoder/module.ts";
import {
  block,
  br,
  brIf,
  brTable,
  call,
  choose,
  ifElse,
  loop,
  ret,
  select,
  whileLoop,
} from "../../src/compile/ops/control.ts";
import type { I32 } from "../../src/compile/ops/expression.ts";
import { statement } from "../../src/compile/ops/expression.ts";
import { declare, define, emitFunction } from "../../src/compile/ops/function.ts";
import { i32Memory, memoryCopy, v128Memory } from "../../src/compile/ops/memory.ts";
import { f64, i32, i64 } from "../../src/compile/ops/numeric.ts";
import { i8x16, i32x4, v128 } from "../../src/compile/ops/vector.ts";
import { runs } from "../support/seed.ts";

type Exports = Record<string, (...args: number[]) => number>;

const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });

function instantiate(module: ModuleBuilder): Exports {
  const compiled = new WebAssembly.Module(module.encode());
  return new WebAssembly.Instance(compiled, { env: { memory } }).exports as Exports;
}

t.test("integers in LEB128", (t) => {
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (small, large) => {
      const readUnsigned = unsignedLeb(small).reduce(
        (sum, byte, at) => sum + (byte & 0x7f) * 2 ** (7 * at),
        0,
      );
      const bytes = signedLeb(large);
      const raw = bytes.reduce((sum, byte, at) => sum | (BigInt(byte & 0x7f) << BigInt(7 * at)), 0n);
      return readUnsigned === small && BigInt.asIntN(bytes.length * 7, raw) === large;
    }),
    runs(1000),
  );
  t.end();
});

interface Formula {
  readonly emit: (a: I32, b: I32) => I32;
  readonly compute: (a: number, b: number) => number;
}

const OPERATORS: readonly (readonly [keyof typeof i32, (a: number, b: number) => number])[] = [
  ["add", (a, b) => (a + b) | 0],
  ["sub", (a, b) => (a - b) | 0],
  ["mul", Math.imul],
  ["and", (a, b) => a & b],
  ["or", (a, b) => a | b],
  ["xor", (a, b) => a ^ b],
  ["shl", (a, b) => a << (b & 31)],
  ["shr_u", (a, b) => (a >>> (b & 31)) | 0],
  ["shr_s", (a, b) => a >> (b & 31)],
  ["rotl", (a, b) => ((b & 31) === 0 ? a : (a << (b & 31)) | (a >>> (32 - (b & 31))))],
  ["lt_u", (a, b) => Number(a >>> 0 < b >>> 0)],
  ["lt_s", (a, b) => Number(a < b)],
  ["eq", (a, b) => Number(a === b)],
];

const formula: fc.Arbitrary<Formula> = fc.letrec<{ node: Formula; leaf: Formula; pair: Formula }>((tie) => ({
  leaf: fc.oneof(
    fc.constant<Formula>({ emit: (a) => a, compute: (a) => a }),
    fc.constant<Formula>({ emit: (_, b) => b, compute: (_, b) => b }),
    fc.integer().map<Formula>((value) => ({ emit: () => i32.const(value), compute: () => value })),
    fc
      .constantFrom(0, 1, -1)
      .map<Formula>((value) => ({ emit: () => i32.const(value), compute: () => value })),
  ),
  pair: fc
    .tuple(fc.constantFrom(...OPERATORS), tie("node"), tie("node"))
    .map<Formula>(([[name, compute], x, y]) => ({
      emit: (a, b) => (i32[name] as (x: I32, y: I32) => I32)(x.emit(a, b), y.emit(a, b)),
      compute: (a, b) => compute(x.compute(a, b), y.compute(a, b)),
    })),
  node: fc.oneof({ depthSize: "small", withCrossShrink: true }, tie("leaf"), tie("pair")),
})).node;

t.test("formulas compute what JavaScript computes", (t) => {
  fc.assert(
    fc.property(formula, fc.integer(), fc.integer(), ({ emit, compute }, a, b) => {
      const module = new ModuleBuilder("formula");
      const entry = emitFunction(module, "f", { a: "i32", b: "i32" }, ["i32"], ({ params }) => [
        ret(emit(params.a.get, params.b.get)),
      ]);
      module.exportFunction("f", entry);
      return instantiate(module)["f"]!(a, b) === compute(a, b);
    }),
    runs(500),
  );
  t.end();
});

t.test("blocks, loops, tables and calls", (t) => {
  const module = new ModuleBuilder("control");
  module.importMemory("env", "memory", { initial: 1, maximum: 1 });
  const double = declare(module, "double", { x: "i32" }, ["i32"]);
  const sum = emitFunction(module, "sum_to", { n: "i32" }, ["i32"], ({ params: { n }, locals }) => {
    const total = locals.i32("total");
    return [
      whileLoop("each", n.get, [total.set(i32.add(total.get, n.get)), n.set(i32.sub(n.get, i32.const(1)))]),
      ret(call("i32", double.entry, total.get)),
    ];
  });
  define(module, double, ({ params: { x } }) => [ret(i32.shl(x.get, i32.const(1)))]);
  const pick = emitFunction(module, "pick", { x: "i32" }, ["i32"], ({ params: { x } }) => [
    block("other", (other) => [
      block("one", (one) => [
        block("zero", (zero) => [brTable(x.get, [zero, one, other])]),
        ret(i32.const(100)),
      ]),
      ret(i32.const(101)),
    ]),
    ret(
      choose(
        i32.gt_s(x.get, i32.const(9)),
        i32.const(-1),
        select(i32.const(5), i32.const(6), i32.eq(x.get, i32.const(2))),
      ),
    ),
  ]);
  const countdown = emitFunction(module, "countdown", { x: "i32" }, ["i32"], ({ params: { x }, locals }) => {
    const rounds = locals.i32("rounds");
    return [
      loop("again", (again) => [
        ifElse(
          i32.and(x.get, i32.const(1)),
          [rounds.set(i32.add(rounds.get, i32.const(1)))],
          [rounds.set(i32.add(rounds.get, i32.const(2)))],
        ),
        x.set(i32.shr_u(x.get, i32.const(1))),
        brIf(again, x.get),
      ]),
      ret(rounds.get),
    ];
  });
  for (const entry of [sum, pick, countdown]) module.exportFunction(entry.name, entry);
  const exports = instantiate(module);
  t.equal(exports["sum_to"]!(4), 20);
  t.strictSame(
    [0, 1, 2, 3, 99].map((x) => exports["pick"]!(x)),
    [100, 101, 5, 6, -1],
  );
  t.equal(exports["countdown"]!(0b1011), 5);
  t.end();
});

t.test("memory and vectors", (t) => {
  const bytes = new Uint8Array(memory.buffer);
  const module = new ModuleBuilder("memory");
  module.importMemory("env", "memory", { initial: 1, maximum: 1 });
  const entry = emitFunction(module, "mix", { at: "i32" }, ["i32"], ({ params: { at } }) => [
    memoryCopy(i32.add(at.get, i32.const(64)), at.get, i32.const(16)),
    v128Memory.store(at.get, v128.xor(v128Memory.load(at.get, 64), i32x4.splat(i32.const(0x01010101))), 128),
    i32Memory.store16(at.get, i32Memory.load8_u(at.get, 129), 200),
    ret(
      i32.add(
        i8x16.bitmask(i8x16.eq(v128Memory.load(at.get), v128Memory.load(at.get, 64))),
        i32.wrap_i64(i64.add(i64.extend_i32_u(i32Memory.load16_u(at.get, 200)), i64.const(1n << 40n))),
      ),
    ),
  ]);
  module.exportFunction("mix", entry);
  bytes.set(
    Array.from({ length: 16 }, (_, at) => at * 3),
    256,
  );
  t.equal(instantiate(module)["mix"]!(256), 0xffff + (3 ^ 1));
  t.strictSame(
    [...bytes.subarray(256 + 128, 256 + 144)],
    Array.from({ length: 16 }, (_, at) => (at * 3) ^ 1),
  );
  t.end();
});

t.test("the text of a module shows the names of functions and locals", async (t) => {
  const module = new ModuleBuilder("named");
  module.importMemory("env", "memory", { initial: 1, maximum: 1 });
  const limit = module.importGlobal("thread", "limit", "i32");
  t.equal(limit, 0);
  const entry = emitFunction(module, "lookup_ipv4_tcp_dst", { batch: "i32" }, ["f64"], ({ locals }) => [
    locals.i32("hash").set(i32.const(7)),
    ret(f64.const(0.5)),
  ]);
  module.exportFunction("lookup", entry);
  const wabt = await loadWabt();
  const text = wabt.readWasm(module.encode(), { readDebugNames: true, simd: true, threads: true }).toText({});
  for (const name of [
    "$lookup_ipv4_tcp_dst",
    "$batch",
    "$hash",
    "f64.const 0x1p-1",
    '(import "thread" "limit"',
  ])
    t.match(text, name);
  t.end();
});

t.test("what cannot be right is refused by name", (t) => {
  const module = new ModuleBuilder("wrong");
  const entry = declare(module, "missing", { x: "i32" }, ["i32"]);
  t.throws(() => module.encode(), /function missing has no body/);
  t.throws(
    () => call("i32", entry.entry, i64.const(1n)),
    /missing is \(i32\) -> i32, called as \(i64\) -> i32/,
  );
  define(module, entry, () => [br(new Label("nowhere"))]);
  t.throws(() => module.encode(), /a branch names "nowhere"/);
  t.throws(() => define(module, entry, () => [statement([])]), /missing has a body already/);
  module.exportFunction("x", entry.entry);
  t.throws(() => module.exportFunction("x", entry.entry), /export x stands twice/);
  t.throws(() => module.importFunction("env", "late", entry.entry.type), /late comes behind a function/);
  t.end();
});
