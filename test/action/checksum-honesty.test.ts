// No action turns a good checksum bad or a bad one good: random packets, a part of them damaged, go through random flows,
// and every checksum of every output is recomputed from its bytes.
import t from "tap";
import { hexToBytes } from "../../src/packet/bytes.ts";
import { checksumStates, dishonesty } from "../support/conformance/checksums.ts";
import { CaseDrawer, drawPackets } from "../support/conformance/draw-case.ts";
import { MillraceSide } from "../support/conformance/millrace-side.ts";
import { dishonestFates } from "../support/conformance/runner.ts";
import { type ActionRow, corporaSkipReason, readCorpusRows } from "../support/corpora.ts";
import { SeededRandom } from "../support/random.ts";
import { SEED } from "../support/seed.ts";

const CASES = 1500;
const PACKETS = 400;

t.test("outputs of random runs", async (t) => {
  const side = await MillraceSide.start(SEED);
  t.teardown(() => side.close());
  const random = new SeededRandom(SEED);
  const drawer = new CaseDrawer(side, drawPackets(SEED, PACKETS), () => undefined);
  const seen = new Map<string, number>();
  for (let index = 0; index < CASES; index += 1) {
    const given = await drawer.draw(random);
    if (given === undefined) continue;
    const answer = await side.ask(given);
    const findings = dishonestFates(given, answer);
    if (findings.length > 0) t.fail(JSON.stringify(findings[0]));
    for (const { bytes } of answer.fates.flatMap(({ outputs }) => outputs)) {
      for (const { kind, state } of checksumStates(bytes)) {
        const name = `${kind} ${state}`;
        seen.set(name, (seen.get(name) ?? 0) + 1);
      }
    }
  }
  for (const kind of ["ipv4", "tcp", "udp", "icmp", "icmpv6", "sctp"]) {
    for (const state of ["good", "bad"]) t.ok(seen.has(`${kind} ${state}`), `${kind} ${state}`);
  }
  t.comment(JSON.stringify(Object.fromEntries(seen)));
});

t.test("the check sees what it is for", { skip: corporaSkipReason() }, async (t) => {
  const rows = readCorpusRows<ActionRow>("actions/actions-ovs3.1.jsonl")!;
  let states = 0;
  for (const row of rows) {
    const before = hexToBytes(row.in);
    states += checksumStates(before).length;
    for (const { hex } of row.out)
      t.equal(dishonesty(before, hexToBytes(hex)), undefined, `${row.pkt} ${row.actions}`);
  }
  t.ok(states > rows.length, `${states} checksums in ${rows.length} packets`);
  const whole =
    rows.find(({ pkt }) => pkt === "udp4") ??
    rows.find(({ in: hex }) => checksumStates(hexToBytes(hex)).length === 2)!;
  const good = hexToBytes(whole.in);
  for (let at = 14; at < good.length; at += 1) {
    const changed = good.slice();
    changed[at] = changed[at]! ^ 1;
    if (checksumStates(changed).length === 2) t.ok(dishonesty(good, changed), `byte ${at}`);
  }
});
