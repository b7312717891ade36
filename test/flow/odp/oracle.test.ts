// Random matches through the real Open vSwitch: our verbose text is its add-flow, its dumps are our texts. Tunnels are
// left out (its text loses parts of their masks), and frames without Ethertype, which it cannot read back.

import fc from "fast-check";
import t from "tap";
import { getNumber } from "../../../src/flow/key.ts";
import { type FlowMatch, formatMatch, parseMatch } from "../../../src/flow/odp/match.ts";
import { Oracle, oracleSkipReason } from "../../support/oracle.ts";
import { runs, SEED } from "../../support/seed.ts";
import { randomMatch } from "../random-match.ts";

const MATCHES = 400;
const VLAN_LIMIT = 2;

/** Flow and statistics of a dumped line. */
const matchOf = (line: string): string =>
  line.slice(0, line.indexOf(", packets:")).replace(/^ufid:[^,]*, /, "");

function isReadByOvs({ key, mask }: FlowMatch): boolean {
  const etherType = getNumber(key, "eth_type");
  // Version 3.1 wants the code of neighbour discovery exact as well as the type; later ones the type alone.
  const isCodeOpen = getNumber(mask, "tp_src") === 0xff && getNumber(mask, "tp_dst") === 0;
  const hasFrag = getNumber(mask, "nw_frag") === 0xff;
  return getNumber(key, "tun_flags") === 0 && etherType >= 0x600 && hasFrag && !isCodeOpen;
}

t.test("add-flow takes our text, dump-flows prints ours", { skip: oracleSkipReason() }, async (t) => {
  const oracle = await Oracle.start({ vlanLimit: VLAN_LIMIT });
  t.teardown(() => oracle.stop());
  const matches = fc.sample(randomMatch.filter(isReadByOvs), { ...runs(MATCHES), seed: SEED });
  for (const given of matches) {
    const text = formatMatch(given, { verbose: true, vlanLimit: VLAN_LIMIT });
    const answer = await oracle.addFlow(text, "1");
    if (!t.equal(answer.code, 0, `${text}: ${answer.text}`)) break;
    const match = parseMatch(text, { vlanLimit: VLAN_LIMIT });
    const [short] = await oracle.dumpFlows();
    const [verbose] = await oracle.dumpFlows("-m");
    t.equal(formatMatch(match, { vlanLimit: VLAN_LIMIT }), matchOf(short!));
    t.equal(formatMatch(match, { verbose: true, vlanLimit: VLAN_LIMIT }), matchOf(verbose!));
    await oracle.delFlows();
  }
});

/** Texts that somebody types: short, wrong, incomplete. Who refuses what is compared. */
const TYPED = [
  "in_port(1),eth(),eth_type(0x0800),ipv4()",
  "in_port(1),eth(),eth_type(0x0800),ipv4(src=10.0.0.1,proto=17),udp(dst=53)",
  "in_port(1),eth(),eth_type(0x0800),ipv4(proto=6/0),tcp(src=80)",
  "in_port(1),eth(),eth_type(0x0800),ipv4(frag=maybe)",
  "in_port(1),eth(),eth_type(0x0800),udp(dst=53)",
  "in_port(1/0xff),eth(),eth_type(0x1234)",
  "eth(),eth_type(0x1234)",
  "in_port(1),eth(),eth_type(0x05ff)",
  "in_port(1),eth(),eth_type(0x8100),vlan(vid=10),encap(eth_type(0x0800),ipv4())",
  "in_port(1),eth(),eth_type(0x8100),vlan(vid=10)",
  "in_port(1),eth(),eth_type(0x8100),vlan(vid=5000),encap()",
  "in_port(1),eth(),eth_type(0x86dd),ipv6(label=0x100000)",
  "in_port(1),eth(),eth_type(0x0806),arp(op=256)",
  "in_port(1),eth(),eth_type(0x8847),mpls(label=1,tc=0,ttl=1,bos=1,label=2,tc=0,ttl=1,bos=1)",
  "in_port(1),in_port(2),eth(),eth_type(0x1234)",
  "in_port(1),bogus()",
  "in_port(1),eth(src=1:2:3)",
  "in_port(),eth()",
  "ct_state(+trk-fly),in_port(1),eth(),eth_type(0x1234)",
  "recirc_id(0x1),ct_state(+trk+new),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)",
] as const;

t.test("typed flows are taken and refused alike", { skip: oracleSkipReason() }, async (t) => {
  const oracle = await Oracle.start({ vlanLimit: VLAN_LIMIT });
  t.teardown(() => oracle.stop());
  for (const text of TYPED) {
    const answer = await oracle.addFlow(text, "1");
    let ours = 0;
    let rest = "";
    try {
      parseMatch(text, { vlanLimit: VLAN_LIMIT });
    } catch (error) {
      ours = 2;
      rest =
        error instanceof Error && "rest" in error ? `syntax error at ${error.rest}` : "updating flow table";
    }
    t.equal(ours, answer.code, `${text}: ${answer.text}`);
    t.match(answer.text, rest, text);
    await oracle.delFlows();
  }
});

/** What OVS prints in dumps and does not take back: what the mask leaves out has vanished, and with it whole headers. */
const ONLY_OURS = [
  "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth(),eth_type(0x0800),ipv4(proto=6,frag=no)",
  "recirc_id(0),in_port(1),eth(),eth_type(0x0800)",
  "recirc_id(0),in_port(1),eth(),eth_type(0/0xffff)",
  "recirc_id(0),tunnel(src=10.0.0.2,dst=10.0.0.1),in_port(1),eth(),eth_type(0x1234)",
  "in_port(1),eth(),eth_type(0x894f),nsh(ttl=63,mdtype=1,np=3,spi=0x1234,si=255)",
  "in_port(1),eth(),eth_type(0x86dd),ct_tuple6(src=::1,dst=::2,proto=6,src_port=1,dst_port=2),ipv6(frag=no)",
] as const;

t.test("what dumps print is taken back", { skip: oracleSkipReason() }, async (t) => {
  const oracle = await Oracle.start({ vlanLimit: VLAN_LIMIT });
  t.teardown(() => oracle.stop());
  for (const text of ONLY_OURS) {
    const answer = await oracle.addFlow(text, "1");
    t.equal(answer.code, 2, `${text}: OVS has learned to read it`);
    const match = parseMatch(text);
    t.same(parseMatch(formatMatch(match)).mask, match.mask, text);
  }
});
