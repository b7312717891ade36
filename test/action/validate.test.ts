// Validation: every rule refuses what it is there for, naming path, offset and what would be taken; what OVS
// accepts passes; and no bytes whatsoever make it throw or let the executor fail.
import fc from "fast-check";
import t from "tap";
import { ACTION, ACTION_DEPTH_MAX } from "../../src/action/attributes.ts";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { printActions } from "../../src/action/odp/print-actions.ts";
import { type ActionRefusal, formatRefusal } from "../../src/action/refusal.ts";
import { validateActions } from "../../src/action/validate.ts";
import { KEY_BYTES } from "../../src/flow/fields.ts";
import { NLA_PAYLOAD_BYTES_MAX, NlWriter } from "../../src/flow/nlattr.ts";
import { parseMatch } from "../../src/flow/odp/match.ts";
import { hexToBytes } from "../../src/packet/bytes.ts";
import { runs } from "../support/seed.ts";
import { ActionRig } from "./rig.ts";

const FLOWS = {
  ip: "in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)",
  tcp: "in_port(1),eth(),eth_type(0x0800),ipv4(proto=6,frag=no),tcp()",
  udp6: "in_port(1),eth(),eth_type(0x86dd),ipv6(proto=17,frag=no),udp()",
  arp: "in_port(1),eth(),eth_type(0x0806),arp()",
  other: "in_port(1),eth(),eth_type(0x1234)",
  vlan: "in_port(1),eth(),eth_type(0x8100),vlan(vid=1),encap(eth_type(0x0800),ipv4(frag=no))",
  mpls: "in_port(1),eth(),eth_type(0x8847),mpls(label=1,tc=0,ttl=1,bos=1)",
  later: "in_port(1),eth(),eth_type(0x0800),ipv4(frag=later)",
  icmp6: "in_port(1),eth(),eth_type(0x86dd),ipv6(proto=58,frag=no),icmpv6()",
  nsh: "in_port(1),packet_type(ns=1,id=0x894f),eth_type(0x894f),nsh()",
  l3: "in_port(1),packet_type(ns=1,id=0x800),eth_type(0x0800),ipv4(frag=no)",
} as const;
const PUSH_MPLS = "push_mpls(label=1,tc=0,ttl=1,bos=1,eth_type=0x8847)";
const PUSH_ETH = "push_eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02)";
type FlowName = keyof typeof FLOWS;

function refusalOf(flow: FlowName, actions: string | Uint8Array): ActionRefusal | undefined {
  const { key, mask } = parseMatch(FLOWS[flow]);
  return validateActions(typeof actions === "string" ? parseActions(actions) : actions, key, mask);
}

t.test("what a flow may do passes", (t) => {
  const cases: [flow: FlowName, actions: string][] = [
    ["ip", ""],
    ["ip", "drop"],
    ["ip", "drop(7)"],
    ["ip", "1,2,65534"],
    ["ip", "trunc(14),2,3"],
    ["ip", "push_vlan(vid=0,pcp=0),push_vlan(tpid=0x88a8,vid=4095,pcp=7),pop_vlan,2"],
    ["ip", "set(ipv4(src=1.2.3.4,tos=0x80/0xfc)),set(eth(src=aa:00:00:00:00:00/ff:00:00:00:00:00)),2"],
    ["tcp", "set(ipv4(src=1.2.3.4,dst=5.6.7.8,proto=6,tos=0,ttl=1,frag=no)),set(tcp(src=1,dst=2)),2"],
    ["ip", "set(udp(src=1)),set(sctp(dst=2)),2"],
    ["udp6", "set(ipv6(src=::1,label=0xfffff,hlimit=3)),set(udp(dst=9)),2"],
    ["arp", "userspace(pid=0,slow_path(action)),userspace(pid=5,userdata(00),actions,tunnel_out_port=3),2"],
    ["l3", "set(ipv4(ttl=3)),2"],
    [
      "ip",
      "2,recirc(0x1),clone(1),sample(sample=1%,actions(recirc(7))),check_pkt_len(size=9,gt(1),le(drop))",
    ],
  ];
  for (const [flow, actions] of cases) t.equal(refusalOf(flow, actions), undefined, `${flow}: ${actions}`);
  t.end();
});

