// What set(tunnel(...)) and tnl_push leave of a packet's metadata for recirc and userspace(), against the real Open
// vSwitch in the same run: both get the same datapath flows and packets. And what outputs to tunnel ports make of it.
import t, { type Test } from "tap";
import { parseFlowFile } from "../../src/control/flow-file.ts";
import { installFlows } from "../../src/control/flow-install.ts";
import { OfflineSwitch } from "../../src/control/offline-switch.ts";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { ipv4 } from "../../src/packet/builder-network.ts";
import { udp } from "../../src/packet/builder-transport.ts";
import { bytesToHex } from "../../src/packet/bytes.ts";
import { isDummyPort } from "../../src/port/dummy/driver.ts";
import { parseIp, parsePrefix } from "../../src/tunnel/ip.ts";
import {
  CASE_PORT_COUNT,
  CASE_VLAN_LIMIT,
  type CaseAnswer,
  type ConformanceCase,
} from "../support/conformance/case.ts";
import { MillraceSide } from "../support/conformance/millrace-side.ts";
import { askOracle } from "../support/conformance/oracle-side.ts";
import { maskChosen, TUNNEL_PORTS } from "../support/conformance/tunnel-ports.ts";
import { TEST_SIZES } from "../support/dataplane.ts";
import { Oracle, oracleSkipReason } from "../support/oracle.ts";
import { FLOWS_POLICY } from "../support/policy.ts";

const FRAME = buildFrame(
  [
    ethernet({ src: "02:00:00:00:00:01", dst: "02:00:00:00:00:02" }),
    ipv4({ src: "10.9.0.1", dst: "10.9.0.2" }),
    udp({ src: 1000, dst: 53 }),
  ],
  new Uint8Array(20),
);
const IP = "in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)";
const VXLAN = "tunnel(tun_id=0x7b,src=1.1.2.88,dst=1.1.2.92,tos=0,ttl=64,tp_dst=4789,flags(df|key))";
const GENEVE =
  "tunnel(tun_id=0x1,dst=10.0.0.9,tos=0x28,ttl=9,geneve({class=0xffff,type=0x80,len=4,0xa}),flags(csum|key))";
const IPV6 = "tunnel(tun_id=0x2,ipv6_src=fd00::1,ipv6_dst=fd00::2,tos=0,ttl=64,flags(df))";
const ERSPAN = "tunnel(tun_id=0x3,dst=10.0.0.9,ttl=64,erspan(ver=2,dir=1,hwid=0x7),flags(df|key))";
const PUSH =
  "tnl_push(tnl_port(4789),header(size=50,type=4,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800)," +
  "ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=4789,csum=0x0)," +
  "vxlan(flags=0x8000000,vni=0x7b)),out_port(3))";
const ANY = "eth(),eth_type(0x0800),ipv4(frag=no)";

/** Flows of each case; a port that a packet leaves by tells which of them it hit. */
const CASES: Readonly<Record<string, readonly (readonly [match: string, actions: string])[]>> = {
  "recirc under a set tunnel": [
    [IP, `set(${VXLAN}),recirc(1)`],
    [
      `recirc_id(1),tunnel(tun_id=0x7b,src=1.1.2.88,dst=1.1.2.92,ttl=64,flags(+df+key)),in_port(1),${ANY}`,
      "2",
    ],
  ],
  "a miss behind it": [[IP, `set(${VXLAN}),recirc(2),2`]],
  "a miss under options": [[IP, `set(${GENEVE}),recirc(3)`]],
  "a miss under IPv6": [[IP, `set(${IPV6}),recirc(3)`]],
  "a miss under ERSPAN": [[IP, `set(${ERSPAN}),recirc(3)`]],
  "userspace() before and behind": [[IP, `userspace(pid=1),set(${VXLAN}),userspace(pid=1),2`]],
  "what a clone sets does not leak": [
    [IP, `set(${VXLAN}),clone(set(${GENEVE}),userspace(pid=1)),userspace(pid=1),recirc(4)`],
  ],
  "what a clone sets where none was set": [
    [IP, `clone(set(${GENEVE}),userspace(pid=1)),userspace(pid=1),recirc(4)`],
  ],
  "set twice, and again behind recirc": [
    [IP, `set(${VXLAN}),set(${GENEVE}),recirc(5)`],
    [
      `recirc_id(5),in_port(1),${ANY}`,
      `clone(set(${VXLAN}),userspace(pid=1)),userspace(pid=1),set(${IPV6}),recirc(6)`,
    ],
  ],
  "recirc behind a push": [
    [IP, `set(skb_mark(0x5)),set(${GENEVE}),${PUSH},recirc(7)`],
    [`recirc_id(7),skb_mark(0),in_port(3),${ANY}`, "2"],
  ],
  "a miss behind a push": [[IP, `set(skb_mark(0x5)),${PUSH},recirc(8)`]],
  "userspace() behind a push": [
    [IP, `set(${GENEVE}),${PUSH},recirc(9)`],
    [`recirc_id(9),in_port(3),${ANY}`, "userspace(pid=1),2"],
  ],
};

interface Peers {
  readonly side: MillraceSide;
  readonly oracle: Oracle;
}

async function startBoth(t: Test): Promise<Peers> {
  const oracle = await Oracle.start({
    portCount: CASE_PORT_COUNT,
    vlanLimit: CASE_VLAN_LIMIT,
    tunnels: TUNNEL_PORTS,
  });
  t.teardown(() => oracle.stop());
  const side = await MillraceSide.start(1);
  t.teardown(() => side.close());
  return { side, oracle };
}

