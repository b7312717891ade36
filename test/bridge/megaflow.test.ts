// The learning policy's megaflows: as text they are what the real OVS installs for NORMAL, the priority bits left out,
// which OVS looks at whenever its output loop pops a tag; they read back as they were; drops look at no more than OVS
// does. And frames that no host sends: from group addresses, recirculated ones, ones of unknown ports.
import t from "tap";
import { isReserved } from "../../src/bridge/learn/address.ts";
import { LearnPolicy } from "../../src/bridge/learn/learn-policy.ts";
import { portVlan } from "../../src/bridge/learn/vlan.ts";
import { KeyExtractor } from "../../src/flow/extract-key.ts";
import { applyMask, setNumber } from "../../src/flow/key.ts";
import { formatMatch, parseMatch } from "../../src/flow/odp/match.ts";
import { bytesToHex, hexToBytes } from "../../src/packet/bytes.ts";
import type { FlowDecision } from "../../src/upcall/policy.ts";
import { Oracle, oracleSkipReason } from "../support/oracle.ts";

const HOST_A = "02000000000a";
const HOST_B = "02000000000b";
const PAD = "00".repeat(46);
/** IPv4 headers with the given fragment word, then zeros. */
const ipv4 = (fragment: string): string =>
  `08004500002e0000${fragment}40110000${"0a000001"}${"0a000002"}${PAD}`;
const IPV6 = `86dd60000000000811ff${"fd".padEnd(32, "0")}${"fd".padEnd(31, "0")}1${PAD}`;

const PAYLOADS: Readonly<Record<string, string>> = {
  "an unknown type": `88b5${PAD}`,
  "802.2": `0026424203${PAD}`,
  ARP: `08060001080006040001${HOST_A}0a000001${"00".repeat(6)}0a000002${PAD}`,
  IPv4: ipv4("0000"),
  "a first fragment": ipv4("2000"),
  "a later fragment": ipv4("2001"),
  IPv6: IPV6,
  "IPv4 cut off": "08004500",
};
const TAGS: Readonly<Record<string, string>> = {
  "": "",
  " with VLAN 10": "8100000a",
  " with VLAN 10, priority 5": "8100a00a",
  " with VLAN 20 of 802.1ad": "88a80014",
};
/** Port 1 takes no tag, port 3 nothing without one. */
const VLANS = [{ tag: 10 }, {}, { trunks: [10, 20] }, { mode: "native-untagged", tag: 10 }] as const;

function learning(): LearnPolicy {
  const policy = new LearnPolicy({ macAgingMillis: 300_000, macTableSize: 100 });
  for (const [index, given] of VLANS.entries()) policy.setPort(index + 1, portVlan(given));
  return policy;
}

function decide(policy: LearnPolicy, frame: Uint8Array, inPort: number): FlowDecision & { key: Uint8Array } {
  const key = new KeyExtractor(1).extract(frame, inPort);
  const decision = policy.decide(key, 0);
  if (decision.kind !== "flow") throw new Error(`a decision of kind ${decision.kind}`);
  return { ...decision, key: applyMask(key, decision.mask) };
}

/** OVS's text does not say that a frame inside a VLAN has no Ethertype; ours does. */
const LOST_BY_OVS = "encap(eth_type(0/0xffff))";
const alike = (text: string): string =>
  text.replace(/(vlan\(vid=\d+)(,pcp=[^),]*)?/, "$1").replace(LOST_BY_OVS, "encap()");
const isWithin = (inner: Uint8Array, outer: Uint8Array): boolean =>
  inner.every((bits, index) => (bits & ~outer[index]!) === 0);

