// Recirculation: what is looked up again, in which order it leaves, where it ends, and what comes back from the handler
// of it.
import t from "tap";
import { K } from "../../src/flow/fields.ts";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { ipv4 } from "../../src/packet/builder-network.ts";
import { udp } from "../../src/packet/builder-transport.ts";
import { isAsReceived } from "../../src/upcall/packet-metadata.ts";
import { Dataplane, maskOf } from "../support/dataplane.ts";

const FLOW = "in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)";
const frame = (port = 1): Uint8Array => buildFrame([ethernet(), ipv4({}), udp({ src: port })]);
const hex = (packets: readonly Uint8Array[]): string[] =>
  packets.map((packet) => Buffer.from(packet).toString("hex"));

async function rig(): Promise<{
  plane: Dataplane;
  one: Awaited<ReturnType<Dataplane["addDummy"]>>;
  two: typeof one;
  three: typeof one;
}> {
  const plane = new Dataplane();
  const one = await plane.addDummy("one");
  const two = await plane.addDummy("two");
  const three = await plane.addDummy("three");
  return { plane, one, two, three };
}

t.test("a burst goes round together and leaves in its order", async (t) => {
  const { plane, one, two } = await rig();
  const first = plane.putText(`recirc_id(0),${FLOW}`, "recirc(1)");
  const second = plane.putText(`recirc_id(1),${FLOW}`, "push_vlan(vid=3,pcp=0),recirc(2)");
  const third = plane.putText(
    "recirc_id(2),in_port(1),eth(),eth_type(0x8100),vlan(vid=3),encap(eth_type(0x0800),ipv4(frag=no))",
    "pop_vlan,2",
  );
  const sent = Array.from({ length: 200 }, (_, index) => frame(index + 1));
  for (const packet of sent) one.inject(packet);
  plane.settle();
  t.strictSame(hex(two.take()), hex(sent));
  const { counters } = plane.totals();
  t.equal(counters.recirculated, 400);
  t.equal(counters.lookup_hit, 600);
  t.equal(counters.copied, 0);
  t.strictSame(
    [first, second, third].map((flowNo) => plane.table.flows.stats(flowNo).bytes),
    [sent[0]!.length * 200, sent[0]!.length * 200, (sent[0]!.length + 4) * 200],
  );
  t.equal(plane.books().in, plane.books().out);
  await plane.close();
});

t.test("outputs of one packet stand in the order of its actions", async (t) => {
  const { plane, one, two } = await rig();
  plane.putText(
    `recirc_id(0),${FLOW}`,
    "2,recirc(1),2,clone(push_vlan(vid=9,pcp=0),recirc(2),trunc(40),2),trunc(30),2",
  );
  plane.putText(`recirc_id(1),${FLOW}`, "trunc(20),2");
  plane.putText(
    "recirc_id(2),in_port(1),eth(),eth_type(0x8100),vlan(vid=9),encap(eth_type(0x0800),ipv4(frag=no))",
    "2",
  );
  for (let turn = 0; turn < 3; turn += 1) one.inject(frame());
  plane.settle();
  const bytes = frame().length;
  const wanted = [bytes, 20, bytes, bytes + 4, 40, 30];
  t.strictSame(
    two.take().map((packet) => packet.length),
    [...wanted, ...wanted, ...wanted],
  );
  t.equal(plane.books().in, plane.books().out);
  await plane.close();
});

t.test("a circle ends at OVS's depth, counted", async (t) => {
  const { plane, one, two } = await rig();
  plane.putText(`recirc_id(0),${FLOW}`, "recirc(1)");
  plane.putText(`recirc_id(1),${FLOW}`, "2,recirc(1)");
  for (let turn = 0; turn < 70; turn += 1) one.inject(frame());
  plane.settle();
  // OVS 3.1 sends six: the flow is hit at each depth from 1 to 6.
  t.equal(two.take().length, 70 * 6);
  t.equal(plane.totals().drops.recirc_limit, 70);
  t.equal(plane.books().in, plane.books().out);
  await plane.close();
});

t.test("a packet that doubles at each depth fills every batch and none is lost", async (t) => {
  const { plane, one, two } = await rig();
  plane.putText(`recirc_id(0),${FLOW}`, "recirc(1),recirc(1)");
  for (let id = 1; id < 5; id += 1)
    plane.putText(`recirc_id(${id}),${FLOW}`, `recirc(${id + 1}),recirc(${id + 1})`);
  plane.putText(`recirc_id(5),${FLOW}`, "2");
  for (let turn = 0; turn < 30; turn += 1) one.inject(frame());
  plane.settle();
  t.equal(two.take().length, 30 * 32);
  t.equal(plane.books().in, plane.books().out);
  await plane.close();
});

t.test("what misses after a recirculation comes back to where it missed", async (t) => {
  const { plane, one, two, three } = await rig();
  plane.putText(`recirc_id(0),${FLOW}`, "3,recirc(7)");
  const keys: Uint8Array[] = [];
  plane.handler.decide = (key) => {
    keys.push(key);
    return { mask: maskOf(["in_port", "recirc_id", "eth_type"]), actions: "2" };
  };
  const sent = Array.from({ length: 10 }, (_, index) => frame(index + 1));
  for (const packet of sent) one.inject(packet);
  plane.settle();
  t.equal(keys.length, 1);
  t.equal(keys[0]![K.recirc_id], 7);
  t.notOk(isAsReceived(keys[0]!));
  t.strictSame(hex(two.take()), hex(sent));
  t.strictSame(hex(three.take()), hex(sent), "once each");
  t.equal(plane.books().in, plane.books().out);
  await plane.close();
});
