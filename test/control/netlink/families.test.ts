// The families beside flows and packets: names, pids and groups, ports, the datapath.
import { statSync } from "node:fs";
import t from "tap";
import { nativeUnavailable } from "../../../src/native.ts";
import type { NetlinkClient } from "../../../src/netlink/client.ts";
import {
  DATAPATH_ATTRIBUTES,
  DATAPATH_COMMAND,
  type DatapathAttributes,
  USER_FEATURE,
} from "../../../src/netlink/datapath-messages.ts";
import {
  CTRL_ATTRIBUTES,
  CTRL_COMMAND,
  SOCKET_ATTRIBUTES,
  SOCKET_COMMAND,
} from "../../../src/netlink/families.ts";
import { NLM_F } from "../../../src/netlink/message.ts";
import {
  VPORT_ATTRIBUTES,
  VPORT_COMMAND,
  VPORT_TYPE,
  type VportAttributes,
} from "../../../src/netlink/vport-messages.ts";
import { packet } from "../../upcall/traffic.ts";
import { FAMILY, listenTo, netlinkRig, read, until } from "./rig.ts";

const askPort = (client: NetlinkClient, command: number, values: VportAttributes, flags = 0) =>
  client.request(FAMILY.vport, command, VPORT_ATTRIBUTES, values, { flags });
const askDatapath = (client: NetlinkClient, command: number, values: DatapathAttributes, flags = 0) =>
  client.request(FAMILY.datapath, command, DATAPATH_ATTRIBUTES, values, { flags });
const mayNotMakeTaps = nativeUnavailable() ?? (process.getuid?.() !== 0 && "taps need root");
const refusedAs = (errno: string, message = /./) => ({ name: "NetlinkError", errno, message });

t.test("nlctrl tells families and groups by name", async (t) => {
  const { connect, path } = await netlinkRig(t, 0);
  t.equal(statSync(path).mode & 0o777, 0o600, "the socket is its owner's alone");
  const client = await connect();
  const ask = async (familyName: string) => {
    const answers = await client.request(FAMILY.control, CTRL_COMMAND.getFamily, CTRL_ATTRIBUTES, {
      familyName,
    });
    return read(FAMILY.control, CTRL_ATTRIBUTES, answers[0]).values;
  };
  t.match(await ask("ovs_flow"), {
    familyId: FAMILY.flow.id,
    version: 1,
    headerBytes: 4,
    attributeMax: 11,
    groups: [{ name: "ovs_flow", id: FAMILY.flow.group.id }],
  });
  t.match(await ask("ovs_packet"), { familyId: FAMILY.packet.id, groups: undefined });
  await t.rejects(ask("ovs_ct_limit"), refusedAs("ENOENT", /there are nlctrl, ovs_datapath/));
  const all = await client.request(
    FAMILY.control,
    CTRL_COMMAND.getFamily,
    CTRL_ATTRIBUTES,
    {},
    { flags: NLM_F.dump },
  );
  t.equal(all.length, Object.keys(FAMILY).length);
  const nobody = { ...FAMILY.flow, id: 99 };
  await t.rejects(client.request(nobody, 1, {}, {}), refusedAs("ENOENT", /no family 99/));
  await t.rejects(
    client.request(FAMILY.vport, VPORT_COMMAND.get, VPORT_ATTRIBUTES, { portNo: 1 }, { dpIfindex: 8 }),
    refusedAs("ENODEV", /no datapath 8; accepted: 1/),
  );
});

t.test("pids are bound once, groups joined by number, both left", async (t) => {
  const { connect } = await netlinkRig(t, 0);
  const [one, two] = [await connect(), await connect()];
  const chosen = await one.bind();
  t.ok(chosen >= 0x80000000);
  await one.bind(7);
  await t.rejects(two.bind(7), refusedAs("EADDRINUSE", /pid 7 is bound already/));
  const ask = (client: NetlinkClient, command: number, values: object) =>
    client.request(FAMILY.socket, command, SOCKET_ATTRIBUTES, values);
  await t.rejects(ask(two, SOCKET_COMMAND.unbind, { pid: 7 }), refusedAs("ENOENT"));
  await ask(one, SOCKET_COMMAND.unbind, { pid: 7 });
  t.equal(await two.bind(7), 7);
  two.close();
  let isFree = false;
  const tryBind = (): void => {
    one.bind(7).then(
      () => {
        isFree = true;
      },
      () => setImmediate(tryBind),
    );
  };
  tryBind();
  await until("the pid to be free again", () => isFree);
  await t.rejects(one.join(77), refusedAs("ENOENT", /no multicast group 77/));
  await one.join(FAMILY.vport.group.id);
  await ask(one, SOCKET_COMMAND.leave, { group: FAMILY.vport.group.id });
  await t.rejects(ask(one, SOCKET_COMMAND.leave, { group: FAMILY.vport.group.id }), refusedAs("ENOENT"));
  const [stats] = await ask(one, SOCKET_COMMAND.stats, {});
  t.equal(read(FAMILY.socket, SOCKET_ATTRIBUTES, stats).values.lost, 0);
  for (let pid = 100; pid < 162; pid += 1) await one.bind(pid);
  await t.rejects(one.bind(162), refusedAs("ENOBUFS", /64 pids/));
});

