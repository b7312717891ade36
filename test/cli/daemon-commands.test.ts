// The commands that ask a daemon, as programs: data wherever --json stands, pictures again and again with --watch, and
// data for every command of the control socket.
import { spawn } from "node:child_process";
import t from "tap";
import { CLI, Daemon } from "../support/daemon.ts";

const CONFIG = `
log: off
workers: { sleep-micros-max: 1000 }
ports:
  - { name: d1, type: dummy }
  - { name: d2, type: dummy }
  - { name: m1, type: dummy }
  - { name: m2, type: dummy }
bonds:
  - { name: b, members: [m1, m2], mode: balance-slb }
`;
const FLOW = "in_port(1),eth(),eth_type(0x0806),arp()";
const UFID = "ufid:00000000-0000-0000-0000-000000000001";
const EXIT_USAGE = 2;

t.test("commands that ask a daemon", async (t) => {
  const daemon = await Daemon.start(t, CONFIG);
  const file = daemon.file("flows", "in_port(2),eth(),eth_type(0x0806) 1\n");
  /** Arguments of those that need some. */
  const given = new Map<string, readonly string[]>([
    ["dpctl/add-flow", [`${UFID},${FLOW}`, "2"]],
    ["dpctl/mod-flow", ["--may-create", `${UFID},${FLOW}`, "2"]],
    ["dpctl/get-flow", [UFID]],
    ["dpctl/del-flow", [UFID]],
    ["dpctl/add-flows", [file]],
    ["dpctl/mod-flows", ["--may-create", file]],
    ["dpctl/add-if", ["millrace", "d3,type=dummy"]],
    ["dpctl/del-if", ["millrace", "d2"]],
    ["dpctl/set-if", ["millrace", "d1,type=dummy"]],
    ["dpctl/parse-actions", ["1,2"]],
    ["dpctl/normalize-actions", ["in_port(1),eth(),eth_type(0x1234)", "1,2"]],
    ["millrace/meter-set", ["1", "kbps", "1000"]],
    ["millrace/meter-del", ["1"]],
    ["bond/hash", ["02:00:00:00:00:01"]],
    ["bond/migrate", ["b", "1", "m1"]],
    ["bond/set-active-member", ["b", "m1"]],
    ["bond/enable-member", ["b", "m1"]],
    ["bond/disable-member", ["b", "m2"]],
    ["netdev-dummy/ip4addr", ["d1", "10.9.0.1/24"]],
    ["netdev-dummy/ip6addr", ["d1", "fd00:9::1/64"]],
    ["ovs/route/add", ["10.10.0.0/16", "d1", "10.9.0.2"]],
    ["ovs/route/lookup", ["10.10.1.1"]],
    ["ovs/route/del", ["10.10.0.0/16"]],
    ["tnl/arp/set", ["d1", "10.9.0.2", "02:00:00:00:00:02"]],
    ["tnl/neigh/set", ["d1", "10.9.0.3", "02:00:00:00:00:03"]],
    ["netdev-dummy/receive", ["d1", "ff".repeat(60)]],
    ["vlog/set", ["bridge:dbg"]],
  ]);
  const commands = await daemon.json<{ name: string; summary: string }[]>("list-commands");
  // What removes comes behind what adds and shows.
  const order = (name: string): number => (/add|mod-|set/.test(name) ? 0 : /del|exit/.test(name) ? 2 : 1);
  const names = commands
    .filter(({ summary }) => !summary.startsWith("refused: "))
    .map(({ name }) => name)
    .sort((a, b) => order(a) - order(b));
  for (const name of names.filter((name) => name !== "exit")) {
    const answer = await daemon.json(name, ...(given.get(name) ?? []));
    t.ok(answer !== null && typeof answer === "object", `${name} answers with data`);
  }

  const socket = ["--socket", daemon.socket];
  for (const args of [
    ["dpctl", "show", "--json", ...socket],
    ["dpctl", ...socket, "--json", "show", "-s"],
    ["dpctl", "dump-flows", "-m", "--json", "filter=arp", ...socket],
    ["appctl", "dpif-netdev/pmd-rxq-show", "-pmd", "0", "--json", ...socket],
    ...["ports", "flows", "workers", "drops", "fdb", "masks"].map((noun) => [
      noun,
      "show",
      "--json",
      ...socket,
    ]),
  ]) {
    const { code, out, err } = daemon.millrace(...args);
    t.equal(code, 0, err);
    t.equal(typeof JSON.parse(out), "object", args.slice(0, 3).join(" "));
  }
  t.equal(daemon.millrace("ports", "show", "--watch", "--interval", "x", ...socket).code, EXIT_USAGE);

  for (const args of [
    ["ports", "show"],
    ["dpctl", "--watch", "show"],
  ]) {
    const watch = spawn(process.execPath, [
      CLI,
      ...args,
      "--watch",
      "--interval",
      "0.01",
      "--json",
      ...socket,
    ]);
    let text = "";
    for await (const chunk of watch.stdout) {
      text += chunk as string;
      if (text.split("\n").length > 3) break;
    }
    watch.kill();
    const [first, second] = text.split("\n");
    t.equal(typeof JSON.parse(first!), typeof JSON.parse(second!), `${args.join(" ")}: one answer a line`);
  }

  t.same(await daemon.json("exit"), {});
  t.equal(await daemon.ended, 0);
});
