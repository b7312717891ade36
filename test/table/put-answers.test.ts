// What the table answers to overlaps and duplicates, held against the real Open vSwitch: the same random commands go to
// its userspace datapath and to the table, and both must give the same answers and end with the same flows. Where the
// two differ on purpose (flows of one ufid) the table's own answer is stated below.
import t from "tap";
import { equalUnder } from "../../src/flow/key.ts";
import { formatMatch, parseMatch } from "../../src/flow/odp/match.ts";
import type { Arena } from "../../src/memory/arena.ts";
import { FlowCursor } from "../../src/table/flow-cursor.ts";
import type { FlowPut, PutResult, TableWriter } from "../../src/table/table-writer.ts";
import { Oracle, oracleSkipReason } from "../support/oracle.ts";
import { SeededRandom } from "../support/random.ts";
import { SEED } from "../support/seed.ts";
import { createTable, outputTo } from "./model.ts";

const COMMANDS = 400;
/** How ovs-appctl words an errno. */
const ERRNO_TEXT: readonly (readonly [text: string, error: string])[] = [
  ["File exists", "EEXIST"],
  ["No such file or directory", "ENOENT"],
  ["Invalid argument", "EINVAL"],
];

interface Command {
  readonly what: "add" | "mod" | "mod-or-add" | "del";
  readonly flow: string;
  readonly port: number;
}

/** IPv4 flows over a few addresses and prefix lengths, so that most commands meet a flow that is there. */
function randomCommand(random: SeededRandom): Command {
  const address = `10.0.${random.below(2)}.${random.below(3)}`;
  const mask = random.pick(["255.255.255.255", "255.255.255.0", "255.255.0.0"]);
  const source = random.chance(0.3) ? `src=1.1.1.${random.below(2)},` : "";
  return {
    what: random.pick(["add", "add", "mod", "mod-or-add", "del"]),
    flow: `in_port(${1 + random.below(2)}),eth(),eth_type(0x0800),ipv4(${source}dst=${address}/${mask})`,
    port: 1 + random.below(3),
  };
}

async function ask(oracle: Oracle, { what, flow, port }: Command): Promise<string> {
  const answer =
    what === "add"
      ? await oracle.addFlow(flow, String(port))
      : what === "del"
        ? await oracle.appctl("dpctl/del-flow", flow)
        : what === "mod"
          ? await oracle.appctl("dpctl/mod-flow", flow, String(port))
          : await oracle.appctl("dpctl/mod-flow", "--may-create", flow, String(port));
  if (answer.code === 0) return "ok";
  return ERRNO_TEXT.find(([text]) => answer.text.includes(text))?.[1] ?? answer.text;
}

function tell(table: TableWriter, { what, flow, port }: Command): string {
  const { key, mask } = parseMatch(flow);
  if (what === "del") {
    const flowNo = table.findByKey(key);
    if (flowNo === 0) return "ENOENT";
    table.remove(flowNo);
    return "ok";
  }
  const flags = { create: what !== "mod", modify: what !== "add" };
  return put(table, { key, mask, actions: outputTo(port), ...flags }).error ?? "ok";
}

function matchCount(arena: Arena, flow: string): number {
  const { key } = parseMatch(flow);
  return new FlowCursor(arena, null).next().filter((view) => equalUnder(key, view.key, view.mask)).length;
}

const put = (
  table: TableWriter,
  request: Pick<FlowPut, "key" | "mask" | "actions"> & Partial<FlowPut>,
): PutResult => table.put({ create: true, modify: false, operator: true, nowMillis: 0, ...request });

t.test("random commands answer and end as Open vSwitch's do", { skip: oracleSkipReason() }, async (t) => {
  const oracle = await Oracle.start();
  t.teardown(() => oracle.stop());
  const { arena, table } = createTable();
  const random = new SeededRandom(SEED);
  const counts = new Map<string, number>();
  for (let index = 0; index < COMMANDS; index += 1) {
    const command = randomCommand(random);
    // Of several flows that match, a modification changes the first one in look-up order, and that is each switch's own.
    if (command.what !== "add" && matchCount(arena, command.flow) > 1) continue;
    const [wanted, found] = [await ask(oracle, command), tell(table, command)];
    if (wanted !== found) return t.equal(found, wanted, `command ${index}: ${JSON.stringify(command)}`);
    const kind = `${command.what}: ${wanted}`;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  for (const kind of [
    "add: ok",
    "add: EEXIST",
    "mod: ok",
    "mod: ENOENT",
    "mod-or-add: ok",
    "del: ok",
    "del: ENOENT",
  ]) {
    t.ok((counts.get(kind) ?? 0) > 0, `${kind}: ${counts.get(kind)} times`);
  }
  const ours = new FlowCursor(arena, null).next().map((view) => {
    const port = new DataView(view.actions.buffer).getUint32(4, true);
    return `${formatMatch(view)}, actions:${port}`;
  });
  const theirs = (await oracle.dumpFlows()).map((line) => line.replace(/, packets:.*actions:/, ", actions:"));
  t.strictSame(ours.sort(), theirs.sort(), "the same flows, bits outside the mask included");
});

t.test("the answer names what is in the way", async (t) => {
  const { table } = createTable();
  const wide = parseMatch("in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.77/255.255.0.0)");
  const inside = parseMatch("in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.1/255.255.255.0)");
  const first = put(table, { ...wide, actions: outputTo(1) });
  const flowNo = first.error === null ? first.flowNo : 0;
  t.not(flowNo, 0);
  t.same(put(table, { ...inside, actions: outputTo(2) }), { error: "EEXIST", flowNo, reason: "key" });
  t.same(put(table, { ...inside, actions: outputTo(2), create: false }), { error: "EINVAL", flowNo });
  t.same(put(table, { ...inside, actions: outputTo(2), create: false, modify: true }), {
    error: null,
    flowNo,
    created: false,
  });
  t.same(table.flows.read(flowNo)!.actions, outputTo(2));
  t.equal(table.findMatch(inside.key), flowNo);
});

t.test("one ufid names one flow", async (t) => {
  const { table } = createTable();
  const flow = (n: number): string =>
    `ufid:00000000-0000-0000-0000-000000000001,in_port(${n}),eth(),eth_type(0x0800),ipv4(dst=10.0.0.1)`;
  const first = put(table, { ...parseMatch(flow(1)), actions: outputTo(1) });
  const flowNo = first.error === null ? first.flowNo : 0;
  t.same(put(table, { ...parseMatch(flow(2)), actions: outputTo(1) }), {
    error: "EEXIST",
    flowNo,
    reason: "ufid",
  });
  t.equal(table.findByUfid(parseMatch(flow(3)).ufid!), flowNo);
  t.equal(
    table.findByKey(parseMatch(flow(1)).key),
    0,
    "a flow with a ufid of its own is not found by its key",
  );
  table.remove(flowNo);
  t.equal(put(table, { ...parseMatch(flow(2)), actions: outputTo(1) }).error, null);
});

t.test("a flow that is being flushed is in nobody's way", async (t) => {
  const { table } = createTable();
  const match = parseMatch("in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.1)");
  put(table, { ...match, actions: outputTo(1) });
  table.flush();
  t.ok(table.flushing);
  t.equal(table.findByKey(match.key), 0, "nor is it found");
  const again = put(table, { ...match, actions: outputTo(2) });
  t.equal(again.error, null);
  while (table.flushing) table.step();
  t.equal(table.flowCount, 1, "what was put after the flush stays");
});
