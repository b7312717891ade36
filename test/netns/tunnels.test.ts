// Tunnels between the switch and others over a veth pair: Linux's own vxlan device, and the real Open vSwitch. A host
// behind the switch reaches one behind the far end: ping, and 100 MB of TCP whose digest and checksums are checked. The
// switch resolves the far end's address and is resolved by it.
import t from "tap";
import { labUnavailable } from "../support/netns.ts";
import { oracleSkipReason } from "../support/oracle-process.ts";
import { FarOvs } from "./far-ovs.ts";
import { type Host, SwitchRig } from "./switch-rig.ts";
import { TRANSFER_BYTES, transfer } from "./transfer.ts";

/** The inner packets' MTU: outer headers fit into 1500 with IPv6 too. */
const INNER_MTU = 1400;
const FAR_ADDRESS = "10.8.0.2";
const OUTER = { v4: ["10.9.0.1", "10.9.0.2"], v6: ["fd00:9::1", "fd00:9::2"] } as const;

interface Way {
  readonly name: string;
  readonly far: "kernel" | "ovs";
  readonly outer: keyof typeof OUTER;
  readonly type: string;
  /** Options of both ends, the remote address aside. */
  readonly options: readonly (readonly [string, string])[];
}

const WAYS: readonly Way[] = [
  { name: "vxlan to Linux", far: "kernel", outer: "v4", type: "vxlan", options: [["key", "77"]] },
  { name: "vxlan to Linux over IPv6", far: "kernel", outer: "v6", type: "vxlan", options: [["key", "77"]] },
  { name: "vxlan to OVS", far: "ovs", outer: "v4", type: "vxlan", options: [["key", "77"]] },
  {
    name: "vxlan with checksums to OVS over IPv6",
    far: "ovs",
    outer: "v6",
    type: "vxlan",
    options: [["key", "77"]],
  },
  { name: "geneve to OVS", far: "ovs", outer: "v4", type: "geneve", options: [["key", "9"]] },
  { name: "geneve to OVS over IPv6", far: "ovs", outer: "v6", type: "geneve", options: [["key", "9"]] },
  {
    name: "gre to OVS",
    far: "ovs",
    outer: "v4",
    type: "gre",
    options: [
      ["key", "456"],
      ["csum", "true"],
    ],
  },
  { name: "ip6gre to OVS", far: "ovs", outer: "v6", type: "ip6gre", options: [["key", "456"]] },
  {
    name: "erspan to OVS",
    far: "ovs",
    outer: "v4",
    type: "erspan",
    options: [
      ["key", "5"],
      ["erspan_ver", "2"],
      ["erspan_dir", "0"],
      ["erspan_hwid", "3"],
    ],
  },
];

for (const way of WAYS) {
  const skip = labUnavailable() ?? (way.far === "ovs" ? oracleSkipReason() : false);
  t.test(way.name, { skip }, async (t) => {
    const rig = new SwitchRig(t);
    const near = rig.addHost("af_packet", "", INNER_MTU);
    const namespace = rig.lab.namespace("far");
    const [wire, ours] = rig.lab.veth(namespace, rig.namespace);
    rig.lab.run(namespace, "ethtool", "-K", wire.name, "tx", "off", "tso", "off", "gso", "off");
    const [local, remote] = OUTER[way.outer];
    const bits = way.outer === "v4" ? 24 : 64;
    const options = [...way.options, ["remote_ip", remote] as const];
    rig.addPort(`{ name: ${ours.name}, type: af_packet, addresses: ["${local}/${bits}"] }`);
    const settings = options.map(([name, value]) => `${name}: "${value}"`).join(", ");
    rig.addPort(`{ name: tun, type: ${way.type}, options: { ${settings} } }`);
    await rig.start();

    if (way.far === "ovs") {
      const ovs = new FarOvs(t, rig.lab, namespace);
      const farOptions = [...way.options, ["remote_ip", local] as const].map(
        ([name, value]) => `${name}=${value}`,
      );
      const far = { wire: wire.name, outer: `${remote}/${bits}`, inner: `${FAR_ADDRESS}/24` };
      await ovs.start({ ...far, type: way.type, options: farOptions });
    } else {
      linuxVxlan(rig, namespace, wire.name, local, `${remote}/${bits}`);
    }

    // Until then each end asks for the other's address, and the far switch may still be starting.
    await rig.until("the far end answers", async () => answers(rig, near));
    const again = rig.lab.run(near.namespace, "ping", "-c", "3", "-i", "0.2", "-W", "5", FAR_ADDRESS);
    t.match(again, /3 received/, "every ping is answered then");
    const { sent, received } = await transfer(rig, near, { namespace, portNo: 2 });
    t.equal(received.bytes, TRANSFER_BYTES, "all bytes arrive");
    t.equal(received.sha256, sent.sha256, "they are the bytes that were sent");
    const flows = await rig.call("dpctl/dump-flows");
    t.match(flows, /actions:tnl_pop\(\d+\)/, "packets of the tunnel end by a flow of their own");
    t.match(await rig.call("tnl/neigh/show"), new RegExp(`^${remote} `, "m"), "the far end is a neighbour");
    t.equal(await rig.stop(), 0, "the switch ends with code 0");
  });
}

function answers(rig: SwitchRig, near: Host): boolean {
  try {
    rig.lab.run(near.namespace, "ping", "-c", "1", "-W", "1", FAR_ADDRESS);
    return true;
  } catch {
    // ping says by its exit code that nobody answered.
    return false;
  }
}

function linuxVxlan(rig: SwitchRig, namespace: string, wire: string, remote: string, address: string): void {
  const { lab } = rig;
  lab.run(namespace, "sysctl", "-q", "-w", `net.ipv6.conf.${wire}.disable_ipv6=0`);
  lab.ip(namespace, "addr", "add", address, "dev", wire, ...(address.includes(":") ? ["nodad"] : []));
  lab.ip(
    ...([namespace, "link", "add", "vx", "type", "vxlan", "id", "77", "remote", remote] as const),
    ...(["local", address.split("/")[0]!, "dstport", "4789", "dev", wire] as const),
  );
  lab.run(namespace, "ethtool", "-K", "vx", "tx", "off", "tso", "off", "gso", "off");
  lab.ip(namespace, "link", "set", "vx", "mtu", String(INNER_MTU), "up");
  lab.ip(namespace, "addr", "add", `${FAR_ADDRESS}/24`, "dev", "vx");
}
