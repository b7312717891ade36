// The pictures that the switch gives of itself: what they say is what happened, as text and as data.
import t from "tap";
import { MacTable } from "../../src/bridge/learn/mac-table.ts";
import { CommandRig } from "./command-rig.ts";

const FRAME = `020000000002${"020000000001"}88b5${"ab".repeat(46)}`;

t.test("ports, flows, workers, drops and masks after traffic", async (t) => {
  const rig = await CommandRig.create(new MacTable(16, 1000, () => undefined));
  t.teardown(() => rig.plane.close());
  await rig.call("dpctl/add-flow", "in_port(1),eth(),eth_type(0x88b5)", "2,3");
  await rig.call("netdev-dummy/receive", "p1", FRAME, FRAME);
  await rig.call("netdev-dummy/receive", "p4", FRAME);
  rig.plane.settle();

  const drops = await rig.json("millrace/drops-show");
  t.match(drops, {
    terms: { received: 3, copied: 2, originated: 0, transmitted: 4 },
    drops: { miss_policy: 1, mtu: 0 },
    balance: 0,
  });
  t.match((await rig.call("millrace/drops-show")).text, /dropped: miss_policy +1\n/);

  const ports = await rig.json<{ name: string; counters: Record<string, number> }[]>("millrace/ports-show");
  t.match(
    ports.map(({ name, counters }) => [name, counters["rx_packets"], counters["tx_packets"]]),
    [
      ["p1", 2, 0],
      ["p2", 0, 2],
      ["p3", 0, 2],
      ["p4", 1, 0],
    ],
  );
  const [heading, first] = (await rig.call("millrace/ports-show")).text.split("\n");
  t.match(heading, /^port +name +type +state/);
  t.match(first, /^ +1 +p1 +dummy +up +1500 +1 +1 +2 +0 +0 +0$/);

  t.match(await rig.json("millrace/flows-show"), [
    { packets: 2, bytes: 120, operator: true, actions: "2,3" },
  ]);
  t.match(
    (await rig.call("millrace/flows-show")).text,
    /2 +120 .* operator +recirc_id\(0\),in_port\(1\).* 2,3\n/,
  );

  const workers = await rig.json("millrace/workers-show");
  t.match(workers, {
    pid: process.pid,
    frames: { total: 7, accounted: 7 },
    workers: [{ index: 0, counters: { received: 3 } }],
  });
  t.match((await rig.call("millrace/workers-show")).text, "frames: 7 of 7 accounted for");

  const masks = await rig.json<{ flowCount: number; masks: { flowCount: number; fields: string[] }[] }>(
    "millrace/masks-show",
  );
  t.equal(masks.flowCount, 1);
  t.same(
    masks.masks.map(({ flowCount }) => flowCount),
    [1],
  );
  t.ok(masks.masks[0]!.fields.includes("in_port") && masks.masks[0]!.fields.includes("eth_type"));
  t.match((await rig.call("millrace/masks-show")).text, /1 flows under 1 masks/);
});

t.test("text is without colours, frames and blanks at the ends", async (t) => {
  const rig = await CommandRig.create(new MacTable(16, 1000, () => undefined));
  t.teardown(() => rig.plane.close());
  for (const name of ["ports", "flows", "workers", "masks", "drops"]) {
    const { text, code } = await rig.call(`millrace/${name}-show`);
    t.equal(code, 0);
    t.match(text, /\S/, name);
    t.notMatch(text, /[^\x20-\x7e\n]/, name);
    t.notMatch(text, / \n/, name);
  }
});
