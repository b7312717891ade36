// The example program, as its own head tells to run it, prints what flows sample to it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import t from "tap";
import { FLOW_ATTRIBUTES, FLOW_COMMAND } from "../../src/netlink/flow-messages.ts";
import { parsePrefix } from "../../src/tunnel/ip.ts";
import { FAMILY, flowOf, netlinkRig } from "../control/netlink/rig.ts";
import { packet } from "../upcall/traffic.ts";

const COLLECTOR = resolve(import.meta.dirname, "../../examples/collector.js");

t.test("sampled packets come out as lines", async (t) => {
  const { connect, path, port } = await netlinkRig(t, 2);
  const client = await connect();
  const cookies = ["userdata(0102030405060708)", "sFlow(vid=5,pcp=1,output=2)"];
  const samples = cookies.map((cookie) => `sample(sample=100.0%,actions(userspace(pid=77,${cookie})))`);
  const flow = flowOf(
    "in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)",
    `${samples.join(",")},2`,
  );
  await client.request(FAMILY.flow, FLOW_COMMAND.new, FLOW_ATTRIBUTES, flow);

  const collector = spawn(process.execPath, [COLLECTOR, "--socket", path, "--pid", "77", "--count", "2"]);
  t.teardown(() => collector.kill("SIGKILL"));
  const ended = once(collector, "exit");
  await once(createInterface(collector.stderr), "line");
  const lines: string[] = [];
  createInterface(collector.stdout).on("line", (line) => lines.push(line));
  port("d1").inject(packet(1, 2));
  t.same(await ended, [0, null]);
  const bytes = packet(1, 2).length;
  const key = /in_port\(1\).*eth\(src=02:00:00:00:00:01,.*udp\(src=1000,dst=53\)$/;
  t.equal(lines.length, 2);
  t.match(lines[0], key);
  t.match(lines[1], key);
  t.match(lines[0], `${bytes} of ${bytes} bytes userdata 0102030405060708 `);
  t.match(lines[1], `${bytes} of ${bytes} bytes sFlow(vid=5,pcp=1,output=2) `);
});

t.test("with the tunnel that they would leave by", async (t) => {
  const { connect, path, port, running } = await netlinkRig(t, 2);
  running.tunnels.setAddresses(running.ports.byName("d2")!, [parsePrefix("10.0.0.1/24")!], true);
  running.tunnels.publishNow();
  const options = { remote_ip: "10.0.0.2", key: 7 };
  const { portNo } = await running.ports.add({ name: "tun", type: "vxlan", options });
  const client = await connect();
  const match = "in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)";
  const flow = flowOf(match, `userspace(pid=77,userdata(01),tunnel_out_port=${portNo})`);
  await client.request(FAMILY.flow, FLOW_COMMAND.new, FLOW_ATTRIBUTES, flow);
  const collector = spawn(process.execPath, [COLLECTOR, "--socket", path, "--pid", "77", "--count", "1"]);
  t.teardown(() => collector.kill("SIGKILL"));
  const ended = once(collector, "exit");
  await once(createInterface(collector.stderr), "line");
  const line = once(createInterface(collector.stdout), "line");
  port("d1").inject(packet(1, 2));
  const [text] = (await line) as [string];
  t.match(
    text,
    / userdata 0100000000000000 egress tunnel\(tun_id=0x7,src=10\.0\.0\.1,dst=10\.0\.0\.2,.*tp_src=\d+,tp_dst=4789,/,
  );
  t.same(await ended, [0, null]);
});

t.test("without a daemon it says so and fails", async (t) => {
  const collector = spawn(process.execPath, [COLLECTOR, "--socket", "/nowhere/nl"], { stdio: "ignore" });
  t.notSame(await once(collector, "exit"), [0, null]);
});
