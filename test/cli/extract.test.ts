// `millrace extract` as a program: both formats and both kinds of capture, what its options change, and how it refuses
// what it cannot read.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { EXIT } from "../../src/cli/exit-code.ts";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet, vlan } from "../../src/packet/builder-link.ts";
import { ipv4 } from "../../src/packet/builder-network.ts";
import { udp } from "../../src/packet/builder-transport.ts";
import type { CaptureSink } from "../../src/packet/capture-sink.ts";
import { PcapWriter } from "../../src/packet/pcap-writer.ts";
import { PcapngWriter } from "../../src/packet/pcapng-writer.ts";

const MILLRACE = join(import.meta.dirname, "../../src/cli/millrace.js");
const LINK_TYPE_LINUX_SLL = 113;

const addresses = { src: "02:00:00:00:00:01", dst: "02:00:00:00:00:02" };
const inner = [ipv4({ src: "10.0.0.1", dst: "10.0.0.2", ttl: 64 }), udp({ src: 1000, dst: 53 })];
const FRAMES = [
  buildFrame([ethernet(addresses), ...inner]),
  buildFrame([ethernet(addresses), vlan({ vid: 5, tpid: 0x88a8 }), vlan({ vid: 6, pcp: 1 }), ...inner]),
];
const ODP_IPV4 = "ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=64,frag=no),udp(src=1000,dst=53)";
const ODP_ETH = "eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02)";
const OPENFLOW_MACS = "dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02";
const OPENFLOW_IPV4 =
  "nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no,tp_src=1000,tp_dst=53";

const folder = mkdtempSync(join(tmpdir(), `millrace-extract-cli-${process.pid}-`));
t.teardown(() => rmSync(folder, { recursive: true }));

function capture(name: string, makeWriter: (sink: CaptureSink) => PcapWriter | PcapngWriter): string {
  const pieces: Uint8Array[] = [];
  const writer = makeWriter((bytes) => pieces.push(bytes.slice()));
  for (const frame of FRAMES) writer.write(0, 1, 0, frame.length, frame, 0, frame.length);
  writer.flush();
  return file(name, Buffer.concat(pieces));
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function extract(...args: string[]): { status: number | null; lines: string[]; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MILLRACE, "extract", ...args], {
    encoding: "utf8",
  });
  return { status, lines: stdout.split("\n").slice(0, -1), stderr };
}

const pcap = capture("frames.pcap", (sink) => new PcapWriter(sink));

t.test("odp, under the vlan-limit of 1 that OVS has", async (t) => {
  const tagged = `${ODP_ETH},eth_type(0x88a8),vlan(vid=5,pcp=0),encap(eth_type(0x8100)`;
  const expected = [`in_port(1),${ODP_ETH},eth_type(0x0800),${ODP_IPV4}`, `in_port(1),${tagged})`];
  t.strictSame(extract(pcap, "--in-port", "1"), { status: EXIT.ok, lines: expected, stderr: "" });
  const pcapng = capture("frames.pcapng", (sink) => {
    const writer = new PcapngWriter(sink);
    writer.addInterface("eth0");
    return writer;
  });
  t.strictSame(extract(pcapng, "--in-port", "1").lines, expected);
});

t.test("odp, both tags and no port", async (t) => {
  const { lines } = extract(pcap, "--vlan-limit", "2");
  const tags = "eth_type(0x88a8),vlan(vid=5,pcp=0),encap(eth_type(0x8100),vlan(vid=6,pcp=1),encap(";
  t.equal(lines[1], `${ODP_ETH},${tags}eth_type(0x0800),${ODP_IPV4}))`);
  t.strictSame(extract(pcap, "--vlan-limit", "0").lines, lines);
});

t.test("openflow, as ovs-ofctl parse-pcap with both tags", async (t) => {
  const { lines } = extract(pcap, "--format", "openflow");
  const tags = "dl_vlan=5,dl_vlan_pcp=0,dl_vlan1=6,dl_vlan_pcp1=1";
  t.strictSame(lines, [
    `udp,in_port=ANY,vlan_tci=0x0000,${OPENFLOW_MACS},${OPENFLOW_IPV4}`,
    `udp,in_port=ANY,${tags},${OPENFLOW_MACS},${OPENFLOW_IPV4}`,
  ]);
  const { lines: oneTag } = extract(pcap, "--format", "openflow", "--vlan-limit", "1", "--in-port", "3");
  t.equal(oneTag[1], `in_port=3,dl_vlan=5,dl_vlan_pcp=0,vlan_tci1=0x0000,${OPENFLOW_MACS},dl_type=0x8100`);
});

t.test("what cannot be read is refused with its reason", async (t) => {
  const sll = capture("sll.pcap", (sink) => new PcapWriter(sink, { linkType: LINK_TYPE_LINUX_SLL }));
  const cases: [args: string[], status: number, reason: RegExp][] = [
    [[join(folder, "none.pcap")], EXIT.badData, /cannot open.*none\.pcap/],
    [[file("empty.pcap", "")], EXIT.badData, /empty\.pcap: the file is empty/],
    [[file("text.pcap", "no capture")], EXIT.badData, /text\.pcap: offset 0: file header/],
    [[sll], EXIT.badData, /link type 113.*Ethernet/],
    [[pcap, "--in-port", "one"], EXIT.usage, /--in-port.*whole number/],
    [[pcap, "--vlan-limit", "3"], EXIT.usage, /--vlan-limit.*0 to 2/],
    [[pcap, "--format", "xml"], EXIT.usage, /odp, openflow/],
  ];
  for (const [args, status, reason] of cases) {
    const answer = extract(...args);
    t.equal(answer.status, status, args.join(" "));
    t.match(answer.stderr, reason);
    t.strictSame(answer.lines, []);
  }
});
