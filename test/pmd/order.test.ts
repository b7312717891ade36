// Order: packets of a conversation leave in the order in which they came, across misses, followers and whatever turns
// handler and worker take; and however many packets of a new flow come, one flow is installed.
import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { UPCALL } from "../../src/datapath/upcall-record.ts";
import { Dataplane, FIVE_TUPLE, maskOf } from "../support/dataplane.ts";
import { conversationOf, numberedFrame, numberOf } from "../support/numbered-frame.ts";
import { runs } from "../support/seed.ts";

const CONVERSATIONS = 6;

type Step =
  | { readonly do: "inject"; readonly conversation: number; readonly count: number }
  | { readonly do: "loop" }
  | { readonly do: "handle"; readonly budget: number }
  | { readonly do: "flush" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("inject" as const),
      conversation: fc.nat({ max: CONVERSATIONS - 1 }),
      count: fc.integer({ min: 1, max: 20 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("loop" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("handle" as const), budget: fc.integer({ min: 1, max: 8 }) }),
  },
);
/** A flush between answer and look-up sends a packet up a second time; then its conversation may come out of order. */
const stepWithFlush = fc.oneof(
  { weight: 10, arbitrary: step },
  { weight: 1, arbitrary: fc.constant({ do: "flush" } as const) },
);

async function play(
  steps: readonly Step[],
): Promise<{ plane: Dataplane; sent: number[]; out: Uint8Array[] }> {
  const plane = new Dataplane();
  const one = await plane.addDummy("one");
  const two = await plane.addDummy("two");
  plane.handler.decide = () => ({ mask: maskOf(FIVE_TUPLE), actions: String(two.portNo) });
  const sent = new Array<number>(CONVERSATIONS).fill(0);
  for (const taken of steps) {
    if (taken.do === "inject") {
      for (let count = 0; count < taken.count; count += 1) {
        one.inject(numberedFrame(sent[taken.conversation]!, taken.conversation));
        sent[taken.conversation]! += 1;
      }
    } else if (taken.do === "loop") {
      plane.pmds[0]!.iterate();
    } else if (taken.do === "handle") {
      plane.handler.budget = taken.budget;
      plane.handler.drain();
    } else {
      plane.table.flush();
      while (plane.table.step());
    }
  }
  plane.handler.budget = Number.MAX_SAFE_INTEGER;
  plane.settle();
  const out = two.take();
  await plane.close();
  return { plane, sent, out };
}

t.test("order within a conversation, one install for each", async (t) => {
  let followers = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { plane, sent, out } = await play(steps);
      for (const [conversation, count] of sent.entries()) {
        assert.deepEqual(
          out.filter((frame) => conversationOf(frame) === conversation).map(numberOf),
          Array.from({ length: count }, (_, number) => number),
        );
      }
      assert.equal(plane.handler.installCount, sent.filter((count) => count > 0).length);
      const { counters } = plane.totals();
      assert.equal(counters.consumed, counters.reinjected);
      assert.equal(counters.lookup_hit + counters.lookup_miss, counters.received);
      followers += plane.handler.seen.filter(({ type }) => type === UPCALL.follow).length;
    }),
    runs(200),
  );
  t.ok(followers > 0, "some packets went up behind a miss");
});

t.test("flows that vanish between answer and look-up lose no packet", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(stepWithFlush, { maxLength: 60 }), async (steps) => {
      const { plane, sent, out } = await play(steps);
      assert.equal(
        out.length,
        sent.reduce((sum, count) => sum + count, 0),
      );
      assert.equal(plane.books().in, plane.books().out);
    }),
    runs(100),
  );
});
