// Action text: what OVS's own test suite parses and prints, the forms that only OVS's printer has, and a
// second opinion of the installed OVS. Random lists are printed and read back to the same bytes.
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import t from "tap";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { parseActionsLine } from "../../src/action/odp/parse-line.ts";
import { printActions } from "../../src/action/odp/print-actions.ts";
import { OdpSyntaxError } from "../../src/flow/odp/text-cursor.ts";
import { bytesToHex } from "../../src/packet/bytes.ts";
import {
  type ActionRow,
  corporaSkipReason,
  readCorpusLines,
  readCorpusRows,
  readCorpusText,
} from "../support/corpora.ts";
import { runs } from "../support/seed.ts";

const ERROR = "odp_actions_from_string: error";
const skip = corporaSkipReason();
/**
 * What the suite puts for numbers that change from run to run, and m4 comments cut off: patterns, not texts.
 */
const PLACEHOLDER = /<|[A-Z]{4}|\bX+\b|\?|dnl$/;

/** Words without arguments that stand where a port's name could. */
const NOT_PORTS: ReadonlySet<string> = new Set([
  ...["drop", "pop_vlan", "pop_eth", "ct_clear", "ct", "commit", "nat", "actions", "key", "csum", "geneve"],
  ...["persistent", "random", "hash", "egress", "ingress"],
]);

const roundTrip = (text: string): string => printActions(parseActions(text));

t.test("OVS's action lists print as they were read", { skip }, (t) => {
  const lines = readCorpusLines("odp/actions.roundtrip.txt")!;
  t.equal(lines.length, 130);
  for (const line of lines) t.equal(parseActionsLine(line), line);
  t.end();
});

t.test("what OVS refuses is refused", { skip }, (t) => {
  for (const line of readCorpusLines("odp/actions.invalid.txt")!)
    t.equal(parseActionsLine(line), ERROR, line);
  t.end();
});

