// ovs_flow over the socket: what the kernel answers to NEW, SET, GET, DEL and dumps.
import t from "tap";
import { printActions } from "../../../src/action/odp/print-actions.ts";
import type { NetlinkClient } from "../../../src/netlink/client.ts";
import {
  FLOW_ATTRIBUTES,
  FLOW_COMMAND,
  type FlowAttributes,
  UFID_OMIT,
} from "../../../src/netlink/flow-messages.ts";
import { NLM_F } from "../../../src/netlink/message.ts";
import { packet } from "../../upcall/traffic.ts";
import { FAMILY, flowOf, listenTo, netlinkRig, read, until } from "./rig.ts";

const IPV4 = (proto: number): string =>
  `in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(proto=${proto},frag=no)`;
const UFID = "ufid:00112233-4455-4677-8899-aabbccddeeff";

const ask = (client: NetlinkClient, command: number, values: FlowAttributes, flags = 0) =>
  client.request(FAMILY.flow, command, FLOW_ATTRIBUTES, values, { flags });

const dump = async (client: NetlinkClient, ufidFlags?: number): Promise<FlowAttributes[]> =>
  (await ask(client, FLOW_COMMAND.get, { ufidFlags }, NLM_F.dump)).map(
    (message) => read(FAMILY.flow, FLOW_ATTRIBUTES, message).values,
  );

const shown = (flow: FlowAttributes | undefined): string => printActions(flow?.actions ?? new Uint8Array(0));

t.test(
  "NEW makes, CREATE refuses what is there, and without it this flow's actions are replaced",
  async (t) => {
    const { connect } = await netlinkRig(t, 2);
    const client = await connect();
    await ask(client, FLOW_COMMAND.new, flowOf(IPV4(17), "2"), NLM_F.create);
    await t.rejects(ask(client, FLOW_COMMAND.new, flowOf(IPV4(17), "1"), NLM_F.create), {
      errno: "EEXIST",
      message: /^in the way: ufid:.*, recirc_id\(0\),in_port\(1\),.*proto=17/,
    });
    t.same((await dump(client)).map(shown), ["2"], "a refused NEW changes nothing");
    const [echoed] = await ask(client, FLOW_COMMAND.new, flowOf(IPV4(17), "1"), NLM_F.echo);
    t.match(read(FAMILY.flow, FLOW_ATTRIBUTES, echoed), { command: FLOW_COMMAND.new });
    t.same((await dump(client)).map(shown), ["1"]);
    await t.rejects(ask(client, FLOW_COMMAND.new, flowOf(`${UFID},${IPV4(17)}`, "2")), {
      name: "NetlinkError",
      errno: "ENOENT",
    });
    await ask(client, FLOW_COMMAND.new, flowOf(`${UFID},${IPV4(6)}`, ""));
    await t.rejects(ask(client, FLOW_COMMAND.new, flowOf(`${UFID},${IPV4(1)}`, "2")), {
      name: "NetlinkError",
      errno: "ENOENT",
    });
    t.same((await dump(client)).map(shown).sort(), ["1", "drop"]);
  },
);

t.test("SET changes actions, or nothing but the statistics, of a flow that is there", async (t) => {
  const { connect, port, running } = await netlinkRig(t, 2);
  const client = await connect();
  await t.rejects(ask(client, FLOW_COMMAND.set, flowOf(IPV4(17), "2")), {
    name: "NetlinkError",
    errno: "ENOENT",
  });
  await ask(client, FLOW_COMMAND.new, flowOf(`${UFID},${IPV4(17)}`, "2"), NLM_F.create);
  port("d1").inject(packet(1, 2));
  const isCounted = async (): Promise<boolean> => (await dump(client))[0]?.stats?.packets === 1n;
  for (let tries = 0; !(await isCounted()) && tries < 10_000; tries += 1);
  const [counted] = await dump(client);
  t.match(counted, { stats: { packets: 1n, bytes: BigInt(packet(1, 2).length) }, tcpFlags: undefined });
  t.ok(counted!.used! > 0n && Number(counted!.used) <= running.clock.millis() + 1);
  await ask(client, FLOW_COMMAND.set, { ...flowOf(`${UFID},${IPV4(17)}`, "") });
  t.match(await dump(client), [{ stats: { packets: 1n } }], "statistics stay");
  t.same((await dump(client)).map(shown), ["drop"], "no actions drop");
  await ask(client, FLOW_COMMAND.set, { ...flowOf(`${UFID},${IPV4(17)}`), clear: true });
  const [cleared] = await dump(client);
  t.same([cleared!.stats, cleared!.used, shown(cleared)], [undefined, undefined, "drop"]);
});

