// Two switches in a row, a host at either end: what one pushes the other pops. MPLS labels with one label for each
// Ethertype, and two tags (QinQ), over both port types. IPv4 and IPv6 ping, and 100 MB of TCP with a digest at both ends;
// that the wire carried labels and tags is what the other switch's flows tell, which match nothing else.
import t from "tap";
import { labUnavailable } from "../support/netns.ts";
import { type HostedPortType, SwitchRig } from "./switch-rig.ts";
import { TRANSFER_BYTES, transfer } from "./transfer.ts";

const WIRE_PORT = 9;
/** Labels and tags come on top. */
const HOST_MTU = 1400;
const ETHERTYPES = [0x0800, 0x0806, 0x86dd] as const;

interface Way {
  readonly name: string;
  /** Of a packet of this Ethertype on the wire, behind in_port and packet_type. */
  readonly wireMatch: (ethertype: number) => string;
  readonly push: (ethertype: number) => string;
  readonly pop: (ethertype: number) => string;
  readonly settings: readonly string[];
}

const hex = (ethertype: number): string => `0x${ethertype.toString(16).padStart(4, "0")}`;
const labelOf = (ethertype: number): number => 0x10000 + ethertype;

const WAYS: readonly Way[] = [
  {
    name: "MPLS",
    wireMatch: (ethertype) => `eth_type(0x8847),mpls(label=${labelOf(ethertype)},tc=0/0,ttl=0/0,bos=1)`,
    push: (ethertype) => `push_mpls(label=${labelOf(ethertype)},tc=0,ttl=64,bos=1,eth_type=0x8847)`,
    pop: (ethertype) => `pop_mpls(eth_type=${hex(ethertype)})`,
    settings: [],
  },
  {
    name: "QinQ",
    wireMatch: (ethertype) =>
      `eth_type(0x88a8),vlan(vid=20,pcp=5),encap(eth_type(0x8100),vlan(vid=10,pcp=3),encap(eth_type(${hex(ethertype)})))`,
    push: () => "push_vlan(vid=10,pcp=3),push_vlan(tpid=0x88a8,vid=20,pcp=5)",
    pop: () => "pop_vlan,pop_vlan",
    settings: ["vlan-limit: 2"],
  },
];

/** The flows of one switch: from the host onto the wire, and back. */
function flowsOf({ wireMatch, push, pop }: Way, hostPort: number): string {
  const flows = ETHERTYPES.flatMap((ethertype) => {
    const from = (portNo: number): string => `in_port(${portNo}),packet_type(ns=0,id=0)`;
    return [
      `${from(hostPort)},eth_type(${hex(ethertype)}) ${push(ethertype)},${WIRE_PORT}`,
      `${from(WIRE_PORT)},${wireMatch(ethertype)} ${pop(ethertype)},${hostPort}`,
    ];
  });
  return `flows: ${JSON.stringify(flows)}`;
}

for (const way of WAYS) {
  for (const type of ["afxdp", "af_packet"] as const satisfies readonly HostedPortType[]) {
    t.test(`${way.name} over ${type}`, { skip: labUnavailable() ?? false }, async (t) => {
      const rigs = [new SwitchRig(t, 1), new SwitchRig(t, 2)] as const;
      const [near, far] = rigs;
      const ends = near.lab.veth(near.namespace, far.namespace);
      for (const [index, rig] of rigs.entries()) {
        const host = rig.addHost(type, "", HOST_MTU);
        rig.addPort(`{ name: ${ends[index]!.name}, type: ${type}, port-no: ${WIRE_PORT} }`);
        await rig.start("policy: { type: flows }", flowsOf(way, host.portNo), ...way.settings);
      }
      const [from, to] = [near.hosts[0]!, far.hosts[0]!];
      const ping = (...args: string[]): string =>
        near.lab.run(from.namespace, "ping", "-c", "5", "-i", "0.2", "-W", "5", ...args);
      t.match(ping("10.8.0.2"), /5 packets transmitted, 5 received/, "every IPv4 ping is answered");
      t.match(ping("-6", "fd00:8::2"), /5 packets transmitted, 5 received/, "every IPv6 ping is answered");
      const { sent, received } = await transfer(near, from, to);
      t.equal(received.bytes, TRANSFER_BYTES, "all bytes arrive");
      t.equal(received.sha256, sent.sha256, "they are the bytes that were sent");

      for (const rig of rigs) {
        const dump = await rig.call("dpctl/dump-flows");
        t.equal(dump.split("actions:").length - 1, 2 * ETHERTYPES.length, "the given flows and no others");
        t.notMatch(dump, /packets:0,/, "each of them had packets");
        await rig.until(
          "the books balance",
          async () => (await rig.callJson<{ balance: number }>("millrace/drops-show")).balance === 0,
        );
        t.equal(await rig.stop(), 0, "the switch ends with code 0");
      }
    });
  }
}
