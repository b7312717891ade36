// Upcalls to programs: which pid gets them, what they carry, and that no port crowds another out of a pid's queue.
import fc from "fast-check";
import t from "tap";
import { printActions } from "../../src/action/odp/print-actions.ts";
import { getNumber } from "../../src/flow/key.ts";
import { readPortCounters } from "../../src/port/counters.ts";
import type { Upcall } from "../../src/upcall/pid-listeners.ts";
import { UpcallOutlet, upcallBytes } from "../../src/upcall/upcall-outlet.ts";
import { runs } from "../support/seed.ts";
import { HandlerRig } from "./rig.ts";
import { packet } from "./traffic.ts";

/** Upcalls that each pid got. */
function listen(rig: HandlerRig, pids: readonly number[]): Map<number, Upcall[]> {
  const heard = new Map(pids.map((pid) => [pid, [] as Upcall[]]));
  for (const pid of pids) rig.core.handler.pids.listen(pid, (upcall) => heard.get(pid)!.push(upcall) > 0);
  return heard;
}

t.test("a port's pids get its misses, a conversation always the same one", async (t) => {
  const rig = new HandlerRig();
  const [one, two] = await rig.addDummies(2);
  const heard = listen(rig, [11, 12, 13]);
  rig.core.handler.dispatch.setPortPids(one!.portNo, [11, 12, 13]);
  for (let round = 0; round < 2; round += 1) {
    for (let host = 1; host <= 60; host += 1) one!.inject(packet(host, 99));
  }
  two!.inject(packet(1, 2));
  rig.settle();
  const counts = [...heard.values()].map((upcalls) => upcalls.length);
  t.equal(counts[0]! + counts[1]! + counts[2]!, 120, "every miss of the port, none of the other");
  t.ok(Math.min(...counts) > 10, `spread over the pids: ${counts}`);
  for (const [index, pid] of [11, 12, 13].entries()) {
    const upcalls = heard.get(pid)!;
    t.ok(upcalls.every(({ kind, hash }) => kind === "miss" && hash % 3 === index));
    const hosts = upcalls.map(({ packet: bytes }) => Buffer.from(bytes).toString("hex"));
    t.equal(new Set(hosts).size * 2, hosts.length, "both packets of a host came to this pid");
  }
  t.equal(rig.flows().length, 1, "the policy decided on the other port");
  t.equal(rig.imbalance(), 0);
  rig.core.handler.dispatch.setPortPids(one!.portNo, []);
  one!.inject(packet(1, 2));
  rig.settle();
  t.equal(rig.flows().length, 2, "and decides again when the pids are gone");
  t.equal(await rig.close(), 0);
});

t.test("a pid of 0, and one that nobody listens on, is a loss of the port", async (t) => {
  const rig = new HandlerRig();
  const [one] = await rig.addDummies(1);
  for (const pids of [[0], [5]]) {
    rig.core.handler.dispatch.setPortPids(one!.portNo, pids);
    one!.inject(packet(1, 2));
  }
  rig.settle();
  t.match(readPortCounters(rig.arena, one!.slot), { upcalls: 2, upcalls_lost: 2 });
  t.equal(rig.imbalance(), 0);
  t.equal(await rig.close(), 0);
});

t.test("with a pid for each worker, ports' pids and userspace()'s own are passed over", async (t) => {
  const rig = new HandlerRig({ sizes: { workerCount: 3 } });
  const ports = await rig.addDummies(3);
  const heard = listen(rig, [7, 8, 9]);
  rig.core.handler.dispatch.setPortPids(ports[0]!.portNo, [9]);
  rig.core.handler.dispatch.setWorkerPids([7, 8]);
  const frame = packet(1, 2);
  rig.putOperatorFlow(frame, ports[0]!.portNo, "userspace(pid=9)", ["in_port"]);
  for (const port of ports) port.inject(frame);
  rig.settle();
  const ofPort = new Map([...heard].flatMap(([pid, upcalls]) => upcalls.map(({ portNo }) => [portNo, pid])));
  const workers = new Map(rig.ports.rxqs().map(({ port, worker }) => [port.portNo, worker]));
  for (const { portNo } of ports) t.equal(ofPort.get(portNo), workers.get(portNo)! % 2 === 0 ? 7 : 8);
  t.equal(heard.get(9)!.length, 0);
  t.equal(await rig.close(), 0);
});

t.test(
  "an action's upcall has the packet as changed, the key as extracted, and the actions if asked",
  async (t) => {
    const rig = new HandlerRig();
    const [one] = await rig.addDummies(1);
    const heard = listen(rig, [5]);
    const frame = packet(1, 2);
    const actions = "push_vlan(vid=7,pcp=0),trunc(20),userspace(pid=5,userdata(0102030405060708),actions),1";
    rig.putOperatorFlow(frame, one!.portNo, actions, ["in_port"]);
    one!.inject(frame);
    rig.settle();
    const [upcall] = heard.get(5)!;
    t.match(upcall, { kind: "action", pid: 5, portNo: one!.portNo, packetBytes: frame.length + 4 });
    t.equal(printActions(upcall!.actions), actions);
    t.equal(upcall!.packet.length, 20);
    t.equal(Buffer.from(upcall!.packet).readUInt16BE(12), 0x8100);
    t.equal(getNumber(upcall!.key, "vlan_tci"), 0);
    t.equal(await rig.close(), 0);
  },
);

const upcallOf = (portNo: number, bytes: number): Upcall => ({
  kind: "miss",
  pid: 1,
  portNo,
  key: new Uint8Array(0),
  packet: new Uint8Array(bytes),
  packetBytes: bytes,
  hash: 0,
  attributes: new Uint8Array(0),
  actions: new Uint8Array(0),
  probability: 0,
  egressTunnelKey: new Uint8Array(0),
});

t.test("however many ports flood a pid's queue, a quiet one finds room", async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 14, max: 1500 })), {
        maxLength: 2000,
      }),
      (offers) => {
        const bytesMax = 200_000;
        const outlet = new UpcallOutlet(bytesMax);
        let bytes = 0;
        let taken = 0;
        for (const [portNo, packetBytes] of offers) {
          const upcall = upcallOf(portNo, packetBytes);
          if (!outlet.offer(upcall)) continue;
          bytes += upcallBytes(upcall);
          taken += 1;
        }
        const batch = outlet.take();
        return (
          bytes <= bytesMax &&
          batch.upcalls.length === taken &&
          batch.lost === offers.length - taken &&
          outlet.offer(upcallOf(99, 1500))
        );
      },
    ),
    runs(100),
  );
  t.pass();
});

t.test("room comes back when the program has read", async (t) => {
  const outlet = new UpcallOutlet(10_000);
  const upcall = upcallOf(1, 1000);
  let fitted = 0;
  while (outlet.offer(upcall)) fitted += 1;
  t.ok(fitted * upcallBytes(upcall) <= 5000, "a port alone has half");
  t.same(outlet.take().lost, 1);
  t.notOk(outlet.offer(upcall), "taken is not yet written");
  for (let count = 0; count < fitted; count += 1) outlet.written(1, upcallBytes(upcall));
  let again = 0;
  while (outlet.offer(upcall)) again += 1;
  t.equal(again, fitted);
  t.notOk(outlet.isEmpty);
});
