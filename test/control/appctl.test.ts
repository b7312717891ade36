// Every command of the control socket through the package's own ovs-appctl, against the real Open vSwitch in the same
// run: the same commands to both, answer by answer, with ovs-appctl's exit code. Where the two differ by nature (names
// of programs, modules and events, times, ports that only one has) the shape is compared, number by number where the
// number counts the same thing.
import { spawnSync } from "node:child_process";
import t, { type Test } from "tap";
import { Daemon, runProgram } from "../support/daemon.ts";
import { Oracle, oracleSkipReason } from "../support/oracle.ts";
import { Pair } from "./appctl-pair.ts";

/** The commands that the daemon promises. */
const COMMANDS = [
  "coverage/show",
  "dpctl/add-flow",
  "dpctl/add-flows",
  "dpctl/add-if",
  "dpctl/del-flow",
  "dpctl/del-flows",
  "dpctl/del-if",
  "dpctl/dump-dps",
  "dpctl/dump-flows",
  "dpctl/get-flow",
  "dpctl/mod-flow",
  "dpctl/show",
  "dpif-netdev/pmd-perf-show",
  "dpif-netdev/pmd-rxq-show",
  "dpif-netdev/pmd-stats-show",
  "exit",
  "fdb/flush",
  "fdb/show",
  "list-commands",
  "netdev-dummy/receive",
  "version",
  "vlog/list",
  "vlog/set",
] as const;

const DATAPATH = "dummy@ovs-dummy";
const PORTS = 4;
const CONFIG = [
  `datapath: ${DATAPATH}`,
  "log: off",
  "workers: { sleep-micros-max: 1000 }",
  "memory: { frames: 4096, flows: 4096, kernel-ring-bytes: 1048576 }",
  "ports:",
  ...Array.from(
    { length: PORTS },
    (_, index) => `  - { name: p${index + 1}, type: dummy, port-no: ${index + 1} }`,
  ),
].join("\n");

const UDP = "in_port(1),eth(),eth_type(0x0800),ipv4(src=10.0.0.0/255.0.0.0,proto=17,frag=no),udp(dst=53)";
const PACKET =
  "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800)," +
  "ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=64,frag=no),udp(src=1,dst=53)";
const ARP = "in_port(1),eth(),eth_type(0x0806),arp()";
const UFID = "ufid:00000000-0000-0000-0000-000000000001";
const FRAME = `02000000000202000000000108004500${"00".repeat(46)}`;

const skip =
  oracleSkipReason() || (spawnSync("ovs-appctl", ["--version"]).error ? "no ovs-appctl installed" : false);

/** All commands that were asked of both. */
const asked = new Set<string>();

interface Peers {
  readonly daemon: Daemon;
  readonly oracle: Oracle;
  readonly pair: Pair;
}

async function meet(t: Test, daemon: Daemon, portType: "dummy" | "dummy-pmd" = "dummy"): Promise<Peers> {
  const oracle = await Oracle.start({ portCount: PORTS, portType });
  t.teardown(() => oracle.stop());
  return { daemon, oracle, pair: new Pair([daemon.socket, oracle.controlSocket], asked) };
}

const asIs = (text: string): string => text;
/** Numbers are each switch's own; their columns are not. */
const withoutNumbers = (text: string): string[] =>
  text.split("\n").map((line) =>
    line
      .replace(/\d+(\.\d+)?/g, "N")
      .replace(/ +/g, " ")
      .replace("( ", "(")
      .replace("NOT AVAIL", "N %"),
  );
/** Flows in any order, with derived ufids, times and OVS's inside taken out. */
const flowLines = (text: string): string[] =>
  text
    .split("\n")
    .map((line) =>
      line
        .replace(/ufid:[0-9a-f-]{36}/, (ufid) => (ufid === UFID ? ufid : "ufid:derived"))
        .replace(/, dp-extra-info:.*$/, "")
        .replace(/used:\d+\.\d+s/, "used:Ns")
        .replace(/^flow-dump from .*:?/, "flow-dump from"),
    )
    .filter((line) => line !== "")
    .sort();
