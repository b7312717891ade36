// Rebalancing on random loads: buckets move from the heavier to the lighter member, each once, never making the heaviest
// member heavier; what is left over has a reason. And loads worked out by hand.
import fc from "fast-check";
import t from "tap";
import { type MemberLoad, planMoves } from "../../../src/bridge/bond/rebalance.ts";
import { runs } from "../../support/seed.ts";

/** Bytes of each member's buckets; buckets are numbered through. */
const given = fc.array(fc.array(fc.integer({ min: 1, max: 5_000_000 }), { maxLength: 12 }), {
  minLength: 1,
  maxLength: 5,
});

function loadsOf(members: readonly (readonly number[])[]): MemberLoad<number>[] {
  let bucket = 0;
  return members.map((bytes, member) => ({
    member,
    buckets: bytes.map((each) => ({ bucket: bucket++, bytes: each })),
  }));
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

t.test("moves level the load, and stop for a reason", async () => {
  fc.assert(
    fc.property(given, (members) => {
      const totals = members.map(sum);
      const before = [...totals];
      const left = members.map((bytes) => bytes.length);
      const moved = new Set<number>();
      for (const { bucket, bytes, from, to } of planMoves(loadsOf(members))) {
        if (moved.has(bucket)) throw new Error(`bucket ${bucket} moves twice`);
        moved.add(bucket);
        left[from]! -= 1;
        totals[from]! -= bytes;
        totals[to]! += bytes;
      }
      if (sum(totals) !== sum(before)) throw new Error("load is lost");
      if (Math.max(...totals) > Math.max(...before)) throw new Error("the heaviest got heavier");
      if (Math.min(...totals) < Math.min(...before)) throw new Error("the lightest got lighter");
      const heaviest = totals.indexOf(Math.max(...totals));
      const overload = totals[heaviest]! - Math.min(...totals);
      const isLevel = overload < 100_000 || overload < Math.min(...totals) / 32;
      // Of more members one may have been passed over while another was still lighter; it is not looked at again.
      if (isLevel || left[heaviest]! <= 1 || members.length > 2) return;
      // The lightest bucket that it could give away would not close a tenth of the gap, or would turn it round.
      const gap = overload / 2;
      const lightest = Math.min(
        ...loadsOf(members)
          [heaviest]!.buckets.filter(({ bucket }) => !moved.has(bucket))
          .map(({ bytes }) => bytes),
      );
      if (lightest <= gap && lightest >= gap / 10)
        throw new Error(`a bucket of ${lightest} closes a gap of ${gap}`);
    }),
    runs(2000),
  );
});

t.test("loads worked out by hand", async (t) => {
  const plan = (...members: number[][]): string =>
    planMoves(loadsOf(members))
      .map(({ bucket, from, to }) => `${bucket}:${from}>${to}`)
      .join(" ");
  t.equal(plan([600_000, 400_000], []), "1:0>1", "what is nearest below the half");
  t.equal(plan([1_000_000], []), "", "a single bucket stays");
  t.equal(plan([60_000, 39_000], []), "", "less than 100,000 bytes are not worth a move");
  t.equal(plan([900_000, 900_000, 100_000], [1_000_000]), "2:0>1", "the heavy ones would turn it round");
  t.equal(plan([400_000, 300_000, 200_000, 100_000], []), "0:0>1 3:0>1", "several at once");
  t.equal(plan([10_000_000, 200_000], [10_000_000]), "", "3 percent are no matter");
  t.equal(plan([500_000, 500_000], [500_000, 500_000], []), "0:0>2", "one for the empty one");
  t.equal(plan([800_000, 900_000], [1]), "0:0>1", "all heavier than the half: the lightest");
});
