// Two hosts behind the learning switch, over each port type that has a host: IPv4 and IPv6 ping, and 100 MB of TCP
// whose digest, checksums and path are checked.
import t from "tap";
import { labUnavailable } from "../support/netns.ts";
import { type HostedPortType, SwitchRig } from "./switch-rig.ts";
import { TRANSFER_BYTES, transfer } from "./transfer.ts";

const MSS_MAX = 1460;

for (const type of ["afxdp", "af_packet", "tap"] as const satisfies readonly HostedPortType[]) {
  t.test(`two hosts over ${type}`, { skip: labUnavailable() ?? false }, async (t) => {
    const rig = new SwitchRig(t);
    const left = rig.addHost(type);
    const right = rig.addHost(type);
    await rig.start();

    const ping = rig.lab.run(left.namespace, "ping", "-c", "5", "-i", "0.2", "-W", "5", "10.8.0.2");
    t.match(ping, /5 packets transmitted, 5 received/, "every IPv4 ping is answered, the first packet too");
    const ping6 = rig.lab.run(left.namespace, "ping", "-6", "-c", "5", "-i", "0.2", "-W", "5", "fd00:8::2");
    t.match(ping6, /5 packets transmitted, 5 received/, "every IPv6 ping is answered");

    const before = await rig.statistics(left);
    const { sent, received } = await transfer(rig, left, right);
    t.equal(received.bytes, TRANSFER_BYTES, "all bytes arrive");
    t.equal(received.sha256, sent.sha256, "they are the bytes that were sent");
    const after = await rig.statistics(left);
    t.ok(after.rx_packets - before.rx_packets >= TRANSFER_BYTES / MSS_MAX, "through the switch's ports");
    for (const host of [left, right]) {
      const snmp = rig.lab.run(host.namespace, "cat", "/proc/net/snmp");
      t.equal(tcpCounter(snmp, "InCsumErrors"), 0, `no wrong checksum arrives at ${host.port}`);
    }
    // A packet in a worker's hands is received and not yet sent or dropped.
    await rig.until(
      "the books balance",
      async () => (await rig.callJson<{ balance: number }>("millrace/drops-show")).balance === 0,
    );
    t.equal(await rig.stop(), 0, "the switch ends with code 0");
  });
}

/** A counter of the Tcp lines of /proc/net/snmp: names on the first, values on the second. */
function tcpCounter(snmp: string, name: string): number {
  const [names, values] = snmp
    .split("\n")
    .filter((line) => line.startsWith("Tcp:"))
    .map((line) => line.split(" "));
  return Number(values![names!.indexOf(name)]);
}
