// What becomes of learned flows: expiry, moved hosts, ports that come and go, flushes and limits, under a
// virtual clock.
import t from "tap";
import { HandlerRig } from "./rig.ts";
import { counts, end, packet } from "./traffic.ts";

t.test("learned flows expire when idle; used ones and the operator's stay", async (t) => {
  const rig = new HandlerRig();
  const [one, two] = await rig.addDummies(2);
  rig.putOperatorFlow(packet(100, 2), two!.portNo, "drop", ["in_port", "eth_src"]);
  one!.inject(packet(1, 99));
  one!.inject(packet(2, 99));
  rig.settle();
  for (let second = 0; second < 12; second += 1) {
    rig.pass(1000);
    one!.inject(packet(1, 99));
    rig.settle();
  }
  t.equal(rig.core.table.flowCount, 2);
  t.strictSame(rig.core.handler.revalidator.counts, { idle: 1, changed: 0, overLimit: 0 });
  t.equal(rig.core.handler.revalidator.learnedCount, 1);
  const used = rig.core.learn!.entries().map((entry) => entry.usedMillis);
  t.strictSame(used.sort(), [1000, 12_000], "traffic keeps addresses: as of the last walk");
  rig.pass(11_000);
  t.equal(rig.core.table.flowCount, 1);
  t.equal(rig.flows()[0]!.operator, true);
  await end(t, rig);
});

t.test("addresses age with the traffic that they were learned from", async (t) => {
  const rig = new HandlerRig({ policy: { "mac-aging-seconds": 15 } });
  const [one, two] = await rig.addDummies(2);
  one!.inject(packet(1, 99));
  two!.inject(packet(2, 98));
  rig.settle();
  for (let second = 0; second < 20; second += 1) {
    rig.pass(1000);
    one!.inject(packet(1, 99));
    rig.settle();
  }
  t.strictSame(
    rig.core.learn!.entries().map((entry) => entry.portNo),
    [one!.portNo],
  );
  t.equal(rig.core.learn!.macs.counts.expired, 1);
  await end(t, rig);
});

t.test("a host moves: flows to it follow", async (t) => {
  const rig = new HandlerRig();
  const ports = await rig.addDummies(3);
  ports[1]!.inject(packet(2, 1));
  ports[0]!.inject(packet(1, 2));
  rig.settle();
  counts(ports);
  ports[2]!.inject(packet(2, 1));
  rig.settle();
  t.strictSame(counts(ports), [1, 0, 0]);
  rig.housekeep();
  ports[0]!.inject(packet(1, 2));
  rig.settle();
  t.strictSame(counts(ports), [0, 0, 1]);
  rig.pass(2000);
  ports[0]!.inject(packet(1, 2));
  rig.settle();
  t.strictSame(counts(ports), [0, 0, 1], "old flows of the host do not move it back");
  ports[1]!.inject(packet(2, 1));
  rig.settle();
  rig.pass(1000);
  counts(ports);
  ports[0]!.inject(packet(1, 2));
  rig.settle();
  t.strictSame(counts(ports), [0, 1, 0], "it moved back, whatever its old flow is");
  await end(t, rig);
});

t.test("ports come and go: flooding flows follow, and flows to a gone port flood", async (t) => {
  const rig = new HandlerRig();
  const ports = await rig.addDummies(3);
  ports[0]!.inject(packet(1, 99));
  ports[1]!.inject(packet(2, 1));
  rig.settle();
  rig.housekeep();
  const [p1, p2, p3] = ports.map((port) => port.portNo);
  t.strictSame(rig.actions(), [`${p1}`, `${p2},${p3}`]);
  const fourth = await rig.addDummy("p4");
  rig.housekeep();
  t.strictSame(rig.actions(), [`${p1}`, `${p2},${p3},${fourth.portNo}`]);
  await rig.ports.remove(p1!);
  rig.housekeep();
  const expected = [`${p3},${fourth.portNo}`];
  t.strictSame(
    rig.actions().filter((text) => text !== "drop"),
    expected,
  );
  t.strictSame(
    rig.core.learn!.entries().map((entry) => entry.portNo),
    [p2],
  );
  counts([...ports, fourth]);
  ports[1]!.inject(packet(2, 1));
  rig.settle();
  t.strictSame([ports[2]!.take().length, fourth.take().length], [1, 1]);
  await end(t, rig);
});

t.test("a flushed address table makes flows flood again, and leaves the operator's alone", async (t) => {
  const rig = new HandlerRig();
  const ports = await rig.addDummies(3);
  const drop = packet(100, 2);
  rig.putOperatorFlow(drop, ports[2]!.portNo, `${ports[0]!.portNo}`, ["in_port", "eth_src"]);
  ports[0]!.inject(packet(1, 2));
  ports[1]!.inject(packet(2, 1));
  rig.settle();
  rig.pass(500);
  counts(ports);
  rig.core.learn!.flush(rig.clock.millis());
  rig.housekeep();
  t.strictSame(rig.core.learn!.entries(), [], "old packets do not bring them back");
  rig.clock.advance(1);
  ports[1]!.inject(packet(2, 1));
  ports[2]!.inject(drop);
  rig.settle();
  t.strictSame(counts(ports), [2, 0, 1]);
  rig.pass(1000);
  t.strictSame(
    rig.core.learn!.entries().map((entry) => entry.portNo),
    [ports[1]!.portNo],
    "and learn again",
  );
  await end(t, rig);
});

t.test("the flow limit holds while a walk goes on, and a lower one is walked down to", async (t) => {
  const rig = new HandlerRig({ policy: { "flow-limit": 600 } });
  const [one, two] = await rig.addDummies(2);
  const { handler, table } = rig.core;
  rig.putOperatorFlow(packet(5001, 2), two!.portNo, "drop", ["in_port", "eth_src"]);
  const inject = (from: number, count: number): void => {
    for (let host = from; host < from + count; host += 1) {
      one!.inject(packet(host, 5000));
      if (host % 16 === 0) rig.settle();
    }
    rig.settle();
  };
  inject(1, 500);
  rig.clock.advance(600);
  t.equal(handler.step(), true, "a walk has begun");
  inject(1001, 100);
  t.match(handler, { installCount: 600, refusedCount: 0 });
  t.equal(handler.revalidator.learnedCount, 600);
  rig.housekeep();
  t.equal(handler.revalidator.learnedCount, 600);
  handler.revalidator.setLimits({ flowIdleMillis: 10_000, flowLimit: 100 });
  rig.pass(1000);
  t.equal(table.flowCount, 101);
  t.strictSame(handler.revalidator.counts, { idle: 0, changed: 0, overLimit: 500 });
  two!.take();
  inject(2001, 10);
  t.match(handler, { installCount: 600, refusedCount: 10 });
  t.equal(two!.take().length, 10);
  await end(t, rig);
});