t.test("GET and DEL by ufid or by key; DEL without either flushes", async (t) => {
  const { connect, running } = await netlinkRig(t, 2);
  const client = await connect();
  await ask(client, FLOW_COMMAND.new, flowOf(IPV4(17), "2"), NLM_F.create);
  await ask(client, FLOW_COMMAND.new, flowOf(`${UFID},${IPV4(6)}`, "1"), NLM_F.create);
  const get = async (values: FlowAttributes) => {
    const [answer] = await ask(client, FLOW_COMMAND.get, values);
    return read(FAMILY.flow, FLOW_ATTRIBUTES, answer).values;
  };
  const { ufid } = flowOf(`${UFID},${IPV4(6)}`);
  t.equal(shown(await get({ ufid })), "1");
  t.equal(shown(await get(flowOf(IPV4(17)))), "2");
  const bare = await get({ ufid, ufidFlags: UFID_OMIT.key | UFID_OMIT.mask | UFID_OMIT.actions });
  t.same([bare.key, bare.mask, bare.actions, bare.ufid], [undefined, undefined, undefined, ufid]);
  t.match((await dump(client, UFID_OMIT.key | UFID_OMIT.mask))[0], { key: undefined, mask: undefined });
  await t.rejects(get(flowOf(IPV4(1))), { name: "NetlinkError", errno: "ENOENT" });
  const [gone] = await ask(client, FLOW_COMMAND.del, { ufid }, NLM_F.echo);
  t.equal(shown(read(FAMILY.flow, FLOW_ATTRIBUTES, gone).values), "1");
  await t.rejects(ask(client, FLOW_COMMAND.del, { ufid }), { name: "NetlinkError", errno: "ENOENT" });
  await ask(client, FLOW_COMMAND.del, {});
  t.equal(running.flows.flowCount, 0);
});

t.test(
  "what is refused names attribute, place, rule and what would be accepted; probes leave no trace",
  async (t) => {
    const { connect, logged } = await netlinkRig(t, 1);
    const client = await connect();
    const wrong = flowOf(IPV4(17), "trunc(14)");
    wrong.actions![4] = 3;
    const refusal = {
      errno: "EINVAL",
      message: /^actions\[0\]\.trunc \(byte 0\): length 3; accepted: 14 or more/,
    };
    await t.rejects(ask(client, FLOW_COMMAND.new, { ...wrong, probe: true }), refusal);
    t.same(logged, [], "a probe is not logged");
    await t.rejects(ask(client, FLOW_COMMAND.new, wrong), refusal);
    t.match(logged, [/actions\[0\]\.trunc/]);
    await t.rejects(ask(client, FLOW_COMMAND.new, { ...flowOf(IPV4(17), "1"), key: undefined }), {
      errno: "EINVAL",
      message: /key is missing/,
    });
    await t.rejects(ask(client, FLOW_COMMAND.new, flowOf(IPV4(17))), { message: /actions are missing/ });
    await t.rejects(ask(client, FLOW_COMMAND.new, { ...flowOf(IPV4(17), "1"), ufid: new Uint8Array(3) }), {
      message: /a ufid of 3 bytes; accepted: 16 bytes/,
    });
    const twice = flowOf(IPV4(17), "1");
    const doubled = { ...twice, key: Buffer.concat([twice.key!, twice.key!]) };
    const found = await ask(client, FLOW_COMMAND.new, doubled).catch((error: unknown) => error);
    t.match(found, { errno: "EINVAL", message: /is there twice; accepted: each attribute once/ });
    const { byteOffset } = found as { byteOffset: number };
    t.ok(byteOffset >= 28 + twice.key!.length, "the place is in the message, behind the first key");
    await t.rejects(ask(client, FLOW_COMMAND.new, flowOf(IPV4(17), "1"), NLM_F.dump), {
      name: "NetlinkError",
      errno: "EOPNOTSUPP",
    });
    await t.rejects(ask(client, 9, {}), { errno: "EOPNOTSUPP", message: /no command 9/ });
  },
);

t.test("notices tell members of every change, whoever made it", async (t) => {
  const { connect, port, running } = await netlinkRig(t, 2);
  const member = await connect();
  const other = await connect();
  const heard = listenTo(member);
  await member.join(FAMILY.flow.group.id);
  await ask(other, FLOW_COMMAND.new, flowOf(`${UFID},${IPV4(6)}`, "1"), NLM_F.create);
  await ask(other, FLOW_COMMAND.set, flowOf(`${UFID},${IPV4(6)}`, "2"));
  await ask(other, FLOW_COMMAND.del, { ufid: flowOf(`${UFID},${IPV4(6)}`).ufid });
  port("d1").inject(packet(1, 2));
  await until("four notices", () => heard.length >= 4);
  const { new: added, set, del } = FLOW_COMMAND;
  const told = heard.map((message) => read(FAMILY.flow, FLOW_ATTRIBUTES, message));
  t.same(
    told.map(({ command, values }) => `${command} ${shown(values)}`),
    [`${added} 1`, `${set} 2`, `${del} 2`, `${added} 2`],
    "the last one is the learned flow, which floods to the other port",
  );
  t.equal(running.flows.flowCount, 1);
});

t.test("a dump while flows come and go shows none twice and misses none that stays", async (t) => {
  const { connect } = await netlinkRig(t, 1);
  const client = await connect();
  const changer = await connect();
  const stay = 500;
  const flow = (index: number, actions?: string) =>
    flowOf(
      `in_port(1),eth(src=02:00:00:00:${(index >> 8).toString(16)}:${(index & 255).toString(16)}),eth_type(0x0800)`,
      actions,
    );
  for (let index = 0; index < stay; index += 1)
    await ask(client, FLOW_COMMAND.new, flow(index, "1"), NLM_F.create);
  let isDone = false;
  const changing = (async () => {
    for (let index = stay; !isDone; index = index === 2 * stay ? stay : index + 1) {
      await ask(changer, FLOW_COMMAND.new, flow(index, "1"));
      await ask(changer, FLOW_COMMAND.del, flow(index));
    }
  })();
  for (let round = 0; round < 10; round += 1) {
    const ufids = (await dump(client)).map(({ ufid }) => Buffer.from(ufid!).toString("hex"));
    t.equal(new Set(ufids).size, ufids.length, "none twice");
    t.ok(ufids.length >= stay, "all that stay");
  }
  isDone = true;
  await changing;
});
