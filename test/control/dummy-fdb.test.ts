// netdev-dummy/receive and the fdb commands: packets of a flow's text against those that the real one
// makes, and the MAC table's texts.
import t from "tap";
import { MacTable } from "../../src/bridge/learn/mac-table.ts";
import { composeFrame } from "../../src/flow/compose.ts";
import { KeyExtractor } from "../../src/flow/extract-key.ts";
import { fieldBytes } from "../../src/flow/key.ts";
import { formatPacketKey } from "../../src/flow/odp/format-packet.ts";
import { parseExactKeyText } from "../../src/flow/odp/parse-key.ts";
import { keyFromAttributes } from "../../src/flow/odp/to-key.ts";
import { bytesToHex, hexToBytes, readBe16 } from "../../src/packet/bytes.ts";
import { IP_PROTOCOL } from "../../src/packet/network-headers.ts";
import { isDummyPort } from "../../src/port/dummy/driver.ts";
import { Oracle, oracleSkipReason } from "../support/oracle.ts";
import { CommandRig } from "./command-rig.ts";

/** Of packets with --len. */
const LENGTH = 200;

const ETH = "eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02)";
const V4 = (proto: number, frag = "no"): string =>
  `in_port(1),${ETH},eth_type(0x0800),ipv4(src=10.0.0.1,dst=192.0.2.9,proto=${proto},tos=5,ttl=9,frag=${frag})`;
const V6 = (proto: number, frag = "no"): string =>
  `in_port(1),${ETH},eth_type(0x86dd),` +
  `ipv6(src=2001:db8::1,dst=2001:db8::2,label=0x12345,proto=${proto},tclass=7,hlimit=8,frag=${frag})`;
const ND = "nd(target=fe80::9,sll=02:00:00:00:00:05,tll=02:00:00:00:00:06)";

const ARP = "arp(sip=10.0.0.1,tip=10.0.0.2,op=1,sha=02:00:00:00:00:01,tha=00:00:00:00:00:00)";

/** A flow that lets the packet through, and the packet. */
const PACKETS: readonly (readonly [flow: string, packet: string])[] = [
  ["eth_type(0x0800),ipv4(frag=no)", `${V4(17)},udp(src=5,dst=6)`],
  ["eth_type(0x0800),ipv4(frag=no)", `${V4(6)},tcp(src=5,dst=6),tcp_flags(ack)`],
  ["eth_type(0x0800),ipv4(frag=no)", `${V4(6)},tcp(src=5,dst=6),tcp_flags(syn)`],
  ["eth_type(0x0800),ipv4(frag=no)", `${V4(1)},icmp(type=8,code=0)`],
  ["eth_type(0x0800),ipv4(frag=no)", `${V4(132)},sctp(src=5,dst=6)`],
  ["eth_type(0x0800),ipv4(frag=no)", V4(47)],
  ["eth_type(0x0800),ipv4(frag=first)", `${V4(17, "first")},udp(src=5,dst=6)`],
  ["eth_type(0x0800),ipv4(frag=later)", V4(17, "later")],
  ["eth_type(0x86dd),ipv6(frag=no)", `${V6(17)},udp(src=5,dst=6)`],
  ["eth_type(0x86dd),ipv6(frag=no)", `${V6(6)},tcp(src=5,dst=6),tcp_flags(ack)`],
  ["eth_type(0x86dd),ipv6(frag=no)", `${V6(58)},icmpv6(type=128,code=0)`],
  ["eth_type(0x86dd),ipv6(frag=no)", `${V6(58)},icmpv6(type=135,code=0),${ND}`],
  ["eth_type(0x86dd),ipv6(frag=later)", V6(IP_PROTOCOL.fragment, "later")],
  ["eth_type(0x0806),arp()", `in_port(1),${ETH},eth_type(0x0806),${ARP}`],
  ["eth_type(0x88cc)", `in_port(1),${ETH},eth_type(0x88cc)`],
];

/** Hex without what OVS gets wrong: SCTP's checksum, and length and checksum of UDP when --len is given. */
function comparable(frame: Uint8Array): string {
  const bytes = Uint8Array.from(frame);
  const isIpv4 = readBe16(bytes, 12) === 0x0800;
  const transport = isIpv4 ? 34 : 54;
  const protocol = bytes[isIpv4 ? 23 : 20]!;
  if (protocol === IP_PROTOCOL.sctp) bytes.fill(0, transport + 8, transport + 12);
  if (protocol === IP_PROTOCOL.udp && frame.length === LENGTH) bytes.fill(0, transport + 4, transport + 8);
  return bytesToHex(bytes);
}

t.test("a flow's text makes a packet that has this key", async (t) => {
  for (const [, packet] of PACKETS) {
    const { key, fit } = keyFromAttributes(parseExactKeyText(packet), { vlanLimit: 2 });
    t.not(fit, "error", packet);
    for (const length of [0, LENGTH]) {
      const extracted = new KeyExtractor(2).extract(composeFrame(key, length), 1);
      // Text has it only as nd_ext().
      fieldBytes(extracted, "nd_options_type").fill(0);
      t.same(bytesToHex(extracted), bytesToHex(key), `${packet}, length ${length}`);
    }
  }
  const inner =
    "eth_type(0x0800),ipv4(src=10.0.0.1,dst=192.0.2.9,proto=17,tos=0,ttl=9,frag=no),udp(src=5,dst=6)";
  const tagged = `in_port(1),${ETH},eth_type(0x8100),vlan(vid=7,pcp=3),encap(${inner})`;
  const { key } = keyFromAttributes(parseExactKeyText(tagged), { vlanLimit: 2 });
  t.equal(formatPacketKey(new KeyExtractor(2).extract(composeFrame(key), 1), 2), formatPacketKey(key, 2));
  const udp = composeFrame(keyFromAttributes(parseExactKeyText(PACKETS[0]![1])).key, LENGTH);
  t.equal(readBe16(udp, 38), LENGTH - 34, "the UDP length is that of the frame");
});

