// Packets over the socket: misses and actions on their way up, EXECUTE on its way down, and readers that do not read.
import { connect as connectSocket } from "node:net";
import fc from "fast-check";
import t from "tap";
import { parseActions } from "../../../src/action/odp/parse-actions.ts";
import { printActions } from "../../../src/action/odp/print-actions.ts";
import { readTotals } from "../../../src/datapath/counters.ts";
import { KeyExtractor } from "../../../src/flow/extract-key.ts";
import { keysEqual } from "../../../src/flow/key.ts";
import { attributesFromPacketKey, parsePacketKey } from "../../../src/flow/odp/match.ts";
import { keyFromAttributes } from "../../../src/flow/odp/to-key.ts";
import type { NetlinkClient } from "../../../src/netlink/client.ts";
import { FLOW_ATTRIBUTES, FLOW_COMMAND } from "../../../src/netlink/flow-messages.ts";
import { encodeMessage, NLM_F } from "../../../src/netlink/message.ts";
import {
  PACKET_ATTRIBUTES,
  PACKET_COMMAND,
  type PacketAttributes,
} from "../../../src/netlink/packet-messages.ts";
import { VPORT_ATTRIBUTES, VPORT_COMMAND } from "../../../src/netlink/vport-messages.ts";
import { runs } from "../../support/seed.ts";
import { packet } from "../../upcall/traffic.ts";
import { FAMILY, flowOf, listenTo, netlinkRig, read, until } from "./rig.ts";

const execute = (client: NetlinkClient, bytes: Uint8Array, key: string, actions: string) =>
  client.request(FAMILY.packet, PACKET_COMMAND.execute, PACKET_ATTRIBUTES, {
    packet: bytes,
    key: attributesFromPacketKey(parsePacketKey(key)),
    actions: parseActions(actions),
  });

const setPids = (client: NetlinkClient, portNo: number, upcallPids: readonly number[]) =>
  client.request(FAMILY.vport, VPORT_COMMAND.set, VPORT_ATTRIBUTES, { portNo, upcallPids });

t.test("a program takes a port's misses, forwards by EXECUTE, and installs the flow", async (t) => {
  const { connect, port, running } = await netlinkRig(t, 2);
  const client = await connect();
  const heard = listenTo(client);
  const pid = await client.bind();
  await setPids(client, 1, [pid]);
  const frame = packet(1, 2);
  port("d1").inject(frame);
  await until("the miss", () => heard.length === 1);
  const { command, values } = read(FAMILY.packet, PACKET_ATTRIBUTES, heard[0]);
  t.equal(command, PACKET_COMMAND.miss);
  t.equal(Buffer.compare(values.packet!, frame), 0);
  const key = keyFromAttributes(values.key!);
  t.equal(key.fit, "perfect");
  t.ok(keysEqual(key.key, new KeyExtractor(1).extract(frame, 1)), "the key is the packet's");
  t.ok(values.hash! > 0xffffffffn, "a hash with its flags");
  t.same([values.actions, values.userdata, values.length], [undefined, undefined, undefined]);

  const down: PacketAttributes = { packet: values.packet, key: values.key, actions: parseActions("2") };
  await client.request(FAMILY.packet, PACKET_COMMAND.execute, PACKET_ATTRIBUTES, down);
  const sent: Uint8Array[] = [];
  const isSent = (count: number) => () => sent.push(...port("d2").take()) > 0 && sent.length >= count;
  await until("the packet", isSent(1));
  t.equal(Buffer.compare(sent[0]!, frame), 0);
  const flow = { key: values.key, actions: parseActions("2") };
  await client.request(FAMILY.flow, FLOW_COMMAND.new, FLOW_ATTRIBUTES, flow, { flags: NLM_F.create });
  port("d1").inject(frame);
  await until("the second packet", isSent(2));
  t.equal(heard.length, 1, "no second miss");
  client.close();
  await until("the policy to decide again", () => {
    port("d1").inject(packet(7, 8));
    return running.flows.flowCount === 2;
  });
});

t.test("an action's upcall carries userdata, actions, and the length before trunc", async (t) => {
  const { connect, port } = await netlinkRig(t, 2);
  const client = await connect();
  const heard = listenTo(client);
  t.equal(await client.bind(4711), 4711);
  const actions = "trunc(20),userspace(pid=4711,userdata(0102030405060708),actions),2";
  const flow = flowOf("in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)", actions);
  await client.request(FAMILY.flow, FLOW_COMMAND.new, FLOW_ATTRIBUTES, flow);
  port("d1").inject(packet(1, 2));
  await until("the upcall", () => heard.length === 1);
  const { command, values } = read(FAMILY.packet, PACKET_ATTRIBUTES, heard[0]);
  t.equal(command, PACKET_COMMAND.action);
  t.same([...values.userdata!], [1, 2, 3, 4, 5, 6, 7, 8]);
  t.equal(printActions(values.actions!), actions);
  t.same([values.packet!.length, values.length], [20, packet(1, 2).length]);
  await until("the output", () => port("d2").take().length === 1);
});