t.test("refusals name action, place, rule and what is accepted", (t) => {
  const cases: [flow: FlowName, actions: string, path: string, byteOffset: number, text: RegExp][] = [
    ["ip", "1,65535", "actions[1].output", 8, /port 65535; accepted: 0 to 65534/],
    ["ip", "trunc(13),1", "actions[0].trunc", 0, /length 13; accepted: 14 or more/],
    [
      "ip",
      "push_vlan(tpid=0x9100,vid=1,pcp=0)",
      "actions[0].push_vlan",
      0,
      /TPID 0x9100; accepted: 0x8100 or 0x88a8/,
    ],
    ["ip", "1,push_vlan(vid=1,pcp=0,cfi=0)", "actions[1].push_vlan", 8, /CFI.*cfi=1/],
    ["l3", "push_vlan(vid=1,pcp=0)", "actions[0].push_vlan", 0, /no Ethernet header/],
    ["l3", "pop_vlan", "actions[0].pop_vlan", 0, /no Ethernet header/],
    ["l3", "set(eth(src=00:00:00:00:00:01))", "actions[0].set.eth", 4, /no Ethernet header/],
    [
      "arp",
      "1,2,set(ipv4(ttl=3))",
      "actions[2].set.ipv4",
      20,
      /does not match the header.*eth_type\(0x0800\)/,
    ],
    ["ip", "set(ipv6(hlimit=3))", "actions[0].set.ipv6", 4, /eth_type\(0x86dd\)/],
    ["other", "set(tcp(src=3))", "actions[0].set.tcp", 4, /does not match the header/],
    ["tcp", "set(udp(src=3))", "actions[0].set.udp", 4, /matches protocol 6.*proto=17/],
    ["tcp", "set(ipv4(proto=17))", "actions[0].set.ipv4", 4, /proto cannot be written.*mask of 0/],
    ["ip", "set(ipv4(ttl=1,frag=no))", "actions[0].set.ipv4", 4, /frag cannot be written/],
    [
      "tcp",
      "set(ipv4(src=1.1.1.1,dst=1.1.1.1,proto=17,tos=0,ttl=1,frag=no))",
      "actions[0].set.ipv4",
      4,
      /proto 6, as the flow/,
    ],
    [
      "ip",
      "set(eth(dst=10:11:12:13:14:15/ff:ff:ff:00:00:00))",
      "actions[0].set.eth",
      4,
      /byte 9 .* outside its mask.*0x00/,
    ],
    [
      "ip",
      "set(in_port(2))",
      "actions[0].set.in_port",
      4,
      /cannot be set; accepted: skb_priority, .*eth, mpls, arp, ipv4, ipv6, tcp, udp, sctp/,
    ],
    ["ip", "set(ct_mark(2))", "actions[0].set.ct_mark", 4, /cannot be set/],
    ["ip", "set(arp(op=2))", "actions[0].set.arp", 4, /does not match the header.*0x0806/],
    ["ip", "set(mpls(ttl=3))", "actions[0].set.mpls", 4, /does not match the header.*0x8847/],
    ["ip", "set(nsh(ttl=3))", "actions[0].set.nsh", 4, /Ethertype 0x0800.*0x894f/],
    ["nsh", "set(nsh(np=3))", "actions[0].set.nsh.base", 8, /np cannot be written.*mask of 0/],
    ["later", "set(udp(src=3))", "actions[0].set.udp", 4, /later fragments have no transport header/],
    ["tcp", "set(icmp(type=3))", "actions[0].set.icmp", 4, /matches protocol 6.*proto=1/],
    ["udp6", "set(nd(sll=00:00:00:00:00:01))", "actions[0].set.nd", 4, /matches protocol 17.*proto=58/],
    ["vlan", `${PUSH_MPLS},2`, "actions[0].push_mpls", 0, /have a VLAN tag; accepted: pop_vlan/],
    ["ip", `push_vlan(vid=1,pcp=0),${PUSH_MPLS}`, "actions[1].push_mpls", 8, /have a VLAN tag/],
    ["other", PUSH_MPLS, "actions[0].push_mpls", 0, /Ethertype 0x1234; accepted: .*ARP, RARP or MPLS/],
    [
      "ip",
      "push_mpls(label=1,tc=0,ttl=1,bos=1,eth_type=0x800)",
      "actions[0].push_mpls",
      0,
      /Ethertype 0x0800; accepted: 0x8847 or 0x8848/,
    ],
    ["ip", "pop_mpls(eth_type=0x800)", "actions[0].pop_mpls", 0, /Ethertype 0x0800; accepted: .*MPLS/],
    [
      "mpls",
      "pop_mpls(eth_type=0x800),set(ipv4(ttl=3))",
      "actions[1].set.ipv4",
      12,
      /not parsed.*recirc before it/,
    ],
    ["mpls", "pop_mpls(eth_type=0x8847),pop_mpls(eth_type=0x800)", "actions[1].pop_mpls", 8, /not parsed/],
    ["mpls", "pop_mpls(eth_type=0x6558)", "actions[0].pop_mpls", 0, /Ethernet behind MPLS/],
    [
      "mpls",
      "pop_mpls(eth_type=0x800),push_mpls(label=1,tc=0,ttl=1,bos=1,eth_type=0x8847)",
      "actions[1].push_mpls",
      8,
      /not parsed/,
    ],
    [
      "ip",
      "add_mpls(label=1,tc=0,ttl=1,bos=1,eth_type=0x8847),set(ipv4(ttl=3))",
      "actions[1].set.ipv4",
      16,
      /does not match/,
    ],
    [
      "ip",
      "add_mpls(label=1,tc=0,ttl=1,bos=1,eth_type=0x8847),pop_vlan",
      "actions[1].pop_vlan",
      12,
      /no Ethernet/,
    ],
    ["ip", PUSH_ETH, "actions[0].push_eth", 0, /have an Ethernet header/],
    ["l3", "pop_eth", "actions[0].pop_eth", 0, /no Ethernet header/],
    ["ip", "pop_nsh()", "actions[0].pop_nsh", 0, /Ethertype 0x0800; accepted: .*0x894f/],
    ["ip", "push_nsh(),pop_nsh(),set(ipv4(ttl=3))", "actions[2].set.ipv4", 48, /not parsed/],
    ["mpls", "pop_eth,push_nsh()", "actions[1].push_nsh", 4, /Ethertype 0x8847.*next protocol/],
    [
      "ip",
      "clone(push_vlan(vid=1,pcp=0),push_mpls(label=1,tc=0,ttl=1,bos=1,eth_type=0x8847))",
      "actions[0].clone[1].push_mpls",
      12,
      /VLAN tag/,
    ],
    ["ip", "clone(trunc(1))", "actions[0].clone[0].trunc", 4, /length 1/],
    ["ip", "sample(sample=50%,actions(1,trunc(1)))", "actions[0].sample.actions[1].trunc", 24, /length 1/],
    [
      "ip",
      "check_pkt_len(size=9,gt(1),le(trunc(2)))",
      "actions[0].check_pkt_len.le[0].trunc",
      28,
      /length 2/,
    ],
    ["ip", "check_pkt_len(size=0,gt(1),le(2))", "actions[0].check_pkt_len.size", 4, /size 0/],
    ["arp", "dec_ttl(le_1(drop))", "actions[0].dec_ttl", 0, /does not match IP/],
  ];
  for (const name of ["ct", "ct_clear"]) {
    cases.push(["ip", name, `actions[0].${name.replace(/\(.*/, "")}`, 0, /is not supported yet/]);
  }
  for (const [flow, actions, path, byteOffset, text] of cases) {
    const refusal = refusalOf(flow, actions);
    t.match({ ...refusal }, { path, byteOffset }, `${flow}: ${actions}`);
    t.match(refusal && formatRefusal(refusal), text, actions);
  }
  t.end();
});