/** Without OVS's internal ports; what a port's options and unknown counters are is each switch's own. */
const shownDatapath = (text: string): string[] => {
  const ports = text.split(/^(?= {2}port )/m);
  return ports
    .filter((port) => !port.includes("-internal)"))
    .join("")
    .split("\n")
    .map((line) =>
      line.replace(/\(dummy.*\)$/, "(dummy)").replace(/(errors|dropped|overruns):[?0]/g, "$1:-"),
    );
};

async function checkProcess(t: Test, { pair }: Peers): Promise<void> {
  const lines = (text: string): string[] => text.split("\n");
  const [ours, theirs] = pair.ask("list-commands");
  t.equal(lines(ours.out)[0], lines(theirs.out)[0]);
  const known = new Set(lines(theirs.out));
  const differing = COMMANDS.filter((name) => {
    const line = lines(ours.out).find((candidate) => candidate.trim().split(" ")[0] === name);
    t.ok(line !== undefined, `${name} is listed`);
    return !known.has(line!);
  });
  t.strictSame(differing, ["fdb/show", "vlog/set"], "bridge may be left out; there are no patterns");

  pair.same(t, (text) => text.trim().split(" ").length > 1, "version");
  const levels = (text: string): string[] =>
    lines(text).map((line, index) =>
      index < 2 ? line : line.replace(/^\S+ +/, (name) => "m".padEnd(name.length)),
    );
  const [ourLevels, theirLevels] = pair.ask("vlog/list");
  t.strictSame(levels(ourLevels.out).slice(0, 2), levels(theirLevels.out).slice(0, 2), "vlog/list: heading");
  t.strictSame(
    lines(ourLevels.out)[2]!.search(/ OFF/),
    lines(theirLevels.out)[2]!.search(/ OFF| [A-Z]+/),
    "vlog/list: columns",
  );
  for (const spec of [
    "bogus",
    "dbg:info",
    "bridge:unixctl",
    "file:syslog",
    "bridge:file:dbg",
    "ANY",
    "any:syslog:err",
  ])
    pair.same(t, asIs, "vlog/set", spec);
  pair.same(t, (text) => levelsOf(text, "bridge"), "vlog/list");
  pair.same(t, asIs, "vlog/set", "bridge:any:info");
  pair.same(t, (text) => levelsOf(text, "unixctl"), "vlog/list");

  const event = (text: string): unknown => {
    const [heading, ...rest] = lines(text.trimEnd());
    const shape = (line: string): string =>
      line.replace(/[0-9a-f]{8}|[\d.]+/g, "N").replace(/^\S+ +N/, "event N");
    return {
      heading: shape(heading!),
      events: new Set(rest.slice(0, -1).map((line) => shape(line).replace(/ +/g, " "))),
      never: shape(rest.at(-1)!),
    };
  };
  pair.same(t, event, "coverage/show");
  for (const name of ["coverage/show", "version", "vlog/list", "list-commands", "dpctl/dump-dps"])
    pair.same(t, asIs, name, "more");
  pair.same(t, asIs, "nosuch");
  pair.same(t, asIs, "dpctl/nosuch");
  pair.same(t, asIs, "exit", "a", "b");
}

/** The oracle's rate limits are off, which OVS says behind the levels. */
const levelsOf = (text: string, module: string): string | undefined =>
  text
    .split("\n")
    .find((line) => line.startsWith(`${module} `))
    ?.replace("    (rate limiting disabled)", "");

