// The field table's rules and the accessors; ufids; filters beyond the corpus.

import fc from "fast-check";
import t from "tap";
import { FIELDS, type Field, KEY_BYTES } from "../../src/flow/fields.ts";
import { FlowFilterError, parseFilter, passesFilter } from "../../src/flow/filter.ts";
import {
  applyMask,
  assertLayout,
  equalUnder,
  getBig,
  getNumber,
  isOnes,
  isZero,
  keysEqual,
  newKey,
  setBig,
  setNumber,
} from "../../src/flow/key.ts";
import { parseMatch } from "../../src/flow/odp/match.ts";
import { computeUfid, formatUfid, parseUfid } from "../../src/flow/ufid.ts";
import { runs } from "../support/seed.ts";
import { randomMatch } from "./random-match.ts";

t.test("a field table that breaks a rule does not load, and the error names field and rule", async (t) => {
  const moved = (name: string, change: Partial<Field>): Field[] =>
    FIELDS.map((field) => (field.name === name ? { ...field, ...change } : field));
  t.doesNotThrow(() => assertLayout(FIELDS));
  t.throws(() => assertLayout(moved("nw_src", { offset: 44 })), /nw_dst at 44.*shares byte 44 with nw_src/);
  t.throws(() => assertLayout(moved("ct_mark", { offset: 62 })), /ct_mark at 62.*shares/);
  t.throws(() => assertLayout(moved("nd_reserved", { offset: 190 })), /nd_reserved.*crosses a block/);
  t.throws(() => assertLayout(moved("ct_mark", { offset: 186 })), /ct_mark.*aligned to 4/);
  t.throws(() => assertLayout(moved("nw_src", { offset: 248 })), /nw_src.*outside of line 0/);
  t.throws(() => assertLayout(moved("tun_opts", { offset: 400 })), /tun_opts.*ends behind/);
});

t.test("every field keeps its value and touches no other", async (t) => {
  for (const field of FIELDS) {
    const key = newKey();
    const most = (1n << BigInt(field.bytes * 8)) - 1n;
    setBig(key, field.name, most);
    t.ok(isOnes(key, field.name));
    t.equal(key.filter((byte) => byte !== 0).length, field.bytes, field.name);
    setBig(key, field.name, most / 3n);
    t.equal(getBig(key, field.name), most / 3n);
    t.throws(() => setBig(key, field.name, most + 1n), new RegExp(field.name));
    if (field.bytes > 4) continue;
    t.equal(getNumber(key, field.name), Number(most / 3n));
    setNumber(key, field.name, 1);
    t.equal(getBig(key, field.name), 1n);
    t.throws(() => setNumber(key, field.name, 2 ** (field.bytes * 8)), RangeError);
    setNumber(key, field.name, 0);
    t.ok(isZero(key, field.name));
  }
  t.throws(() => getNumber(newKey(), "ipv6_src"), /fit no number/);
});

t.test("masked keys agree exactly where the mask looks", async () => {
  const bytes = fc.uint8Array({ minLength: KEY_BYTES, maxLength: KEY_BYTES });
  fc.assert(
    fc.property(bytes, bytes, bytes, (left, right, mask) => {
      const same = keysEqual(applyMask(left, mask), applyMask(right, mask));
      if (same !== equalUnder(left, right, mask)) throw new Error("differ");
      if (!equalUnder(left, applyMask(left, mask), mask)) throw new Error("masked key is another");
    }),
    runs(100),
  );
});

t.test("ufids: text and back, one of its own for every match and seed", async (t) => {
  const text = "ufid:00010203-0405-0607-0809-0a0b0c0d0e0f";
  t.equal(formatUfid(parseUfid(text)!), text);
  t.equal(parseUfid("ufid:00010203-0405"), undefined);
  t.same(parseMatch(`${text}, in_port(1),eth(),eth_type(0x1234)`).ufid, parseUfid(text));
  const seen = new Map<string, string>();
  fc.assert(
    fc.property(randomMatch, fc.nat(), fc.nat(KEY_BYTES * 8 - 1), ({ key, mask }, seed, bit) => {
      const ufid = formatUfid(computeUfid(key, mask, seed));
      if (!/^ufid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(ufid))
        throw new Error(ufid);
      if (ufid !== formatUfid(computeUfid(key, mask, seed))) throw new Error("not the same twice");
      const other = key.slice();
      other[bit >>> 3]! ^= 1 << (bit & 7);
      const others = [
        computeUfid(other, mask, seed),
        computeUfid(key, mask, seed + 1),
        computeUfid(mask, key, seed),
      ];
      if (others.some((one) => formatUfid(one) === ufid) && !keysEqual(key, mask))
        throw new Error("collides");
      seen.set(ufid, "");
    }),
    runs(300),
  );
  t.ok(seen.size > 250, "they differ from match to match");
});

t.test("filters: every field's place, and what is wrong with a bad one", async (t) => {
  const flow = parseMatch(
    "recirc_id(0x5),in_port(3),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x8100)," +
      "vlan(vid=7,pcp=3),encap(eth_type(0x0800),ipv4(src=10.1.2.3,proto=17,tos=0x28,frag=no),udp(dst=53))",
  );
  const passes = (text: string): boolean => passesFilter(flow, parseFilter(text, new Map([["p3", 3]])));
  for (const text of [
    "in_port=3",
    "in_port=p3",
    "recirc_id=5",
    "dl_vlan=7",
    "dl_vlan=7,dl_vlan_pcp=3",
    "dl_vlan=7,vlan_pcp=3",
    "vlan_tci=0x7007",
    "ip,nw_src=10.1.2.3,nw_tos=40",
    "udp,udp_dst=53",
    "udp,tp_dst=53 tp_src=1",
    "ip,ip_dscp=10",
    "ip,nw_frag=no",
    "eth_src(02:00:00:00:00:01)",
    "packet_type=(1,0x800)",
  ]) {
    t.ok(passes(text), text);
  }
  for (const text of [
    "in_port=4",
    "dl_vlan=8",
    "dl_vlan=7,dl_vlan_pcp=4",
    "ip,nw_src=10.1.2.4",
    "tcp",
    "udp,udp_dst=54",
    "ip,nw_frag=later",
    "ip,ip_dscp=11",
    "arp",
  ]) {
    t.notOk(passes(text), text);
  }
  for (const [text, message] of [
    ["nonsense=1", /unknown field nonsense/],
    ["tp_src=1", /prerequisites not met for setting tp_src/],
    ["ip,tcp", /Ethernet type set multiple times/],
    ["in_port=1,in_port=1", /field in_port set multiple times/],
    ["ip,nw_src=10.0.0.0/8", /bad value for nw_src .*wildcards not allowed here/],
    ["ip,nw_src=10.0.0", /bad value for nw_src/],
    ["tcp,tcp_flags=+syn", /wildcards not allowed here/],
    ["ip,nw_tos=3", /multiple of 4/],
    ["in_port=p9", /number or name of a port/],
    ["=1", /name is missing/],
  ] as const) {
    t.throws(() => parseFilter(text), FlowFilterError, text);
    t.throws(() => parseFilter(text), message, text);
  }
});
