// Who holds which queue: for any wishes and any set of live workers every queue has one owner at most, rx queues have
// one as long as anybody lives, routes lead to owners, and the changes lead from one assignment to the next.
import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { assign, difference, type Holding, type TxRoute } from "../../src/pmd/assignment.ts";
import type { QueueAttachment } from "../../src/port/port.ts";
import { runs } from "../support/seed.ts";

const WORKERS = 4;

const attachment = (slot: number, queue: number): QueueAttachment => ({
  type: "dummy",
  portNo: slot + 1,
  slot,
  queue,
  fields: {},
});

/** Wishes as ports make them: rx queues anywhere, tx queue q at one worker, the others through one of the owners. */
const wishes = fc
  .array(
    fc.record({
      rx: fc.array(fc.nat({ max: WORKERS - 1 }), { maxLength: 4 }),
      txqs: fc.integer({ min: 1, max: WORKERS }),
    }),
    {
      maxLength: 6,
    },
  )
  .map((ports) => {
    const wanted = Array.from({ length: WORKERS }, () => ({
      rx: [] as QueueAttachment[],
      tx: new Map<number, TxRoute>(),
    }));
    for (const [slot, { rx, txqs }] of ports.entries()) {
      for (const [queue, worker] of rx.entries()) wanted[worker]!.rx.push(attachment(slot, queue));
      for (let worker = 0; worker < WORKERS; worker += 1) {
        wanted[worker]!.tx.set(
          slot,
          worker < txqs
            ? { kind: "own", attachment: attachment(slot, worker) }
            : { kind: "via", owner: worker % txqs, portNo: slot + 1, slot },
        );
      }
    }
    return wanted;
  });
const lives = fc.subarray([0, 1, 2, 3]);

t.test("assignments", async () => {
  fc.assert(
    fc.property(wishes, lives, (wanted, alive) => {
      const held = assign(wanted, alive);
      const rx = held.flatMap((holding) => holding.rx);
      assert.equal(new Set(rx).size, rx.length);
      assert.equal(rx.length, alive.length === 0 ? 0 : wanted.flatMap((holding) => holding.rx).length);
      const own = held.flatMap(({ tx }) =>
        [...tx.values()].flatMap((route) => (route.kind === "own" ? [route.attachment] : [])),
      );
      assert.equal(new Set(own).size, own.length, "no tx queue has two owners");
      for (const [worker, { tx }] of held.entries()) {
        assert.equal(tx.size, alive.includes(worker) ? wanted[worker]!.tx.size : 0, "every port is reached");
        for (const [slot, route] of tx) {
          if (route.kind === "via") assert.equal(held[route.owner]!.tx.get(slot)?.kind, "own");
        }
      }
      if (alive.length === WORKERS) assert.deepEqual(held, wanted);
    }),
    runs(500),
  );
});

function applied(from: Holding, to: Holding): Holding {
  const { detachRx, detachTx, via, attachTx, attachRx } = difference(from, to);
  const tx = new Map(from.tx);
  for (const slot of detachTx) tx.delete(slot);
  for (const route of via) tx.set(route.slot, route);
  for (const one of attachTx) tx.set(one.slot, { kind: "own", attachment: one });
  return { rx: [...from.rx.filter((one) => !detachRx.includes(one)), ...attachRx], tx };
}

t.test("changes", async () => {
  fc.assert(
    fc.property(wishes, wishes, lives, lives, (before, after, aliveBefore, aliveAfter) => {
      const goals = assign(after, aliveAfter);
      for (const [worker, from] of assign(before, aliveBefore).entries()) {
        const got = applied(from, goals[worker]!);
        assert.deepEqual(new Set(got.rx), new Set(goals[worker]!.rx));
        assert.deepEqual(new Map([...got.tx].sort()), new Map([...goals[worker]!.tx].sort()));
      }
    }),
    runs(300),
  );
});
