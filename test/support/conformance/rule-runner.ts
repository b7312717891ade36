// Runs cases of OpenFlow rules on both switches: the real one makes datapath flows of a rule, Millrace gets those flows.

import type { SeededRandom } from "../random.ts";
import { actionNames, type CaseAnswer, type ConformanceCase, splitText } from "./case.ts";
import { compareAnswers, RULE_ASPECTS } from "./compare.ts";
import { drawRuleCase, rulePool } from "./draw-rule.ts";
import type { MillraceAnswer, MillraceSide } from "./millrace-side.ts";
import type { RuleCase } from "./rule-case.ts";
import { comparedDumps, RULES_PER_BATCH, type RuleAnswer, RuleOracle } from "./rule-oracle.ts";
import { dishonestFates, type Finding, findingOf, isEnd } from "./runner.ts";
import { shorterPackets, shrink } from "./shrink.ts";
import type { Tally } from "./tally.ts";

/** What OVS's own threads do with the packet, and no action of the datapath. */
const SLOW_PATH = /slow_path\(/;

interface Examined {
  readonly given: ConformanceCase;
  readonly ours: MillraceAnswer;
  readonly findings: readonly Finding[];
}

export class RuleRunner {
  readonly #side: MillraceSide;
  readonly #tally: Tally;
  #oracle: RuleOracle;
  #loaded: readonly RuleCase[] = [];

  private constructor(side: MillraceSide, tally: Tally, oracle: RuleOracle) {
    this.#side = side;
    this.#tally = tally;
    this.#oracle = oracle;
  }

  static async start(side: MillraceSide, tally: Tally): Promise<RuleRunner> {
    return new RuleRunner(side, tally, await RuleOracle.start());
  }

  stop(): void {
    this.#oracle.stop();
  }

  /** Draws and runs cases, a batch at the most. Findings are made small. */
  async runBatch(
    random: SeededRandom,
    pool: readonly Uint8Array[],
    count = RULES_PER_BATCH,
  ): Promise<Finding[]> {
    const packets = rulePool(pool);
    const cases = Array.from({ length: Math.min(count, RULES_PER_BATCH) }, () =>
      drawRuleCase(random, packets),
    );
    const findings: Finding[] = [];
    for (const [index, rule] of this.#load(cases).entries()) {
      const examined = await this.#examine(rule, index, true);
      if (examined === undefined) continue;
      this.#count(examined);
      if (examined.findings.length > 0) findings.push(examined.findings[0]!);
    }
    // Shrinking puts other rules in force, so it comes behind the batch.
    const small: Finding[] = [];
    for (const finding of findings) small.push(await this.#shrink(finding));
    return small;
  }

  /** The first finding of a rule, as it is. */
  async run(rule: RuleCase): Promise<Finding | undefined> {
    this.#put([rule]);
    return (await this.#examine(rule, 0, true))?.findings[0];
  }

  /** Puts the cases in force that OpenFlow allows, and returns them. */
  #load(cases: readonly RuleCase[]): readonly RuleCase[] {
    try {
      this.#put(cases);
      return cases;
    } catch {
      const allowed = cases.filter((rule) => this.#oracle.refusal(rule) === null);
      for (let refused = cases.length - allowed.length; refused > 0; refused -= 1) {
        this.#tally.leftOut("an OpenFlow rule that ovs-ofctl refuses");
      }
      this.#put(allowed);
      return allowed;
    }
  }

  #put(cases: readonly RuleCase[]): void {
    this.#oracle.load(cases);
    this.#loaded = cases;
  }

  async #examine(rule: RuleCase, index: number, isCounted: boolean): Promise<Examined | undefined> {
    const asked = await this.#askOracle(rule, index);
    if (asked === undefined) {
      const given = { flows: [], packets: rule.packets };
      const ours = await this.#side.ask(given);
      const what = "Open vSwitch ended";
      return { given, ours, findings: [{ given, rule, what, ours: "not asked", theirs: "no answer" }] };
    }
    const { flows, answer } = asked;
    if (flows.some(({ actions }) => SLOW_PATH.test(actions))) {
      if (isCounted) this.#tally.leftOut("an OpenFlow rule that sends packets to Open vSwitch's slow path");
      return undefined;
    }
    const given = { flows, packets: rule.packets };
    const told = await this.#side.ask(given);
    const ours = {
      ...told,
      dumps: comparedDumps(told.dumps),
    };
    const theirs: CaseAnswer = { ...answer, refusals: flows.map(() => null) };
    const findings = dishonestFates(given, ours).map((finding) => ({ ...finding, rule }));
    for (const difference of compareAnswers(given, ours, theirs, RULE_ASPECTS)) {
      if (difference.rule === undefined)
        findings.push({ ...findingOf(given, difference, ours, theirs), rule });
      else if (isCounted) this.#tally.rule(difference.rule);
    }
    return { given, ours, findings };
  }

  /** Undefined when the oracle's daemon died of the case; another one is there then, with the batch's rules. */
  async #askOracle(rule: RuleCase, index: number): Promise<RuleAnswer | undefined> {
    try {
      return await this.#oracle.ask(index, rule.packets);
    } catch (error) {
      if (!isEnd(error)) throw error;
      this.#oracle.stop();
      this.#oracle = await RuleOracle.start();
      this.#oracle.load(this.#loaded);
      return undefined;
    }
  }

  async #shrink(finding: Finding): Promise<Finding> {
    let smallest = finding;
    await shrink(finding.rule!, smallerRules, async (smaller) => {
      if (this.#oracle.refusal(smaller) !== null) return false;
      this.#put([smaller]);
      const found = (await this.#examine(smaller, 0, false))?.findings.find(
        ({ what }) => what === finding.what,
      );
      if (found !== undefined) smallest = found;
      return found !== undefined;
    });
    return smallest;
  }

  #count({ given, ours }: Examined): void {
    this.#tally.ruleCases += 1;
    this.#tally.packets += given.packets.length;
    this.#tally.outputs += ours.outputs.reduce((sum, [, sent]) => sum + sent.length, 0);
    for (const [index, { actions }] of given.flows.entries()) {
      const isOurs = ours.refusals[index] === null;
      this.#tally.flow(isOurs, true);
      if (isOurs) for (const name of new Set(actionNames(actions))) this.#tally.action(name);
    }
  }
}

function* smallerRules(given: RuleCase): Generator<RuleCase> {
  const { rule, packets } = given;
  for (const index of packets.keys()) yield { ...given, packets: packets.toSpliced(index, 1) };
  const list = splitText(rule);
  if (list.length > 1)
    for (const index of list.keys()) yield { ...given, rule: list.toSpliced(index, 1).join(",") };
  for (const [index, packet] of packets.entries()) {
    for (const shorter of shorterPackets(packet)) yield { ...given, packets: packets.with(index, shorter) };
  }
}
