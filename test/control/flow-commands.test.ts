// dpctl's flow commands against the real ones: the same commands in the same order, answer by answer.
// Where we tell more than OVS, our first lines are OVS's. Ufids are each switch's own, and dp-extra-info
// is OVS's inside.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { MacTable } from "../../src/bridge/learn/mac-table.ts";
import { parseMatch } from "../../src/flow/odp/match.ts";
import { TableReader } from "../../src/table/table-reader.ts";
import { Oracle, oracleSkipReason } from "../support/oracle.ts";
import { runs } from "../support/seed.ts";
import { CommandRig, DATAPATH } from "./command-rig.ts";

const ARP = "in_port(1),eth(),eth_type(0x0806),arp()";
const UDP =
  "in_port(2),eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02),eth_type(0x0800)," +
  "ipv4(src=10.0.0.0/255.0.0.0,dst=192.0.2.1,proto=17,tos=0,ttl=64,frag=no),udp(src=1,dst=53)";
const UFID = "ufid:00000000-0000-0000-0000-000000000001";
const OTHER_UFID = "ufid:00000000-0000-0000-0000-000000000002";

const SCRIPT: readonly (readonly string[])[] = [
  ["dpctl/dump-flows"],
  ["dpctl/add-flow", ARP, "3"],
  ["dpctl/add-flow", ARP, "4"],
  ["dpctl/add-flow", "--may-create", ARP, "4"],
  ["dpctl/mod-flow", "-s", ARP, "4"],
  ["dpctl/dump-flows"],
  ["dpctl/dump-flows", "-m"],
  ["dpctl/dump-flows", "-m", "--no-names"],
  ["dpctl/dump-flows", "--names"],
  ["dpctl/dump-flows", DATAPATH],
  ["dpctl/dump-flows", "filter=arp"],
  ["dpctl/dump-flows", "filter=in_port=2"],
  ["dpctl/dump-flows", "filter=bogus"],
  ["dpctl/dump-flows", "type=ovs"],
  ["dpctl/dump-flows", "type=offloaded"],
  ["dpctl/dump-flows", "type=bogus"],
  ["dpctl/dump-flows", "bogus=1"],
  ["dpctl/dump-flows", "nodp"],
  ["dpctl/dump-flows", "-z"],
  ["dpctl/dump-flows", "pmd=-1"],
  ["dpctl/dump-flows", "pmd=3"],
  ["dpctl/del-flow", "-s", ARP],
  ["dpctl/del-flow", ARP],
  ["dpctl/mod-flow", ARP, "1"],
  ["dpctl/mod-flow", "--may-create", ARP, "1"],
  ["dpctl/add-flow", "nodp", ARP, "3"],
  ["dpctl/add-flow", DATAPATH, UDP, "1,3"],
  ["dpctl/dump-flows", "filter=udp"],
  ["dpctl/add-flow", `${UFID},in_port(3),eth(),eth_type(0x86dd),ipv6(frag=no)`, "drop"],
  ["dpctl/get-flow", UFID],
  ["dpctl/get-flow", DATAPATH, UFID],
  ["dpctl/get-flow", "-m", UFID],
  ["dpctl/get-flow", "--names", UFID],
  ["dpctl/get-flow", OTHER_UFID],
  ["dpctl/del-flow", UFID],
  ["dpctl/del-flow", UFID],
  ["dpctl/get-flow", UFID],
  ["dpctl/add-flow", "in_port(3),bogus()", "3"],
  ["dpctl/add-flow", ARP, "bogus"],
  ["dpctl/add-flow", ARP],
  ["dpctl/add-flow", ARP, "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13"],
  ["dpctl/dump-flows"],
  ["dpctl/del-flows"],
  ["dpctl/dump-flows"],
];

/** What may differ, taken out: derived ufids, OVS's inside, the order of flows. */
function comparable(text: string): string[] {
  const lines = text
    .split("\n")
    .map((line) =>
      line
        .replace(/ufid:[0-9a-f-]{36}/, (ufid) => (ufid === UFID ? ufid : "ufid:derived"))
        .replace(/, dp-extra-info:.*$/, ""),
    );
  return lines.filter((line) => line !== "").sort();
}

t.test("each command answers as OVS does", { skip: oracleSkipReason() }, async (t) => {
  const oracle = await Oracle.start();
  t.teardown(() => oracle.stop());
  const rig = await CommandRig.create(new MacTable(16, 1000, () => undefined));
  t.teardown(() => rig.plane.close());
  for (const [name, ...args] of SCRIPT) {
    const [ours, theirs] = [await rig.call(name!, ...args), await oracle.appctl(name!, ...args)];
    const shown = `${name} ${args.join(" ")}`.slice(0, 120);
    t.equal(ours.code, theirs.code, `${shown}: code (${ours.text.trimEnd()} | ${theirs.text.trimEnd()})`);
    const text = theirs.code === 0 ? ours.text : leading(ours.text, theirs.text);
    t.same(comparable(text), comparable(theirs.text), shown);
  }
});

