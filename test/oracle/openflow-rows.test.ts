// The datapath flows that the real Open vSwitch made of OpenFlow rules, installed here as it dumped them: the same packets
// leave the same ports. And the flows of the kernel's self-tests, with their actions.
import t from "tap";
import type { FlowText } from "../support/conformance/case.ts";
import { MillraceSide } from "../support/conformance/millrace-side.ts";
import { corporaSkipReason, readCorpusRows, readCorpusText } from "../support/corpora.ts";
import { SEED } from "../support/seed.ts";

interface RuleSet {
  readonly name: string;
  readonly steps: readonly {
    readonly in_port: number;
    readonly in: string;
    readonly out: readonly { readonly port: number; readonly hex: string }[];
    readonly dp_flows_after: readonly string[];
  }[];
}

/** Rule sets whose flows cannot say what happened, by name. */
const LEFT_OUT: ReadonlyMap<string, string> = new Map([
  ["ct_udp", "ct"],
  ["ct_tcp", "ct"],
  ["snat", "ct"],
  ["dnat", "ct"],
  ["ct_frag", "ct"],
  ["group_select_hash", "its flows match values of OVS's hash"],
  ["nd", "its flow sends packets to OVS's slow path, which writes them"],
  ["arp_reply", "its flow sends packets to OVS's slow path, which writes them"],
  ["meter_pps", "its meter is no part of the flows"],
]);

/** The oracle's local port, which the switch of this test does not have. */
const LOCAL = "100";

/** A dumped line as add-flow takes it, with numbers for ports. */
function flowOf(line: string): FlowText {
  const [flow, rest] = line.split(", packets:") as [string, string];
  const actions = rest.slice(rest.indexOf("actions:") + "actions:".length);
  const numbered = (text: string): string => text.replace(/\bbr0\b/g, LOCAL).replace(/\bp([1-4])\b/g, "$1");
  return { flow: numbered(flow), actions: numbered(actions) };
}

function byPort(out: readonly { readonly port: number; readonly hex: string }[]): [number, string[]][] {
  const ports = [...new Set(out.map(({ port }) => port))].sort((left, right) => left - right);
  return ports.map((port) => [port, out.filter((sent) => sent.port === port).map(({ hex }) => hex)]);
}

t.test("rule sets", { skip: corporaSkipReason() }, async (t) => {
  const side = await MillraceSide.start(SEED);
  t.teardown(() => side.close());
  let steps = 0;
  for (const { name, steps: all } of readCorpusRows<RuleSet>("openflow-datapath/openflow-ovs3.1.jsonl")!) {
    const reason = LEFT_OUT.get(name);
    if (reason !== undefined) {
      t.comment(`${name} left out: ${reason}`);
      continue;
    }
    for (const [index, step] of all.entries()) {
      const flows = step.dp_flows_after.map(flowOf);
      const answer = await side.ask({ flows, packets: [step.in] }, step.in_port);
      t.same(
        answer.refusals,
        flows.map(() => null),
        `${name} ${index}: flows are taken`,
      );
      t.same(answer.outputs, byPort(step.out), `${name} ${index}: outputs`);
      steps += 1;
    }
  }
  t.ok(steps > 50, `${steps} steps`);
});

interface SelfTest {
  readonly test: string;
  readonly flow?: string;
  readonly actions?: string;
  /** Begins with "refused" where the kernel refuses. */
  readonly expect?: string;
}

/** The self-tests have a parser of their own; this is what OVS writes for it. */
const asOvsWrites = (actions: string): string =>
  actions
    .replace(/cookie=(?!0x)/g, "cookie=0x")
    .replace(/userdata=(\w+)/g, "userdata($1)")
    .replace(/push_vlan\((.*?),tpid=(0x\w+)\)/g, "push_vlan(tpid=$2,$1)");

/** Why a flow of the self-tests is refused here, by what it says. */
const REFUSED: readonly (readonly [text: RegExp, reason: RegExp])[] = [
  [/\bct[(,]|\bct$/, /ct is not supported yet|in_port is not matched/],
  [/^(?!.*in_port\()/, /in_port is not matched/],
];

t.test("flows of the kernel's self-tests, with their actions", { skip: corporaSkipReason() }, async (t) => {
  const side = await MillraceSide.start(SEED);
  t.teardown(() => side.close());
  let taken = 0;
  for (const row of JSON.parse(readCorpusText("linux-selftests/flows.json")!) as SelfTest[]) {
    if (row.flow === undefined || row.actions === undefined) continue;
    const actions = asOvsWrites(row.actions);
    const { refusals } = await side.ask({ flows: [{ flow: row.flow, actions }], packets: [] });
    const said = `${row.flow} ${actions}`;
    if (row.expect?.startsWith("refused")) {
      t.ok(refusals[0], `${said}: ${row.expect}`);
      continue;
    }
    const rule = REFUSED.find(([text]) => text.test(said));
    if (rule === undefined) t.equal(refusals[0], null, `${row.test}: ${said}: ${refusals[0]}`);
    else t.match(refusals[0] ?? "taken", rule[1], `${row.test}: ${said}`);
    if (rule === undefined) taken += 1;
  }
  t.ok(taken > 8, `${taken} flows are taken`);
});
