// Congestion marks of outer headers, against the real Open vSwitch in the same run: every pair of outer and inner mark,
// IPv4 and IPv6 inside, through a VXLAN port of a bridge that learns.
import t, { type Test } from "tap";
import { OfflineSwitch } from "../../src/control/offline-switch.ts";
import { parseMac } from "../../src/packet/address.ts";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { ipv4, ipv6 } from "../../src/packet/builder-network.ts";
import { udp } from "../../src/packet/builder-transport.ts";
import { bytesToHex, hexToBytes } from "../../src/packet/bytes.ts";
import { isDummyPort } from "../../src/port/dummy/driver.ts";
import { parsePrefix } from "../../src/tunnel/ip.ts";
import { TEST_SIZES } from "../support/dataplane.ts";
import { Oracle, oracleSkipReason } from "../support/oracle.ts";
import { LEARN_POLICY } from "../support/policy.ts";

const LOCAL = "10.0.0.1";
const REMOTE = "10.0.0.2";
const MARKS = [0, 1, 2, 3];
const DSCP = 0x28;

/** A packet inside, told by its addresses from those of other marks. */
function innerFrame(isV4: boolean, mark: number, outerMark: number): Uint8Array {
  const addresses = { src: `02:00:00:00:01:${isV4 ? "04" : "06"}`, dst: "02:00:00:00:02:01" };
  const tos = DSCP | mark;
  const network = isV4
    ? ipv4({ src: "192.0.2.1", dst: "192.0.2.2", tos })
    : ipv6({ src: "2001:db8::1", dst: "2001:db8::2", trafficClass: tos });
  return buildFrame(
    [ethernet(addresses), network, udp({ src: 1000 + outerMark, dst: 53 })],
    new Uint8Array(8),
  );
}

function outerFrame(inner: Uint8Array, mark: number, mac: string): Uint8Array {
  const vxlan = hexToBytes("0800000000004d00");
  return buildFrame(
    [
      ethernet({ src: "02:00:00:00:00:02", dst: mac }),
      ipv4({ src: REMOTE, dst: LOCAL, tos: mark }),
      udp({ src: 40_000, dst: 4789 }),
    ],
    Buffer.concat([vxlan, inner]),
  );
}

async function startOracle(t: Test): Promise<{ oracle: Oracle; mac: string }> {
  const oracle = await Oracle.start({ portCount: 2 });
  t.teardown(() => oracle.stop());
  oracle.vsctl("set-fail-mode", "br0", "standalone");
  await oracle.appctl("netdev-dummy/ip4addr", "br0", `${LOCAL}/24`);
  await oracle.appctl("ovs/route/add", "10.0.0.0/24", "br0");
  const options = ["type=vxlan", `options:remote_ip=${REMOTE}`, "options:key=77"];
  oracle.vsctl("add-port", "br0", "t1", "--", "set", "interface", "t1", ...options);
  return { oracle, mac: JSON.parse(oracle.vsctl("get", "interface", "br0", "mac_in_use")) as string };
}

async function startSwitch(mac: string): Promise<OfflineSwitch> {
  const running = new OfflineSwitch({ sizes: TEST_SIZES, policy: LEARN_POLICY, vlanLimit: 1, seed: 1 });
  for (const name of ["p1", "p2"]) await running.ports.add({ name, type: "dummy" });
  await running.ports.add({ name: "t1", type: "vxlan", options: { remote_ip: REMOTE, key: 77 } });
  const prefix = parsePrefix(`${LOCAL}/24`)!;
  running.tunnels.setAddresses(running.ports.byName("p1")!, [prefix], true, parseMac(mac)!);
  running.learn!.removePort(running.ports.byName("p1")!.portNo);
  running.tunnels.publishNow();
  return running;
}

t.test("every outer and inner mark, as Open vSwitch", { skip: oracleSkipReason() }, async (t) => {
  const { oracle, mac } = await startOracle(t);
  const running = await startSwitch(mac);
  const [near, far] = ["p1", "p2"].map((name) => running.ports.byName(name)!);
  if (!isDummyPort(near!) || !isDummyPort(far!)) throw new Error("no dummy ports");
  let dropped = 0;
  let marked = 0;
  for (const isV4 of [true, false]) {
    for (const outerMark of MARKS) {
      for (const mark of MARKS) {
        const inner = innerFrame(isV4, mark, outerMark);
        const outer = outerFrame(inner, outerMark, mac);
        const about = `IPv${isV4 ? 4 : 6}, outer mark ${outerMark}, inner ${mark}`;
        await oracle.receive(1, bytesToHex(outer));
        const theirs = (oracle.outputs().get(2) ?? []).filter((hex) => hex !== bytesToHex(outer));
        near.inject(outer);
        running.settle();
        const ours = far.take().map((bytes) => bytesToHex(bytes));
        t.strictSame(ours, theirs, about);
        if (ours.length === 0) dropped += 1;
        else if (ours[0] !== bytesToHex(inner)) marked += 1;
      }
    }
  }
  t.strictSame([dropped, marked], [2, 4], "CE outside: dropped without ECN inside, marked with ECT");
  await running.close();
});
