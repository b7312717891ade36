// A worker that is ended in the middle of a burst, between the packets' fates and their publication: what it staged for
// a port, for another worker and for the handler is in the arena and goes on; no frame is lost and the books balance.
import t from "tap";
import { ThreadCounters } from "../../src/datapath/counters.ts";
import { FramePool } from "../../src/memory/frame-pool.ts";
import { controlThread } from "../../src/memory/region-plan.ts";
import { Pmd } from "../../src/pmd/pmd.ts";
import { Reclaimer } from "../../src/pmd/reclaim.ts";
import type { QueueFactory } from "../../src/port/port.ts";
import { QUEUE_FACTORIES } from "../../src/port/queue-factories.ts";
import { Dataplane, FIVE_TUPLE, maskOf } from "../support/dataplane.ts";
import { conversationOf, numberedFrame, numberOf } from "../support/numbered-frame.ts";

const PACKETS = 20;
/** In the order of their packets: the port that got packets last is flushed first, and gets stuck in it. */
const CONVERSATION = { otherWorker: 2, ownPort: 1, miss: 3 } as const;

/** Dummy ports of which one's transmit queue does not come back from its first flush. */
function stickingAt(isStuck: (slot: number) => boolean): { factory: QueueFactory; release(): void } {
  const dummy = QUEUE_FACTORIES.get("dummy")!;
  let released = false;
  return {
    factory: {
      ...dummy,
      openTx: (context, attachment) => {
        const queue = dummy.openTx(context, attachment);
        return {
          portNo: queue.portNo,
          slot: queue.slot,
          put: (frame) => queue.put(frame),
          flush: () => {
            if (!released && isStuck(queue.slot)) throw new Error("stuck");
            queue.flush();
          },
          close: () => queue.close(),
        };
      },
    },
    release: () => {
      released = true;
    },
  };
}

t.test("nothing that was staged is lost", async (t) => {
  let stuckSlot = -1;
  const { factory, release } = stickingAt((slot) => slot === stuckSlot);
  const factories = new Map([...QUEUE_FACTORIES, ["dummy" as const, factory]]);
  const plane = new Dataplane({ sizes: { workerCount: 2 }, factories });
  const one = await plane.addDummy("one");
  const two = await plane.addDummy("two");
  const own = await plane.addDummy("own");
  t.strictSame(
    plane.ports.rxqs().map(({ worker }) => worker),
    [0, 1, 0],
  );
  plane.putFlow(numberedFrame(0, CONVERSATION.ownPort), one.portNo, `${own.portNo}`, FIVE_TUPLE);
  plane.putFlow(numberedFrame(0, CONVERSATION.otherWorker), one.portNo, `${two.portNo}`, FIVE_TUPLE);
  plane.handler.decide = () => ({ mask: maskOf(FIVE_TUPLE), actions: `${two.portNo}` });
  for (const conversation of Object.values(CONVERSATION)) {
    for (let number = 0; number < PACKETS; number += 1) one.inject(numberedFrame(number, conversation));
  }
  stuckSlot = own.slot;
  t.throws(() => plane.pmds[0]!.iterate(), /stuck/);
  plane.pmds[1]!.iterate();
  t.strictSame([own.take(), two.take()], [[], []], "nothing was published");
  release();

  const { arena, clock } = plane;
  const control = controlThread(arena.plan.sizes);
  const reclaimer = new Reclaimer(
    arena,
    new FramePool(arena, control, true),
    new ThreadCounters(arena, control),
  );
  t.equal(reclaimer.reclaimWorker(0), 0, "no packet was in hand any more");
  const successor = new Pmd(arena, 0, { debugLedger: true, clock, factories });
  plane.pmds[0] = successor;
  for (const port of [one, own]) successor.attachTx(port.txAttachment(0));
  successor.setTxOwner(two.portNo, two.slot, 1);
  for (const port of [one, own]) successor.attachRx(port.rxAttachment(0));
  plane.settle();

  const numbers = Array.from({ length: PACKETS }, (_, number) => number);
  t.strictSame(own.take().map(numberOf), numbers, "what was put to a port leaves");
  const arrived = two.take();
  for (const conversation of [CONVERSATION.otherWorker, CONVERSATION.miss]) {
    t.strictSame(
      arrived.filter((frame) => conversationOf(frame) === conversation).map(numberOf),
      numbers,
      `conversation ${conversation} arrives in order`,
    );
  }
  t.equal(plane.books().in, plane.books().out, "the books balance");
  await plane.close();
  t.strictSame([...plane.frameOwners()], [["free", arena.plan.sizes.frameCount]]);
});

t.test("a port that closes before it has another owner drops what was staged", async (t) => {
  const { factory } = stickingAt(() => true);
  const factories = new Map([...QUEUE_FACTORIES, ["dummy" as const, factory]]);
  const plane = new Dataplane({ factories });
  const one = await plane.addDummy("one");
  plane.putFlow(numberedFrame(0), one.portNo, `${one.portNo}`, FIVE_TUPLE);
  for (let number = 0; number < PACKETS; number += 1) one.inject(numberedFrame(number));
  t.throws(() => plane.pmds[0]!.iterate(), /stuck/);
  const { arena, clock } = plane;
  const control = controlThread(arena.plan.sizes);
  new Reclaimer(arena, new FramePool(arena, control, true), new ThreadCounters(arena, control)).reclaimWorker(
    0,
  );
  plane.pmds[0] = new Pmd(arena, 0, { debugLedger: true, clock });
  await plane.ports.remove(one.portNo);
  t.match(plane.totals().drops, { stopping: PACKETS });
  t.equal(plane.books().in, plane.books().out);
  await plane.close();
  t.strictSame([...plane.frameOwners()], [["free", arena.plan.sizes.frameCount]]);
});

t.test("what a worker was about to send when it ended is dropped, not lost", async (t) => {
  const dummy = QUEUE_FACTORIES.get("dummy")!;
  let left = 5;
  const factory: QueueFactory = {
    ...dummy,
    openTx: (context, attachment) => {
      const queue = dummy.openTx(context, attachment);
      return {
        portNo: queue.portNo,
        slot: queue.slot,
        put: (frame) => {
          queue.put(frame);
          left -= 1;
          if (left === 0) throw new Error("stuck");
        },
        flush: () => queue.flush(),
        close: () => queue.close(),
      };
    },
  };
  const plane = new Dataplane({ factories: new Map([...QUEUE_FACTORIES, ["dummy" as const, factory]]) });
  const one = await plane.addDummy("one");
  plane.putFlow(numberedFrame(0), one.portNo, `${one.portNo}`, FIVE_TUPLE);
  for (let number = 0; number < PACKETS; number += 1) one.inject(numberedFrame(number));
  t.throws(() => plane.pmds[0]!.iterate(), /stuck/);
  const { arena, clock } = plane;
  const control = controlThread(arena.plan.sizes);
  const pool = new FramePool(arena, control, true);
  t.equal(new Reclaimer(arena, pool, new ThreadCounters(arena, control)).reclaimWorker(0), PACKETS - 5);
  const successor = new Pmd(arena, 0, { debugLedger: true, clock });
  plane.pmds[0] = successor;
  successor.attachTx(one.txAttachment(0));
  successor.attachRx(one.rxAttachment(0));
  plane.settle();
  t.strictSame(one.take().map(numberOf), [0, 1, 2, 3, 4], "what the port had leaves");
  t.equal(plane.books().in, plane.books().out, "the books balance");
  pool.drain();
  await plane.close();
  t.strictSame([...plane.frameOwners()], [["free", arena.plan.sizes.frameCount]]);
});
