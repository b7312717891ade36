import fc from "fast-check";
import t from "tap";
import { joinNanoseconds, TimestampResolution } from "../../src/packet/timestamp.ts";
import { runs } from "../support/seed.ts";

const NANOSECONDS = 1_000_000_000n;
const word = fc.oneof(fc.constantFrom(0, 1, 0xffffffff, 0x80000000), fc.integer({ min: 0, max: 0xffffffff }));

/** Whole seconds and nanoseconds of `ticks`, cut, in integers of any size. */
function exactly(ticks: bigint, tsresol: number): { seconds: bigint; nanoseconds: bigint } {
  const unitsPerSecond = tsresol & 0x80 ? 2n ** BigInt(tsresol & 0x7f) : 10n ** BigInt(tsresol);
  const nanoseconds = ((ticks % unitsPerSecond) * NANOSECONDS) / unitsPerSecond;
  return { seconds: ticks / unitsPerSecond, nanoseconds };
}

t.test("a time is split exactly in every resolution", async () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 255 }), word, word, (tsresol, high, low) => {
      const resolution = new TimestampResolution(tsresol);
      resolution.split(high, low);
      const expected = exactly(BigInt(high) * 2n ** 32n + BigInt(low), tsresol);
      return (
        resolution.seconds === Number(expected.seconds) &&
        BigInt(resolution.nanoseconds) === expected.nanoseconds
      );
    }),
    {
      ...runs(5000),
      examples: [
        [6, 0x5f5e1, 0xffffffff],
        [0x8a, 1, 1],
        [9, 0x17000000, 5],
        [0xa0, 3, 0x80000000],
      ],
    },
  );
});

t.test("if_tsoffset is added to the seconds", async (t) => {
  const resolution = new TimestampResolution(9, -5);
  resolution.split(0, 7);
  t.same([resolution.seconds, resolution.nanoseconds], [-5, 7]);
});

t.test("joined and split again, a time is the same", async () => {
  const words = new Uint32Array(2);
  const resolution = new TimestampResolution(9);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 18_446_744_072 }), fc.nat(999_999_999), (seconds, nanoseconds) => {
      joinNanoseconds(seconds, nanoseconds, words);
      resolution.split(words[0]!, words[1]!);
      return resolution.seconds === seconds && resolution.nanoseconds === nanoseconds;
    }),
    runs(2000),
  );
});
