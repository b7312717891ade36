// Numbers of ports: OVS's rules for who gets which, and as many ports as there are numbers.
import t from "tap";
import { PORT_NO_MAX } from "../../src/port/port.ts";
import { PortTable } from "../../src/port/port-table.ts";
import { Dataplane } from "../support/dataplane.ts";
import { testFrame } from "../support/peer.ts";

const NULL_PORT = { type: "null" } as const;

t.test("the lowest free number from 1, or the one that is asked for", async (t) => {
  const plane = new Dataplane();
  const numberOf = async (name: string, portNo?: number): Promise<number> =>
    (await plane.addPort({ ...NULL_PORT, name, ...(portNo === undefined ? {} : { portNo }) })).portNo;
  t.equal(await numberOf("a"), 1);
  t.equal(await numberOf("b", 3), 3);
  t.equal(await numberOf("c"), 2);
  t.equal(await numberOf("d"), 4);
  t.equal(await numberOf("local", 0), 0);
  t.equal(await numberOf("last", PORT_NO_MAX), PORT_NO_MAX);
  await plane.ports.remove(2);
  await plane.ports.remove(1);
  t.equal(await numberOf("e"), 1);
  t.equal(await numberOf("f"), 2);
  t.equal(await numberOf("g"), 5);
  await t.rejects(numberOf("h", 3), { code: "EBUSY", message: /number 3 belongs to b/ });
  await t.rejects(numberOf("h", PORT_NO_MAX + 1), { code: "EFBIG" });
  await t.rejects(numberOf("a2", 3), { code: "EBUSY" });
  await t.rejects(numberOf("b"), { code: "EEXIST" });
  t.equal(await numberOf("h"), 6, "a refusal takes no number");
  await plane.close();
});

t.test("every number there is, and packets to the first and the last", async (t) => {
  const plane = new Dataplane({ sizes: { portCountMax: 65535 } });
  const dummy = await plane.addDummy("d", { portNo: 0 });
  for (let portNo = 1; portNo <= PORT_NO_MAX; portNo += 1)
    await plane.addPort({ ...NULL_PORT, name: `n${portNo}` });
  await t.rejects(plane.addPort({ ...NULL_PORT, name: "more" }), {
    code: "EFBIG",
    message: /every number up to 65534 is taken/,
  });
  const table = new PortTable(plane.arena);
  t.ok(table.slot(PORT_NO_MAX) > table.slot(1));
  plane.putFlow(testFrame(1), dummy.portNo, `1,${PORT_NO_MAX}`, ["in_port"]);
  dummy.inject(testFrame(1));
  plane.settle();
  t.match(plane.totals().counters, { transmitted: 2 });
  t.equal(plane.ports.byName("n40000")?.portNo, 40000);
});
