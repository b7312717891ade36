// The comparison's scenarios in a small size: every frame finds a flow, every flow gets frames, and what comes out is what
// the scenario's name says.
import t from "tap";
import { flowLine, type Scenario, TUNNEL_PORT_NO } from "../../scripts/bench-scenario.ts";
import { scenarios, setupFrames } from "../../scripts/bench-scenarios.ts";
import type { EngineName } from "../../src/control/config/schema.ts";
import { parseFlowFile } from "../../src/control/flow-file.ts";
import { installFlows } from "../../src/control/flow-install.ts";
import { OfflineSwitch } from "../../src/control/offline-switch.ts";
import { readTotals } from "../../src/datapath/counters.ts";
import { DEFAULT_SIZES } from "../../src/memory/region-plan.ts";
import { checksum } from "../../src/packet/checksum.ts";
import { isDummyPort } from "../../src/port/dummy/driver.ts";

const COUNT = 256;
const [IN_PORT, OUT_PORT] = [1, 2];
const OUTER_BYTES = 50;
const DST_MAC = Buffer.from("020000000002", "hex");
const NO_PORTS = { numbers: new Map<string, number>(), names: new Map<number, string>() };
const POLICY = {
  type: "flows",
  "mac-aging-seconds": 300,
  "mac-table-size": 10,
  "flow-idle-millis": 10_000,
  "flow-limit": 10,
} as const;

interface Forwarded {
  readonly sources: Uint8Array[];
  readonly outputs: Uint8Array[];
  readonly offline: OfflineSwitch;
}

async function forward({ frames, flows, hasTunnel }: Scenario, engine: EngineName): Promise<Forwarded> {
  const offline = new OfflineSwitch({ sizes: DEFAULT_SIZES, policy: POLICY, vlanLimit: 1, seed: 0, engine });
  const add = (type: "dummy" | "vxlan", portNo: number) =>
    offline.ports.add({ name: `port${portNo}`, type, portNo });
  const [source, sink] = [await add("dummy", IN_PORT), await add("dummy", OUT_PORT)];
  if (!isDummyPort(source) || !isDummyPort(sink)) throw new Error("dummy ports were asked for");
  if (hasTunnel) await add("vxlan", TUNNEL_PORT_NO);
  const text = flows().map(flowLine).join("\n");
  await installFlows(offline.flows.writer, [parseFlowFile(text, "flows", NO_PORTS, 1)]);
  offline.compile();
  const sources = frames();
  const outputs = sources.flatMap((frame) => {
    source.inject(frame);
    offline.settle();
    return sink.take();
  });
  return { sources, outputs, offline };
}

/** What each output has to be; absent: the frame that came in. */
const OUTPUTS: Readonly<Record<string, (output: Uint8Array, source: Uint8Array) => boolean>> = {
  "vlan-push": (output, source) =>
    Buffer.from(output).toString("hex", 12, 16) === "81000064" &&
    Buffer.from(source).equals(Buffer.concat([output.subarray(0, 12), output.subarray(16)])),
  "vlan-pop": (output, source) =>
    Buffer.from(output).equals(Buffer.concat([source.subarray(0, 12), source.subarray(16)])),
  "vxlan-encap": (output, source) =>
    output.length === source.length + OUTER_BYTES && Buffer.from(source).equals(output.subarray(OUTER_BYTES)),
  "vxlan-decap": (output, source) => Buffer.from(output).equals(source.subarray(OUTER_BYTES)),
  "gateway-1000": isRouted,
  "gateway-10000": isRouted,
};

function isRouted(output: Uint8Array, source: Uint8Array): boolean {
  const nextHop = Buffer.from([2, 0xaa, 0, 0, source[31]!, source[32]!]);
  const hasAddresses = nextHop.equals(output.subarray(0, 6)) && DST_MAC.equals(output.subarray(6, 12));
  return hasAddresses && output[22] === source[22]! - 1 && checksum(output, 14, 20) === 0;
}

const RUNS = (["reference", "compiled"] as const).flatMap((engine) =>
  scenarios(COUNT).map((scenario) => ({ scenario, engine })),
);
for (const { scenario, engine } of RUNS) {
  t.test(`${scenario.name}, ${engine}`, async (t) => {
    const { sources, outputs, offline } = await forward(scenario, engine);
    t.teardown(() => offline.close());
    const { counters } = readTotals(offline.arena);
    t.equal(counters.lookup_miss, 0, "no packet missed");
    t.equal(counters.lookup_hit, sources.length * (scenario.name === "vxlan-decap" ? 2 : 1));
    t.equal(outputs.length, sources.length, "every packet leaves by port 2");
    const isRight = OUTPUTS[scenario.name] ?? ((output, source) => Buffer.from(output).equals(source));
    t.same(
      outputs.filter((output, index) => !isRight(output, sources[index]!)),
      [],
      "and is what was asked for",
    );
    let unused = 0;
    for await (const { stats } of offline.flows.all()) if (stats.packets === 0) unused += 1;
    t.equal(unused, 0, "every flow has packets");
    const maskCount = /^masks-(\d+)$/.exec(scenario.name)?.[1];
    if (maskCount !== undefined) t.equal(offline.flows.stats().masks.length, Number(maskCount));
  });
}

t.test("frames are those of the shortest packets, different, and the same each time", async (t) => {
  for (const { name, frames } of scenarios(COUNT)) {
    const made = frames().map((frame) => Buffer.from(frame).toString("hex"));
    t.equal(new Set(made).size, made.length, `${name}: no two are equal`);
    t.same(
      made,
      frames().map((frame) => Buffer.from(frame).toString("hex")),
      name,
    );
    const bytes = name === "vxlan-decap" ? 60 + OUTER_BYTES : 60;
    t.ok(
      made.every((hex) => hex.length === 2 * bytes),
      `${name}: ${bytes} bytes`,
    );
  }
});

t.test("set-up frames make a flow each under either policy", async (t) => {
  const frames = setupFrames(COUNT).map((frame) => Buffer.from(frame));
  for (const [what, from, to] of [
    ["addresses of the link", 0, 12],
    ["5-tuples", 23, 38],
  ] as const) {
    t.equal(new Set(frames.map((frame) => frame.toString("hex", from, to))).size, COUNT, what);
  }
});

// The largest two are made as the others are.
t.test("full sizes are what their names say", async (t) => {
  const sizes = Object.fromEntries(
    scenarios()
      .filter(({ name }) => !/^exact-10{5,}$/.test(name))
      .map(({ name, frames, flows }) => [name, [frames().length, flows().length]]),
  );
  t.match(sizes, {
    "exact-1000": [1000, 1000],
    "exact-10000": [10_000, 10_000],
    "prefixes-256": [10_000, 256],
    "gateway-1000": [1000, 1000],
    "gateway-10000": [10_000, 1000],
    "vxlan-decap": [1000, 2],
  });
  t.ok(sizes["masks-128"]![1]! > 1000, "few of the 1,024 flows coincide");
});
