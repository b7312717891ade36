// Asks the installed Open vSwitch again for what is recorded here, and for a part of the corpora: a recording
// that no longer holds, or an oracle that answers something else than the packets it was given, fails.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import t from "tap";
import { corporaSkipReason, type ExtractRow, readCorpusRows, readOracleRows } from "../support/corpora.ts";
import { Oracle, oracleSkipReason, oracleVersion } from "../support/oracle.ts";
import {
  askActions,
  askKeys,
  METADATA_TEXT,
  type RecordedActions,
  type RecordedExtract,
} from "../support/oracle-rows.ts";

/** The recordings are answers of this version; another one may differ and is not asked. */
const RECORDED_VERSION = "3.1.0";

const skip = oracleSkipReason();
const skipRecorded = skip || otherVersion();

function otherVersion(): string | false {
  const version = oracleVersion();
  return version === RECORDED_VERSION
    ? false
    : `recorded with Open vSwitch ${RECORDED_VERSION}, here is ${version}`;
}

async function withOracle(vlanLimit: 1 | 2, work: (oracle: Oracle) => Promise<void>): Promise<void> {
  const oracle = await Oracle.start({ vlanLimit });
  try {
    await work(oracle);
  } finally {
    oracle.stop();
  }
}

for (const vlanLimit of [1, 2] as const) {
  t.test(`recorded keys hold, vlan-limit ${vlanLimit}`, { skip: skipRecorded }, async (t) => {
    const rows = readOracleRows<RecordedExtract>("extract.jsonl").filter(
      (row) => row.vlanLimit === vlanLimit,
    );
    await withOracle(vlanLimit, async (oracle) => {
      const keys = await askKeys(
        oracle,
        rows.map((row) => row.hex),
      );
      t.same(
        keys,
        rows.map((row) => row.key),
      );
    });
  });
}

t.test("recorded actions hold", { skip: skipRecorded }, async (t) => {
  await withOracle(1, async (oracle) => {
    const rows = readOracleRows<RecordedActions>("actions.jsonl");
    const answers: RecordedActions[] = [];
    for (const row of rows) answers.push(await askActions(oracle, row.in, row.flow, row.actions));
    t.same(answers, rows);
  });
});

t.test("the oracle answers as the corpora say", { skip: skipRecorded || corporaSkipReason() }, async (t) => {
  const rows = readCorpusRows<ExtractRow>("extract/odp-extract-ovs3.1.jsonl")!.slice(0, 300);
  await withOracle(1, async (oracle) => {
    const keys = await askKeys(
      oracle,
      rows.map((row) => row.hex),
    );
    t.same(
      keys.map((key) => METADATA_TEXT + key),
      rows.map((row) => row.odp_key),
    );
  });
});

t.test(
  "the oracle: refusals, several outputs in order, ovs-appctl, and nothing left behind",
  { skip },
  async (t) => {
    let folder = "";
    await withOracle(1, async (oracle) => {
      folder = dirname(dirname(oracle.controlSocket));
      const refused = await oracle.addFlow("in_port(1),bogus()", "2");
      t.equal(refused.code, 2);
      t.match(refused.text, /syntax error at bogus\(\)/);
      t.equal((await oracle.addFlow("in_port(1),eth(),eth_type(0x1234)", "2,3,2")).code, 0);
      const packets = ["01", "02"].map((last) => `0200000000020200000000011234${last}`);
      for (const packet of packets) await oracle.receive(1, packet);
      const twice = packets.flatMap((packet) => [packet, packet]);
      t.same(
        [...oracle.outputs()],
        [
          [2, twice],
          [3, packets],
        ],
      );
      t.equal(oracle.outputs().size, 0, "outputs are told once");
      t.match((await oracle.dumpFlows())[0], /packets:2, bytes:30/);
      await t.rejects(oracle.extractKeys(packets), { message: /2 packets made 0 misses/ });
      await t.rejects(oracle.receive(1, "0200"), { message: /netdev-dummy\/receive/ });
      const text = execFileSync("ovs-appctl", ["-t", oracle.controlSocket, "dpctl/dump-dps"], {
        encoding: "utf8",
      });
      t.equal(text, "dummy@ovs-dummy\n");
    });
    t.notOk(existsSync(folder), "its folder is gone");
  },
);