const NORMAL = "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02)";
const NORMAL_IP = `${NORMAL},eth_type(0x0800),ipv4(src=1.2.3.4,dst=5.6.7.8,proto=6,tos=0,ttl=64,frag=no),tcp(src=1,dst=2)`;
const NORMAL_TAG = `${NORMAL},eth_type(0x8100),vlan(vid=3,pcp=1),encap(eth_type(0x1234))`;
const NORMAL_LABELS = "mpls(label=100,tc=3,ttl=64,bos=0,label=5,tc=0,ttl=0,bos=1)";
/** Arguments of normalize-actions. */
const NORMALIZED: readonly (readonly string[])[] = [
  [],
  [NORMAL_IP],
  [NORMAL_IP, "2"],
  [NORMAL_IP, ""],
  [NORMAL_IP, "drop"],
  ["-m", NORMAL_IP, "2,1"],
  ["", "1"],
  ["in_port(1)", "1"],
  [NORMAL_IP, "set(ipv4(ttl=9)),2,set(ipv4(ttl=9)),push_vlan(vid=5,pcp=0),1,pop_vlan,2"],
  [NORMAL_IP, "1,push_vlan(vid=5,pcp=0),set(eth(dst=02:00:00:00:00:09)),2,pop_vlan,1"],
  [NORMAL_IP, "clone(1),sample(sample=50%,actions(2)),set(skb_mark(5)),recirc(7)"],
  [NORMAL_IP, "5,set(skb_mark(1)),7,6,3,trunc(100),4,2"],
  [NORMAL_TAG, "2,1,push_vlan(vid=9,pcp=7),2,push_vlan(vid=8,pcp=1),1,pop_vlan,2,pop_vlan,3,pop_vlan,4"],
  [NORMAL_TAG, "pop_vlan,push_vlan(vid=7,pcp=2,cfi=0),2,pop_vlan,3"],
  [`${NORMAL},eth_type(0x8847),mpls(label=100,tc=3,ttl=64,bos=1)`, "1"],
  [`${NORMAL},eth_type(0x8848),${NORMAL_LABELS}`, "3,2,1,push_vlan(vid=5,pcp=0),2"],
  ["in_port(a),eth(),eth_type(0x1234)", "a,b", "a=3", "b=1"],
  ["in_port(a),eth(),eth_type(0x1234)", "b", "a=3", "b=x"],
  [NORMAL_IP, "bogus"],
  ["bogus()", "1"],
  [`${NORMAL_IP},tun_id(1)`, "1"],
  [NORMAL_IP, "1", "=5"],
  [NORMAL_IP, "1", "c"],
];

/** The second line of refusals that only say no is ours alone; what OVS makes of a second datapath is its own. */
async function checkSettings(t: Test, { pair }: Peers): Promise<void> {
  for (const args of [
    [DATAPATH, "p1"],
    [DATAPATH, "p1,type=dummy"],
    [DATAPATH, "p1,type=tap"],
    [DATAPATH, "p1,port_no=1"],
    [DATAPATH, "p1,port_no=7"],
    [DATAPATH, "nope"],
    [DATAPATH, "nope", "p1,port_no=7", "p2,type=x"],
    ["nope@nope", "p1"],
    [DATAPATH],
  ])
    pair.same(t, asIs, "dpctl/set-if", ...args);
  for (const args of [[], [DATAPATH], ["nope"], ["nope@nope"], ["dummy@nope"], ["a", "b"]])
    pair.same(t, asIs, "dpctl/cache-get-size", ...args);
  for (const args of [
    [DATAPATH, "masks-cache", "12"],
    [DATAPATH, "foo", "12"],
    [DATAPATH, "masks-cache", "x"],
    ["nope@nope", "masks-cache", "12"],
    ["nope@nope", "masks-cache", "x"],
    [DATAPATH],
  ])
    pair.same(t, asIs, "dpctl/cache-set-size", ...args);
  for (const args of NORMALIZED) pair.same(t, asIs, "dpctl/normalize-actions", ...args);
  for (const args of [[], [DATAPATH], ["nope"]]) pair.same(t, asIs, "dpctl/offload-stats-show", ...args);
  for (const args of [[], [DATAPATH], ["bogus@two"]]) pair.same(t, asIs, "dpctl/add-dp", ...args);
  for (const args of [[], ["dummy@nope"], ["bogus@nope"]]) pair.same(t, asIs, "dpctl/del-dp", ...args);
  const [ours] = pair.ask("dpctl/add-dp", "dummy@two");
  t.match(ours, { err: /^ovs-vswitchd: add_dp \(Operation not supported\)\n/, code: 2 });
  pair.ask("dpctl/del-dp", "dummy@two");
  for (const text of ["1,2", "bogus", "sample(sample=50%,actions(1))", ""])
    pair.same(t, asIs, "dpctl/parse-actions", text);
  const [ourList, theirList] = pair.ask("dpctl/list-commands");
  const listed = new Set(theirList.out.split("\n"));
  t.strictSame(
    ourList.out.split("\n").filter((line) => !listed.has(line)),
    [],
    "dpctl/list-commands",
  );
}