t.test("megaflows are those of NORMAL", { skip: oracleSkipReason() }, async (t) => {
  const oracle = await Oracle.start({ portCount: VLANS.length });
  t.teardown(() => oracle.stop());
  oracle.vsctl("set-fail-mode", "br0", "standalone");
  oracle.vsctl(
    ...["set", "port", "p1", "tag=10", "--", "set", "port", "p3", "trunks=10,20"],
    ...["--", "set", "port", "p4", "vlan_mode=native-untagged", "tag=10"],
  );
  const policy = learning();
  let forwarded = 0;
  for (const [payloadName, payload] of Object.entries(PAYLOADS)) {
    for (const [tagName, tag] of Object.entries(TAGS)) {
      for (let portNo = 1; portNo <= VLANS.length; portNo += 1) {
        const hex = `${HOST_B}${HOST_A}${tag}${payload}`;
        await oracle.delFlows();
        await oracle.receive(portNo, hex);
        const [line] = await oracle.dumpFlows();
        const theirText = line!.slice(0, line!.indexOf(", packets:"));
        const ours = decide(policy, hexToBytes(hex), portNo);
        const text = formatMatch(ours);
        const about = `${payloadName}${tagName} on port ${portNo}`;
        const back = parseMatch(text);
        t.equal(formatMatch(back), text, `${about} reads back`);
        t.ok(isWithin(ours.mask, back.mask), about);
        if (line!.endsWith("actions:drop")) {
          t.equal(ours.actions.length, 0, about);
          if (!text.includes(LOST_BY_OVS)) t.ok(isWithin(ours.mask, parseMatch(theirText).mask), about);
        } else {
          forwarded += 1;
          t.equal(alike(text), alike(theirText), about);
        }
      }
    }
  }
  t.ok(forwarded > 60, `${forwarded} of them forwarded`);
});

/** Reserved ones, their neighbours, and those of vendors. */
const DESTINATIONS = [
  ...["0180c2000000", "0180c2000001", "0180c200000e", "0180c200000f", "0180c2000010", "0180c2000021"],
  ...["0180c1ffffff", "00e02b000000", "00e02b000001", "00e02b000004", "00e02b000005", "00e02b000006"],
  ...["01000c000000", "01000c000001", "01000cccccbf", "01000cccccc0", "01000cccccc7", "01000cccccc8"],
  ...["01000ccccccb", "01000ccccccc", "01000ccccccd", "01000cccccce", "01000cdcdcdc", "01000ccdcdcd"],
  ...["01000ccdcdcc", "01000ccdcdce", "01005e000001", "333300000001", "ffffffffffff", HOST_B],
];

t.test("the reserved destinations are OVS's", { skip: oracleSkipReason() }, async (t) => {
  const oracle = await Oracle.start({ portCount: 2 });
  t.teardown(() => oracle.stop());
  oracle.vsctl("set-fail-mode", "br0", "standalone");
  let droppedCount = 0;
  for (const destination of DESTINATIONS) {
    await oracle.receive(2, `${destination}${HOST_A}${PAYLOADS["IPv4"]}`);
    const isDropped = oracle.outputs().size === 0;
    if (isDropped) droppedCount += 1;
    t.equal(isReserved(Number.parseInt(destination, 16)), isDropped, destination);
  }
  t.equal(droppedCount, 13);
});

t.test("frames from a group address are dropped by one megaflow, and teach nothing", async (t) => {
  const policy = learning();
  const frame = (source: string, destination: string): Uint8Array =>
    hexToBytes(`${destination}${source}${PAYLOADS["IPv4"]}`);
  const first = decide(policy, frame("03000000000a", HOST_B), 2);
  t.equal(first.actions.length, 0);
  t.equal(
    formatMatch(first),
    "recirc_id(0),in_port(2),packet_type(ns=0,id=0),eth(src=01:00:00:00:00:00/01:00:00:00:00:00)," +
      "eth_type(0x0800),ipv4(frag=no)",
  );
  const second = decide(policy, frame("ffffffffffff", HOST_A), 2);
  t.equal(bytesToHex(second.key), bytesToHex(first.key), "whatever the address");
  t.strictSame(policy.entries(), []);
});

t.test("what is no Ethernet frame just received by a port is dropped and leaves no megaflow", async (t) => {
  const policy = learning();
  const frame = hexToBytes(`${HOST_B}${HOST_A}${PAYLOADS["IPv4"]}`);
  const key = (inPort: number): Uint8Array => new KeyExtractor(1).extract(frame, inPort);
  t.strictSame(policy.decide(key(9), 0), { kind: "drop" });
  const recirculated = key(2);
  setNumber(recirculated, "recirc_id", 1);
  t.strictSame(policy.decide(recirculated, 0), { kind: "drop" });
  const routed = key(2);
  setNumber(routed, "packet_type", 0x10800);
  t.strictSame(policy.decide(routed, 0), { kind: "drop" });
  t.strictSame(policy.entries(), []);
});
