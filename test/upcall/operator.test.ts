// The operator's flows beside learned ones: what he modifies is his, what he removes may be learned again, and what he
// added is left alone whatever the policy thinks.
import t from "tap";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { printActions } from "../../src/action/odp/print-actions.ts";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { applyFlowChange, type FlowChange } from "../../src/upcall/flow-change.ts";
import { HandlerRig } from "./rig.ts";

const frame = (from: number, to: number): Uint8Array =>
  buildFrame(
    [ethernet({ src: `02:00:00:00:00:0${from}`, dst: `02:00:00:00:00:0${to}`, type: 0x88b5 })],
    new Uint8Array(46),
  );

function modification(rig: HandlerRig, actions: string): FlowChange {
  const [{ key, mask }] = rig.flows() as [ReturnType<HandlerRig["flows"]>[number]];
  const how = { create: false, modify: true, clear: false };
  return { op: "put", key, mask, ufid: undefined, actions: parseActions(actions), ...how };
}

const apply = (rig: HandlerRig, change: FlowChange) =>
  applyFlowChange(rig.core.table, change, rig.clock.millis());

t.test("a learned flow that the operator modifies is his", async (t) => {
  const rig = new HandlerRig({ policy: { "flow-limit": 1 } });
  const [one, two, three] = await rig.addDummies(3);
  one!.inject(frame(1, 2));
  rig.settle();
  t.equal(rig.core.handler.revalidator.learnedCount, 1);
  t.equal(apply(rig, modification(rig, "3")).error, null);
  t.equal(rig.core.handler.revalidator.learnedCount, 0, "it leaves its place to another");
  t.equal(apply(rig, modification(rig, "3")).error, null);
  t.equal(rig.core.handler.revalidator.learnedCount, 0, "and is counted once");

  two!.inject(frame(2, 1));
  rig.settle();
  rig.pass(15_000);
  t.strictSame(rig.actions(), ["3"], "it neither expires nor follows the address that moved in");
  t.equal(rig.flows()[0]!.operator, true);
  three!.take();
  one!.inject(frame(1, 2));
  rig.settle();
  t.equal(three!.take().length, 1);
  t.equal(await rig.close(), 0);
});

t.test("a learned flow that the operator removes is learned again", async (t) => {
  const rig = new HandlerRig();
  const [one, two] = await rig.addDummies(2);
  one!.inject(frame(1, 2));
  rig.settle();
  const [flow] = rig.flows();
  t.match(apply(rig, { op: "remove", ufid: flow!.ufid, key: undefined }), { error: null });
  t.equal(rig.core.handler.revalidator.learnedCount, 0);
  // The index still knows the dead flow when its destination is learned.
  two!.inject(frame(2, 1));
  rig.settle();
  rig.housekeep();
  two!.take();
  one!.inject(frame(1, 2));
  rig.settle();
  t.equal(two!.take().length, 1);
  t.equal(rig.core.handler.installCount, 3);
  t.equal(await rig.close(), 0);
});

t.test("flows are learned again after all were removed", async (t) => {
  const rig = new HandlerRig();
  const [one, two] = await rig.addDummies(2);
  one!.inject(frame(1, 2));
  two!.inject(frame(2, 1));
  rig.settle();
  rig.core.table.flush();
  rig.housekeep();
  t.equal(rig.core.handler.revalidator.learnedCount, 0);
  one!.inject(frame(1, 2));
  rig.settle();
  rig.housekeep();
  t.strictSame(
    rig.flows().map((flow) => printActions(flow.actions)),
    ["2"],
  );
  t.equal(rig.core.handler.revalidator.learnedCount, 1);
  rig.pass(1000);
  t.equal(await rig.close(), 0);
});

t.test("a full learned table empties faster than an idle one", async (t) => {
  const rig = new HandlerRig({ policy: { "flow-limit": 2 } });
  const [one, two] = await rig.addDummies(2);
  for (const host of [3, 4, 5]) one!.inject(frame(host, 9));
  rig.settle();
  t.match(rig.core.handler, { installCount: 2, refusedCount: 1 });
  t.equal(two!.take().length, 3, "nothing is lost");
  rig.pass(500);
  t.equal(rig.core.handler.revalidator.counts.idle, 2, "flows without a packet for 100 ms went");
  one!.inject(frame(6, 9));
  rig.settle();
  rig.pass(2000);
  t.equal(rig.core.handler.revalidator.learnedCount, 1, "with room left they have their ten seconds");
  t.equal(await rig.close(), 0);
});