t.test("every action list of OVS's test suite reads and prints alike", { skip }, (t) => {
  const ports = new Map<string, number>();
  const names = new Map<number, string>();
  for (const { actions } of JSON.parse(readCorpusText("odp/at-datapath-actions.json")!) as {
    actions: string;
  }[]) {
    if (PLACEHOLDER.test(actions)) continue;
    // Names of ports that the tests have, wherever one may stand.
    for (const [, name] of actions.matchAll(
      /(?:^|,|tnl_pop\(|tnl_port\(|out_port\()([a-z][a-z0-9_-]*)(?=,|\)|$)/g,
    )) {
      if (NOT_PORTS.has(name!)) continue;
      if (!ports.has(name!)) ports.set(name!, 1000 + ports.size);
      names.set(ports.get(name!)!, name!);
    }
    t.equal(printActions(parseActions(actions, ports), names), actions);
  }
  t.end();
});

t.test("actions of the action corpus print as the oracle dumped them", { skip }, (t) => {
  const rows = readCorpusRows<ActionRow>("actions/actions-ovs3.1.jsonl")!;
  const dumps = new Map(rows.map((row) => [row.actions, row.actions_dump]));
  for (const [actions, dump] of dumps) {
    t.equal(roundTrip(actions), dump, actions);
    t.equal(roundTrip(dump), dump, dump);
  }
  t.end();
});

function tunnelPush(header: string, network: string, tunnel: string): string {
  const type = network.startsWith("ipv4") ? "0x0800" : "0x86dd";
  const ethernet = `eth(dst=f8:bc:12:44:34:b6,src=f8:bc:12:46:58:e0,dl_type=${type})`;
  return `tnl_push(tnl_port(4),header(${header},${ethernet},${network},${tunnel}),out_port(1))`;
}

/** Printed by OVS, read by nobody but us. */
const PRINTED_ONLY = [
  "recirc(0x1)",
  "hash(l4(0)),recirc(0x7)",
  "hash(sym_l4(4294967295))",
  "push_mpls(label=1048575,tc=7,ttl=255,bos=1,eth_type=0x8847)",
  "pop_mpls(eth_type=0x800)",
  "push_eth(src=00:00:00:00:00:01,dst=0a:0b:0c:0d:0e:0f)",
  "pop_eth,pop_nsh()",
  "dec_ttl(le_1(1,2)),3",
  "dec_ttl(le_1(drop))",
  "clone(drop),2",
  "check_pkt_len(size=100,gt(drop),le(drop))",
  "userspace(pid=0,slow_path(cfm,bfd))",
  "set(nsh(flags=2,ttl=63,spi=0x123456,si=254,c1=0x44332211,c3=0x7700/0x0000ff00)),2",
  "drop(42)",
  "1,drop",
  "clone(1,drop),2",
  "psample(group=1,cookie=0x0102)",
  "push_nsh(flags=3,ttl=0,mdtype=2,np=3,spi=0x0,si=255,md2=0x00100a04)",
  tunnelPush(
    "size=50,type=107",
    "ipv4(src=1.1.2.88,dst=1.1.2.92,proto=47,tos=0,ttl=64,frag=0x4000)",
    "erspan(ver=1,sid=0x3ff,idx=0x3)",
  ),
  tunnelPush(
    "size=74,type=108",
    "ipv6(src=::1,dst=::2,label=7,proto=47,tclass=0x1,hlimit=64)",
    "erspan(ver=2,sid=0x7b,dir=1,hwid=0x3f)",
  ),
  tunnelPush(
    "size=50,type=110",
    "ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=0x3,ttl=64,frag=0x4000)",
    "udp(src=0,dst=2152,csum=0x0),gtpu(flags=0x30,msgtype=255,teid=0x7b)",
  ),
];

t.test("forms that OVS prints and cannot read are read", (t) => {
  for (const text of PRINTED_ONLY) t.equal(roundTrip(text), text);
  t.equal(roundTrip("recirc(17)"), "recirc(0x11)");
  t.equal(roundTrip("clone()"), "clone(drop)");
  t.equal(roundTrip(""), "drop");
  t.equal(roundTrip(" 1 ,, 2\t"), "1,2");
  t.end();
});

t.test("errors say where and what was expected", (t) => {
  const cases: [text: string, column: number, expected: RegExp][] = [
    ["1,bogus", 3, /an action or a port/],
    ["push_vlan(vid=4096,pcp=0)", 15, /vid of at most/],
    ["ct(zone=65536)", 9, /zone of at most 65535/],
    ["4294967296", 1, /port number of at most/],
    ["drop,1", 5, /end of the list/],
    ["drop(1),2", 8, /end of the list/],
    ["clone(1", 8, /","/],
    ["sample(sample=101%,actions(1))", 15, /percentage/],
    ["set(ipv4(src=1.2.3.4)", 22, /"\)"/],
    [`${"clone(".repeat(40)}1${")".repeat(40)}`, 193, /levels/],
  ];
  for (const [text, column, expected] of cases) {
    try {
      parseActions(text);
      t.fail(`${text} was read`);
    } catch (error) {
      if (!(error instanceof OdpSyntaxError)) throw error;
      t.match(error.message, expected, text);
      t.equal(error.column, column, text);
    }
  }
  t.end();
});

const octet = fc.integer({ min: 0, max: 255 });
const mac = fc
  .array(octet, { minLength: 6, maxLength: 6 })
  .map((bytes) => bytes.map((b) => b.toString(16).padStart(2, "0")).join(":"));
const ip4 = fc.array(octet, { minLength: 4, maxLength: 4 }).map((bytes) => bytes.join("."));
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const hexText = (value: number): string => `0x${value.toString(16)}`;

const leaf: fc.Arbitrary<string> = fc.oneof(
  u32.map(String),
  u32.map((n) => `trunc(${n})`),
  u32.map((n) => `meter(${n})`),
  u32.map((n) => `recirc(${hexText(n)})`),
  fc.constantFrom(
    "pop_vlan",
    "pop_eth",
    "ct_clear",
    "pop_nsh()",
    "ct",
    "ct(nat)",
    "ct(commit,nat(src=fe80::1-fe80::9,random))",
  ),
  fc
    .tuple(
      fc.integer({ min: 0, max: 4095 }),
      fc.integer({ min: 0, max: 7 }),
      fc.constantFrom("", "tpid=0x88a8,"),
      fc.constantFrom("", ",cfi=0"),
    )
    .map(([vid, pcp, tpid, cfi]) => `push_vlan(${tpid}vid=${vid},pcp=${pcp}${cfi})`),
  fc.tuple(mac, mac).map(([src, dst]) => `push_eth(src=${src},dst=${dst})`),
  fc.tuple(mac, mac).map(([src, dst]) => `set(eth(src=${src},dst=${dst}))`),
  fc.tuple(ip4, octet).map(([src, ttl]) => `set(ipv4(src=${src},ttl=${ttl}))`),
  fc
    .tuple(u16, fc.integer({ min: 1, max: 0xfffe }))
    .map(([value, mask]) => `set(tcp(src=${value & mask}/${hexText(mask)}))`),
  fc.tuple(u16, u16).map(([src, dst]) => `set(udp(src=${src},dst=${dst}))`),
  fc
    .tuple(u32, u32)
    .map(([group, cookie]) => `psample(group=${group},cookie=0x${cookie.toString(16).padStart(8, "0")})`),
  fc
    .tuple(u32, u16)
    .map(
      ([pid, vid]) =>
        `userspace(pid=${pid},sFlow(vid=${vid & 0xfff},pcp=${vid >>> 13},output=${pid}),actions)`,
    ),
  fc
    .tuple(u32, fc.uint8Array({ minLength: 8, maxLength: 60 }))
    .map(([pid, data]) => `userspace(pid=${pid},userdata(${bytesToHex(data)}))`),
  fc
    .tuple(u16, u32, u32)
    .map(([zone, mark, mask]) => `ct(commit,zone=${zone},mark=${hexText(mark)}/${hexText(mask)})`),
  fc
    .tuple(u32, octet)
    .map(
      ([c1, np]) =>
        `push_nsh(flags=0,ttl=1,mdtype=1,np=${np},spi=0x1,si=2,c1=${hexText(c1)},c2=0x0,c3=0x0,c4=0x0)`,
    ),
);

const { list } = fc.letrec<{ list: string; action: string }>((tie) => ({
  list: fc.array(tie("action"), { minLength: 1, maxLength: 4 }).map((actions) => actions.join(",")),
  action: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    tie("list").map((inner) => `clone(${inner})`),
    fc
      .tuple(fc.integer({ min: 0, max: 100 }), tie("list"))
      .map(([p, inner]) => `sample(sample=${p}.0%,actions(${inner}))`),
    fc
      .tuple(fc.integer({ min: 1, max: 9999 }), tie("list"), tie("list"))
      .map(([n, gt, le]) => `check_pkt_len(size=${n},gt(${gt}),le(${le}))`),
    tie("list").map((inner) => `dec_ttl(le_1(${inner}))`),
  ),
}));

t.test("what is printed reads back to the same bytes", (t) => {
  fc.assert(
    fc.property(list, (text) => {
      const bytes = parseActions(text);
      const printed = printActions(bytes);
      const again = parseActions(printed);
      if (bytesToHex(again) !== bytesToHex(bytes)) throw new Error(`${text}\n${printed}`);
    }),
    runs(3000),
  );
  t.end();
});

t.test("text of any kind is read or refused, never more", (t) => {
  const pieces = fc.constantFrom(
    "set(",
    "ipv4(",
    "ct(",
    "nat(",
    "src=",
    "userspace(pid=",
    ",",
    "(",
    ")",
    "1",
    "0x",
    "/",
    "drop",
    "clone(",
    "push_nsh(",
    "%",
    "label=0x",
    "tnl_push(tnl_port(4),header(size=",
    "-",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(pieces).map((parts) => parts.join("")),
        fc.string(),
      ),
      (text) => {
        const answer = parseActionsLine(text);
        if (answer !== ERROR && parseActionsLine(answer) !== answer) throw new Error(`${text} -> ${answer}`);
      },
    ),
    runs(3000),
  );
  t.end();
});

/** Forms that OVS 3.1 cannot read, and a zone that it prints away. */
const PRINTED_ONLY_NAMES = /recirc|hash|push_eth|pop_eth|dec_ttl|psample|zone=0/;

const dpctl = spawnSync("ovs-dpctl", ["--version"]);
t.test(
  "the installed OVS prints the same",
  { skip: dpctl.status === 0 ? false : "ovs-dpctl is not installed" },
  (t) => {
    const readable = fc
      .sample(fc.oneof(leaf, list), runs(800))
      .filter((text) => !PRINTED_ONLY_NAMES.test(text));
    const samples = readable.slice(0, 60);
    t.equal(samples.length, 60);
    for (const text of samples) {
      const answer = spawnSync("ovs-dpctl", ["parse-actions", "--", text], { encoding: "utf8" });
      if (answer.status === 0) t.equal(roundTrip(text), answer.stdout.trimEnd(), text);
      else t.fail(`ovs-dpctl refuses ${text}: ${answer.stderr}`);
    }
    t.end();
  },
);