t.test("a label of more than 20 bits is refused", (t) => {
  const writer = new NlWriter();
  const set = writer.begin(ACTION.setMasked);
  const value = new Uint8Array(80);
  value[33] = value[73] = 0x1f;
  writer.put(8, value);
  writer.end(set);
  t.match(refusalOf("udp6", writer.finish())?.rule, /more than 20 bits/);
  t.end();
});

t.test("sizes and depth have limits", (t) => {
  const nest = (depth: number): string => `${"clone(".repeat(depth)}1${")".repeat(depth)}`;
  t.equal(refusalOf("ip", nest(ACTION_DEPTH_MAX)), undefined);
  t.match(refusalOf("ip", nest(ACTION_DEPTH_MAX + 1))?.rule, /nested 17 levels deep/);
  const list = new Uint8Array(NLA_PAYLOAD_BYTES_MAX + 1);
  t.match(refusalOf("ip", list)?.rule, /the list has 65532 bytes/);
  t.throws(() => parseActions(Array(9000).fill("1").join(",")), /at most 65531 bytes/);
  t.end();
});

t.test("malformed attributes are refused where they are", (t) => {
  const cases: [hex: string, path: string, byteOffset: number, rule: RegExp][] = [
    ["0800010002000000ff", "actions[1]", 8, /does not fit/],
    ["0300010002000000", "actions[0]", 0, /does not fit/],
    ["0c00010002000000", "actions[0]", 0, /does not fit/],
    ["06000100020000", "actions[0].output", 0, /2 bytes of argument/],
    ["080063000200000000", "actions[0]", 0, /unknown action 99/],
    ["0800018002000000", "actions[0]", 0, /unknown action 32769/],
    ["04000300", "actions[0].set", 0, /no key attribute/],
    ["080003000400c800", "actions[0].set", 4, /unknown key attribute 200/],
    ["0c00030008000600" + "08000000", "actions[0].set.eth_type", 4, /cannot be set/],
    ["0a000300060009000100", "actions[0].set.tcp", 4, /2 bytes/],
    ["0c000b0008000900" + "01000200", "actions[0].set.tcp", 4, /4 bytes/],
    ["0400020000", "actions[0].userspace", 0, /pid is missing/],
    ["08000200" + "04000100", "actions[0].userspace.pid", 4, /0 bytes/],
    ["14000200" + "0800010001000000" + "0800010001000000", "actions[0].userspace.pid", 12, /twice/],
    ["0c000200" + "0800090001000000", "actions[0].userspace", 4, /unknown attribute 9/],
    ["0c000600" + "0800010001000000", "actions[0].sample", 0, /actions is missing/],
    ["0800180000000000" + "0800010002000000", "actions[0].drop", 0, /actions follow a drop/],
  ];
  for (const [hex, path, byteOffset, rule] of cases) {
    const refusal = refusalOf("tcp", hexToBytes(hex));
    t.match({ ...refusal }, { path, byteOffset, rule }, hex);
  }
  t.equal(refusalOf("tcp", hexToBytes("0c0003000800090001000200")), undefined);
  t.end();
});

