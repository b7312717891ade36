// The random comparison with the real Open vSwitch (npm run conformance), in small: a few hundred cases, the shrinking of
// a finding, and the rules for what differs on purpose.
import t from "tap";
import { actionNames, type ConformanceCase, splitText } from "../support/conformance/case.ts";
import { CaseDrawer, drawPackets } from "../support/conformance/draw-case.ts";
import { MillraceSide } from "../support/conformance/millrace-side.ts";
import { RuleRunner } from "../support/conformance/rule-runner.ts";
import { ConformanceRunner } from "../support/conformance/runner.ts";
import { shrinkCase } from "../support/conformance/shrink.ts";
import { Tally } from "../support/conformance/tally.ts";
import { oracleSkipReason } from "../support/oracle.ts";
import { SeededRandom } from "../support/random.ts";
import { SEED } from "../support/seed.ts";

const CASES = 300;
const PACKETS = 200;
const RULE_BATCHES = 4;
const skip = oracleSkipReason();

t.test("random cases are answered alike", { skip }, async (t) => {
  const runner = await ConformanceRunner.start(SEED);
  t.teardown(() => runner.stop());
  const random = new SeededRandom(SEED);
  const drawer = new CaseDrawer(runner.side, drawPackets(SEED, PACKETS), (reason) =>
    runner.tally.leftOut(reason),
  );
  for (let index = 0; index < CASES; index += 1) {
    const given = await drawer.draw(random);
    const finding = given === undefined ? undefined : await runner.run(given);
    if (!t.equal(finding, undefined, JSON.stringify(finding))) break;
  }
  t.ok(runner.tally.isShareReached, `${runner.tally.acceptedShare} of the flows were accepted by both`);
});

t.test(
  "flows that Open vSwitch makes of random OpenFlow rules do here what they do there",
  { skip },
  async (t) => {
    const side = await MillraceSide.start(SEED);
    t.teardown(() => side.close());
    const tally = new Tally();
    const runner = await RuleRunner.start(side, tally);
    t.teardown(() => runner.stop());
    const pool = drawPackets(SEED, PACKETS);
    for (let batch = 0; batch < RULE_BATCHES; batch += 1) {
      const findings = await runner.runBatch(new SeededRandom(SEED + batch), pool);
      if (!t.same(findings, [], JSON.stringify(findings))) break;
    }
    t.ok(tally.isShareReached, `${tally.acceptedShare} of the flows were accepted by both`);
    const report = tally.report(1);
    for (const action of ["hash", "push_mpls", "push_eth", "pop_eth"])
      t.match(report, new RegExp(` ${action}\n`));
  },
);

const FLOW = "in_port(1),eth(),eth_type(0x0800),ipv4(proto=17,frag=no),udp()";
const PACKET =
  "0200000000020200000000010800450000260001000040116edf0a0000010a00000203e807d0001293b7000102030405060708090000";

/** Cases that must be told from others: each is answered differently, and by which rule that is known. */
const KNOWN: readonly (readonly [given: ConformanceCase, rule: RegExp])[] = [
  [{ flows: [{ flow: FLOW, actions: "trunc(1),2" }], packets: [] }, /trunc below an Ethernet header/],
  [
    { flows: [{ flow: FLOW, actions: "set(tcp(src=1)),2" }], packets: [] },
    /protocol that the flow does not match/,
  ],
  [{ flows: [{ flow: FLOW, actions: "trunc(20),9,1" }], packets: [PACKET] }, /trunc in Open vSwitch waits/],
];

t.test("what differs on purpose is told by rule", { skip }, async (t) => {
  const runner = await ConformanceRunner.start(SEED);
  t.teardown(() => runner.stop());
  for (const [given, rule] of KNOWN) {
    t.equal(await runner.run(given), undefined, JSON.stringify(given));
    t.match(runner.tally.report(1), rule);
  }
});

t.test("a case shrinks to what its finding needs", async (t) => {
  const given = {
    flows: [
      {
        flow: `${FLOW},tcp_flags(0/0)`,
        actions: "1,clone(set(eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02)),2),pop_vlan",
      },
      { flow: `recirc_id(0x1),${FLOW}`, actions: "3" },
    ],
    packets: [PACKET, `${PACKET.slice(0, -4)}abcd`],
  };
  const needs = ({ flows, packets }: ConformanceCase): boolean =>
    flows.some(({ actions }) => actions.includes("src=00:00:00:00:00:01")) &&
    packets.some((hex) => hex.includes("ab"));
  const small = await shrinkCase(given, async (smaller) => needs(smaller));
  t.ok(needs(small));
  t.same(
    small.flows.map(({ actions }) => actions),
    ["set(eth(src=00:00:00:00:00:01))"],
  );
  t.equal(small.packets.length, 1);
  t.match(small.packets[0], /^0*ab0*$/, "bytes that do not matter are zero");
});

t.test("texts are taken apart at their own level", async (t) => {
  t.same(splitText("a(1,2),b,c((3,4),5)"), ["a(1,2)", "b", "c((3,4),5)"]);
  t.same(splitText(""), []);
  t.same(actionNames("1,set(ipv4(src=1.2.3.4)),clone(2,sample(sample=100%,actions(pop_vlan)))"), [
    ...["output", "set(ipv4)", "clone", "output", "sample", "pop_vlan"],
  ]);
});
