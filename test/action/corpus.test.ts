// The executor against the real Open vSwitch: every row of the action corpus and of the recorded answers
// whose actions are carried out. The flow must match the packet and let the actions pass, the outputs must be
// OVS's byte for byte, from one frame and from random chains, and the list must print as OVS dumped it.
import t, { type Test } from "tap";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { printActions } from "../../src/action/odp/print-actions.ts";
import { formatRefusal } from "../../src/action/refusal.ts";
import { validateActions } from "../../src/action/validate.ts";
import { KEY_BYTES } from "../../src/flow/fields.ts";
import { parseMatch } from "../../src/flow/odp/match.ts";
import { hexToBytes } from "../../src/packet/bytes.ts";
import { type ActionRow, corporaSkipReason, readCorpusRows, readOracleRows } from "../support/corpora.ts";
import type { RecordedActions } from "../support/oracle-rows.ts";
import { SeededRandom } from "../support/random.ts";
import { SEED } from "../support/seed.ts";
import { ActionRig, type Fate, randomChain } from "./rig.ts";

/** How many ways to lay each packet in frames. */
const CHAINS = 4;
const FRAME_BYTES = 2048;

interface Case {
  readonly name: string;
  readonly in: string;
  readonly flow: string;
  readonly actions: string;
  readonly dump: string;
  readonly out: readonly { readonly port: number; readonly hex: string }[];
  /** The recorded answers have no order between ports. */
  readonly isOrdered: boolean;
}

/** The first of the two oracle defects: set(ipv4(src|dst)) rewrites two payload bytes of a later fragment. */
function isOracleDefect({ name, actions }: Case): boolean {
  return name === "frag4_later" && /^set\(ipv4\((src|dst)=/.test(actions);
}

/**
 * What is not taken: connection tracking, which is not carried out, and the second oracle defect, set(arp()) with bits
 * outside its mask.
 */
function expectedRefusal({ actions }: Case): RegExp {
  return actions.startsWith("set(arp(")
    ? /bits outside its mask/
    : /^actions\[\d+\]\.ct(_clear)? .*not supported yet/;
}

function check(
  t: Test,
  rig: ActionRig,
  vlanLimit: number,
  row: Case,
  below: (limit: number) => number,
): boolean {
  const actions = parseActions(row.actions);
  t.equal(printActions(actions), row.dump);
  const { key, mask } = parseMatch(row.flow, { vlanLimit });
  const refusal = validateActions(actions, key, mask);
  if (refusal !== undefined) {
    t.match(formatRefusal(refusal), expectedRefusal(row), row.actions);
    return false;
  }
  const packet = hexToBytes(row.in);
  const whole = rig.run(packet, actions);
  const extracted = rig.key(KEY_BYTES);
  const misses = extracted.findIndex((byte, index) => ((byte ^ key[index]!) & mask[index]!) !== 0);
  t.equal(misses, -1, `${row.name}: the flow ${row.flow} matches the packet`);
  const outputs = outputsOf(whole, row.isOrdered);
  if (isOracleDefect(row)) {
    const payload = row.in.slice(68);
    t.ok(
      outputs.every(({ hex }) => hex.slice(68) === payload),
      `${row.name} ${row.actions}: payload untouched`,
    );
  } else {
    t.same(outputs, row.out, `${row.name} ${row.flow} ${row.actions}`);
  }
  for (let turn = 0; turn < CHAINS; turn += 1) {
    const chain = randomChain(packet.length, FRAME_BYTES, below);
    const fates = rig.run(packet, actions, chain);
    if (JSON.stringify(fates) !== JSON.stringify(whole)) {
      t.same(fates, whole, `${row.name} ${row.actions} in ${JSON.stringify(chain)}`);
    }
  }
  return true;
}

/** Where the flow of the recirculated packets, which the rows don't name, sent them. */
const RECIRC_PORT = 2;

function outputsOf(fates: readonly Fate[], isOrdered: boolean): { port: number; hex: string }[] {
  const outputs = fates.flatMap((fate) => {
    if (fate.kind === "output") return [{ port: fate.portNo, hex: fate.hex }];
    return fate.kind === "recirc" ? [{ port: RECIRC_PORT, hex: fate.hex }] : [];
  });
  return isOrdered ? outputs : outputs.toSorted((a, b) => a.port - b.port);
}

function replay(t: Test, cases: readonly Case[], vlanLimit: number): number {
  const rig = new ActionRig(vlanLimit, FRAME_BYTES);
  const random = new SeededRandom(SEED);
  const below = (limit: number): number => random.below(limit);
  return cases.filter((row) => check(t, rig, vlanLimit, row, below)).length;
}

t.test("the action corpus", { skip: corporaSkipReason() }, (t) => {
  const cases = readCorpusRows<ActionRow>("actions/actions-ovs3.1.jsonl")!.map(
    (row): Case => ({ ...row, name: row.pkt, dump: row.actions_dump, isOrdered: true }),
  );
  t.equal(cases.length, 946);
  const qinq = cases.filter(({ name }) => name.startsWith("qinq"));
  const done =
    replay(t, qinq, 2) +
    replay(
      t,
      cases.filter((row) => !qinq.includes(row)),
      1,
    );
  t.comment(`${done} of ${cases.length} rows were carried out`);
  t.equal(done, 946 - 26 - 1);
  t.end();
});

t.test("recorded answers", (t) => {
  const cases = readOracleRows<RecordedActions>("actions.jsonl").map(
    (row): Case => ({ ...row, name: "recorded", dump: row.actionsDump, isOrdered: false }),
  );
  const done = replay(t, cases, 1);
  t.ok(done >= cases.length * 0.9, `${done} of ${cases.length} rows were carried out`);
  t.end();
});
