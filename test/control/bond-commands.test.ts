// The bond commands through ovs-appctl against the real Open vSwitch's: answers, refusals and exit codes, while a member is
// chosen, buckets move, members are disabled. Addresses of members and times are told apart only by their shape. And
// bonds in a configuration: what is refused, and where.
import { spawnSync } from "node:child_process";
import t from "tap";
import { bondSettings } from "../../src/control/config/bonds.ts";
import { ConfigError, parseConfig } from "../../src/control/config/load.ts";
import { Log } from "../../src/control/log.ts";
import { Switch } from "../../src/control/switch.ts";
import { Daemon, runProgram } from "../support/daemon.ts";
import { Oracle, oracleSkipReason } from "../support/oracle.ts";

const MEMBERS = ["p1", "p2"] as const;
const skip =
  oracleSkipReason() || (spawnSync("ovs-appctl", ["--version"]).error ? "no ovs-appctl installed" : false);

const config = (mode: string): string =>
  [
    "datapath: dummy@ovs-dummy",
    "log: off",
    "workers: { sleep-micros-max: 1000 }",
    "memory: { frames: 4096, flows: 4096, kernel-ring-bytes: 1048576 }",
    "ports:",
    ...[1, 2, 3].map((portNo) => `  - { name: p${portNo}, type: dummy, port-no: ${portNo} }`),
    `bonds: [{ name: bond0, members: [p1, p2], mode: ${mode} }]`,
  ].join("\n");

/** Times and addresses of interfaces as such; members of a list in order. */
const shape = (text: string): string =>
  text
    .replace(/\d+ ms$/gm, "T ms")
    .replace(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, "MAC")
    .replace(/p2, p1/, "p1, p2");

for (const mode of ["active-backup", "balance-slb"] as const) {
  t.test(`bond commands of ${mode} answer as OVS's`, { skip }, async (t) => {
    const daemon = await Daemon.start(t, config(mode));
    const oracle = await Oracle.start({ portCount: 3 });
    t.teardown(() => oracle.stop());
    oracle.vsctl(...MEMBERS.flatMap((name) => ["del-port", "br0", name, "--"]).slice(0, -1));
    await oracle.addBond("bond0", MEMBERS, `bond_mode=${mode}`);
    // Which one each of them chose is its own affair.
    for (const member of MEMBERS)
      for (const socket of [daemon.socket, oracle.controlSocket])
        runProgram("ovs-appctl", "-t", socket, "bond/set-active-member", "bond0", member);
    const commands: readonly (readonly string[])[] = [
      ["bond/list"],
      ["bond/show"],
      ["bond/show", "bond0"],
      ["bond/show", "nobody"],
      ["bond/set-active-member", "bond0", "p2"],
      ["bond/set-active-member", "bond0", "p1"],
      ["bond/set-active-member", "bond0", "p9"],
      ["bond/set-active-member", "nobody", "p1"],
      ["bond/set-active-member", "bond0"],
      ["bond/show", "bond0"],
      ["bond/migrate", "bond0", "5", "p2"],
      ["bond/migrate", "bond0", "300", "p1"],
      ["bond/migrate", "bond0", "x", "p1"],
      ["bond/migrate", "bond0", "5", "p9"],
      ["bond/migrate", "nobody", "5", "p1"],
      ["bond/disable-member", "bond0", "p1"],
      ["bond/enable-member", "bond0", "p1"],
      ["bond/enable-member", "bond0", "p9"],
      ["bond/disable-member", "nobody", "p1"],
      ["bond/show", "bond0"],
      ["bond/hash", "02:00:00:00:00:01"],
      ["bond/hash", "02:00:00:00:00:01", "10"],
      ["bond/hash", "02:00:00:00:00:01", "10", "77"],
      ["bond/hash", "2:0:0:0:0:1", "5x"],
      ["bond/hash", "02:00:00:00:00"],
      ["bond/hash", "02:00:00:00:00:01", "x"],
      ["bond/hash", "02:00:00:00:00:01", "1", "x"],
      ["dpif-netdev/bond-show"],
      ["dpif-netdev/bond-show", "ovs-dummy"],
      ["dpif-netdev/bond-show", "nobody"],
    ];
    for (const command of commands) {
      const [ours, theirs] = [daemon.socket, oracle.controlSocket].map((socket) =>
        runProgram("ovs-appctl", "-t", socket, ...command),
      );
      const about = command.join(" ");
      t.equal(ours!.code, theirs!.code, `${about}: exit code`);
      t.equal(shape(ours!.out), shape(theirs!.out), about);
      t.equal(ours!.err.split("\n")[0], theirs!.err.split("\n")[0], `${about}: refusal`);
    }
    await daemon.call("exit");
    t.equal(await daemon.ended, 0);
  });
}