/** Attributes that look real: right and wrong lengths, known and unknown types, nested at random. */
const hostileList: fc.Arbitrary<Uint8Array> = fc
  .letrec<{ list: Uint8Array }>((tie) => ({
    list: fc
      .array(
        fc.record({
          type: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 0xffff })),
          payload: fc.oneof(
            { depthSize: "medium" },
            fc.uint8Array({ maxLength: 90 }),
            fc.constantFrom(2, 4, 12, 24, 40, 80).chain((n) => fc.uint8Array({ minLength: n, maxLength: n })),
            tie("list"),
          ),
          lie: fc.constantFrom(0, 0, 0, 0, 0, 1, -1, 4, -4, 1000),
        }),
        { maxLength: 5 },
      )
      .map((attributes) => {
        const parts = attributes.map(({ type, payload, lie }) => {
          const stated = Math.max(0, payload.length + 4 + lie);
          const bytes = new Uint8Array(4 + Math.ceil(payload.length / 4) * 4);
          bytes.set([stated, stated >>> 8, type, type >>> 8]);
          bytes.set(payload, 4);
          return bytes;
        });
        return Uint8Array.from(parts.flatMap((part) => [...part]));
      }),
  }))
  .list.filter((bytes) => bytes.length < 0x8000);

t.test("hostile attributes never crash validator, printer or executor", (t) => {
  const rig = new ActionRig();
  const packet = hexToBytes(
    "10111213141500010203040508004528003612340000400694a60a010203c0a80709" +
      "045708ae000000000000000050020000ffff0000000102030405",
  );
  const { key, mask } = parseMatch(FLOWS.tcp);
  let passed = 0;
  fc.assert(
    fc.property(fc.oneof(hostileList, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      printActions(bytes);
      const refusal = validateActions(bytes, key, mask);
      if (refusal === undefined) {
        passed += 1;
        rig.run(packet, bytes);
      } else if (refusal.path === "" || refusal.byteOffset < 0 || refusal.byteOffset > bytes.length) {
        throw new Error(formatRefusal(refusal));
      }
    }),
    runs(20000),
  );
  t.ok(passed > 100, `${passed} lists passed and were carried out`);
  t.equal(
    validateActions(new Uint8Array(0), new Uint8Array(KEY_BYTES), new Uint8Array(KEY_BYTES)),
    undefined,
  );
  t.end();
});
