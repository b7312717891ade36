// How long an upcall may have to wait: the handler looks for upcalls between slices of its other work, so what one slice
// does is bounded by a count, whatever the table holds. `node build/scripts/bench-upcalls.js` prints what that makes in
// time.
import t from "tap";
import { newKey, setBig, setNumber, setOnes } from "../../src/flow/key.ts";
import type { TableWriter } from "../../src/table/table-writer.ts";
import { HandlerRig } from "./rig.ts";
import { counts, end, packet } from "./traffic.ts";

const FLOWS = 20_000;
/** Flows that one slice removes: a flush and a walk over the table go on side by side. */
const REMOVED_MAX = 512;
/** Decisions that one slice makes anew: on flows of changed addresses, and on those of a walk. */
const REVIEWED_MAX = 128;
/** Addresses that one slice ages. */
const AGED_MAX = 256;

/** Learned flows that no packet has made, from port 1, each from a source of its own. */
function fill(table: TableWriter, nowMillis: number): void {
  const mask = newKey();
  for (const name of ["in_port", "recirc_id", "packet_type", "eth_src", "eth_dst"] as const)
    setOnes(mask, name);
  const how = { mask, actions: new Uint8Array(0), create: true, modify: false, operator: false, nowMillis };
  for (let n = 0; n < FLOWS; n += 1) {
    const key = newKey();
    setNumber(key, "in_port", 1);
    setBig(key, "eth_src", 0x0200_0000_0000n + BigInt(n));
    setBig(key, "eth_dst", 0x0400_0000_0000n);
    const put = table.put({ key, ...how });
    if (put.error !== null) throw new Error(`flow ${n}: ${put.error}`);
  }
}

function fullRig(): HandlerRig {
  const rig = new HandlerRig({ policy: { "flow-limit": 200_000 }, sizes: { flowCountMax: FLOWS + 1024 } });
  fill(rig.core.table, rig.clock.millis());
  return rig;
}

/** Steps until there is nothing left to do at once. Returns the most that `measure` grew by in one of them. */
function mostOfOneStep(rig: HandlerRig, measure: () => number): { most: number; steps: number } {
  let most = 0;
  let steps = 0;
  for (let busy = true; busy; steps += 1) {
    const before = measure();
    busy = rig.core.handler.step();
    most = Math.max(most, Math.abs(measure() - before));
    for (const pmd of rig.pmds) pmd.iterate();
  }
  return { most, steps };
}

t.test("removing all flows", async (t) => {
  const rig = fullRig();
  const { table } = rig.core;
  table.flush();
  const { most, steps } = mostOfOneStep(rig, () => table.flowCount);
  t.equal(table.flowCount, 0);
  t.ok(most <= REMOVED_MAX, `${most} flows in one slice, ${REMOVED_MAX} at the most`);
  t.ok(steps >= FLOWS / REMOVED_MAX, `${steps} slices`);
  await end(t, rig);
});

t.test("idle flows", async (t) => {
  const rig = fullRig();
  const { table } = rig.core;
  rig.clock.advance(60_000);
  const { most } = mostOfOneStep(rig, () => table.flowCount);
  t.equal(table.flowCount, 0);
  t.ok(most <= REMOVED_MAX, `${most} flows in one slice, ${REMOVED_MAX} at the most`);
  await end(t, rig);
});

t.test("a port comes: every flow is looked at again", async (t) => {
  const rig = fullRig();
  const learn = rig.core.learn!;
  let reviews = 0;
  const review = learn.review.bind(learn);
  learn.review = (key) => {
    reviews += 1;
    return review(key);
  };
  await rig.addDummy("p1");
  const { most } = mostOfOneStep(rig, () => reviews);
  t.ok(reviews >= FLOWS, `${reviews} decisions`);
  t.ok(most <= REVIEWED_MAX, `${most} in one slice, ${REVIEWED_MAX} at the most`);
  await end(t, rig);
});

t.test("an address moves that many flows rest on", async (t) => {
  const rig = new HandlerRig();
  const ports = await rig.addDummies(3);
  for (let host = 10; host < 710; host += 1) {
    ports[0]!.inject(packet(host, 2));
    if (host % 32 === 0) rig.settle();
  }
  rig.settle();
  rig.housekeep();
  let reviews = 0;
  const learn = rig.core.learn!;
  const review = learn.review.bind(learn);
  learn.review = (key) => {
    reviews += 1;
    return review(key);
  };
  ports[2]!.inject(packet(2, 10));
  rig.settle();
  const { most } = mostOfOneStep(rig, () => reviews);
  t.ok(reviews >= 700, `${reviews} decisions`);
  t.ok(most <= REVIEWED_MAX, `${most} in one slice, ${REVIEWED_MAX} at the most`);
  counts(ports);
  ports[0]!.inject(packet(10, 2));
  rig.settle();
  t.strictSame(counts(ports), [0, 0, 1], "and the flows follow it");
  await end(t, rig);
});

t.test("addresses age", async (t) => {
  const rig = new HandlerRig({ policy: { "mac-table-size": FLOWS } });
  await rig.addDummies(2);
  const learn = rig.core.learn!;
  for (let n = 0; n < FLOWS; n += 1) learn.macs.learn(0, 0x0200_0000_0000 + n, 1, rig.clock.millis());
  rig.clock.advance(301_000);
  const { most } = mostOfOneStep(rig, () => learn.macs.size);
  t.equal(learn.macs.size, 0);
  t.ok(most <= AGED_MAX, `${most} addresses in one slice, ${AGED_MAX} at the most`);
  await end(t, rig);
});
