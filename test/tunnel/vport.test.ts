// Tunnel ports in a whole switch: a learning bridge with a tunnel to another site. The next hop is asked for, our own
// address is answered for, what is sent is what the header says, what comes back ends at the tunnel port.
import t from "tap";
import { OfflineSwitch } from "../../src/control/offline-switch.ts";
import { readTotals } from "../../src/datapath/counters.ts";
import { parseMac } from "../../src/packet/address.ts";
import { bytesToHex, hexToBytes } from "../../src/packet/bytes.ts";
import { isDummyPort } from "../../src/port/dummy/driver.ts";
import type { PortType } from "../../src/port/port.ts";
import { formatIp, parsePrefix } from "../../src/tunnel/ip.ts";
import { resolutionRequest } from "../../src/tunnel/resolution.ts";
import { TEST_SIZES } from "../support/dataplane.ts";
import { LEARN_POLICY } from "../support/policy.ts";

const OUR_MAC = "02:00:00:00:00:01";
const PEER_MAC = "02:00:00:00:00:02";
const hexOf = (mac: string): string => mac.replaceAll(":", "");
const INNER = `ffffffffffff0a00000000010806${"00010800060400010a00000000010a0a0a01000000000000"}0a0a0a02`;
const BACK = `0a00000000010a00000000020806${"00010800060400020a00000000020a0a0a020a0000000001"}0a0a0a01`;

class Site {
  readonly running = new OfflineSwitch({
    sizes: TEST_SIZES,
    policy: LEARN_POLICY,
    vlanLimit: 1,
    seed: 1,
    debugLedger: true,
  });

  async open(type: PortType, options: Record<string, unknown>, addresses: readonly string[]): Promise<void> {
    const { ports, tunnels } = this.running;
    await ports.add({ name: "host", type: "dummy" });
    const underlay = await ports.add({ name: "net", type: "dummy" });
    this.running.learn?.removePort(underlay.portNo);
    await ports.add({ name: "tun", type, options });
    tunnels.setAddresses(
      underlay,
      addresses.map((text) => parsePrefix(text)!),
      true,
      parseMac(OUR_MAC),
    );
    tunnels.publishNow();
  }

  receive(portName: string, hex: string): void {
    const port = this.running.ports.byName(portName)!;
    if (!isDummyPort(port) || !port.inject(hexToBytes(hex))) throw new Error(`${portName}: not injected`);
    this.running.settle();
    this.running.tunnels.publishNow();
    this.running.housekeep();
    this.running.settle();
  }

  take(portName: string): string[] {
    const port = this.running.ports.byName(portName)!;
    return isDummyPort(port) ? port.take().map((bytes) => bytesToHex(bytes)) : [];
  }
}

interface Way {
  readonly name: string;
  readonly type: PortType;
  readonly options: Record<string, unknown>;
  readonly isV6: boolean;
  readonly hasChecksum: boolean;
  /** The outer packet behind the IP header, source port and checksum as they come. */
  readonly behindIp: RegExp;
}

const WAYS: readonly Way[] = [
  {
    name: "vxlan",
    type: "vxlan",
    options: { remote_ip: "10.9.0.2", key: 77 },
    isV6: false,
    hasChecksum: false,
    behindIp: /^[0-9a-f]{4}12b5003a00000800000000004d00$/,
  },
  {
    name: "geneve over IPv6",
    type: "geneve",
    options: { remote_ip: "2001:db8::2", key: 77 },
    isV6: true,
    hasChecksum: true,
    behindIp: /^[0-9a-f]{4}17c1003a[0-9a-f]{4}0000655800004d00$/,
  },
  {
    name: "gre",
    type: "gre",
    options: { remote_ip: "10.9.0.2", key: 77 },
    isV6: false,
    hasChecksum: false,
    behindIp: /^200065580000004d$/,
  },
  {
    name: "ip6gre",
    type: "ip6gre",
    options: { remote_ip: "2001:db8::2" },
    isV6: true,
    hasChecksum: false,
    behindIp: /^00006558$/,
  },
  {
    name: "erspan version 2",
    type: "erspan",
    options: { remote_ip: "10.9.0.2", key: 7, erspan_ver: 2, erspan_hwid: 5, erspan_dir: 1 },
    isV6: false,
    hasChecksum: false,
    behindIp: /^100022eb[0-9a-f]{8}20000007[0-9a-f]{8}00000058$/,
  },
  {
    name: "vxlan with csum",
    type: "vxlan",
    options: { remote_ip: "10.9.0.2", key: 77, csum: true },
    isV6: false,
    hasChecksum: true,
    behindIp: /^[0-9a-f]{4}12b5003a(?!0000)[0-9a-f]{4}0800000000004d00$/,
  },
];