/** As many of our lines as theirs has. */
function leading(ours: string, theirs: string): string {
  return ours.split("\n").slice(0, theirs.trimEnd().split("\n").length).join("\n");
}

t.test("ports may be named, where OVS wants numbers", async (t) => {
  const rig = await CommandRig.create(new MacTable(16, 1000, () => undefined));
  t.teardown(() => rig.plane.close());
  t.equal((await rig.call("dpctl/add-flow", "in_port(p2),eth(),eth_type(0x0806)", "p3")).code, 0);
  t.match((await rig.call("dpctl/dump-flows")).text, /in_port\(2\).*actions:3\n/);
  t.match((await rig.call("dpctl/dump-flows", "--names")).text, /in_port\(p2\).*actions:p3\n/);
});

t.test("mod-flow -s tells what the flow had before, also when it may create one", async (t) => {
  const rig = await CommandRig.create(new MacTable(16, 1000, () => undefined));
  t.teardown(() => rig.plane.close());
  t.match(await rig.call("dpctl/mod-flow", "--may-create", "-s", ARP, "2"), { text: /^packets:0, / });
  const { flowNo } = rig.plane.table.flows.read(rig.plane.table.findMatch(parseMatch(ARP).key))!;
  const { arena } = rig.plane;
  arena.intrinsics.countFlow(new TableReader(arena, 0).statsOffset(flowNo), 3, 180, 1, 0);
  const clear = await rig.call("dpctl/mod-flow", "--may-create", "--clear", "-s", ARP, "3");
  t.match(clear.text, /^packets:3, bytes:180, /);
  t.match((await rig.call("dpctl/mod-flow", "--may-create", "-s", ARP, "3")).text, /^packets:0, bytes:0, /);
});

t.test("the flow in the way is named", async (t) => {
  const rig = await CommandRig.create(new MacTable(16, 1000, () => undefined));
  t.teardown(() => rig.plane.close());
  await rig.call("dpctl/add-flow", `${UFID},${ARP}`, "3");
  const { text, code } = await rig.call("dpctl/add-flow", ARP, "4");
  t.equal(code, 2);
  t.match(text, `In the way: ${UFID}, recirc_id(0),in_port(1),eth(),eth_type(0x0806)`);
});

t.test("a full table says which number to raise, and stays as it was", async (t) => {
  const rig = await CommandRig.create(new MacTable(16, 1000, () => undefined), { flowCountMax: 4 });
  t.teardown(() => rig.plane.close());
  let refused = "";
  for (let port = 1; refused === "" && port < 100; port += 1) {
    const { text, code } = await rig.call("dpctl/add-flow", `in_port(${port}),eth(),eth_type(0x0806)`, "1");
    if (code !== 0) refused = text;
  }
  t.match(refused, /^ovs-vswitchd: updating flow table \(No space left on device\)\n.*flows/);
  const rows = await rig.json<unknown[]>("dpctl/dump-flows");
  t.ok(rows.length >= 1 && rows.length <= 4, `${rows.length} flows`);
});

t.test("actions that a flow may not have are refused with the rule", async (t) => {
  const rig = await CommandRig.create(new MacTable(16, 1000, () => undefined));
  t.teardown(() => rig.plane.close());
  const { text, code } = await rig.call("dpctl/add-flow", ARP, "set(ipv4(ttl=1)),2");
  t.equal(code, 2);
  const [first, second] = text.split("\n");
  t.equal(first, "ovs-vswitchd: updating flow table (Invalid argument)");
  t.match(second, /\S/);
  t.same(await rig.json("dpctl/dump-flows"), []);
});

const flowLine = fc
  .record({
    port: fc.integer({ min: 1, max: 4 }),
    src: fc.integer({ min: 0, max: 0xffff }),
    bits: fc.integer({ min: 8, max: 32 }),
    dst: fc.integer({ min: 0, max: 0xffff }),
    actions: fc.constantFrom(
      "drop",
      "1",
      "1,2,3",
      "set(ipv4(ttl=3)),4",
      "push_vlan(vid=7,pcp=0),2",
      "userspace(pid=9)",
    ),
  })
  .map(({ port, src, bits, dst, actions }) => {
    const address = `10.1.${src >>> 8}.${src & 0xff}`;
    const mask = [24, 16, 8, 0]
      .map((shift) => ((bits === 32 ? -1 : ~(-1 >>> bits)) >>> shift) & 0xff)
      .join(".");
    const ip = `ipv4(src=${address}/${mask},dst=192.0.2.9,proto=17,frag=no)`;
    return `in_port(${port}),eth(),eth_type(0x0800),${ip},udp(dst=${dst}) ${actions}`;
  });