async function checkDatapath(t: Test, { pair }: Peers): Promise<void> {
  pair.same(t, asIs, "dpctl/dump-dps");
  for (const args of [[], ["-s"], [DATAPATH], ["-s", DATAPATH]])
    pair.same(t, shownDatapath, "dpctl/show", ...args);
  for (const args of [["x"], ["x", "y"], ["dummy@x"], ["-z"]]) pair.same(t, asIs, "dpctl/show", ...args);
  const refused: readonly (readonly string[])[] = [
    ["nodp", "p9"],
    ["dummy@nodp", "p9"],
    [DATAPATH],
    [DATAPATH, "p9,type=bogus"],
    [DATAPATH, "p9,type=bogus", "p10,type=bogus"],
    [DATAPATH, "p1,type=dummy"],
    [DATAPATH, "p9,type=dummy,port_no=1"],
    ["-z", "p9"],
  ];
  for (const args of refused) pair.same(t, asIs, "dpctl/add-if", ...args);
  for (const args of [
    ["nodp", "p1"],
    [DATAPATH],
    [DATAPATH, "p9"],
    [DATAPATH, "p9", "p10"],
    [DATAPATH, "99"],
  ])
    pair.same(t, asIs, "dpctl/del-if", ...args);
  pair.same(t, asIs, "dpctl/add-if", DATAPATH, "p9,type=dummy,port_no=9");
  pair.same(t, asIs, "dpctl/del-if", DATAPATH, "p4");
  // ovs-vswitchd takes away what its database does not have, and brings back what it has.
  const [{ out }] = pair.ask("dpctl/show");
  t.match(out, "port 9: p9 (dummy)");
  t.notMatch(out, "p4");
}

