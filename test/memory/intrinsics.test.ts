// The compiled bytes are those of the text beside them, and each instruction does what its name says.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { instantiateIntrinsics } from "../../src/memory/intrinsics.ts";
import { INTRINSICS_BASE64 } from "../../src/memory/intrinsics-bytes.ts";
import { assembleIntrinsics } from "../support/assemble.ts";
import { REPOSITORY_ROOT } from "../support/corpora.ts";
import { runs } from "../support/seed.ts";

const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
const intrinsics = instantiateIntrinsics(memory);
const bytes = new Uint8Array(memory.buffer);
const u64 = new BigUint64Array(memory.buffer);

t.test("the bytes are the assembled text", async (t) => {
  const text = readFileSync(join(REPOSITORY_ROOT, "src/memory/intrinsics.wat"), "utf8");
  const assembled = await assembleIntrinsics(text);
  t.equal(INTRINSICS_BASE64, Buffer.from(assembled).toString("base64"));
});

t.test("load and store pass 32-bit words", async (t) => {
  for (const word of [0, 1, 0x7fffffff, -1, -0x80000000]) {
    intrinsics.store(64, word);
    t.equal(intrinsics.load(64), word);
  }
});

t.test("count carries into the high word", async (t) => {
  u64[8] = 0xffff_fff0n;
  intrinsics.count(64, 0xffff_ffff);
  t.equal(u64[8], 0xffff_fff0n + 0xffff_ffffn, "the delta is unsigned");
});

t.test("countFlow adds packets and bytes, keeps the latest time, collects flags", async (t) => {
  u64.fill(0n, 8, 12);
  u64[9] = 0xffff_ffffn;
  intrinsics.countFlow(64, 2, 3000, 1234.9, 0x002);
  intrinsics.countFlow(64, 1, 60, 5000, 0x010);
  t.same([u64[8], u64[9], u64[10], u64[11]], [3n, 0xffff_ffffn + 3060n, 5000n, 0x012n]);
});

t.test("copy, move and zero touch their range and nothing else", async (t) => {
  const count = fc.oneof(
    fc.integer({ min: 0, max: 80 }),
    fc.integer({ min: 500, max: 530 }),
    fc.constant(2000),
  );
  const before = Uint8Array.from({ length: 16384 }, (_, index) => (index * 31) & 0xff);
  const at = fc.integer({ min: 0, max: 4000 });
  fc.assert(
    fc.property(count, at, at, (length, from, to) => {
      const source = 8192 + from;
      bytes.set(before);
      intrinsics.copy(to, source, length);
      const copied = before.slice();
      copied.set(before.subarray(source, source + length), to);
      if (Buffer.compare(copied, bytes.subarray(0, 16384)) !== 0) return false;
      intrinsics.move(to + 7, to, length);
      copied.copyWithin(to + 7, to, to + length);
      if (Buffer.compare(copied, bytes.subarray(0, 16384)) !== 0) return false;
      intrinsics.zero(from, length);
      copied.fill(0, from, from + length);
      return Buffer.compare(copied, bytes.subarray(0, 16384)) === 0;
    }),
    runs(200),
  );
  t.pass("every range");
});
