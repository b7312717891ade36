// userspace(tunnel_out_port=N): the tunnel key of an upcall on the netlink socket is the one that the packet leaves under,
// compared with the outer headers of the packet that does leave.
import t, { type Test } from "tap";
import { parseActions } from "../../../src/action/odp/parse-actions.ts";
import { NlWriter } from "../../../src/flow/nlattr.ts";
import { KEY_ATTR } from "../../../src/flow/odp/attributes.ts";
import { formatFlow } from "../../../src/flow/odp/format-key.ts";
import type { NetlinkClient } from "../../../src/netlink/client.ts";
import { FLOW_ATTRIBUTES, FLOW_COMMAND } from "../../../src/netlink/flow-messages.ts";
import { PACKET_ATTRIBUTES } from "../../../src/netlink/packet-messages.ts";
import { buildFrame } from "../../../src/packet/builder.ts";
import { ethernet } from "../../../src/packet/builder-link.ts";
import { ipv4 } from "../../../src/packet/builder-network.ts";
import { udp } from "../../../src/packet/builder-transport.ts";
import type { PortType } from "../../../src/port/port.ts";
import { formatIp, parseIp, parsePrefix } from "../../../src/tunnel/ip.ts";
import { FAMILY, flowOf, listenTo, type NetlinkRig, netlinkRig, read, until } from "./rig.ts";

const PID = 9;
const UNDERLAY = "d2";
const PEERS = ["10.0.0.2", "2001:db8::2"];
/** DSCP 10 and ECT(0). */
const INNER_TOS = 0x2a;
const INNER_TTL = 33;
const FRAME = buildFrame(
  [
    ethernet({ src: "02:00:00:00:00:01", dst: "02:00:00:00:00:02" }),
    ipv4({ src: "10.9.0.1", dst: "10.9.0.2", tos: INNER_TOS, ttl: INNER_TTL }),
    udp({ src: 1000, dst: 53 }),
  ],
  new Uint8Array(20),
);

interface Case {
  readonly name: string;
  readonly type: PortType;
  readonly options: Record<string, string | number>;
  readonly set?: string;
  /** The key as text, `SRC` being the source port of the packet that left. */
  readonly wanted: string;
}

const CASES: readonly Case[] = [
  {
    name: "VXLAN, flow-based: address by route, ports as sent",
    type: "vxlan",
    options: {},
    set: "set(tunnel(tun_id=0x4d,dst=10.0.0.2,ttl=64,tp_dst=4789,flags(df|key)))",
    wanted: "tunnel(tun_id=0x4d,src=10.0.0.1,dst=10.0.0.2,ttl=64,tp_src=SRC,tp_dst=4789,flags(df|key))",
  },
  {
    name: "Geneve with options and a traffic class, on a port of its own",
    type: "geneve",
    options: { dst_port: 6099 },
    set: "set(tunnel(tun_id=0x1,dst=10.0.0.2,tos=0xb8,ttl=9,geneve({class=0xffff,type=0x80,len=4,0xa}),flags(key)))",
    wanted:
      "tunnel(tun_id=0x1,src=10.0.0.1,dst=10.0.0.2,tos=0xb8,ttl=9,tp_src=SRC,tp_dst=6099," +
      "geneve({class=0xffff,type=0x80,len=4,0xa}),flags(key))",
  },
  {
    name: "GRE with a far end of its own, over IPv6: no ports, DSCP and TTL of the packet",
    type: "gre",
    options: { remote_ip: "2001:db8::2", key: 5, tos: "inherit", ttl: "inherit" },
    wanted: "tunnel(tun_id=0x5,ipv6_src=2001:db8::1,ipv6_dst=2001:db8::2,tos=0x2a,ttl=33,flags(df|key))",
  },
  {
    name: "VXLAN with a far end of its own: ECN of the packet",
    type: "vxlan",
    options: { remote_ip: "10.0.0.2", key: 7 },
    wanted:
      "tunnel(tun_id=0x7,src=10.0.0.1,dst=10.0.0.2,tos=0x2,ttl=64,tp_src=SRC,tp_dst=4789,flags(df|key))",
  },
];