t.test("ports are told with their statistics, made, changed and removed", async (t) => {
  const { connect, port, running } = await netlinkRig(t, 2);
  const client = await connect();
  const heard = listenTo(client);
  await client.join(FAMILY.vport.group.id);
  port("d1").inject(packet(1, 2));
  await until("the packet", () => port("d2").take().length === 1);
  const get = async (values: VportAttributes) =>
    read(FAMILY.vport, VPORT_ATTRIBUTES, (await askPort(client, VPORT_COMMAND.get, values))[0]).values;
  const bytes = BigInt(packet(1, 2).length);
  t.match(await get({ name: "d1" }), {
    portNo: 1,
    type: VPORT_TYPE.netdev,
    upcallPids: [0],
    stats: { rxPackets: 1n, rxBytes: bytes, txPackets: 0n },
    upcallStats: { success: 1n, fail: 0n },
  });
  t.match(await get({ portNo: 2 }), { name: "d2", stats: { txPackets: 1n, txBytes: bytes } });
  t.equal((await askPort(client, VPORT_COMMAND.get, {}, NLM_F.dump)).length, 2);
  await t.rejects(get({ name: "no" }), refusedAs("ENODEV"));
  await t.rejects(get({}), refusedAs("EINVAL", /no port is named/));

  const pid = await client.bind();
  await askPort(client, VPORT_COMMAND.set, { name: "d1", upcallPids: [pid, 0] });
  t.same((await get({ portNo: 1 })).upcallPids, [pid, 0]);
  const { internal, vxlan } = VPORT_TYPE;
  await t.rejects(
    askPort(client, VPORT_COMMAND.set, { portNo: 1, type: internal }),
    refusedAs("EINVAL", /of type 1/),
  );
  await t.rejects(
    askPort(client, VPORT_COMMAND.set, { portNo: 1, options: {} }),
    refusedAs("EOPNOTSUPP", /d1: its options change by removing and adding it/),
  );

  const wanted = { name: "nl-none", type: VPORT_TYPE.netdev, upcallPids: [0] };
  await t.rejects(
    askPort(client, VPORT_COMMAND.new, { name: "x", type: 1 }),
    refusedAs("EINVAL", /upcallPids is missing/),
  );
  await t.rejects(
    askPort(client, VPORT_COMMAND.new, { ...wanted, type: 105 }),
    refusedAs("EAFNOSUPPORT", /type 105/),
  );
  await t.rejects(askPort(client, VPORT_COMMAND.new, { ...wanted, name: "d1" }), refusedAs("EEXIST"));
  await t.rejects(askPort(client, VPORT_COMMAND.new, { ...wanted, portNo: 2 }), refusedAs("EBUSY"));
  await t.rejects(askPort(client, VPORT_COMMAND.new, { ...wanted, portNo: 65535 }), refusedAs("EFBIG"));
  await t.rejects(
    askPort(client, VPORT_COMMAND.new, wanted),
    refusedAs("EINVAL"),
    "there is no such interface",
  );
  await t.rejects(
    askPort(client, VPORT_COMMAND.new, { ...wanted, type: vxlan, name: "" }),
    refusedAs("EINVAL"),
  );

  await running.ports.add({ name: "d3", type: "dummy" });
  const [gone] = await askPort(client, VPORT_COMMAND.del, { name: "d3" }, NLM_F.echo);
  t.match(read(FAMILY.vport, VPORT_ATTRIBUTES, gone), { command: VPORT_COMMAND.del, values: { name: "d3" } });
  const told = heard.map((message) => read(FAMILY.vport, VPORT_ATTRIBUTES, message));
  t.same(
    told.map(({ command, values }) => `${command} ${values.name}`),
    [`${VPORT_COMMAND.new} d3`, `${VPORT_COMMAND.del} d3`],
  );
});

