// Runs cases on both switches, keeps count of what was covered, and makes findings small.
import { KeyExtractor } from "../../../src/flow/extract-key.ts";
import { bytesToHex, hexToBytes } from "../../../src/packet/bytes.ts";
import { Oracle } from "../oracle.ts";
import {
  actionNames,
  CASE_IN_PORT,
  CASE_PORT_COUNT,
  CASE_VLAN_LIMIT,
  type CaseAnswer,
  type ConformanceCase,
} from "./case.ts";
import { dishonesty } from "./checksums.ts";
import { compareAnswers, type Difference } from "./compare.ts";
import { type MillraceAnswer, MillraceSide } from "./millrace-side.ts";
import { askOracle } from "./oracle-side.ts";
import { missingHeader, packetFacts } from "./packet-facts.ts";
import type { RuleCase } from "./rule-case.ts";
import { shrinkCase } from "./shrink.ts";
import { Tally } from "./tally.ts";
import { maskSent, TUNNEL_PORTS } from "./tunnel-ports.ts";

export interface Finding {
  readonly given: ConformanceCase;
  /** The OpenFlow rule of which Open vSwitch made the flows. */
  readonly rule?: RuleCase;
  /** Equal for findings of one kind. */
  readonly what: string;
  readonly ours: unknown;
  readonly theirs: unknown;
}

export class ConformanceRunner {
  readonly tally = new Tally();
  readonly side: MillraceSide;
  readonly #extractor = new KeyExtractor(CASE_VLAN_LIMIT);
  #oracle: Oracle;

  private constructor(side: MillraceSide, oracle: Oracle) {
    this.side = side;
    this.#oracle = oracle;
  }

  static async start(seed: number): Promise<ConformanceRunner> {
    return new ConformanceRunner(await MillraceSide.start(seed), await startOracle());
  }

  async stop(): Promise<void> {
    this.#oracle.stop();
    await this.side.close();
  }

  /** The first finding of the case, made small; undefined when both agree or a rule explains what differs. */
  async run(given: ConformanceCase): Promise<Finding | undefined> {
    const { ours, theirs, findings } = await this.#examine(given);
    this.#count(given, ours, theirs);
    const [finding] = findings;
    if (finding === undefined) return undefined;
    const small = await shrinkCase(given, async (smaller) => {
      if (this.#isAskable(smaller))
        return (await this.#examine(smaller, false)).findings.some(({ what }) => what === finding.what);
      return false;
    });
    return (await this.#examine(small, false)).findings.find(({ what }) => what === finding.what) ?? finding;
  }

  async #examine(
    given: ConformanceCase,
    isCounted = true,
  ): Promise<{ ours: MillraceAnswer; theirs: CaseAnswer | undefined; findings: Finding[] }> {
    const ours = await this.side.ask(given);
    const findings = dishonestFates(given, ours);
    const theirs = await this.#askOracle(given);
    if (theirs === undefined) {
      findings.push({ given, what: "Open vSwitch ended", ours: ours.outputs, theirs: "no answer" });
      return { ours, theirs, findings };
    }
    for (const difference of compareAnswers(
      given,
      withoutChosen(given, ours),
      withoutChosen(given, theirs),
    )) {
      if (difference.rule === undefined) findings.push(findingOf(given, difference, ours, theirs));
      else if (isCounted) this.tally.rule(difference.rule);
    }
    return { ours, theirs, findings };
  }

  /** Undefined when the oracle's daemon died of the case; another one is there then. */
  async #askOracle(given: ConformanceCase): Promise<CaseAnswer | undefined> {
    try {
      return await askOracle(this.#oracle, given);
    } catch (error) {
      if (!isEnd(error)) throw error;
      this.#oracle.stop();
      this.#oracle = await startOracle();
      return undefined;
    }
  }

  /** Whether the oracle survives the packets: see missingHeader. */
  #isAskable({ flows, packets }: ConformanceCase): boolean {
    const actions = flows.map((flow) => flow.actions).join(",");
    return packets.every((packet) => {
      if (packet.length < 28) return false;
      const key = this.#extractor.extract(hexToBytes(packet), CASE_IN_PORT);
      return missingHeader(actions, packetFacts(key)) === undefined;
    });
  }

  #count({ flows, packets }: ConformanceCase, ours: MillraceAnswer, theirs: CaseAnswer | undefined): void {
    this.tally.cases += 1;
    this.tally.packets += packets.length;
    this.tally.outputs += ours.outputs.reduce((sum, [, sent]) => sum + sent.length, 0);
    for (const [index, { actions }] of flows.entries()) {
      const isOurs = ours.refusals[index] === null;
      const isTheirs = theirs?.refusals[index] === null;
      this.tally.flow(isOurs, isTheirs);
      if (isOurs && isTheirs) for (const name of new Set(actionNames(actions))) this.tally.action(name);
    }
  }
}

/** An answer without what each side chooses for itself in a tunnel's headers. */
function withoutChosen<Answer extends CaseAnswer>(given: ConformanceCase, answer: Answer): Answer {
  if (!given.flows.some(({ actions }) => actions.includes("tnl_push("))) return answer;
  return {
    ...answer,
    outputs: answer.outputs.map(([portNo, sent]) => [portNo, sent.map(maskSent)] as const),
  };
}

/** Whether the oracle's daemon died under a question. */
export const isEnd = (error: unknown): boolean =>
  error instanceof Error && /closed|ECONNRESET|EPIPE/.test(error.message);

/** With a limit of none it installs no flows for misses: the table holds the case's flows alone. */
async function startOracle(): Promise<Oracle> {
  const oracle = await Oracle.start({
    portCount: CASE_PORT_COUNT,
    vlanLimit: CASE_VLAN_LIMIT,
    tunnels: TUNNEL_PORTS,
  });
  await oracle.appctl("upcall/set-flow-limit", "0");
  return oracle;
}

export function findingOf(
  given: ConformanceCase,
  { aspect, ours, theirs }: Difference,
  answer: MillraceAnswer,
  other: CaseAnswer,
): Finding {
  if (aspect !== "refusals") return { given, what: `${aspect} differ`, ours, theirs };
  const index = answer.refusals.findIndex((text, at) => (text === null) !== (other.refusals[at] === null));
  const alone = answer.refusals[index] === null ? "Millrace" : "Open vSwitch";
  const refusal = (answer.refusals[index] ?? other.refusals[index])!.replace(/\d+/g, "N");
  const what = `${alone} alone takes a flow; the other: ${refusal}`;
  return { given, what, ours: answer.refusals, theirs: other.refusals };
}

/** Outputs whose checksums do not hold as the packet's did. Behind a tunnel's header they are another packet's. */
export function dishonestFates(given: ConformanceCase, { fates }: MillraceAnswer): Finding[] {
  if (given.flows.some(({ actions }) => actions.includes("tnl_"))) return [];
  return fates.flatMap(({ packet, outputs }) =>
    outputs.flatMap(({ bytes }) => {
      const what = dishonesty(packet, bytes);
      return what === undefined ? [] : [{ given, what, ours: bytesToHex(bytes), theirs: "not asked" }];
    }),
  );
}