/** Outputs and upcalls without the source port of outer headers, which each side hashes with a secret. */
const seen = ({ outputs, upcalls }: CaseAnswer): unknown => [
  outputs.map(([portNo, packets]) => [portNo, packets.map(maskChosen)]),
  upcalls.map(({ kind, key }) => [kind, key.replace(/udp\(src=\d+,dst=4789\)/, "udp(src=HASH,dst=4789)")]),
];

t.test(
  "metadata behind set(tunnel) and tnl_push, as Open vSwitch",
  { skip: oracleSkipReason() },
  async (t) => {
    const { side, oracle } = await startBoth(t);
    for (const [name, flows] of Object.entries(CASES)) {
      const given: ConformanceCase = {
        flows: flows.map(([flow, actions]) => ({
          flow,
          actions,
        })),
        packets: [bytesToHex(FRAME)],
      };
      const [ours, theirs] = [await side.ask(given), await askOracle(oracle, given)];
      t.strictSame(
        ours.refusals,
        given.flows.map(() => null),
        `${name}: taken`,
      );
      t.strictSame(seen(ours), seen(theirs), name);
      t.ok(ours.outputs.length + ours.upcalls.length > 0, `${name}: there is something to see`);
    }
  },
);

const UNDERLAY = "p2";

async function openSwitch(): Promise<OfflineSwitch> {
  const policy = FLOWS_POLICY;
  const running = new OfflineSwitch({ sizes: TEST_SIZES, policy, vlanLimit: 1, seed: 1, debugLedger: true });
  for (const name of ["p1", UNDERLAY, "p3"]) await running.ports.add({ name, type: "dummy" });
  await running.ports.add({ name: "tun", type: "vxlan", portNo: 10, options: {} });
  running.tunnels.setAddresses(running.ports.byName(UNDERLAY)!, [parsePrefix("10.0.0.1/24")!], true);
  for (const peer of ["10.0.0.2", "10.0.0.3"])
    running.tunnels.learn({ portName: UNDERLAY, ip: parseIp(peer)!, mac: Uint8Array.of(2, 0, 0, 0, 0, 9) });
  running.tunnels.publishNow();
  return running;
}

const dummy = (running: OfflineSwitch, name: string) => {
  const port = running.ports.byName(name);
  if (port === undefined || !isDummyPort(port)) throw new Error(`no dummy port ${name}`);
  return port;
};

const to = (destination: string, id: number): string =>
  `set(tunnel(tun_id=${id},dst=${destination},ttl=64,flags(df|key)))`;

/** Flows, and the tunnels by which copies of one packet leave: far end and id. */
const OUTPUTS: Readonly<
  Record<string, readonly [readonly (readonly [string, string])[], readonly string[]]>
> = {
  "an output behind recirc": [
    [
      [IP, `${to("10.0.0.2", 7)},recirc(1)`],
      [`recirc_id(1),in_port(1),${ANY}`, "10"],
    ],
    ["10.0.0.2 7"],
  ],
  "outputs behind two recircs, and one under another key": [
    [
      [IP, `${to("10.0.0.2", 7)},recirc(1)`],
      [`recirc_id(1),in_port(1),${ANY}`, `clone(${to("10.0.0.3", 8)},10),recirc(2)`],
      [`recirc_id(2),in_port(1),${ANY}`, "10,10"],
    ],
    ["10.0.0.3 8", "10.0.0.2 7", "10.0.0.2 7"],
  ],
  "a clone that shows its own key to a program": [
    [
      [IP, `${to("10.0.0.2", 7)},recirc(1)`],
      [`recirc_id(1),in_port(1),${ANY}`, `clone(${to("10.0.0.3", 8)},userspace(pid=1),10),10`],
    ],
    ["10.0.0.3 8", "10.0.0.2 7"],
  ],
  "what a clone sets goes no further": [
    [
      [IP, `clone(${to("10.0.0.3", 8)},userspace(pid=1)),recirc(1)`],
      [`recirc_id(1),in_port(1),${ANY}`, "10"],
    ],
    [],
  ],
};

function leavesBy(packet: Uint8Array): string {
  const view = new DataView(packet.buffer, packet.byteOffset);
  return `${[...packet.subarray(30, 34)].join(".")} ${view.getUint32(46) >>> 8}`;
}

t.test("the tunnel that was set lasts until the packet leaves", async (t) => {
  for (const [name, [flows, wanted]] of Object.entries(OUTPUTS)) {
    const running = await openSwitch();
    const text = flows.map(([flow, actions]) => `${flow} ${actions}`).join("\n");
    await installFlows(running.flows.writer, [
      parseFlowFile(text, name, { numbers: new Map(), names: new Map() }, 1),
    ]);
    for (let packet = 0; packet < 2; packet += 1) dummy(running, "p1").inject(FRAME);
    running.settle();
    const sent = dummy(running, UNDERLAY).take().map(leavesBy);
    t.strictSame(sent.sort(), [...wanted, ...wanted].sort(), name);
    await running.close();
  }
});

t.test("it lasts on the way through the handler, too", async (t) => {
  const running = await openSwitch();
  const install = (line: string): Promise<void> =>
    installFlows(running.flows.writer, [
      parseFlowFile(line, "flow", { numbers: new Map(), names: new Map() }, 1),
    ]);
  await install(`${IP} ${to("10.0.0.2", 7)},recirc(1)`);
  dummy(running, "p1").inject(FRAME);
  running.pmd.iterate();
  // The packet has missed behind recirc; the flow is there when the handler looks.
  await install(`recirc_id(1),in_port(1),${ANY} 10`);
  running.settle();
  t.strictSame(dummy(running, UNDERLAY).take().map(leavesBy), ["10.0.0.2 7"]);
  await running.close();
});