async function checkFlows(t: Test, { pair, daemon }: Peers): Promise<void> {
  const good = daemon.file(
    "good.flows",
    `${ARP} 3\n${UFID},in_port(3),eth(),eth_type(0x86dd),ipv6(frag=no) drop\n`,
  );
  const keys = daemon.file("keys.flows", `${ARP}\n`);
  const script: readonly (readonly string[])[] = [
    ["dpctl/dump-flows"],
    ["dpctl/add-flow", ARP, "3"],
    ["dpctl/add-flow", ARP, "4"],
    ["dpctl/mod-flow", "-s", ARP, "4"],
    ["dpctl/mod-flow", ARP, "5", "6", "7"],
    ["dpctl/add-flow", DATAPATH, UDP, "2,3"],
    ["dpctl/add-flow", "nodp", ARP, "3"],
    ["dpctl/dump-flows"],
    ["dpctl/dump-flows", "-m"],
    ["dpctl/dump-flows", "--names"],
    ["dpctl/dump-flows", "-m", "--no-names"],
    ["dpctl/dump-flows", DATAPATH],
    ["dpctl/dump-flows", "filter=udp"],
    ["dpctl/dump-flows", "filter=ip,nw_src=10.1.2.3"],
    ["dpctl/dump-flows", "filter=arp,in_port=2"],
    ["dpctl/dump-flows", "filter=bogus"],
    ["dpctl/dump-flows", "type=offloaded"],
    ["dpctl/dump-flows", "nodp"],
    ["dpctl/del-flow", "-s", ARP],
    ["dpctl/del-flow", ARP],
    ["dpctl/mod-flow", ARP, "1"],
    ["dpctl/add-flows", good],
    ["dpctl/add-flows", "/nonexistent"],
    ["dpctl/get-flow", UFID],
    ["dpctl/get-flow", "ufid:00000000-0000-0000-0000-000000000002"],
    ["dpctl/get-flow", "bogus"],
    ["dpctl/dump-flows"],
    ["dpctl/del-flow", UFID],
    ["dpctl/add-flow", "in_port(3),bogus()", "3"],
    ["dpctl/add-flow", ARP, "bogus"],
    ["dpctl/add-flow", ARP],
    ["dpctl/del-flows", keys],
    ["dpctl/del-flows"],
    ["dpctl/dump-flows"],
  ];
  for (const [name, ...args] of script) pair.same(t, flowLines, name!, ...args);
  // OVS passes over a bad line and installs the rest; both say so with exit code 0.
  const bad = daemon.file("bad.flows", `${ARP} 3\nin_port(2),bogus() 3\n`);
  const [ours, theirs] = pair.ask("dpctl/add-flows", bad);
  t.equal(ours.code, theirs.code);
  t.match(ours.out, new RegExp(`^ovs-vswitchd: ${bad}:2:12: .*expected`));
  t.equal(pair.ask("dpctl/dump-flows")[0].out, "", "nothing of the file is installed");
  const strict = daemon.millrace("dpctl", "--socket", daemon.socket, "add-flows", bad);
  t.equal(strict.code, 1, "our own client fails");
  const twice = daemon.file("twice.flows", `${ARP} 3\n${ARP} 4\n`);
  const [refused, theirRefused] = pair.ask("dpctl/add-flows", twice);
  t.equal(refused.code, theirRefused.code);
  t.match(refused.out, /twice\.flows:2: updating flow table \(File exists\)/);
}

async function checkThreads(t: Test, { pair, daemon, oracle }: Peers): Promise<void> {
  for (const args of [
    ["p9", FRAME],
    ["p1"],
    ["p1", "xx"],
    ["p1", "0200"],
    ["p1", "--len", "5"],
    ["p1", "--qid", "9", FRAME],
  ])
    pair.same(t, asIs, "netdev-dummy/receive", ...args);
  pair.same(t, asIs, "netdev-dummy/receive", "p1", "in_port(1),bogus()");
  for (const name of ["pmd-stats-show", "pmd-perf-show", "pmd-rxq-show"]) {
    pair.same(t, withoutNumbers, `dpif-netdev/${name}`);
    pair.same(t, withoutNumbers, `dpif-netdev/${name}`, "-pmd", "0", DATAPATH);
    pair.same(t, withoutNumbers, `dpif-netdev/${name}`, "-pmd", "7");
  }
  pair.same(t, (text) => text.split("\n")[0], "dpif-netdev/pmd-rxq-show", "-secs", "7");

  pair.same(t, asIs, "dpctl/add-flow", UDP, "2");
  for (let packet = 0; packet < 3; packet += 1) pair.same(t, asIs, "netdev-dummy/receive", "p1", PACKET);
  pair.same(t, asIs, "netdev-dummy/receive", "p1", PACKET, "--len", "200");
  for (const socket of [daemon.socket, oracle.controlSocket]) {
    await daemon.until("the packets went through", async () =>
      runProgram("ovs-appctl", "-t", socket, "dpctl/show").out.includes("hit:4 "),
    );
  }
  // OVS's main thread has the flow too, for its own ports.
  const ofWorker = (text: string): string[] =>
    flowLines(text).filter((line) => !/packets:0|^flow-dump/.test(line));
  pair.same(t, ofWorker, "dpctl/dump-flows");
  pair.same(t, (text) => shownDatapath(text).filter((line) => !line.includes("flows:")), "dpctl/show", "-s");
  // Cycles are each machine's own; packets are not.
  const counted = (text: string): string[] =>
    text.split("\n").map((line) => (/cycles/.test(line) ? line.replace(/[\d.]+/g, "N") : line));
  pair.same(t, counted, "dpif-netdev/pmd-stats-show");
  const counts = (text: string): unknown[] =>
    text
      .split("\n")
      .map((line) =>
        /hits:|Upcalls:|upcalls:|passes:|packets:/.test(line)
          ? line.replace(/\([^)]*pps.*\)|[\d.]+ us/g, "N")
          : withoutNumbers(line)[0],
      );
  pair.same(t, counts, "dpif-netdev/pmd-perf-show");
  await daemon.until("the usage is known", async () =>
    [daemon.socket, oracle.controlSocket].every(
      (socket) =>
        !runProgram("ovs-appctl", "-t", socket, "dpif-netdev/pmd-rxq-show").out.includes("NOT AVAIL"),
    ),
  );
  pair.same(t, (text) => text.replace(/ +\d+ %/g, " N %"), "dpif-netdev/pmd-rxq-show");
}