t.test("EXECUTE goes by the key's metadata and by the packet's own headers", async (t) => {
  const { connect, port, running } = await netlinkRig(t, 2);
  const client = await connect();
  const heard = listenTo(client);
  await client.bind(5);
  // The key says ARP, the packet is IPv4: its headers are parsed again, so the set is carried out.
  const lying = "skb_mark(0x77),in_port(2),eth(src=02:00:00:00:00:09,dst=02:00:00:00:00:08),eth_type(0x0806)";
  await execute(client, packet(1, 2), lying, "set(ipv4(ttl=7)),userspace(pid=5),1");
  const sent: Uint8Array[] = [];
  await until("the packet", () => sent.push(...port("d1").take()) > 0);
  t.equal(sent[0]![22], 7, "the TTL was set");
  await until("the upcall", () => heard.length === 1);
  const { key } = keyFromAttributes(read(FAMILY.packet, PACKET_ATTRIBUTES, heard[0]).values.key!);
  const wanted = new KeyExtractor(1).extractUnder(packet(1, 2), parsePacketKey("skb_mark(0x77),in_port(2)"));
  wanted.set(
    parsePacketKey("in_port(2),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02)").subarray(8, 12),
    8,
  );
  t.ok(keysEqual(key, wanted), "mark and port of the key, headers of the packet as it came");

  await execute(client, packet(1, 2), "in_port(1),eth()", "drop");
  await t.rejects(execute(client, packet(1, 2), "in_port(1),eth()", "ct(commit)"), {
    errno: "EINVAL",
    message: /ct is not supported yet/,
  });
  const short = { packet: new Uint8Array(13), key: new Uint8Array(0), actions: new Uint8Array(0) };
  await t.rejects(client.request(FAMILY.packet, PACKET_COMMAND.execute, PACKET_ATTRIBUTES, short), {
    message: /packet \(byte 24\): 13 bytes; accepted: 14 to/,
  });
  const { counters, drops } = readTotals(running.arena);
  const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0);
  t.equal(
    counters.received + counters.copied + counters.reinjected + counters.originated,
    counters.transmitted + counters.consumed + dropped,
    "the books balance",
  );
});

t.test("a reader that does not read loses upcalls, is told how many, and holds nobody up", async (t) => {
  const { connect, port, running } = await netlinkRig(t, 3);
  const slow = await connect();
  const heard = listenTo(slow);
  const overruns: number[] = [];
  slow.on("overrun", (count) => overruns.push(count));
  await slow.bind(9);
  for (const portNo of [1, 2]) {
    const flow = flowOf(
      `in_port(${portNo}),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)`,
      "userspace(pid=9),3",
    );
    await slow.request(FAMILY.flow, FLOW_COMMAND.new, FLOW_ATTRIBUTES, flow);
  }
  slow.pause();
  let taken = 0;
  for (let sent = 0; sent < 3000; ) {
    for (let burst = 0; burst < 50; burst += 1, sent += 1) port("d1").inject(packet(1, 2, 1400));
    await until("the burst to leave", () => {
      taken += port("d3").take().length;
      return taken >= sent;
    });
  }
  t.equal(taken, 3000, "every packet was forwarded");
  port("d2").inject(packet(3, 4));
  await until("the quiet port's packet", () => port("d3").take().length > 0);
  const lost = async (): Promise<number> =>
    (await running.handler.ask("stats", {})).pids.find(({ pid }) => pid === 9)!.lost;
  t.ok((await lost()) > 500, "the queue is bounded");
  slow.resume();
  const isQuiet = ({ values }: { values: PacketAttributes }): boolean => values.packet!.length < 1000;
  await until("the quiet port's upcall", () =>
    heard.some((message) => isQuiet(read(FAMILY.packet, PACKET_ATTRIBUTES, message))),
  );
  const delivered = heard.length;
  port("d2").inject(packet(3, 4));
  await until("the next one", () => heard.length > delivered);
  t.equal(
    overruns.reduce((sum, count) => sum + count, 0),
    await lost(),
    "each loss was told",
  );
  const [answer] = await slow.request(FAMILY.vport, VPORT_COMMAND.get, VPORT_ATTRIBUTES, { portNo: 1 });
  const { success, fail } = read(FAMILY.vport, VPORT_ATTRIBUTES, answer).values.upcallStats!;
  t.equal(Number(success! + fail!), 3000, "the port tells what became of its upcalls");
  t.equal(heard.length, Number(success!) + 2);
});

t.test("whatever is sent there, the socket goes on", async (t) => {
  const { connect, path } = await netlinkRig(t, 1);
  const families = fc.constantFrom(...Object.values(FAMILY).map(({ id }) => id), 0, 3, 99);
  const messages = fc.array(
    fc.tuple(families, fc.integer({ min: 0, max: 0xffff }), fc.uint8Array({ maxLength: 120 })),
    { maxLength: 12 },
  );
  const streams = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    messages.map((rows) =>
      Buffer.concat(
        rows.map(([type, flags, payload]) =>
          encodeMessage(
            { type, flags, sequence: 1, pid: 0 },
            Uint8Array.from([payload[0]! & 7, 1, 0, 0, 1, 0, 0, 0, ...payload]),
          ),
        ),
      ),
    ),
  );
  await fc.assert(
    fc.asyncProperty(streams, async (stream) => {
      const socket = connectSocket(path);
      socket.on("error", () => undefined);
      socket.resume();
      const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
      socket.end(stream);
      await closed;
    }),
    runs(150),
  );
  const client = await connect();
  const ports = await client.request(
    FAMILY.vport,
    VPORT_COMMAND.get,
    VPORT_ATTRIBUTES,
    {},
    { flags: NLM_F.dump },
  );
  t.equal(ports.length <= 1, true, "a message of chance may have removed the port, nothing else");
});
