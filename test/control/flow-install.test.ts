// The flows that a switch starts with: all of the files' flows, or none.
import t from "tap";
import { parseFlowFile } from "../../src/control/flow-file.ts";
import { installFlows } from "../../src/control/flow-install.ts";
import { OfflineSwitch } from "../../src/control/offline-switch.ts";
import { TEST_SIZES } from "../support/dataplane.ts";
import { SEED } from "../support/seed.ts";

const flow = (type: string): string => `in_port(1),eth(),eth_type(0x${type})`;
const NO_PORTS = { numbers: new Map<string, number>(), names: new Map<number, string>() };
const POLICY = {
  type: "flows",
  "mac-aging-seconds": 300,
  "mac-table-size": 1000,
  "flow-idle-millis": 10_000,
  "flow-limit": 1000,
} as const;

const entries = (file: string, lines: readonly string[]) =>
  parseFlowFile(lines.join("\n"), file, NO_PORTS, 1);

function offlineSwitch(flowCountMax = TEST_SIZES.flowCountMax): OfflineSwitch {
  return new OfflineSwitch({
    sizes: { ...TEST_SIZES, flowCountMax },
    policy: POLICY,
    vlanLimit: 1,
    seed: SEED,
  });
}

t.test("lines are carried out in their order, file after file", async (t) => {
  const offline = offlineSwitch();
  await installFlows(offline.flows.writer, [
    entries("a", [`${flow("0801")} 2`, `modify ${flow("0801")} 3`, `${flow("0802")} 2`]),
    entries("b", [`delete ${flow("0802")}`, `${flow("0802")} 4`]),
  ]);
  t.equal(offline.flows.flowCount, 2);
});

const REFUSED: readonly (readonly [what: string, line: string, reason: RegExp])[] = [
  ["a flow in the way", `${flow("0801")} 4`, /^b:2:1: a flow is in the way \(ufid:/],
  ["a modification of nothing", `modify ${flow("0909")} 4`, /^b:2:1: there is no such flow/],
  ["a removal of nothing", `delete ${flow("0909")}`, /^b:2:1: there is no such flow/],
];

for (const [what, line, message] of REFUSED) {
  t.test(`${what}: nothing stays of any file, and the right one is named`, async (t) => {
    const offline = offlineSwitch();
    const files = [
      entries("a", [`${flow("0801")} 2`, `modify ${flow("0801")} 3`, `${flow("0802")} 2`]),
      entries("b", [`delete ${flow("0802")}`, line, `${flow("0803")} 2`]),
    ];
    await t.rejects(installFlows(offline.flows.writer, files), { name: "FlowFileError", message });
    t.equal(offline.flows.flowCount, 0);
    t.same(offline.flows.stats().masks, [], "nor does a mask");
  });
}

t.test("a table that is too small says which number to raise", async (t) => {
  const offline = offlineSwitch(2);
  const file = entries(
    "a",
    ["0801", "0802", "0803"].map((type) => `${flow(type)} 2`),
  );
  await t.rejects(installFlows(offline.flows.writer, [file]), { message: /^a:3:1: .*raise memory\.flows/ });
  t.equal(offline.flows.flowCount, 0);
});
