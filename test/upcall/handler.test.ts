// The handler end to end in one thread: misses decided, flows installed or refused, with balanced books.
import t from "tap";
import { COUNTERS } from "../../src/datapath/counters.ts";
import { SeededRandom } from "../support/random.ts";
import { SEED } from "../support/seed.ts";
import { HandlerRig } from "./rig.ts";
import { counts, end, packet } from "./traffic.ts";

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
  pids.core.handler.pids.listen(77, (upcall) => heard.push(upcall.packet) > 0);
  first!.inject(packet(3, 4));
  pids.settle();
  pids.core.handler.pids.unlisten(77);
  first!.inject(packet(5, 6));
  pids.settle();
  t.strictSame(
    heard.map((bytes) => Buffer.from(bytes)),
    [Buffer.from(packet(3, 4))],
  );
  t.strictSame([...pids.core.handler.pids.counts()], [[77, { delivered: 1, unheard: 2, lost: 0 }]]);
  await end(t, pids);
});

t.test("userspace(pid) reaches its listener with userdata", async (t) => {
  const rig = new HandlerRig();
  const [one] = await rig.addDummies(2);
  const frame = packet(1, 2);
  rig.putOperatorFlow(frame, one!.portNo, "userspace(pid=5,userdata(0102))", ["in_port"]);
  const heard: string[] = [];
  rig.core.handler.pids.listen(5, ({ pid, portNo, packet: bytes, attributes, packetBytes }) => {
    heard.push(
      `${pid} ${portNo} ${Buffer.from(bytes).equals(frame)} ${packetBytes} ` +
        `${Buffer.from(attributes).includes(Buffer.from([1, 2]))}`,
    );
    return true;
  });
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