t.test("what dump-flows prints is a flow file that makes the same table", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-flows-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "flows");
  const rig = await CommandRig.create(new MacTable(16, 1000, () => undefined));
  t.teardown(() => rig.plane.close());
  await fc.assert(
    fc.asyncProperty(fc.array(flowLine, { maxLength: 12 }), fc.boolean(), async (lines, verbose) => {
      await rig.call("dpctl/del-flows");
      for (const line of lines) {
        const at = line.lastIndexOf(" ");
        await rig.call("dpctl/add-flow", line.slice(0, at), line.slice(at + 1));
      }
      const options = verbose ? ["-m"] : [];
      const before = await rig.call("dpctl/dump-flows", ...options);
      writeFileSync(file, before.text);
      await rig.call("dpctl/del-flows");
      const added = await rig.call("dpctl/add-flows", file);
      if (added.text !== "") throw new Error(added.text);
      const after = await rig.call("dpctl/dump-flows", ...options);
      if (after.text !== before.text) throw new Error(`${before.text}\nbecame\n${after.text}`);
    }),
    runs(40),
  );
});

t.test("flow files", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-flows-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "flows");
  const rig = await CommandRig.create(new MacTable(16, 1000, () => undefined));
  t.teardown(() => rig.plane.close());

  await t.test("words, comments and blank lines", async (t) => {
    writeFileSync(file, `# first\n\nadd ${ARP} 2\nmodify ${ARP} 3\n${UDP} 1\ndelete ${UDP}\r\n`);
    t.same(await rig.json("dpctl/add-flows", file), { applied: 4 });
    const rows = await rig.json<{ actions: string }[]>("dpctl/dump-flows");
    t.same(
      rows.map(({ actions }) => actions),
      ["3"],
    );
    writeFileSync(file, `${ARP} 4\n`);
    t.equal((await rig.call("dpctl/mod-flows", file)).code, 0);
    t.match((await rig.call("dpctl/dump-flows")).text, "actions:4");
    writeFileSync(file, `${ARP}\n`);
    t.equal((await rig.call("dpctl/del-flows", file)).code, 0);
    t.same(await rig.json("dpctl/dump-flows"), []);
  });

  await t.test("a ufid alone names a flow to delete", async (t) => {
    t.equal((await rig.call("dpctl/add-flow", `${UFID},${ARP}`, "3")).code, 0);
    writeFileSync(file, `delete ${UFID}\n`);
    t.same(await rig.json("dpctl/add-flows", file), { applied: 1 });
    t.same(await rig.json("dpctl/dump-flows"), []);
  });

  await t.test("nothing of a file with a bad line is applied", async (t) => {
    writeFileSync(file, `${ARP} 2\nin_port(2),bogus() 2\n`);
    const { text, code } = await rig.call("dpctl/add-flows", file);
    t.equal(code, 0, "as OVS answers refused files");
    t.match(text, `${file}:2:12: `);
    t.match(text, "expected");
    t.same(await rig.json("dpctl/dump-flows"), []);
  });

  await t.test("lines that the table refuses are named", async (t) => {
    writeFileSync(file, `${ARP} 2\n${ARP} 3\n${UDP} 3\n`);
    const { text, code } = await rig.call("dpctl/add-flows", file);
    t.equal(code, 0, "as OVS answers refused files");
    t.match(text, "2 of 3 flows");
    t.match(text, `${file}:2: updating flow table (File exists)`);
    await rig.call("dpctl/del-flows");
  });

  await t.test("a long file: how far it is can be seen, and refusals are told in part", async (t) => {
    writeFileSync(file, `${`${ARP} 2\n`.repeat(5000)}`);
    let ended = false;
    const adding = rig.call("dpctl/add-flows", file).finally(() => {
      ended = true;
    });
    const seen = new Set<string>();
    while (!ended) {
      for (const { command, step } of rig.jobs.list()) {
        t.equal(command, `dpctl/add-flows ${file}`);
        t.ok(step.done >= 0 && step.done <= step.total, `${step.done} of ${step.total} bytes`);
        if (step.done > 0) seen.add(step.doing);
      }
      await new Promise((resume) => setImmediate(resume));
    }
    const { text } = await adding;
    t.same([...seen], ["checking", "applying"]);
    t.same(rig.jobs.list(), []);
    t.match(text, "1 of 5000 flows");
    t.equal(text.match(/File exists/g)!.length, 100);
    t.match(text, "... and 4899 refusals more");
    await rig.call("dpctl/del-flows");
  });

  await t.test("a file that cannot be read", async (t) => {
    const missing = join(folder, "missing");
    const { text, code } = await rig.call("dpctl/add-flows", missing);
    t.equal(code, 0, "as OVS answers refused files");
    t.equal(text, `ovs-vswitchd: Opening file "${missing}" failed (No such file or directory)\n`);
  });
});