t.test("the buckets of lb_output, all of them taken", async (t) => {
  const daemon = await Daemon.start(t, config("balance-tcp, lb-output-action: true"));
  const text = await daemon.call("dpif-netdev/bond-show");
  const lines = text.trimEnd().split("\n");
  t.same(lines.slice(0, 2), ["Bonds:", "  bond-id 1:"]);
  t.equal(lines.length, 2 + 256);
  for (const [bucket, line] of lines.slice(2).entries())
    if (!new RegExp(`^    bucket ${bucket} - member [12]$`).test(line)) t.fail(line);
  t.match(await daemon.call("bond/show"), /lb_output action: enabled, bond-id: 1\n/);
  t.match(await daemon.call("bond/show"), /bond may use recirculation: yes, Recirc-ID : 1\n/);
  await daemon.call("exit");
  t.equal(await daemon.ended, 0);
});

t.test("bonds that are refused, and where", async (t) => {
  const ports =
    "ports: [{ name: a, type: null }, { name: b, type: null }, { name: c, type: null, vlan: { tag: 1 } }]";
  const refusals: readonly (readonly [bond: string, at: string, message: RegExp])[] = [
    ["name: a, members: [a, b]", "a, members", /"a" is a port's/],
    ["name: x, members: [a]", "[a]", /two members or more/],
    ["name: x, members: [a, z]", "z]", /no port "z"/],
    ["name: x, members: [a, a]", "a]", /"a" is a member of bond "x" already/],
    ["name: x, members: [a, c]", "c]", /"c" has a vlan of its own/],
    ["name: x, members: [a, b], primary: c", "c }", /"c" is no member/],
    ["name: x, members: [a, b], mode: balance-slb, primary: a", "a }", /only with mode: active-backup/],
    ["name: x, members: [a, b], lb-output-action: true", "true", /only with mode: balance-tcp/],
    ["name: x, members: [a, b], all-members-active: true", "true", /only with mode: balance-slb/],
    ["name: x, members: [a, b], rebalance-interval-millis: 5", "5 }", /1000 is the least/],
    ["name: x, members: [a, b], mode: lacp", "lacp", /active-backup, balance-slb, balance-tcp/],
    ["name: x, members: [a, b], colour: red", "red", /there is no such setting/],
    ["name: x, members: [a, b], vlan: { mode: access }", "{ mode", /needs a tag/],
  ];
  for (const [bond, at, message] of refusals) {
    const line = `bonds: [{ ${bond} }]`;
    try {
      parseConfig(`${ports.replaceAll("null", '"null"')}\n${line}\n`, "m.yaml");
      t.fail(`accepted: ${bond}`);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      t.match(error.problems[0]!.message, message, bond);
      t.equal(error.problems[0]!.line, 2, bond);
      t.equal(error.problems[0]!.column, line.indexOf(at) + 1, bond);
    }
  }
});

t.test("bonds as the handler is told of them", async (t) => {
  const { bonds } = parseConfig(
    'ports: [{ name: a, type: "null" }, { name: b, type: "null" }]\nbonds: [{ name: x, members: [b, a], vlan: { tag: 7 } }]\n',
    "m.yaml",
  );
  t.match(bondSettings(bonds), [
    {
      id: 1,
      name: "x",
      members: ["b", "a"],
      mode: "active-backup",
      rebalanceMillis: 10_000,
      vlan: { mode: "access", tag: 7 },
    },
  ]);
});

t.test("what becomes of members is logged", async (t) => {
  const lines: string[] = [];
  const log = new Log("info", {
    write: (line) => void lines.push((JSON.parse(line) as { msg: string }).msg),
  });
  const running = await Switch.start(parseConfig(config("active-backup"), "log.yaml"), log);
  t.teardown(() => running.stop());
  await running.handler.bonds.change({ op: "activate", bond: "bond0", member: "p2" });
  const told = lines.filter((line) => line.startsWith("bond "));
  t.same(told, [
    "bond bond0: member p1 is enabled",
    "bond bond0: member p1 is active",
    "bond bond0: member p2 is enabled",
    "bond bond0: member p2 is active",
  ]);
});