t.test("tunnels are made, told and changed with their options", async (t) => {
  const { connect, running } = await netlinkRig(t, 1);
  const client = await connect();
  const heard = listenTo(client);
  await client.join(FAMILY.vport.group.id);
  const get = async (name: string) =>
    read(FAMILY.vport, VPORT_ATTRIBUTES, (await askPort(client, VPORT_COMMAND.get, { name }))[0]).values;
  const { vxlan, gre } = VPORT_TYPE;
  const wanted = { name: "vx", type: vxlan, portNo: 9, upcallPids: [0], options: { dstPort: 4790 } };
  await askPort(client, VPORT_COMMAND.new, wanted);
  t.match(await get("vx"), wanted);
  await askPort(client, VPORT_COMMAND.new, { name: "gre", type: gre, upcallPids: [0] });
  t.equal((await get("gre")).options, undefined, "without UDP there is no port to tell");
  const before = heard.length;
  const set = (options: VportAttributes["options"], flags = 0) =>
    askPort(client, VPORT_COMMAND.set, { name: "vx", options }, flags);
  const [echoed] = await set({ dstPort: 4791 }, NLM_F.echo);
  const changed = { name: "vx", type: vxlan, portNo: 9, options: { dstPort: 4791 } };
  t.match(read(FAMILY.vport, VPORT_ATTRIBUTES, echoed), { command: VPORT_COMMAND.set, values: changed });
  await set({ extension: { gbp: true } });
  t.same((await get("vx")).options, { dstPort: 4791, extension: { gbp: true } }, "what is not said stays");
  t.equal(running.tunnels.state().listeners.find(({ portNo }) => portNo === 9)!.dstPort, 4791);
  await t.rejects(
    set({ dstPort: 0 }),
    refusedAs("EINVAL", /option dst_port of a vxlan port: "0"; accepted: 1 to 65535/),
  );
  await t.rejects(set({ extension: { gbp: true, gpe: true } }), refusedAs("EINVAL", /accepted: gbp or gpe/));
  t.same((await get("vx")).options, { dstPort: 4791, extension: { gbp: true } }, "a refusal changes nothing");
  await set({ extension: {} });
  t.same((await get("vx")).options, { dstPort: 4791 });
  await until("the notices", () => heard.length === before + 3);
});

t.test("taps are netdevs, internal ports internal", { skip: mayNotMakeTaps }, async (t) => {
  const { connect, running } = await netlinkRig(t, 0);
  const client = await connect();
  for (const type of ["tap", "internal"] as const) {
    const name = `mr${type[0]}${process.pid % 100_000}`;
    await running.ports.add({ name, type });
    const [answer] = await askPort(client, VPORT_COMMAND.get, { name });
    const wanted = type === "tap" ? VPORT_TYPE.netdev : VPORT_TYPE.internal;
    t.equal(read(FAMILY.vport, VPORT_ATTRIBUTES, answer).values.type, wanted, type);
  }
});

t.test("the datapath tells its counts and takes features and pids of workers", async (t) => {
  const { connect, port } = await netlinkRig(t, 2);
  const client = await connect();
  const heard = listenTo(client);
  await client.join(FAMILY.datapath.group.id);
  port("d1").inject(packet(1, 2));
  await until("the packet", () => port("d2").take().length === 1);
  const get = async () =>
    read(FAMILY.datapath, DATAPATH_ATTRIBUTES, (await askDatapath(client, DATAPATH_COMMAND.get, {}))[0])
      .values;
  t.match(await get(), {
    name: "millrace",
    stats: { missed: 1n, lost: 0n, flows: 1n },
    megaflowStats: { masks: 1n },
    userFeatures: 0,
  });
  await t.rejects(askDatapath(client, DATAPATH_COMMAND.get, { name: "other" }), refusedAs("ENODEV"));
  await t.rejects(askDatapath(client, DATAPATH_COMMAND.new, { name: "millrace" }), refusedAs("EEXIST"));
  await t.rejects(askDatapath(client, DATAPATH_COMMAND.new, { name: "two" }), refusedAs("EOPNOTSUPP"));
  await t.rejects(askDatapath(client, DATAPATH_COMMAND.del, {}), refusedAs("EOPNOTSUPP"));
  await t.rejects(
    askDatapath(client, DATAPATH_COMMAND.set, { userFeatures: 32 }),
    refusedAs("EOPNOTSUPP", /features 0x20; accepted: bits of 0xf/),
  );
  const pid = await client.bind();
  const wanted = { userFeatures: USER_FEATURE.upcallPerCpu, perCpuPids: [pid] };
  await askDatapath(client, DATAPATH_COMMAND.set, wanted);
  t.match(await get(), wanted);
  await until("the notice", () => heard.length === 1);
  t.match(read(FAMILY.datapath, DATAPATH_ATTRIBUTES, heard[0]), {
    command: DATAPATH_COMMAND.set,
    values: wanted,
  });
  port("d2").inject(packet(5, 6));
  await until("the miss of the worker", () => heard.length === 2);
  t.equal(heard[1]!.type, FAMILY.packet.id);
  const other = await connect();
  client.close();
  const features = async (): Promise<number> => {
    const [answer] = await askDatapath(other, DATAPATH_COMMAND.get, {});
    return read(FAMILY.datapath, DATAPATH_ATTRIBUTES, answer).values.userFeatures!;
  };
  while ((await features()) !== 0);
  t.pass("what a program set goes with it");
});