for (const way of WAYS) {
  t.test(`${way.name}: resolution, a packet there and one back`, async (t) => {
    const site = new Site();
    await site.open(way.type, way.options, ["10.9.0.1/24", "2001:db8::1/64"]);

    site.receive("host", INNER);
    const [question, ...more] = site.take("net");
    t.strictSame(more, [], "one question");
    const [ours, theirs] = way.isV6 ? ["2001:db8::1", "2001:db8::2"] : ["10.9.0.1", "10.9.0.2"];
    const endpoint = site.running.tunnels.endpoint("net")!;
    const [source, target] = [ours, theirs].map((text) => parsePrefix(text!)!.ip);
    t.equal(question, bytesToHex(resolutionRequest(endpoint, target!, source!)), `who has ${theirs}`);
    t.equal(readTotals(site.running.arena).drops.tunnel_neighbour, 1);

    site.receive("net", way.isV6 ? advertisement() : arpReplyFrom());
    t.strictSame(
      site.running.tunnels.neighbours.list().map(({ ip, mac }) => [formatIp(ip), bytesToHex(mac)]),
      [[theirs, hexOf(PEER_MAC)]],
      "the answer is learned",
    );

    site.receive("host", INNER);
    const [sent] = site.take("net");
    const ipBytes = way.isV6 ? 40 : 20;
    const l4 = (14 + ipBytes) * 2;
    t.equal(sent!.slice(0, 24), hexOf(PEER_MAC) + hexOf(OUR_MAC), "to the next hop, from us");
    t.match(sent!.slice(l4, -INNER.length), way.behindIp, "the tunnel's header");
    t.equal(sent!.slice(-INNER.length), INNER, "the packet inside");

    site.receive("net", turned(sent!, way.isV6).slice(0, -INNER.length) + BACK);
    if (way.hasChecksum) t.strictSame(site.take("host"), [], "a wrong checksum ends it");
    else t.strictSame(site.take("host"), [BACK], "what comes back is taken out");

    const { counters, drops } = readTotals(site.running.arena);
    const out =
      counters.transmitted + counters.consumed + Object.values(drops).reduce((sum, count) => sum + count, 0);
    t.equal(
      counters.received + counters.copied + counters.reinjected + counters.originated,
      out,
      "the books balance",
    );
    await site.running.close();
  });
}

/** The packet as the other end would send it: addresses changed over. */
function turned(hex: string, isV6: boolean): string {
  const [from, count] = isV6 ? [44, 32] : [52, 8];
  const source = hex.slice(from, from + count);
  const destination = hex.slice(from + count, from + 2 * count);
  return (
    hex.slice(12, 24) +
    hex.slice(0, 12) +
    hex.slice(24, from) +
    destination +
    source +
    hex.slice(from + 2 * count)
  );
}

const arpReplyFrom = (): string =>
  `${hexOf(OUR_MAC)}${hexOf(PEER_MAC)}08060001080006040002${hexOf(PEER_MAC)}0a090002${hexOf(OUR_MAC)}0a090001`;

/** Solicited, with the target's link-layer address; checksum by hand. */
function advertisement(): string {
  const peer = "20010db8000000000000000000000002";
  const us = "20010db8000000000000000000000001";
  const message = `880000006000${"0000"}${peer}0201${hexOf(PEER_MAC)}`;
  const bytes = hexToBytes(`${peer}${us}000000200000003a${message}`);
  let sum = 0;
  for (let index = 0; index < bytes.length; index += 2) sum += (bytes[index]! << 8) | bytes[index + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  const checksum = (~sum & 0xffff).toString(16).padStart(4, "0");
  return `${hexOf(OUR_MAC)}${hexOf(PEER_MAC)}86dd6000000000203aff${peer}${us}8800${checksum}${message.slice(8)}`;
}

t.test("who asks for our address gets it", async (t) => {
  const site = new Site();
  await site.open("vxlan", { remote_ip: "10.9.0.2", key: 1 }, ["10.9.0.1/24"]);
  const asked = (ip: string): string =>
    `ffffffffffff${hexOf(PEER_MAC)}08060001080006040001${hexOf(PEER_MAC)}0a090002000000000000${ip}`;
  site.receive("net", asked("0a090001"));
  t.strictSame(site.take("net"), [
    `${hexOf(PEER_MAC)}${hexOf(OUR_MAC)}08060001080006040002${hexOf(OUR_MAC)}0a090001${hexOf(PEER_MAC)}0a090002`,
  ]);
  site.receive("net", asked("0a090003"));
  t.strictSame(site.take("net"), [], "nothing for another's address");
  t.strictSame(site.take("host"), [], "and it does not go over the bridge");
  await site.running.close();
});