/** A switch with an underlay behind d2, whose far ends are known. */
async function tunnelRig(t: Test): Promise<NetlinkRig> {
  const rig = await netlinkRig(t, 2, "policy: { type: flows }\n");
  const { tunnels, ports, handler } = rig.running;
  const prefixes = ["10.0.0.1/24", "2001:db8::1/64"].map((text) => parsePrefix(text)!);
  tunnels.setAddresses(ports.byName(UNDERLAY)!, prefixes, true);
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 0x99);
  for (const peer of PEERS) tunnels.learn({ portName: UNDERLAY, ip: parseIp(peer)!, mac });
  tunnels.publishNow();
  await handler.ask("stats", {});
  return rig;
}

async function installAll(client: NetlinkClient, actions: string): Promise<void> {
  const flow = flowOf("in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)", "drop");
  const values = { ...flow, actions: parseActions(actions) };
  await client.request(FAMILY.flow, FLOW_COMMAND.new, FLOW_ATTRIBUTES, values);
}

function keyText(attributes: Uint8Array): string {
  const key = new NlWriter();
  key.put(KEY_ATTR.tunnel, attributes);
  return formatFlow(key.finish(), undefined);
}

/** The UDP source port and traffic class of an outer IPv4 header, TTL; of IPv6 what stands there. */
function outerFields(packet: Uint8Array): { tos: number; ttl: number; source: string; sourcePort: number } {
  const view = new DataView(packet.buffer, packet.byteOffset);
  const isV4 = view.getUint16(12) === 0x0800;
  if (!isV4) {
    const source = BigInt(`0x${Buffer.from(packet.subarray(22, 38)).toString("hex")}`);
    return {
      tos: (view.getUint32(14) >>> 20) & 0xff,
      ttl: packet[21]!,
      source: formatIp(source),
      sourcePort: 0,
    };
  }
  const source = [...packet.subarray(26, 30)].join(".");
  return { tos: packet[15]!, ttl: packet[22]!, source, sourcePort: view.getUint16(34) };
}

for (const { name, type, options, set, wanted } of CASES) {
  t.test(name, async (t) => {
    const rig = await tunnelRig(t);
    const port = await rig.running.ports.add({ name: "tun", type, options });
    const client = await rig.connect();
    const heard = listenTo(client);
    await client.bind(PID);
    const steps = [set, `userspace(pid=${PID},userdata(01),tunnel_out_port=${port.portNo})`, port.portNo];
    await installAll(client, steps.filter((step) => step !== undefined).join(","));
    rig.port("d1").inject(FRAME);
    await until("the upcall", () => heard.length === 1);
    const sent: Uint8Array[] = [];
    await until("the packet", () => sent.push(...rig.port(UNDERLAY).take()) > 0);

    const { egressTunnelKey } = read(FAMILY.packet, PACKET_ATTRIBUTES, heard[0]).values;
    const { sourcePort, tos, ttl, source } = outerFields(sent[0]!);
    const text = keyText(egressTunnelKey!);
    t.equal(text, wanted.replace("SRC", String(sourcePort)));
    t.match(text, `src=${source},`, "the address that it left from");
    t.match(text, `ttl=${ttl}`, "the TTL that it left with");
    if (tos !== 0) t.match(text, `tos=0x${tos.toString(16)}`, "the traffic class that it left with");
  });
}

t.test("no tunnel, no way, nobody answers", async (t) => {
  const rig = await tunnelRig(t);
  const { portNo } = await rig.running.ports.add({ name: "tun", type: "vxlan", options: {} });
  const client = await rig.connect();
  const heard = listenTo(client);
  await client.bind(PID);
  const userspace = (out: number): string => `userspace(pid=${PID},tunnel_out_port=${out})`;
  const to = (destination: string): string => `set(tunnel(dst=${destination},ttl=64))`;
  const none = [userspace(2), userspace(77), userspace(portNo), to("192.0.2.1"), userspace(portNo)];
  await installAll(client, [...none, to("10.0.0.77"), userspace(portNo)].join(","));
  rig.port("d1").inject(FRAME);
  await until("the upcalls", () => heard.length === 5);
  const keys = heard.map((message) => read(FAMILY.packet, PACKET_ATTRIBUTES, message).values.egressTunnelKey);
  t.strictSame(keys.slice(0, 4), Array(4).fill(undefined), "ports without tunnel, no key, no route");
  t.match(keyText(keys[4]!), "src=10.0.0.1,dst=10.0.0.77", "a next hop that does not answer");
});
