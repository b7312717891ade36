// Every row of the tunnel corpus through a whole switch: the flows that the real Open vSwitch installed, its packets in,
// its bytes out.
import t from "tap";
import { parseFlowFile } from "../../src/control/flow-file.ts";
import { installFlows } from "../../src/control/flow-install.ts";
import { OfflineSwitch } from "../../src/control/offline-switch.ts";
import { readTotals } from "../../src/datapath/counters.ts";
import { bytesToHex, hexToBytes } from "../../src/packet/bytes.ts";
import { isDummyPort } from "../../src/port/dummy/driver.ts";
import type { PortType } from "../../src/port/port.ts";
import { maskChosen } from "../support/conformance/tunnel-ports.ts";
import { corporaSkipReason } from "../support/corpora.ts";
import { TEST_SIZES } from "../support/dataplane.ts";
import { FLOWS_POLICY } from "../support/policy.ts";
import { ROW_PORTS, rowName, tunnelRows } from "./corpus-rows.ts";

const TYPES: ReadonlyMap<string, PortType> = new Map([
  ["gre_sys", "gre"],
  ["ip6gre_sys", "ip6gre"],
  ["erspan_sys", "erspan"],
  ["vxlan_sys_4789", "vxlan"],
  ["vxlan_sys_4790", "vxlan"],
  ["genev_sys_6081", "geneve"],
  ["gtpu_sys_2152", "gtpu"],
]);

async function openSwitch(): Promise<OfflineSwitch> {
  const policy = FLOWS_POLICY;
  const running = new OfflineSwitch({ sizes: TEST_SIZES, policy, vlanLimit: 1, seed: 1, debugLedger: true });
  for (const [name, portNo] of ROW_PORTS) {
    const type = TYPES.get(name) ?? "dummy";
    const options = name === "vxlan_sys_4790" ? { dst_port: 4790, exts: "gbp" } : {};
    await running.ports.add({ name, type, portNo, options });
  }
  return running;
}

/** A dumped flow as add-flows takes it. */
const flowLine = (dumped: string): string =>
  `${dumped.slice(0, dumped.indexOf(", packets:"))} ${dumped.slice(dumped.indexOf("actions:") + 8)}`;

function receive(running: OfflineSwitch, portName: string, hex: string): Map<string, string[]> {
  const port = running.ports.byName(portName);
  if (port === undefined || !isDummyPort(port)) throw new Error(`no dummy port ${portName}`);
  if (!port.inject(hexToBytes(hex))) throw new Error("not injected");
  running.settle();
  const taken = running.ports
    .list()
    .filter(isDummyPort)
    .map((each) => [each.spec.name, each.take()] as const);
  return new Map(
    taken.flatMap(([name, packets]) =>
      packets.length === 0 ? [] : [[name, packets.map((bytes) => bytesToHex(bytes))] as const],
    ),
  );
}

t.test("rows of the corpus through a switch", { skip: corporaSkipReason() }, async (t) => {
  const running = await openSwitch();
  const rows = tunnelRows();
  t.ok(rows.length >= 80, `${rows.length} rows`);
  for (const row of rows) {
    await running.flows.writer.flush();
    const lines = [...row.dp_flows, ...row.decap_dp_flows].map(flowLine).join("\n");
    const entries = parseFlowFile(lines, rowName(row), { numbers: ROW_PORTS, names: new Map() }, 1);
    await installFlows(running.flows.writer, [entries]);

    const outputs = /actions:.*out_port\(br0\)\),?(.*)$/.exec(row.dp_flows[0]!)![1]!.split(",");
    const sent = receive(running, "ip1", row.in);
    t.strictSame(
      [...sent.keys()].sort(),
      [...outputs].sort(),
      `${rowName(row)}: the ports that it leaves by`,
    );
    for (const [portName, packets] of sent) {
      t.strictSame(
        packets.map(maskChosen),
        row.encap_out.map(maskChosen),
        `${rowName(row)} out of ${portName}`,
      );
    }

    const back = receive(running, "p1", row.decap_in);
    t.strictSame(back.get("ip1") ?? [], row.decap_out, `${rowName(row)}: decapsulated`);
  }
  const { counters, drops } = readTotals(running.arena);
  const out =
    counters.transmitted + counters.consumed + Object.values(drops).reduce((sum, count) => sum + count, 0);
  t.equal(
    counters.received + counters.copied + counters.reinjected + counters.originated,
    out,
    "the books balance",
  );
  await running.close();
});
