// The linter against the definition: every pair of flows compared bit by bit.
import fc from "fast-check";
import t from "tap";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { OVERLAPS_PER_SLICE, tellOverlaps } from "../../src/control/commands/flows-lint.ts";
import { FlowLint } from "../../src/control/flow-lint.ts";
import { equalUnder, keysEqual, newKey, setNumber, setOnes } from "../../src/flow/key.ts";
import type { FlowView } from "../../src/table/flow-reader.ts";
import { runs } from "../support/seed.ts";

const FIELDS = ["in_port", "eth_type", "nw_src", "tp_dst"] as const;

const flows: fc.Arbitrary<FlowView[]> = fc
  .array(
    fc.record({
      key: fc.tuple(...FIELDS.map(() => fc.integer({ min: 0, max: 3 }))),
      /** Exact, two low bits or nothing of each field. */
      mask: fc.tuple(...FIELDS.map(() => fc.constantFrom(0, 1, 2))),
      actions: fc.integer({ min: 0, max: 2 }),
    }),
    { maxLength: 40 },
  )
  .map((rows) => {
    const seen = new Set<string>();
    return rows.flatMap((row) => {
      const key = newKey();
      const mask = newKey();
      for (const [index, field] of FIELDS.entries()) {
        setNumber(key, field, row.key[index]!);
        if (row.mask[index] === 2) setOnes(mask, field);
        if (row.mask[index] === 1) setNumber(mask, field, 1);
      }
      // A table has a mask and masked key once.
      const name = `${row.mask} ${FIELDS.map((_, index) => (row.mask[index] === 0 ? "" : row.mask[index] === 1 ? row.key[index]! & 1 : row.key[index]))}`;
      if (seen.has(name)) return [];
      seen.add(name);
      const stats = { packets: 0, bytes: 0, usedMillis: 0, tcpFlags: 0 };
      const rest = {
        flowNo: 1,
        ufid: new Uint8Array(16).fill(seen.size),
        stats,
        operator: true,
        createdMillis: 0,
      };
      return [{ key, mask, actions: Uint8Array.of(row.actions), ...rest }];
    });
  });

function lintAll(all: readonly FlowView[], overlapsMax: number): { lint: FlowLint; slices: number } {
  const lint = new FlowLint(overlapsMax);
  for (const flow of all) lint.add(flow);
  let slices = 0;
  for (const _ of lint.walk()) slices += 1;
  return { lint, slices };
}

const pairName = (left: FlowView, right: FlowView): string =>
  [left.ufid[0]!, right.ufid[0]!].sort((a, b) => a - b).join("-");

t.test("finds the pairs that comparing each with each finds", async (t) => {
  let pairs = 0;
  fc.assert(
    fc.property(flows, (all) => {
      const wanted: string[] = [];
      for (const [index, left] of all.entries()) {
        for (const right of all.slice(index + 1)) {
          const common = left.mask.map((bits, at) => bits & right.mask[at]!);
          if (equalUnder(left.key, right.key, common) && !keysEqual(left.actions, right.actions))
            wanted.push(pairName(left, right));
        }
      }
      pairs += wanted.length;
      const { lint } = lintAll(all, Number.POSITIVE_INFINITY);
      const found = lint.overlaps.map(({ flows: [left, right] }) => pairName(left, right));
      t.same(found.sort(), wanted.sort());
      const cut = lintAll(all, 3).lint;
      return cut.overlaps.length === Math.min(3, wanted.length) && cut.isCut === wanted.length >= 3;
    }),
    runs(200),
  );
  t.ok(pairs > 100, `${pairs} pairs overlapped`);
});

t.test("many flows that agree are joined in slices, and cost no pair each", async (t) => {
  const many = 3000;
  const all = Array.from({ length: 2 * many }, (_, index): FlowView => {
    const key = newKey();
    const mask = newKey();
    const field = index < many ? "nw_src" : "nw_dst";
    setNumber(key, field, index);
    setOnes(mask, field);
    const stats = { packets: 0, bytes: 0, usedMillis: 0, tcpFlags: 0 };
    const rest = { flowNo: 1, ufid: new Uint8Array(16), stats, operator: true, createdMillis: 0 };
    return { key, mask, actions: new Uint8Array(0), ...rest };
  });
  const { lint, slices } = lintAll(all, 10);
  t.match(lint, { overlaps: [], flowCount: 2 * many, maskCount: 2, isCut: false });
  t.ok(slices > 10, "no slice is long");
});

t.test("pairs are put into words a few at a time", async (t) => {
  const all = Array.from({ length: 40 }, (_, index): FlowView => {
    const key = newKey();
    const mask = newKey();
    // Flows under two masks, which all meet in a packet of zeros.
    setOnes(mask, index < 1 ? "nw_src" : "nw_dst");
    setNumber(key, "nw_dst", index);
    const stats = { packets: 0, bytes: 0, usedMillis: 0, tcpFlags: 0 };
    const rest = { flowNo: 1, ufid: new Uint8Array(16), stats, operator: true, createdMillis: 0 };
    return { key, mask, actions: parseActions(String(1 + Number(index < 1))), ...rest };
  });
  const { lint } = lintAll(all, 100);
  const slices = [
    ...tellOverlaps(
      lint.overlaps,
      { numbers: new Map<string, number>(), names: new Map<number, string>() },
      0,
      1,
    ),
  ];
  t.equal(lint.overlaps.length, 39);
  t.ok(slices.every((slice) => slice.length <= OVERLAPS_PER_SLICE));
  t.equal(slices.flat().length, 39);
  t.match(slices[0]![0]!.lines, ["overlap:", /actions:2/, /actions:1/]);
});