t.test("a flow's text makes the packet that OVS makes of it", { skip: oracleSkipReason() }, async (t) => {
  const oracle = await Oracle.start();
  t.teardown(() => oracle.stop());
  const rig = await CommandRig.create(new MacTable(16, 1000, () => undefined));
  t.teardown(() => rig.plane.close());
  const out = rig.plane.ports.byNumber(2)!;
  if (!isDummyPort(out)) throw new Error("p2 is no dummy port");
  const flows = new Set(PACKETS.map(([flow]) => flow));
  for (const matched of flows) {
    const flow = `in_port(1),eth(),${matched}`;
    t.equal((await oracle.addFlow(flow, "2")).code, 0);
    t.equal((await rig.call("dpctl/add-flow", flow, "2")).code, 0);
  }
  for (const [, packet] of PACKETS) {
    // OVS leaves the fragment header out and sends something else.
    if (packet.includes("eth_type(0x86dd)") && packet.includes("frag=later")) continue;
    for (const length of [[], ["--len", String(LENGTH)]]) {
      const theirs = await oracle.appctl("netdev-dummy/receive", "p1", packet, ...length);
      const ours = await rig.call("netdev-dummy/receive", "p1", packet, ...length);
      t.equal(ours.code, theirs.code, `${packet} ${theirs.text}`);
      // Ten commands behind it are a barrier.
      for (let turn = 0; turn < 10; turn += 1) await oracle.appctl("version");
      rig.plane.settle();
      const [frame] = out.take();
      const [theirFrame] = oracle.outputs().get(2) ?? [];
      if (frame === undefined || theirFrame === undefined)
        throw new Error(`${packet}: nothing was transmitted`);
      t.equal(comparable(frame), comparable(hexToBytes(theirFrame)), `${packet} ${length.join(" ")}`);
    }
  }
});

t.test("what netdev-dummy/receive refuses", async (t) => {
  const rig = await CommandRig.create(new MacTable(16, 1000, () => undefined));
  t.teardown(() => rig.plane.close());
  const frame = "00".repeat(60);
  const refusals: readonly (readonly [args: string[], text: RegExp])[] = [
    [["nobody", frame], /^no such dummy netdev$/m],
    [["p1", "--qid", "7", frame], /^bad rx queue id\.$/m],
    [["p1", "00"], /^syntax error at 00$/m],
    [["p1", "zz"], /^syntax error at zz$/m],
    [["p1", "000"], /^syntax error at 000$/m],
    [["p1", "--qid", "x", frame], /--qid takes a whole number/],
    [["p1", "--len", "60"], /^syntax error at --len/],
    [["p1", `${V4(17)},udp(src=5,dst=6)`, "--len", "20"], /headers alone/],
    [["p1", "00".repeat(10_000)], /the most/],
  ];
  for (const [args, text] of refusals) {
    const answer = await rig.call("netdev-dummy/receive", ...args);
    t.equal(answer.code, 2, args.join(" ").slice(0, 60));
    t.match(answer.text, text);
  }
  rig.plane.settle();
  t.equal(rig.plane.totals().counters.received, 0, "nothing was received");
});

t.test("hex is received as it stands", async (t) => {
  const rig = await CommandRig.create(new MacTable(16, 1000, () => undefined));
  t.teardown(() => rig.plane.close());
  const frame = `020000000002${"020000000001"}88b5${"ab".repeat(46)}`;
  await rig.call("dpctl/add-flow", "in_port(1),eth(),eth_type(0x88b5)", "2");
  t.same(await rig.json("netdev-dummy/receive", "p1", frame, frame), { received: 2 });
  rig.plane.settle();
  const out = rig.plane.ports.byNumber(2)!;
  if (!isDummyPort(out)) throw new Error("p2 is no dummy port");
  t.same(out.take().map(bytesToHex), [frame, frame]);
});

t.test("fdb/show, fdb/stats-show, fdb/flush", async (t) => {
  const macs = new MacTable(16, 300_000, () => undefined);
  const rig = await CommandRig.create(macs);
  t.teardown(() => rig.plane.close());
  const nowMillis = rig.plane.clock.millis();
  macs.learn(0, 0x020000000001, 1, nowMillis);
  macs.learn(20, 0x0200000000ff, 12, nowMillis);
  rig.plane.clock.advance(29_500);
  const heading = " port  VLAN  MAC                Age\n";
  const { text } = await rig.call("fdb/show", "ovs-dummy");
  t.ok(text.startsWith(heading));
  t.same(text.slice(heading.length).trimEnd().split("\n").sort(), [
    "    1     0  02:00:00:00:00:01   29",
    "   12    20  02:00:00:00:00:ff   29",
  ]);
  const rows = await rig.json<{ mac: string }[]>("fdb/show");
  t.same(
    rows.find(({ mac }) => mac === "02:00:00:00:00:ff"),
    { port: 12, vlan: 20, mac: "02:00:00:00:00:ff", ageSeconds: 29 },
  );
  t.match((await rig.call("fdb/stats-show")).text, "  Current/maximum MAC entries in the table: 2/8192\n");
  t.match(await rig.json("fdb/stats-show"), { learned: 2, moved: 0, size: 2 });
  t.same(await rig.call("fdb/show", "nobr"), { text: "no such bridge\n", code: 2 });
  t.equal((await rig.call("fdb/flush")).text, "table successfully flushed");
  t.equal((await rig.call("fdb/show")).text, heading);
});
