// The index of learned flows against a list, and chains that change while they are followed.
import fc from "fast-check";
import t from "tap";
import { FlowIndex } from "../../src/upcall/flow-index.ts";
import { runs, SEED } from "../support/seed.ts";

const FLOWS = 12;

function chain(index: FlowIndex, subject: number): number[] {
  const flowNos: number[] = [];
  for (let link = index.first(subject); link !== 0; link = index.next(link)) {
    if (!index.isUnder(link, subject)) throw new Error(`link ${link} is not under ${subject}`);
    flowNos.push(index.flowNo(link));
    if (flowNos.length > FLOWS) throw new Error("a chain that goes round");
  }
  return flowNos.sort((a, b) => a - b);
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.integer({ min: 1, max: FLOWS }), fc.array(fc.nat(4), { maxLength: 2 })),
  },
  { weight: 2, arbitrary: fc.tuple(fc.integer({ min: 1, max: FLOWS }), fc.constant(null)) },
);

t.test("finds what a list finds", async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const index = new FlowIndex(FLOWS);
      const slow = new Map<number, readonly number[]>();
      for (const [birth, [flowNo, subjects]] of steps.entries()) {
        if (subjects === null) {
          index.remove(flowNo);
          slow.delete(flowNo);
        } else {
          index.add(flowNo, birth, subjects);
          slow.set(flowNo, subjects);
          if (index.birth(flowNo) !== birth) throw new Error("the birth is another one");
        }
        for (let subject = 0; subject <= 4; subject += 1) {
          const expected = [...slow].filter(([, all]) => all.includes(subject)).map(([flow]) => flow);
          const found = chain(index, subject);
          if (found.join() !== expected.sort((a, b) => a - b).join())
            throw new Error(`under ${subject}: ${found.join()}, not ${expected.join()}`);
        }
        const subjectsInUse = new Set([...slow.values()].flat());
        if (index.subjectCount !== subjectsInUse.size) throw new Error("chains of nothing are kept");
      }
      index.clear();
      for (let subject = 0; subject <= 4; subject += 1) {
        if (index.first(subject) !== 0) throw new Error("cleared, and a chain is left");
      }
    }),
    runs(2000),
  );
  t.pass(`every schedule; SEED=${SEED}`);
});

t.test("a link whose number was given anew is under its old subject no more", async (t) => {
  const index = new FlowIndex(FLOWS);
  index.add(1, 1, [7]);
  index.add(2, 2, [7]);
  const link = index.first(7);
  index.add(index.flowNo(link), 3, [8]);
  t.equal(index.isUnder(link, 7), false);
  t.equal(index.isUnder(index.first(7), 7), true);
});
