// The example program, as its own head tells to run it, prints what flows sample to it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import t from "tap";
import { FLOW_ATTRIBUTES, FLOW_COMMAND } from "../../src/netlink/flow-messages.ts";
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

t.test("without a daemon it says so and fails", async (t) => {
  const collector = spawn(process.execPath, [COLLECTOR, "--socket", "/nowhere/nl"], { stdio: "ignore" });
  t.notSame(await once(collector, "exit"), [0, null]);
});
