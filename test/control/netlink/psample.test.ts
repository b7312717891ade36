// psample over the socket: packets of the action to the members of its group's family, with group, cookie, rate and what
// trunc left, as the kernel tells them.
import t from "tap";
import { FLOW_ATTRIBUTES, FLOW_COMMAND } from "../../../src/netlink/flow-messages.ts";
import type { NetlinkMessage } from "../../../src/netlink/message.ts";
import {
  PSAMPLE_ATTRIBUTES,
  PSAMPLE_COMMAND,
  type PsampleAttributes,
} from "../../../src/netlink/psample-messages.ts";
import { packet } from "../../upcall/traffic.ts";
import { FAMILY, flowOf, listenTo, netlinkRig, read, until } from "./rig.ts";

const MATCH = "in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)";
const ALWAYS = 0xffffffff;

function samples(heard: readonly NetlinkMessage[]): PsampleAttributes[] {
  return heard.map((message) => {
    const { command, values } = read(FAMILY.psample, PSAMPLE_ATTRIBUTES, message);
    if (command !== PSAMPLE_COMMAND.sample) throw new Error(`command ${command}`);
    return values;
  });
}

t.test("members of the group get every sample, each as its action has it", async (t) => {
  const { connect, port } = await netlinkRig(t, 2);
  const [one, two, deaf] = [await connect(), await connect(), await connect()];
  const [first, second, none] = [listenTo(one), listenTo(two), listenTo(deaf)];
  for (const client of [one, two]) await client.join(FAMILY.psample.group.id);
  const actions =
    "psample(group=7,cookie=0x0102),set(eth(src=02:00:00:00:00:77)),trunc(20),psample(group=7),psample(group=8),2";
  await one.request(FAMILY.flow, FLOW_COMMAND.new, FLOW_ATTRIBUTES, flowOf(MATCH, actions));
  const frame = packet(1, 2);
  const before = BigInt(Date.now() - 1) * 1_000_000n;
  for (let sent = 0; sent < 2; sent += 1) port("d1").inject(frame);
  await until("the samples", () => first.length === 6 && second.length === 6);
  t.same(samples(first), samples(second), "both members are told the same");
  const told = samples(first);
  t.same(
    told.map(({ group, sequence }) => [group, sequence]),
    [
      [7, 0],
      [7, 1],
      [8, 0],
      [7, 2],
      [7, 3],
      [8, 1],
    ],
    "each group counts for itself",
  );
  const changed = Uint8Array.from(frame);
  changed.set([2, 0, 0, 0, 0, 0x77], 6);
  const common = {
    inPort: 1,
    rate: ALWAYS,
    probability: true,
    protocol: 0x0800,
    originalBytes: frame.length,
  };
  t.match(told[0], { ...common, userCookie: Uint8Array.of(1, 2) });
  t.equal(Buffer.compare(told[0]!.data!, frame), 0, "the packet as it was by then");
  t.match(told[1], { ...common, userCookie: undefined });
  t.equal(Buffer.compare(told[1]!.data!, changed.subarray(0, 20)), 0, "changed, and cut by trunc");
  t.equal(Buffer.compare(told[2]!.data!, changed), 0, "the cut was spent");
  t.ok(
    told.every(({ timestamp }) => timestamp! >= before && timestamp! <= BigInt(Date.now() + 1) * 1_000_000n),
  );
  t.equal(none.length, 0, "who is no member hears nothing");
  await until("the packets", () => port("d2").take().length > 0);
});

t.test("the rate is the probability of the samples around, none behind them", async (t) => {
  const { connect, port } = await netlinkRig(t, 2);
  const client = await connect();
  const heard = listenTo(client);
  await client.join(FAMILY.psample.group.id);
  const inner = "sample(sample=50.0%,actions(psample(group=2)))";
  const actions = `sample(sample=50.0%,actions(psample(group=1),${inner},psample(group=3))),psample(group=4),2`;
  await client.request(FAMILY.flow, FLOW_COMMAND.new, FLOW_ATTRIBUTES, flowOf(MATCH, actions));
  const rates = new Map<number, number>();
  const count = new Map<number, number>();
  await until("a packet of every sample", () => {
    port("d1").inject(packet(1, 2));
    port("d2").take();
    for (const { group, rate } of samples(heard.splice(0))) {
      if (rates.has(group!) && rates.get(group!) !== rate) throw new Error(`group ${group}: rates differ`);
      rates.set(group!, rate!);
      count.set(group!, (count.get(group!) ?? 0) + 1);
    }
    return rates.size === 4 && count.get(4)! > 200;
  });
  const half = rates.get(1)!;
  t.ok(Math.abs(half / ALWAYS - 0.5) < 1e-6, `half of all: ${half}`);
  t.equal(
    rates.get(2),
    Number((BigInt(half) * BigInt(half)) / BigInt(ALWAYS)),
    "a quarter where both have to draw",
  );
  t.equal(rates.get(3), half, "behind the inner one half again");
  t.equal(rates.get(4), ALWAYS, "and all behind the outer one");
  const share = count.get(1)! / count.get(4)!;
  t.ok(share > 0.25 && share < 0.75, `half of the packets came, more or less: ${share}`);
});

t.test("nobody is a member: nothing is sent up for it, and packets go on", async (t) => {
  const { connect, port, running } = await netlinkRig(t, 2);
  const client = await connect();
  const heard = listenTo(client);
  await client.join(FAMILY.psample.group.id);
  await client.request(FAMILY.flow, FLOW_COMMAND.new, FLOW_ATTRIBUTES, flowOf(MATCH, "psample(group=1),2"));
  port("d1").inject(packet(1, 2));
  await until("the sample", () => heard.length === 1);
  client.close();
  const unheard = async (): Promise<number> => {
    const { pids } = await running.handler.ask("stats", {});
    return pids.reduce((sum, counts) => sum + counts.unheard, 0);
  };
  let sent = 1;
  while ((await unheard()) === 0) {
    port("d1").inject(packet(1, 2));
    sent += 1;
    await new Promise(setImmediate);
  }
  let left = 0;
  await until("all packets", () => {
    left += port("d2").take().length;
    return left === sent;
  });
  t.equal(running.ports.byNumber(1) === undefined, false);
});
