// The handler end to end in one thread: misses decided, flows installed, aged and revalidated, with balanced books.
import t from "tap";
import { COUNTERS } from "../../src/datapath/counters.ts";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { ipv4 } from "../../src/packet/builder-network.ts";
import { udp } from "../../src/packet/builder-transport.ts";
import type { DummyPort } from "../../src/port/dummy/driver.ts";
import { SeededRandom } from "../support/random.ts";
import { SEED } from "../support/seed.ts";
import { HandlerRig } from "./rig.ts";

const mac = (host: number): string =>
  `02:00:00:00:${(host >> 8).toString(16).padStart(2, "0")}:${(host & 255).toString(16).padStart(2, "0")}`;

const packet = (from: number, to: number, payloadBytes = 20): Uint8Array =>
  buildFrame(
    [
      ethernet({ src: mac(from), dst: mac(to) }),
      ipv4({ src: `10.0.0.${from & 255}`, dst: "10.0.0.2" }),
      udp({ src: 1000, dst: 53 }),
    ],
    new Uint8Array(payloadBytes).fill(from),
  );

const counts = (ports: readonly DummyPort[]): number[] => ports.map((port) => port.take().length);

/** The end of every test here: nothing lost, nothing held. */
type Checks = Pick<typeof t, "equal">;

async function end(t: Checks, rig: HandlerRig): Promise<void> {
  t.equal(rig.imbalance(), 0, "the books balance");
  t.equal(rig.core.handler.isIdle, true);
  t.equal(await rig.close(), 0, "every frame is free");
}

t.test("the first packet floods, the answer goes to one port", async (t) => {
  const rig = new HandlerRig();
  const ports = await rig.addDummies(3);
  ports[0]!.inject(packet(1, 2));
  rig.settle();
  t.strictSame(counts(ports), [0, 1, 1]);
  ports[1]!.inject(packet(2, 1));
  rig.settle();
  t.strictSame(counts(ports), [1, 0, 0]);
  t.equal(rig.core.handler.installCount, 2);
  rig.housekeep();
  ports[0]!.inject(packet(1, 2));
  rig.settle();
  t.strictSame(counts(ports), [0, 1, 0], "the flooding flow was mended when the address was learned");
  t.equal(rig.core.handler.installCount, 2);
  await end(t, rig);
});

t.test("many packets of one flow: one install, in order", async (t) => {
  const rig = new HandlerRig();
  const [one, two] = await rig.addDummies(2);
  const frames = Array.from({ length: 150 }, (_, index) => packet(1, 2, 20 + index));
  for (const frame of frames.slice(0, 70)) one!.inject(frame);
  rig.pmds[0]!.iterate();
  rig.core.handler.drain(1);
  for (const frame of frames.slice(70)) one!.inject(frame);
  for (let turn = 0; turn < 10; turn += 1) {
    rig.pmds[0]!.iterate();
    rig.core.handler.drain(3);
  }
  rig.settle();
  t.equal(rig.core.handler.installCount, 1);
  t.strictSame(
    two!.take().map((bytes) => bytes.length),
    frames.map((frame) => frame.length),
  );
  t.ok(rig.totals().counters.upcall_follow > 0);
  await end(t, rig);
});

t.test("under the flows policy a miss is dropped and counted, or heard by its pid", async (t) => {
  const drops = new HandlerRig({ policy: { type: "flows" } });
  const [one] = await drops.addDummies(2);
  for (let count = 0; count < 10; count += 1) one!.inject(packet(1, 2));
  drops.settle();
  t.equal(drops.totals().drops.miss_policy, 10);
  t.strictSame(drops.flows(), []);
  await end(t, drops);

  const pids = new HandlerRig({ policy: { type: "flows", "miss-pid": 77 } });
  const [first] = await pids.addDummies(2);
  first!.inject(packet(1, 2));
  pids.settle();
  const heard: Uint8Array[] = [];
  pids.core.handler.pids.listen(77, (upcall) => heard.push(upcall.packet));
  first!.inject(packet(3, 4));
  pids.settle();
  pids.core.handler.pids.unlisten(77);
  first!.inject(packet(5, 6));
  pids.settle();
  t.strictSame(
    heard.map((bytes) => Buffer.from(bytes)),
    [Buffer.from(packet(3, 4))],
  );
  t.strictSame([...pids.core.handler.pids.counts()], [[77, { delivered: 1, unheard: 2 }]]);
  await end(t, pids);
});

