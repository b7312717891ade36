// Commands of tunnels through the package's own ovs-appctl, against the real Open vSwitch in the same run. The bridge of
// the one is a dummy port of the other; tunnel ports have the names and numbers that OVS gives them in its datapath.
import { spawnSync } from "node:child_process";
import t from "tap";
import { Daemon } from "../support/daemon.ts";
import { Oracle, oracleSkipReason } from "../support/oracle.ts";
import { Pair } from "./appctl-pair.ts";

const COMMANDS = [
  "netdev-dummy/ip4addr",
  "netdev-dummy/ip6addr",
  "ovs/route/add",
  "ovs/route/del",
  "ovs/route/lookup",
  "ovs/route/show",
  ...["tnl/arp", "tnl/neigh"].flatMap((prefix) =>
    ["aging", "flush", "set", "show"].map((name) => `${prefix}/${name}`),
  ),
  "tnl/egress_port_range",
  "tnl/ports/show",
];

const CONFIG = `
log: off
kernel-routes: false
workers: { sleep-micros-max: 1000 }
memory: { frames: 4096, flows: 4096, kernel-ring-bytes: 1048576 }
policy: { type: flows }
ports:
  - { name: br0, type: dummy }
  - { name: vxlan_sys_4789, type: vxlan, port-no: 4789, options: { remote_ip: 10.0.0.2 } }
  - { name: genev_sys_6081, type: geneve, port-no: 6081, options: { remote_ip: 10.0.0.2 } }
`;
const MAC = "02:00:00:00:00:02";

const ROUTES: readonly (readonly string[])[] = [
  ["ovs/route/show"],
  ["ovs/route/add", "10.1.0.0/16", "br0", "10.0.0.9"],
  ["ovs/route/add", "10.2.0.0/16", "br0", "10.0.0.9", "pkt_mark=5"],
  ["ovs/route/add", "10.2.128.0/17", "br0", "10.0.0.8"],
  ["ovs/route/add", "2001:db8:1::/48", "br0", "2001:db8::9"],
  ["ovs/route/add", "0.0.0.0/0", "br0", "10.0.0.1"],
  ["ovs/route/show"],
  ["ovs/route/add", "x", "br0"],
  ["ovs/route/add", "10.3.0.0/16"],
  ["ovs/route/add", "10.3.0.0/16", "nosuch"],
  ["ovs/route/add", "10.3.0.0/16", "br0", "2001:db8::9"],
  ["ovs/route/add", "2001:db8:2::/48", "br0", "10.0.0.9"],
  ["ovs/route/add", "10.3.0.0/16", "br0", "zzz"],
  ["ovs/route/add", "10.3.0.0/16", "br0", "pkt_mark=zz"],
  ["ovs/route/add", "10.3.0.0/16", "br0", "10.0.0.9", "pkt_mark=7", "more"],
  ...[
    "10.1.2.3",
    "10.2.0.1",
    "10.2.200.1",
    "10.0.0.77",
    "2001:db8:1::5",
    "2001:db8:9::1",
    "zzz",
    "10.0.0.1/24",
  ].map((ip) => ["ovs/route/lookup", ip]),
  ["ovs/route/lookup", "10.2.0.1", "pkt_mark=5"],
  ["ovs/route/lookup", "10.2.0.1", "pkt_mark=6"],
  ["ovs/route/lookup", "10.2.0.1", "zz"],
  ["ovs/route/del", "10.1.0.0/16"],
  ["ovs/route/del", "10.1.0.0/16"],
  ["ovs/route/del", "10.2.0.0/16"],
  ["ovs/route/del", "10.2.0.0/16", "pkt_mark=5"],
  ["ovs/route/del", "zzz"],
  ["ovs/route/del", "10.2.0.0/16", "zz"],
  ["ovs/route/show"],
];

const neighbours = (prefix: string): readonly (readonly string[])[] => [
  [`${prefix}/show`],
  [`${prefix}/set`, "br0", "10.0.0.2", MAC],
  [`${prefix}/set`, "br0", "2001:db8::2", MAC],
  [`${prefix}/set`, "nosuch", "10.0.0.4", MAC],
  [`${prefix}/set`, "br0", "10.0.0", MAC],
  [`${prefix}/set`, "br0", "10.0.0.3", "zz"],
  [`${prefix}/set`, "br0", "10.0.0.3"],
  [`${prefix}/show`],
  [`${prefix}/set`, "br0", "10.0.0.2", "02:00:00:00:00:77"],
  [`${prefix}/show`],
  [`${prefix}/aging`],
  ...["100", "0", "-1", "3600", "3601", "abc"].map((seconds) => [`${prefix}/aging`, seconds]),
  [`${prefix}/aging`],
  [`${prefix}/aging`, "900"],
  [`${prefix}/show`, "more"],
  [`${prefix}/flush`],
  [`${prefix}/show`],
];

const PORT_RANGES: readonly (readonly string[])[] = [
  [],
  ["1000", "2000"],
  [],
  ["3000", "2500"],
  [],
  ["0", "10"],
  ["70000", "1"],
  ["10", "70000"],
  ["abc", "def"],
  ["17"],
  [],
  ["32768", "61000"],
];

/** Tables in any order; the address of OVS's bridge is the dummy's own. */
const lines = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.replace(/eth\(dst=[0-9a-f:]{17}\)/, "eth(dst=MAC)"))
    .sort();

const skip =
  oracleSkipReason() || (spawnSync("ovs-appctl", ["--version"]).error ? "no ovs-appctl installed" : false);

t.test("routes, neighbours and ports of tunnels", { skip }, async (t) => {
  const daemon = await Daemon.start(t, CONFIG);
  const oracle = await Oracle.start({ portCount: 1 });
  t.teardown(() => oracle.stop());
  for (const [name, type] of [
    ["t1", "vxlan"],
    ["t2", "geneve"],
  ] as const)
    oracle.vsctl(
      "add-port",
      "br0",
      name,
      "--",
      "set",
      "interface",
      name,
      `type=${type}`,
      "options:remote_ip=10.0.0.2",
    );
  const asked = new Set<string>();
  const pair = new Pair([daemon.socket, oracle.controlSocket], asked);
  const all: readonly (readonly string[])[] = [
    ["tnl/ports/show"],
    ["netdev-dummy/ip4addr", "nosuch", "10.0.0.1/24"],
    ["netdev-dummy/ip4addr", "br0", "10.0.0"],
    ["netdev-dummy/ip4addr", "br0", "10.0.0.1/24"],
    ["netdev-dummy/ip6addr", "br0", "2001:db8::1/64"],
    ["ovs/route/add", "10.0.0.0/24", "br0"],
    // OVS takes no packets for tunnels any more when a route out of the bridge was deleted, so this is asked before.
    ["tnl/ports/show", "-v"],
    ["tnl/ports/show"],
    ...ROUTES,
    ...neighbours("tnl/neigh"),
    ...neighbours("tnl/arp"),
    ["tnl/ports/show", "-v", "more"],
    ...PORT_RANGES.map((range) => ["tnl/egress_port_range", ...range]),
  ];
  for (const [name, ...args] of all) pair.same(t, lines, name!, ...args);
  t.strictSame([...asked].sort(), [...COMMANDS].sort(), "every command was asked of both");
});
