// ODP text against the corpora: keys, keys with masks, filters, and every flow line that Open vSwitch's own test suite
// and others have.

import t, { type Test } from "tap";
import { parseFilter } from "../../../src/flow/filter.ts";
import { equalUnder, keysEqual } from "../../../src/flow/key.ts";
import { formatFlow } from "../../../src/flow/odp/format-key.ts";
import { formatMatch, parseMatch, parsePacketKey } from "../../../src/flow/odp/match.ts";
import { parseFlowText } from "../../../src/flow/odp/parse-key.ts";
import { filterLine, parseKeysLine, parseWildcardedKeysLine } from "../../../src/flow/odp/parse-line.ts";
import { OdpSyntaxError } from "../../../src/flow/odp/text-cursor.ts";
import {
  corporaSkipReason,
  type ExtractRow,
  readCorpusLines,
  readCorpusRows,
  readCorpusText,
} from "../../support/corpora.ts";

const skip = corporaSkipReason();
const isFlow = (line: string): boolean => line !== "" && !line.startsWith("#");

t.test("test-odp parse-keys: every key, with its fit", { skip }, async (t) => {
  const lines = readCorpusText("odp/keys.in.txt")!.split("\n");
  const expected = readCorpusText("odp/keys.expected.txt")!.split("\n");
  t.equal(lines.length, expected.length);
  for (const [index, line] of lines.entries()) {
    if (isFlow(line)) t.equal(parseKeysLine(line), expected[index]);
  }
});

t.test("test-odp parse-wc-keys: prints what it read", { skip }, async (t) => {
  for (const line of readCorpusLines("odp/wc-keys.roundtrip.txt")!.filter(isFlow)) {
    t.equal(parseWildcardedKeysLine(line), line);
  }
});

t.test("test-odp parse-filter: which flows pass", { skip }, async (t) => {
  const flows = readCorpusLines("odp/filter.in.txt")!;
  const cases = new Map<string, string[]>();
  for (const line of readCorpusLines("odp/filter.cases.txt")!) {
    if (line.startsWith("@filter ")) cases.set(line.slice("@filter ".length), []);
    else [...cases.values()].at(-1)!.push(line);
  }
  t.ok(cases.size > 0);
  for (const [text, expected] of cases) {
    const filter = parseFilter(text);
    const passed = flows.map((line) => filterLine(line, filter)).filter((line) => line !== undefined);
    t.same(passed, expected, text);
  }
});

interface DatapathFlow {
  readonly src: string;
  readonly flow: string;
}

/** The test suite puts words in place of what changes from run to run. */
const withoutPlaceholders = (flow: string): string =>
  flow
    .replace(/<[a-z_]+>|0xXXXX|\(X\)/g, (word) => (word === "(X)" ? "(0x1)" : "0x1"))
    .replace("(macs)", "(src=02:00:00:00:00:01,dst=02:00:00:00:00:02)");

/** Any name is port 7 here. */
const ports = { get: (): number => 7 };
const limits = { ports, vlanLimit: 2 };

t.test("flow lines of the test suite parse, and print what reads back the same", { skip }, async (t) => {
  for (const row of JSON.parse(readCorpusText("odp/at-datapath-flows.json")!) as DatapathFlow[]) {
    const flow = withoutPlaceholders(row.flow);
    const parsed = parseFlowText(flow, ports);
    for (const verbose of [false, true]) {
      const text = formatFlow(parsed.key, parsed.mask, { verbose });
      const again = parseFlowText(text, ports);
      t.equal(formatFlow(again.key, again.mask, { verbose }), text, `${row.src} verbose=${verbose}`);
    }
    // The userspace datapath wants the port, and so do we. Two rows were stripped of their contents by the test suite.
    if (!flow.includes("in_port("))
      t.throws(() => parseMatch(flow, limits), /in_port is not matched/, row.src);
    else if (flow.includes("ipv4(),udp()"))
      t.throws(() => parseMatch(flow, limits), /udp belongs to no/, row.src);
    else assertReadsBack(t, flow, row.src);
  }
});

function assertReadsBack(t: Test, flow: string, src: string): void {
  const match = parseMatch(flow, limits);
  const text = formatMatch(match, limits);
  const again = parseMatch(text, limits);
  t.equal(formatMatch(again, limits), text, src);
  t.ok(keysEqual(again.mask, match.mask), `${src}: the mask of ${text}`);
  t.ok(equalUnder(again.key, match.key, match.mask), `${src}: the key of ${text}`);
}

interface ReceivedFlow {
  readonly src: string;
  readonly receive: string;
}

t.test("packets given as text are keys", { skip }, async (t) => {
  const rows = JSON.parse(readCorpusText("odp/at-receive-flows.json")!) as ReceivedFlow[];
  let keys = 0;
  for (const { src, receive } of rows) {
    if (!/^[a-z_0-9]+\(/.test(receive)) continue;
    keys += 1;
    if (receive.includes("tcp_flags(ack,syn)")) {
      // OVS's parser wants "|" here too: the row stands in a test that does not look at the answer.
      t.throws(() => parsePacketKey(receive), OdpSyntaxError, src);
      continue;
    }
    t.doesNotThrow(() => parsePacketKey(receive, { vlanLimit: 2 }), src);
  }
  t.ok(keys > 100, `${keys} of ${rows.length} rows are keys`);
});

t.test("inputs of OVS's Python parser", { skip }, async (t) => {
  const inputs = JSON.parse(readCorpusText("odp/python-odpflow-inputs.json")!) as string[];
  const read: string[] = [];
  for (const input of inputs) {
    const key = input.slice(0, input.indexOf("actions:")).replace(/,?\s*$/, "");
    if (key === "") continue;
    try {
      const parsed = parseFlowText(key);
      const text = formatFlow(parsed.key, parsed.mask);
      const again = parseFlowText(text);
      t.equal(formatFlow(again.key, again.mask), text);
      read.push(key);
    } catch (error) {
      if (!(error instanceof OdpSyntaxError)) throw error;
      // Its vxlan(flags=,vni=) is the header of tnl_push; no key of OVS has it (docs/conformance.md).
      t.match(key, /vxlan\(flags=/);
    }
  }
  t.equal(read.length, 5);
});

interface SelftestRow {
  readonly test: string;
  readonly flow?: string;
}

t.test("flows of the kernel's self-tests", { skip }, async (t) => {
  const rows = JSON.parse(readCorpusText("linux-selftests/flows.json")!) as SelftestRow[];
  for (const { test, flow } of rows) {
    if (flow === undefined) continue;
    const hasPort = flow.includes("in_port(");
    if (hasPort) t.doesNotThrow(() => parseMatch(flow), `${test}: ${flow}`);
    else
      t.throws(
        () => parseMatch(flow),
        /in_port is not matched/,
        `${test}: the kernel takes it, userspace not`,
      );
  }
});

t.test("keys of extracted packets print what was read", { skip }, async (t) => {
  const rows = readCorpusRows<ExtractRow>("extract/odp-extract-ovs3.1.jsonl")!;
  let different = 0;
  for (const { odp_key: text } of rows) {
    if (text.includes("mpls((")) continue;
    const parsed = parseFlowText(text);
    if (formatFlow(parsed.key, undefined) !== text) different += 1;
    const match = parsePacketKey(text);
    t.type(match, Uint8Array);
  }
  t.equal(different, 0);
});
