// What userspace() sends up: the packet as the actions before it left it, and the key as it was extracted when the packet
// was looked up. OVS's userspace datapath extracts the key anew from the packet by then; its recorded keys are therefore
// those of the packets that come up here.
import t from "tap";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { KeyExtractor } from "../../src/flow/extract-key.ts";
import { formatPacketKey } from "../../src/flow/odp/format-packet.ts";
import { parseMatch } from "../../src/flow/odp/match.ts";
import { bytesToHex, hexToBytes } from "../../src/packet/bytes.ts";
import type { Upcall } from "../../src/upcall/pid-listeners.ts";
import { readOracleRows } from "../support/corpora.ts";
import { RECORDED_IN_PORT, type RecordedActions } from "../support/oracle-rows.ts";
import { HandlerRig } from "./rig.ts";

/** The recorded lists name pids up to this one. */
const PID_MAX = 16;
const PORTS = 4;
const IN_PORT_TEXT = `in_port(${RECORDED_IN_PORT}),`;

/** What comes up for one packet under one flow, in order. */
async function upcallsOf(row: RecordedActions): Promise<Upcall[]> {
  const rig = new HandlerRig({ policy: { type: "flows" } });
  const [one] = await rig.addDummies(PORTS);
  const { key, mask } = parseMatch(row.flow);
  const how = { create: true, modify: false, operator: true, nowMillis: rig.clock.millis() };
  const put = rig.core.table.put({ key, mask, actions: parseActions(row.actions), ...how });
  if (put.error !== null) throw new Error(`${row.flow}: ${put.error}`);
  const heard: Upcall[] = [];
  for (let pid = 0; pid <= PID_MAX; pid += 1)
    rig.core.handler.pids.listen(pid, (upcall) => heard.push(upcall) > 0);
  one!.inject(hexToBytes(row.in));
  rig.settle();
  await rig.close();
  return heard;
}

t.test("the key of the look-up, and the packet whose key OVS reports", async (t) => {
  const rows = readOracleRows<RecordedActions>("actions.jsonl").filter(({ upcalls }) => upcalls.length > 0);
  const extractor = new KeyExtractor(1);
  let modified = 0;
  for (const row of rows) {
    const heard = await upcallsOf(row);
    const received = bytesToHex(extractor.extract(hexToBytes(row.in), RECORDED_IN_PORT));
    for (const { key } of heard) t.equal(bytesToHex(key), received, `${row.actions}: key as received`);
    const texts = heard.map(({ packet }) => {
      const text = formatPacketKey(extractor.extract(packet, RECORDED_IN_PORT), 1);
      return text.replace(IN_PORT_TEXT, "");
    });
    t.same(texts, row.upcalls, `${row.in} ${row.actions}`);
    modified += heard.filter(({ packet }) => bytesToHex(packet) !== row.in).length;
  }
  t.ok(rows.length >= 50, `${rows.length} rows`);
  t.ok(modified >= 20, `${modified} packets came up changed`);
});