t.test("userspace(pid) reaches its listener with userdata", async (t) => {
  const rig = new HandlerRig();
  const [one] = await rig.addDummies(2);
  const frame = packet(1, 2);
  rig.putOperatorFlow(frame, one!.portNo, "userspace(pid=5,userdata(0102))", ["in_port"]);
  const heard: string[] = [];
  rig.core.handler.pids.listen(5, ({ pid, portNo, packet: bytes, attributes, packetBytes }) =>
    heard.push(
      `${pid} ${portNo} ${Buffer.from(bytes).equals(frame)} ${packetBytes} ` +
        `${Buffer.from(attributes).includes(Buffer.from([1, 2]))}`,
    ),
  );
  for (let count = 0; count < 40; count += 1) one!.inject(frame);
  rig.settle();
  t.strictSame(heard, new Array(40).fill(`5 ${one!.portNo} true ${frame.length} true`));
  t.equal(rig.totals().counters.upcall_action, 40);
  await end(t, rig);
});

t.test("over the flow limit packets are forwarded one by one", async (t) => {
  const rig = new HandlerRig({ policy: { "flow-limit": 3 } });
  const [one, two] = await rig.addDummies(2);
  rig.putOperatorFlow(packet(100, 2), two!.portNo, "drop", ["in_port", "eth_src"]);
  for (let host = 1; host <= 20; host += 1) one!.inject(packet(host, 99, 20 + host));
  rig.settle();
  t.strictSame(
    two!.take().map((bytes) => bytes.length),
    Array.from({ length: 20 }, (_, index) => packet(1, 2, 21 + index).length),
  );
  const { handler, table } = rig.core;
  t.match(handler, { installCount: 3, refusedCount: 17 });
  t.equal(table.flowCount, 4);
  rig.pass(1000);
  t.equal(table.flowCount, 1, "a full table gives the places of idle flows back soon");
  rig.pass(1000);
  t.equal(table.memory.actionLists, 1, "lent lists come back");
  one!.inject(packet(21, 99));
  rig.settle();
  t.match(handler, { installCount: 4, refusedCount: 17 });
  await end(t, rig);
});

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

t.test("a worker with many upcalls leaves the others their turn", async (t) => {
  const rig = new HandlerRig({ sizes: { workerCount: 2 } });
  const ports = await rig.addDummies(4);
  const inject = (portIndex: number, first: number, count: number): void => {
    for (let host = first; host < first + count; host += 1) ports[portIndex]!.inject(packet(host, 5000));
  };
  inject(0, 1, 60);
  inject(1, 1001, 5);
  for (const pmd of rig.pmds) for (let loop = 0; loop < 10; loop += 1) pmd.iterate();
  rig.core.handler.drain(64);
  const served = rig.core.learn!.entries().map((entry) => entry.portNo);
  t.equal(served.filter((portNo) => portNo === ports[1]!.portNo).length, 5);
  t.ok(served.filter((portNo) => portNo === ports[0]!.portNo).length >= 32);
  rig.settle();
  t.equal(rig.core.learn!.entries().length, 65);
  await end(t, rig);
});

t.test(
  `random traffic, moves, ports and time: books balance and no frame is lost; SEED=${SEED}`,
  async (t) => {
    const random = new SeededRandom(SEED);
    const next = (limit: number): number => random.below(limit);
    const rig = new HandlerRig({
      policy: { "flow-limit": 40, "mac-table-size": 12 },
      sizes: { workerCount: 2 },
    });
    const ports = await rig.addDummies(4);
    for (let round = 0; round < 150; round += 1) {
      for (let burst = next(40); burst > 0; burst -= 1) {
        ports[next(ports.length)]!.inject(packet(1 + next(20), 1 + next(20), next(200)));
      }
      for (const pmd of rig.pmds) if (next(2) === 0) pmd.iterate();
      rig.core.handler.drain(next(30));
      if (next(3) === 0) rig.core.handler.step();
      if (next(4) === 0) rig.pass(next(4000));
      if (next(25) === 0) {
        const [gone] = ports.splice(next(ports.length), 1);
        await rig.ports.remove(gone!.portNo);
        ports.push(await rig.addDummy(`n${round}`));
      }
      if (next(20) === 0) rig.core.learn!.flush(rig.clock.millis());
      for (const port of ports) port.take();
    }
    rig.settle();
    rig.housekeep();
    const { counters } = rig.totals();
    t.ok(COUNTERS.every(({ name }) => counters[name] >= 0));
    t.ok(counters.received > 1000 && rig.core.handler.refusedCount > 0);
    t.ok(rig.core.learn!.entries().length <= 12);
    await end(t, rig);
  },
);
