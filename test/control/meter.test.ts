// Meter commands, and the warning for flows that ask for a meter which does not exist.
import t from "tap";
import { MeterTable } from "../../src/action/meter-table.ts";
import { metersOf } from "../../src/action/meters-of.ts";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { CommandRegistry } from "../../src/control/command.ts";
import { meterCommands } from "../../src/control/commands/meter.ts";
import type { FlowWriter } from "../../src/control/flow-service.ts";
import { MeterWatch } from "../../src/control/meter-watch.ts";
import { newKey } from "../../src/flow/key.ts";
import type { FlowChange } from "../../src/upcall/flow-change.ts";
import { createTestArena, Dataplane } from "../support/dataplane.ts";

t.test("set, show and delete", async (t) => {
  const registry = new CommandRegistry();
  registry.register(...meterCommands(new MeterTable(createTestArena().arena)));
  t.match(await registry.run("millrace/meter-set", ["7", "pktps", "100:20", "300"]), { text: "" });
  await registry.run("millrace/meter-set", ["262143", "kbps", "5000"]);
  const shown = await registry.run("millrace/meter-show", []);
  t.match(shown, {
    json: [
      {
        id: 7,
        unit: "pktps",
        packets: 0,
        bands: [
          { rate: 100, burst: 20 },
          { rate: 300, burst: 300 },
        ],
      },
      { id: 262143, unit: "kbps", bands: [{ rate: 5000, burst: 5000 }] },
    ],
  });
  t.match(shown, { text: /meter +unit +packets .*\n +7 +pktps +0 +0 +100 +20 / });
  await registry.run("millrace/meter-del", ["7"]);
  t.match(await registry.run("millrace/meter-show", []), { json: [{ id: 262143 }] });
  for (const [args, message] of [
    [["7"], /meter 7: there is no such meter/],
    [["x"], /a number from 0 to 262143 is expected/],
    [["262144"], /a number from 0 to 262143/],
  ] as const) {
    await t.rejects(registry.run("millrace/meter-show", args), { message });
  }
  for (const [args, message] of [
    [["1", "mbps", "3"], /kbps or pktps/],
    [["1", "kbps", "3:"], /rate or rate:burst/],
    [["1", "kbps", "0"], /rate 0, it must be 1/],
    [["1", "kbps", ..."123456789"], /9 bands, a meter has 1 to 8/],
  ] as const) {
    await t.rejects(registry.run("millrace/meter-set", args), { message });
  }
});

t.test("a flow with an unknown meter is installed, and warned of once", async (t) => {
  const warnings: string[] = [];
  const applied: FlowChange[] = [];
  const writer: FlowWriter = {
    apply: async (changes) => {
      applied.push(...changes);
      return changes.map(() => ({ error: null, flow: null, message: null }));
    },
    find: async () => null,
    flush: async () => undefined,
  };
  const meters = new MeterTable(createTestArena().arena);
  meters.set(1, { unit: "pktps", bands: [{ rate: 1 }] });
  const watch = new MeterWatch(writer, meters, (message) => warnings.push(message));
  const put: FlowChange = {
    op: "put",
    key: newKey(),
    mask: newKey(),
    actions: parseActions("meter(1),clone(meter(5),2),sample(sample=1%,actions(clone(meter(6)),3)),2"),
    ufid: undefined,
    create: true,
    modify: false,
    clear: false,
  };
  await watch.apply([put, put]);
  t.equal(applied.length, 2);
  t.match(warnings, [/meter 5, which does not exist/, /meter 6/]);
  t.equal(warnings.length, 2);
  t.strictSame(
    [...metersOf(parseActions("check_pkt_len(size=9,gt(meter(1)),le(dec_ttl(le_1(meter(2)))))"))],
    [1, 2],
  );
});

t.test("packets of a datapath meet their meter", async (t) => {
  const plane = new Dataplane();
  const one = await plane.addDummy("one");
  const two = await plane.addDummy("two");
  new MeterTable(plane.arena).set(4, { unit: "pktps", bands: [{ rate: 10, burst: 30 }] });
  const frame = new Uint8Array(64).fill(2);
  plane.putFlow(frame, one.portNo, "meter(4),2", ["in_port"]);
  for (let count = 0; count < 100; count += 1) one.inject(frame);
  plane.settle();
  t.equal(two.take().length, 30);
  t.equal(plane.totals().drops.meter, 70);
  plane.putFlow(frame, one.portNo, "meter(9),2", ["in_port"]);
  for (let count = 0; count < 100; count += 1) one.inject(frame);
  plane.settle();
  t.equal(two.take().length, 100);
  t.equal(plane.totals().counters.meter_unknown, 100);
  t.equal(plane.books().in, plane.books().out);
  await plane.close();
});
