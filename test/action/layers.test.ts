// Headers pushed and popped, against packets that the builder makes; and what nested lists, dec_ttl, samples and bonds
// do to a packet.
import t from "tap";
import { BondTable } from "../../src/action/bond-table.ts";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { KEY_BYTES } from "../../src/flow/fields.ts";
import { getNumber } from "../../src/flow/key.ts";
import { BOND_BUCKETS } from "../../src/memory/region-plan.ts";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet, mpls, nsh, vlan } from "../../src/packet/builder-link.ts";
import { ipv4, ipv6 } from "../../src/packet/builder-network.ts";
import { udp } from "../../src/packet/builder-transport.ts";
import { bytesToHex } from "../../src/packet/bytes.ts";
import { SeededRandom } from "../support/random.ts";
import { SEED } from "../support/seed.ts";
import { ActionRig, type Fate, randomChain } from "./rig.ts";

const IP4 = [ipv4({}), udp({ src: 1, dst: 2 })] as const;
const PLAIN = buildFrame([ethernet(), ...IP4]);
const rig = new ActionRig();

function run(packet: Uint8Array, actions: string): Fate[] {
  const fates = rig.run(packet, parseActions(actions));
  const random = new SeededRandom(SEED);
  for (let turn = 0; turn < 6; turn += 1) {
    const chain = randomChain(packet.length, 2048, (limit) => random.below(limit));
    t.strictSame(
      rig.run(packet, parseActions(actions), chain),
      fates,
      `${actions} in ${chain.length} frames`,
    );
  }
  return fates;
}

const sent = (packet: Uint8Array, portNo = 2): Fate => ({ kind: "output", portNo, hex: bytesToHex(packet) });
const sentL3 = (packet: Uint8Array): Fate => ({ kind: "outputL3", portNo: 2, hex: bytesToHex(packet) });

t.test("MPLS behind the Ethernet header", (t) => {
  const one = buildFrame([ethernet(), mpls({ label: 7, tc: 2, ttl: 9 }), ...IP4]);
  const two = buildFrame([ethernet(), mpls({ label: 8, ttl: 3 }), mpls({ label: 7, tc: 2, ttl: 9 }), ...IP4]);
  const push7 = "push_mpls(label=7,tc=2,ttl=9,bos=1,eth_type=0x8847)";
  const push8 = "push_mpls(label=8,tc=0,ttl=3,bos=0,eth_type=0x8847)";
  t.same(run(PLAIN, `${push7},2`), [sent(one)]);
  t.same(run(PLAIN, `${push7},${push8},2`), [sent(two)]);
  t.same(run(two, "pop_mpls(eth_type=0x8847),2"), [sent(one)]);
  t.same(run(one, "pop_mpls(eth_type=0x800),2"), [sent(PLAIN)]);
  t.same(run(two, "pop_mpls(eth_type=0x8847),pop_mpls(eth_type=0x800),2"), [sent(PLAIN)]);
  t.same(run(PLAIN, `2,${push7},2,pop_mpls(eth_type=0x800),2`), [sent(PLAIN), sent(one), sent(PLAIN)]);
  const tagged = buildFrame([
    ethernet(),
    vlan({ vid: 5 }),
    mpls({ label: 8, ttl: 3 }),
    mpls({ label: 7, tc: 2, ttl: 9 }),
    ...IP4,
  ]);
  const changed = buildFrame([
    ethernet(),
    vlan({ vid: 5 }),
    mpls({ label: 9, ttl: 3 }),
    mpls({ label: 7, tc: 2, ttl: 9 }),
    ...IP4,
  ]);
  t.same(run(tagged, "set(mpls(label=9/0xfffff)),2"), [sent(changed)]);
  t.same(run(two, "push_vlan(vid=5,pcp=0),set(mpls(label=9/0xfffff)),2"), [sent(changed)]);
  t.end();
});

t.test("what is pushed before Ethernet makes a packet without it", (t) => {
  const entry = Uint8Array.of(0, 1, 5, 64);
  const pushed = Uint8Array.of(...entry, ...PLAIN);
  const add = "add_mpls(label=16,tc=2,ttl=64,bos=1,eth_type=0x8847)";
  t.same(run(PLAIN, `${add},2`), [sentL3(pushed)]);
  t.same(run(PLAIN, `${add},pop_mpls(eth_type=0x6558),2`), [sent(PLAIN)]);
  const carried = Uint8Array.of(...[0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0x88, 0x47], ...pushed);
  const pushEth = "push_eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02)";
  t.same(run(PLAIN, `${add},${pushEth},2`), [sent(carried)]);
  t.same(run(carried, "pop_eth,pop_mpls(eth_type=0x6558),2"), [sent(PLAIN)]);
  const body = PLAIN.slice(14);
  t.same(run(PLAIN, "pop_eth,2"), [sentL3(body)]);
  t.same(run(PLAIN, `pop_eth,${pushEth},2`), [
    sent(Uint8Array.of(...[0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 8, 0], ...body)),
  ]);
  t.same(run(PLAIN, "pop_eth,set(ipv4(ttl=7)),2").length, 1);
  t.same(run(PLAIN, "clone(pop_eth,2),2"), [sentL3(body), sent(PLAIN)], "nothing leaks out of a clone");
  t.end();
});

