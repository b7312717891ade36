// How many flows a second go into the table with full validation, in three forms:
//
//   internal   key and mask as the table has them, actions as netlink attributes, which are checked against both
//   netlink    OVS's message: attributes read strictly, key and mask made of them and checked against each other as well
//   text       as dpctl and flow files have it
//
// Everything is done in one thread, which in the daemon two share: control reads and checks, the handler puts.
//
//   node build/scripts/bench-flow-put.js [--flows 100000] [--rounds 3]
//
// Rounds of the forms alternate, each into a table of its own. Figures are processor time. Every flow has to be taken.
import { parseArgs } from "node:util";
import { parseActions } from "../src/action/odp/parse-actions.ts";
import { formatRefusal } from "../src/action/refusal.ts";
import { validateActions } from "../src/action/validate.ts";
import { type FlowEntry, parseFlowEntry } from "../src/control/flow-entry.ts";
import { actionsOf, matchOf, ufidOf } from "../src/control/netlink/flow-messages.ts";
import { attributesFromMatch, parseMatch } from "../src/flow/odp/match.ts";
import { Arena } from "../src/memory/arena.ts";
import { EpochWriter } from "../src/memory/epoch.ts";
import { DEFAULT_SIZES } from "../src/memory/region-plan.ts";
import { decodeAttributes, encodeAttributes } from "../src/netlink/attribute-table.ts";
import { FLOW_ATTRIBUTES } from "../src/netlink/flow-messages.ts";
import { setHashSeed } from "../src/table/hash.ts";
import { TableWriter } from "../src/table/table-writer.ts";
import { applyFlowChange } from "../src/upcall/flow-change.ts";

const { values } = parseArgs({
  options: { flows: { type: "string", default: "100000" }, rounds: { type: "string", default: "3" } },
});
const flowCount = Number(values.flows);
const VLAN_LIMIT = 1;
const NO_NAMES = { numbers: new Map<string, number>(), names: new Map<number, string>() };

/** A flow as a controller installs it for a NAT or a load balancer: a connection's headers, rewritten. */
const matchText = (n: number): string =>
  `in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),` +
  `ipv4(src=10.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255},dst=192.168.0.1,proto=6,ttl=64/0,frag=no),tcp(src=${1024 + (n % 50000)},dst=80)`;
const ACTIONS =
  "set(eth(dst=02:00:00:00:00:03)),set(ipv4(dst=10.0.0.9)),set(tcp(dst=8080)),push_vlan(vid=5,pcp=0),2";

function makeTable(): TableWriter {
  const arena = Arena.create({ ...DEFAULT_SIZES, frameCount: 1024, flowCountMax: flowCount });
  setHashSeed(arena, 1);
  const epochs = new EpochWriter(arena);
  epochs.initialise();
  return new TableWriter(arena, epochs);
}

function message(n: number): Uint8Array {
  const { key, mask } = attributesFromMatch(parseMatch(matchText(n)));
  const ufid = new Uint8Array(16);
  new DataView(ufid.buffer).setUint32(0, n + 1);
  return encodeAttributes(FLOW_ATTRIBUTES, { ufid, key, mask, actions: parseActions(ACTIONS) });
}

function putInternal(table: TableWriter, { key, mask, actions }: FlowEntry): void {
  const refusal = validateActions(actions, key, mask);
  if (refusal !== undefined) throw new Error(formatRefusal(refusal));
  const how = { create: true, modify: false, operator: true, nowMillis: 1 };
  const { error } = table.put({ key, mask, actions, ...how });
  if (error !== null) throw new Error(`a flow was refused: ${error}`);
}

function putMessage(table: TableWriter, bytes: Uint8Array): void {
  const request = decodeAttributes(FLOW_ATTRIBUTES, bytes, 0, "flow");
  const match = matchOf(request, VLAN_LIMIT);
  const change = {
    op: "new",
    ...match,
    ufid: ufidOf(request),
    actions: actionsOf(request, match)!,
    exclusive: true,
  } as const;
  const { error } = applyFlowChange(table, change, 1);
  if (error !== null) throw new Error(`a flow was refused: ${error}`);
}

function putText(table: TableWriter, text: string): void {
  const { key, mask, ufid, actions } = parseFlowEntry(text, ACTIONS, NO_NAMES, VLAN_LIMIT);
  const how = { create: true, modify: false, clear: false };
  const { error } = applyFlowChange(table, { op: "put", key, mask, ufid, actions, ...how }, 1);
  if (error !== null) throw new Error(`a flow was refused: ${error}`);
}

/** Microseconds of processor time for each. */
function timed<Input>(inputs: readonly Input[], put: (table: TableWriter, input: Input) => void): number {
  const table = makeTable();
  const before = process.cpuUsage();
  for (const input of inputs) put(table, input);
  const { user, system } = process.cpuUsage(before);
  if (table.flowCount !== flowCount) throw new Error(`${table.flowCount} flows of ${flowCount}`);
  return (user + system) / flowCount;
}

const numbers = Array.from({ length: flowCount }, (_, n) => n);
const messages = numbers.map(message);
const texts = numbers.map(matchText);
const entries = texts.map((text) => parseFlowEntry(text, ACTIONS, NO_NAMES, VLAN_LIMIT));
const figures = { internal: [] as number[], netlink: [] as number[], text: [] as number[] };
for (let round = 0; round < Number(values.rounds); round += 1) {
  figures.internal.push(timed(entries, putInternal));
  figures.netlink.push(timed(messages, putMessage));
  figures.text.push(timed(texts, putText));
}
for (const [form, micros] of Object.entries(figures)) {
  const sorted = micros.sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)]!;
  const spread = `${sorted[0]!.toFixed(1)} to ${sorted.at(-1)!.toFixed(1)}`;
  console.log(
    `${form}: ${Math.round(1e6 / median)} flows a second read, checked and put, ${median.toFixed(1)} µs each (${spread})`,
  );
}
