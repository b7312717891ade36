// The real Open vSwitch under OpenFlow rules. Every case of a batch has an input port of its own, so that one ovs-ofctl
// loads them all. A case's packets are sent twice: the first time they miss, and the flows that Open vSwitch makes are
// installed; the second time they hit them, and that is what is compared.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Oracle } from "../oracle.ts";
import {
  CASE_IN_PORT,
  CASE_PORT_COUNT,
  CASE_VLAN_LIMIT,
  type CaseAnswer,
  type DumpLines,
  type FlowText,
  maskDump,
} from "./case.ts";
import { asWePrint } from "./known-differences.ts";
import { GROUPS, METER, type RuleCase, STATIC_RULES } from "./rule-case.ts";

export const RULES_PER_BATCH = 32;
const BRIDGE = "br0";
const COUNTERS = /packets:(\d+), bytes:(\d+)/;

export interface RuleAnswer {
  /** Flows that Open vSwitch made, as text that says the ports of a conformance case. */
  readonly flows: readonly FlowText[];
  readonly answer: CaseAnswer;
}

export class RuleOracle {
  readonly #oracle: Oracle;

  private constructor(oracle: Oracle) {
    this.#oracle = oracle;
  }

  static async start(): Promise<RuleOracle> {
    const oracle = await Oracle.start({
      portCount: CASE_PORT_COUNT + RULES_PER_BATCH,
      vlanLimit: CASE_VLAN_LIMIT,
    });
    const rules = new RuleOracle(oracle);
    for (const group of GROUPS) rules.#ofctl("add-group", BRIDGE, group);
    rules.#ofctl("add-meter", BRIDGE, METER);
    return rules;
  }

  stop(): void {
    this.#oracle.stop();
  }

  /** Puts rules in force, the case at an index for the port of that index. @throws Error with ovs-ofctl's word */
  load(cases: readonly RuleCase[]): void {
    const lines = cases.map(
      ({ match, rule }, index) => `table=0,in_port=${inPort(index)},${match},actions=${rule}`,
    );
    const file = join(dirname(this.#oracle.controlSocket), "rules");
    writeFileSync(file, [...STATIC_RULES, ...lines, ""].join("\n"));
    this.#ofctl("replace-flows", BRIDGE, file);
  }

  /** Null when OpenFlow allows the rule, else why it does not. */
  refusal({ match, rule }: RuleCase): string | null {
    try {
      this.#ofctl("parse-flow", `table=0,in_port=1,${match},actions=${rule}`);
      return null;
    } catch (error) {
      return String((error as { stderr?: Buffer }).stderr);
    }
  }

  async ask(index: number, packets: readonly string[]): Promise<RuleAnswer> {
    const oracle = this.#oracle;
    const send = async (): Promise<void> => {
      for (const packet of packets) await oracle.receive(inPort(index), packet);
    };
    // del-flows would leave what the revalidators know of the flows, who then refuse to install them again.
    await oracle.appctl("revalidator/purge");
    await send();
    const made = await oracle.dumpFlows("-m");
    oracle.outputs();
    await send();
    const [verbose, short] = await Promise.all([oracle.dumpFlows("-m"), oracle.dumpFlows()]);
    const asCase = (line: string): string =>
      asWePrint(line)
        .replaceAll(`p${inPort(index)}`, `p${CASE_IN_PORT}`)
        .replaceAll(`in_port(${inPort(index)})`, `in_port(${CASE_IN_PORT})`);
    return {
      flows: made.map((line) => flowText(asCase(withoutHash(line)))),
      answer: {
        refusals: [],
        outputs: [...oracle.outputs()].sort(([left], [right]) => left - right),
        upcalls: [],
        ports: [],
        dumps: comparedDumps({
          short: short.map((line) => maskDump(asCase(line)).replace(HASH, "")),
          verbose: grown(made, verbose).map(asCase),
        }),
      },
    };
  }

  #ofctl(...args: string[]): void {
    execFileSync("ovs-ofctl", ["-O", "OpenFlow15", ...args], {
      env: { ...process.env, OVS_RUNDIR: dirname(this.#oracle.controlSocket) },
      stdio: ["ignore", "ignore", "pipe"],
    });
  }
}

const inPort = (index: number): number => CASE_PORT_COUNT + 1 + index;

const HASH = /dp_hash\(0x[0-9a-f]+\/0x[0-9a-f]+\),/;

/** Hash values are private: a flow for one of them becomes a flow for all, which the groups' buckets allow. */
const withoutHash = (line: string): string => line.replace(HASH, "dp_hash(0/0),");

/** An inner tag of which no bit is matched. */
const UNSEEN_TAG =
  /(?<=encap\(eth_type\(0x8(?:100|8a8)\),)vlan\((?:vid=\d+\/0x0)?(?:,?pcp=\d\/0x0)?(?:,?cfi=\d)?\),/;

/**
 * Lines as they are compared. What the text of -m does not say, a flow that is read from it does not have: that an inner
 * tag's presence is not matched, and TCP flags of the packet that made the flow (OVS prints tcp_flags(0/0) for them).
 * Short lines tell no ufid, by which the counts of the first sending could be taken off.
 */
export const comparedDumps = ({ short, verbose }: DumpLines): DumpLines => ({
  short: [...new Set(short.map((line) => line.replace(COUNTERS, "").replace(UNSEEN_TAG, "")))].sort(),
  verbose: verbose.map((line) => line.replace(",tcp_flags(0/0)", "")).sort(),
});

function flowText(line: string): FlowText {
  const [flow, rest] = line.replace(/^ufid:[^,]*, /, "").split(", packets:") as [string, string];
  const actions = rest.slice(rest.indexOf("actions:") + "actions:".length).replace(/, dp-extra-info:.*$/, "");
  return { flow, actions };
}

/** What the counters of each flow grew by from one dump to the next. */
function grown(before: readonly string[], after: readonly string[]): string[] {
  const ufid = (line: string): string => /^ufid:[^,]*/.exec(line)?.[0] ?? line;
  const counts = (line: string): [number, number] => {
    const [, packets, bytes] = COUNTERS.exec(line)!;
    return [Number(packets), Number(bytes)];
  };
  const earlier = new Map(before.map((line) => [ufid(line), counts(line)]));
  return after.map((line) => {
    const [packets, bytes] = counts(line);
    const [packetsBefore, bytesBefore] = earlier.get(ufid(line)) ?? [0, 0];
    const counted = `packets:${packets - packetsBefore}, bytes:${bytes - bytesBefore}`;
    return maskDump(withoutHash(line)).replace(COUNTERS, counted);
  });
}