async function checkMacTable(t: Test, { pair, daemon, oracle }: Peers): Promise<void> {
  oracle.vsctl("set-fail-mode", "br0", "standalone");
  // The bridge is named after the datapath here.
  const bridges = (text: string): string => text.replace(/ovs-dummy/g, "br0");
  const [, empty] = pair.ask("fdb/show", "br0");
  t.equal(bridges(runProgram("ovs-appctl", "-t", daemon.socket, "fdb/show").out), empty.out);
  for (const args of [[], ["x"], ["br0", "x"]]) pair.same(t, asIs, "fdb/flush", ...args);
  pair.same(t, asIs, "fdb/show", "x");
  for (const [port, source] of [
    [1, "01"],
    [2, "02"],
    [3, "03"],
  ] as const)
    pair.same(
      t,
      asIs,
      "netdev-dummy/receive",
      `p${port}`,
      `ffffffffffff0200000000${source}88b5${"00".repeat(46)}`,
    );
  const table = (text: string): string[] =>
    text
      .split("\n")
      .map((line) => line.replace(/ +\d+$/, ""))
      .sort();
  const ofBoth = (): [string, string] => {
    const [, theirs] = pair.ask("fdb/show", "br0");
    return [runProgram("ovs-appctl", "-t", daemon.socket, "fdb/show", "ovs-dummy").out, theirs.out];
  };
  await daemon.until("three addresses", async () => ofBoth().every((text) => text.split("\n").length === 5));
  const [ours, theirs] = ofBoth();
  t.strictSame(table(ours), table(theirs));
  pair.same(t, asIs, "fdb/flush");
  const [after, theirsAfter] = ofBoth();
  t.equal(after, theirsAfter, "both are empty");
}

t.test("a switch of the operator's flows", { skip }, async (t) => {
  const daemon = await Daemon.start(t, `${CONFIG}\npolicy: { type: flows }\n`);
  await t.test("packets, and what the threads say of them", async (t) =>
    checkThreads(t, await meet(t, daemon, "dummy-pmd")),
  );
  await daemon.call("dpctl/del-flows");
  const peers = await meet(t, daemon);
  await t.test("flows", (t) => checkFlows(t, peers));
  await t.test("the daemon and its own commands", (t) => checkProcess(t, peers));
});

t.test("a switch that learns", { skip }, async (t) => {
  const peers = await meet(t, await Daemon.start(t, `${CONFIG}\npolicy: { type: learn }\n`));
  await t.test("settings", (t) => checkSettings(t, peers));
  await t.test("the datapath and its ports", (t) => checkDatapath(t, peers));
  await t.test("the MAC table", (t) => checkMacTable(t, peers));
  await t.test("exit", async (t) => {
    peers.pair.same(t, asIs, "exit");
    t.equal(await peers.daemon.ended, 0);
  });
});

t.test("every command was asked of both", { skip }, async (t) => {
  t.strictSame(
    COMMANDS.filter((name) => !asked.has(name)),
    [],
  );
});