t.test("NSH on and off", (t) => {
  const context = Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4);
  const over = (spi: number, ttl: number): Uint8Array =>
    buildFrame([nsh({ spi, si: 255, ttl, metadata: context, next: 3 }), ethernet(), ...IP4]);
  const push = "push_nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x12,si=255,c1=0x1,c2=0x2,c3=0x3,c4=0x4)";
  t.same(run(PLAIN, `${push},2`), [sentL3(over(0x12, 63))]);
  t.same(run(PLAIN, `${push},set(nsh(ttl=5,spi=0x99)),2`), [sentL3(over(0x99, 5))]);
  t.same(run(PLAIN, `${push},pop_nsh(),2`), [sent(PLAIN)]);
  t.same(run(PLAIN, `${push},${push},pop_nsh(),pop_nsh(),2`), [sent(PLAIN)]);
  const md2 = "00".repeat(240);
  t.same(run(PLAIN, `push_nsh(mdtype=2,md2=0x${md2}),pop_nsh(),2`), [sent(PLAIN)], "the longest header");
  t.same(rig.run(PLAIN, parseActions("pop_nsh(),2")), [{ kind: "drop", end: "unable" }]);
  t.end();
});

t.test("dec_ttl", (t) => {
  const at = (ttl: number): Uint8Array => buildFrame([ethernet(), ipv4({ ttl }), udp({})]);
  const at6 = (hopLimit: number): Uint8Array => buildFrame([ethernet(), ipv6({ hopLimit }), udp({})]);
  t.same(run(at(9), "dec_ttl(le_1(3)),2"), [sent(at(8))]);
  t.same(run(at(2), "dec_ttl(le_1(3)),2"), [sent(at(1))]);
  t.same(run(at(1), "dec_ttl(le_1(3)),2"), [sent(at(1), 3)]);
  t.same(run(at(0), "2,dec_ttl(le_1(drop)),2"), [sent(at(0)), { kind: "drop", end: "nowhere" }]);
  t.same(run(at6(9), "dec_ttl(le_1(3)),2"), [sent(at6(8))]);
  t.same(run(at6(1), "dec_ttl(le_1(3,4)),2"), [sent(at6(1), 3), sent(at6(1), 4)]);
  t.end();
});

t.test("recirc, samples and metadata", (t) => {
  t.same(run(PLAIN, "recirc(0x7)"), [{ kind: "recirc", recircId: 7, hex: bytesToHex(PLAIN) }]);
  t.same(
    run(PLAIN, "recirc(0x7),2").map(({ kind }) => kind),
    ["recirc", "output"],
  );
  const [sample] = run(PLAIN, "psample(group=3,cookie=0x1122),2");
  t.match(sample, { kind: "psample", attributes: "080001000300000006000200112200".slice(0, 24) });
  const keys = ["set(skb_mark(0x7)),userspace(pid=1),2", "pop_eth,userspace(pid=1),2"].map((actions) => {
    rig.run(PLAIN, parseActions(actions));
    return [getNumber(rig.upcallKey, "skb_mark"), getNumber(rig.upcallKey, "packet_type")];
  });
  t.same(keys, [
    [7, 0],
    [0, 0x1_0800],
  ]);
  t.equal(getNumber(rig.key(KEY_BYTES), "skb_mark"), 0, "the slot's key is as extracted again");
  t.same(run(PLAIN, "sample(sample=0%,actions(2))"), [{ kind: "drop", end: "nowhere" }]);
  let taken = 0;
  for (let turn = 0; turn < 4000; turn += 1)
    taken += rig.run(PLAIN, parseActions("sample(sample=25%,actions(3)),2")).length - 1;
  // Six standard deviations of a binomial distribution: 27 each.
  t.ok(Math.abs(taken - 1000) < 165, `${taken} of 4000 drawn at 25 %`);
  t.end();
});

t.test("lb_output goes by the bond's table", (t) => {
  const bonds = new BondTable(rig.arena);
  t.same(rig.run(PLAIN, parseActions("lb_output(5)")), [{ kind: "drop", end: "noBond" }]);
  bonds.set(
    5,
    new Array(BOND_BUCKETS).fill(0).map((_, bucket) => (bucket % 2) + 3),
  );
  const ports = new Map<number, number>();
  let bytes = 0;
  for (let port = 0; port < 400; port += 1) {
    const packet = buildFrame([ethernet(), ipv4({}), udp({ src: port })]);
    const [fate] = rig.run(packet, parseActions("lb_output(5)"));
    t.same(rig.run(packet, parseActions("lb_output(5)")), [fate], "a flow stays with its member");
    bytes += 2 * packet.length;
    if (fate?.kind === "output") ports.set(fate.portNo, (ports.get(fate.portNo) ?? 0) + 1);
  }
  t.ok((ports.get(3) ?? 0) > 120 && (ports.get(4) ?? 0) > 120, JSON.stringify([...ports]));
  t.equal(
    bonds.bucketBytes(5).reduce((sum, bucket) => sum + bucket, 0),
    bytes,
  );
  bonds.remove(5);
  t.same(rig.run(PLAIN, parseActions("lb_output(5)")), [{ kind: "drop", end: "noBond" }]);
  t.throws(() => bonds.set(128, []), /bonds are numbered 0 to 127/);
  t.throws(() => bonds.set(1, [1]), /a bond has 256/);
  t.end();
});
