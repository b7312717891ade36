// The learning policy against the real OVS's NORMAL: the same frames into the same ports give the same frames
// out of the same ports. Megaflows are not compared: OVS looks at the tag more or less closely as its output
// loop happens to. Both forget their datapath flows after each frame, so that each is decided. Frames from a
// group address are left out: OVS forwards them, the policy drops them on purpose.
import fc from "fast-check";
import t from "tap";
import { portVlan, VLAN_MODES } from "../../src/bridge/learn/vlan.ts";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet, vlan } from "../../src/packet/builder-link.ts";
import { ipv4 } from "../../src/packet/builder-network.ts";
import { udp } from "../../src/packet/builder-transport.ts";
import { bytesToHex } from "../../src/packet/bytes.ts";
import { Oracle, oracleSkipReason } from "../support/oracle.ts";
import { SEED } from "../support/seed.ts";
import { HandlerRig } from "../upcall/rig.ts";

const PORTS = 4;
const SETUPS = 4;
const FRAMES = 40;
const VLANS = [10, 20] as const;
const HOSTS = ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"] as const;
const GROUPS = [
  "ff:ff:ff:ff:ff:ff",
  "01:00:5e:00:00:01",
  "01:80:c2:00:00:00",
  "01:80:c2:00:00:0f",
  "01:80:c2:00:00:10",
] as const;

const portArbitrary = fc.record({
  mode: fc.constantFrom(...VLAN_MODES),
  tag: fc.constantFrom(...VLANS),
  trunks: fc.subarray([0, ...VLANS]),
});

const frameArbitrary = fc.record({
  portNo: fc.integer({ min: 1, max: PORTS }),
  src: fc.constantFrom(...HOSTS),
  dst: fc.constantFrom(...HOSTS, ...HOSTS, ...GROUPS),
  tag: fc.option(fc.record({ vid: fc.constantFrom(0, ...VLANS, 30), pcp: fc.constantFrom(0, 5) })),
});

type GivenPort = { mode: (typeof VLAN_MODES)[number]; tag: number; trunks: number[] };

function configure(oracle: Oracle, rig: HandlerRig, ports: readonly GivenPort[]): void {
  const args: string[] = [];
  for (const [index, { mode, tag, trunks }] of ports.entries()) {
    const hasTag = mode !== "trunk";
    const hasTrunks = mode !== "access";
    rig.core.learn!.setPort(
      index + 1,
      portVlan({ mode, tag: hasTag ? tag : undefined, trunks: hasTrunks ? trunks : [] }),
    );
    if (args.length > 0) args.push("--");
    args.push("set", "port", `p${index + 1}`, `vlan_mode=${mode}`, `tag=${hasTag ? tag : "[]"}`);
    args.push(`trunks=[${hasTrunks ? trunks.join(",") : ""}]`);
  }
  oracle.vsctl(...args);
}

t.test("NORMAL sends what the policy sends", { skip: oracleSkipReason() }, async (t) => {
  const oracle = await Oracle.start({ portCount: PORTS });
  t.teardown(() => oracle.stop());
  oracle.vsctl("set-fail-mode", "br0", "standalone");
  const rig = new HandlerRig();
  const ports = await rig.addDummies(PORTS);
  t.strictSame(
    ports.map((port) => port.portNo),
    [1, 2, 3, 4],
  );
  const setups = fc.sample(
    fc.tuple(
      fc.array(portArbitrary, { minLength: PORTS, maxLength: PORTS }),
      fc.array(frameArbitrary, { minLength: FRAMES, maxLength: FRAMES }),
    ),
    { seed: SEED, numRuns: SETUPS },
  );
  for (const [given, frames] of setups) {
    configure(oracle, rig, given);
    await oracle.appctl("fdb/flush");
    rig.core.learn!.flush(rig.clock.millis());
    for (const { portNo, src, dst, tag } of frames) {
      const frame = buildFrame(
        [ethernet({ src, dst }), ...(tag === null ? [] : [vlan(tag)]), ipv4(), udp()],
        new Uint8Array(30),
      );
      await oracle.delFlows();
      rig.core.table.flush();
      rig.housekeep();
      rig.clock.advance(1);
      await oracle.receive(portNo, bytesToHex(frame));
      ports[portNo - 1]!.inject(frame);
      rig.settle();
      const theirs = [...oracle.outputs()].sort(([a], [b]) => a - b);
      const ours = ports
        .map((port): [number, string[]] => [port.portNo, port.take().map((bytes) => bytesToHex(bytes))])
        .filter(([, packets]) => packets.length > 0);
      const about = JSON.stringify({ given, portNo, src, dst, tag });
      if (!t.strictSame(ours, theirs, about)) return;
    }
  }
  t.equal(await rig.close(), 0);
});
