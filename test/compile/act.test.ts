// Compiled actions against the reference: what a batch's packets become, in which order they leave, under which reason they
// are dropped, and what is counted of them. What compiled code does not take, the reference carries out in the middle of the
// batch; that must not show either. Every batch runs twice, with other bytes around the packets.
import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { PACKET_CSUM_PARTIAL } from "../../src/memory/frame-layout.ts";
import { buildFrame } from "../../src/packet/builder.ts";
import { arp, ethernet, mpls, vlan } from "../../src/packet/builder-link.ts";
import { ipv4, ipv6 } from "../../src/packet/builder-network.ts";
import { tcp, udp } from "../../src/packet/builder-transport.ts";
import { readBe32, writeBe16 } from "../../src/packet/bytes.ts";
import { updateChecksum16, updateChecksum32 } from "../../src/packet/checksum.ts";
import { randomChain } from "../action/rig.ts";
import { anyFrame } from "../support/frames.ts";
import { SeededRandom } from "../support/random.ts";
import { runs, SEED } from "../support/seed.ts";
import { anySet, hash, labels, listOf, nested, output, recirc, setAction, tag, trunc } from "./act-lists.ts";
import { ActWorld, type TestPacket } from "./act-world.ts";

const random = new SeededRandom(SEED);
const below = (limit: number): number => random.below(limit);
/** Four lists each: as many shapes as have numbers. */
const ROUNDS = 200;

const frame = anyFrame().filter((bytes) => bytes.length >= 14);
/** How packets lie: in one frame, some of them without headroom, some in several, some with a checksum to be finished. */
const packet = fc.record({
  bytes: frame,
  list: fc.nat(3),
  lie: fc.constantFrom("plain", "plain", "plain", "plain", "front", "chain", "partial"),
});

function lay({ bytes, list, lie }: { bytes: Uint8Array; list: number; lie: string }): TestPacket {
  if (lie === "front") return { bytes, list, chain: [{ dataOffset: below(12), dataBytes: bytes.length }] };
  if (lie === "chain") return { bytes, list, chain: randomChain(bytes.length, 2048, below) };
  if (lie !== "partial") return { bytes, list };
  const csumStart = Math.min(34, bytes.length - 2);
  return { bytes, list, partial: { flags: PACKET_CSUM_PARTIAL, csumStart, csumOffset: below(2) * 6 } };
}

/** Two worlds of the same history. */
class Comparison {
  readonly #reference = new ActWorld();
  readonly #compiled = new ActWorld();
  #packets = 0;

  /** Both ways, the compiled one twice. */
  check(lists: readonly Uint8Array[], packets: readonly TestPacket[], fills = [0, 85]): void {
    this.#reference.setLists(lists);
    const expected = this.#reference.run(packets, null);
    for (const fill of fills) {
      this.#compiled.setLists(lists);
      assert.deepEqual(this.#compiled.run(packets, this.#compiled.compile(), fill), expected);
      this.#packets += packets.length;
    }
  }

  /** Of all packets, those that compiled code carried out. */
  get compiledShare(): number {
    return 1 - this.#compiled.stops / this.#packets;
  }
}

function property(name: string, list: fc.Arbitrary<Uint8Array>, shareMin: number): void {
  t.test(name, async (t) => {
    const comparison = new Comparison();
    const lists = fc.tuple(list, list, list, list);
    fc.assert(
      fc.property(lists, fc.array(packet, { minLength: 1, maxLength: 24 }), (given, packets) =>
        comparison.check(given, packets.map(lay)),
      ),
      runs(ROUNDS),
    );
    const { compiledShare } = comparison;
    t.ok(compiledShare >= shareMin, `${(compiledShare * 100).toFixed(1)} % of packets were compiled code's`);
  });
}

/** Packets as the actions expect them. */
const V4 = [ipv4({ ttl: 64 }), udp({ src: 1, dst: 2 })] as const;
const PLAIN = buildFrame([ethernet(), ...V4]);
const TAGGED = buildFrame([ethernet(), vlan({ vid: 5 }), ...V4]);
const DOUBLE = buildFrame([ethernet(), vlan({ vid: 6, tpid: 0x88a8 }), vlan({ vid: 5 }), ...V4]);
const SEGMENT = buildFrame([ethernet(), ipv4({}), tcp({ src: 3, dst: 4 })], new Uint8Array(30));
const V6 = buildFrame([ethernet(), ipv6({}), udp({ src: 1, dst: 2 })]);
const ARP = buildFrame([ethernet(), arp({})]);
const EXPIRED = buildFrame([ethernet(), ipv4({ ttl: 1 }), udp({ src: 1, dst: 2 })]);
const LABELS = buildFrame([ethernet(), mpls({ label: 8, ttl: 3 }), mpls({ label: 7, ttl: 9 }), ...V4]);
const PUSH_MPLS = "push_mpls(label=7,tc=2,ttl=9,bos=1,eth_type=0x8847)";
const MACS = "set(eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02))";

const TAKEN: readonly (readonly [packet: Uint8Array, actions: string])[] = [
  [PLAIN, "1"],
  [PLAIN, ""],
  [PLAIN, "drop"],
  [PLAIN, "1,2,3"],
  [PLAIN, "trunc(20),1,2"],
  [PLAIN, `${MACS},set(ipv4(ttl=63)),1`],
  [PLAIN, "set(ipv4(src=10.9.9.9,dst=10.8.8.8,tos=4,ttl=3)),1"],
  [PLAIN, "set(udp(src=77)),1"],
  [SEGMENT, "set(ipv4(src=10.9.9.9)),set(tcp(dst=80)),1"],
  [V6, "set(ipv6(src=fd00::9,dst=fd00::8,label=0x12345,tclass=3,hlimit=9)),1"],
  [V6, "set(udp(dst=99)),1"],
  [ARP, "set(arp(sip=10.0.0.9,tip=10.0.0.8,op=2,sha=02:00:00:00:00:03,tha=02:00:00:00:00:04)),1"],
  [PLAIN, "push_vlan(vid=3,pcp=1),1"],
  [PLAIN, "push_vlan(vid=3,pcp=1),push_vlan(tpid=0x88a8,vid=4,pcp=1),1"],
  [TAGGED, "pop_vlan,1"],
  [TAGGED, "pop_vlan,push_vlan(vid=9,pcp=0),1"],
  [DOUBLE, "pop_vlan,pop_vlan,1"],
  [PLAIN, "1,push_vlan(vid=3,pcp=1),2,pop_vlan,set(ipv4(ttl=9)),3"],
  [PLAIN, "recirc(3)"],
  [PLAIN, "1,hash(l4(7)),recirc(3)"],
  [V6, "hash(sym_l4(7)),recirc(3)"],
  [ARP, "hash(sym_l4(7)),recirc(3)"],
  [PLAIN, `${PUSH_MPLS},1`],
  [PLAIN, `${PUSH_MPLS},${PUSH_MPLS},pop_mpls(eth_type=0x8847),1`],
  [PLAIN, `${PUSH_MPLS},push_vlan(vid=3,pcp=1),1`],
  [LABELS, "pop_mpls(eth_type=0x8847),pop_mpls(eth_type=0x800),1"],
  [LABELS, "pop_mpls(eth_type=0x8847),recirc(1)"],
  [LABELS, "set(mpls(label=9,tc=1,ttl=3,bos=0)),1"],
  [PLAIN, "clone(push_vlan(vid=3,pcp=1),1),2"],
  [PLAIN, "clone(clone(push_vlan(vid=3,pcp=1),1,2),3),clone(4)"],
  [PLAIN, "trunc(30),clone(push_vlan(vid=3,pcp=1),1),2"],
  [PLAIN, "sample(sample=100%,actions(set(ipv4(ttl=9)),1)),2"],
  [PLAIN, "check_pkt_len(size=100,gt(1),le(2)),3"],
  [SEGMENT, "check_pkt_len(size=60,gt(set(ipv4(ttl=1)),1),le(2))"],
  [PLAIN, "dec_ttl(le_1(9)),1"],
  [V6, "dec_ttl(le_1(9)),1"],
  [EXPIRED, "dec_ttl(le_1(9)),1"],
  [EXPIRED, "dec_ttl(le_1()),1"],
];

t.test("these are compiled code's alone", async (t) => {
  const comparison = new Comparison();
  for (const [bytes, actions] of TAKEN) {
    comparison.check([parseActions(actions)], new Array<TestPacket>(40).fill({ bytes, list: 0 }));
    t.equal(comparison.compiledShare, 1, actions);
  }
});

property("outputs and drops", listOf(output), 0.8);
property("tags, cuts and outputs", listOf(output, tag, trunc), 0.3);
property("sets and outputs", listOf(output, anySet, anySet), 0.1);
property("labels and tags", listOf(output, labels, labels, tag), 0.1);
property("recirculation, hashes and metadata", listOf(output, hash, setAction("priority"), trunc), 0.5);
property("nested lists", listOf(output, trunc, nested(output, trunc, recirc), nested(output, tag)), 0.3);
property(
  "everything",
  listOf(
    output,
    anySet,
    tag,
    trunc,
    labels,
    hash,
    recirc,
    nested(output, anySet, tag, nested(output, trunc)),
  ),
  0.1,
);

t.test("UDP's checksum: none stays none, and a sum of 0 is sent as 0xffff", async (t) => {
  const comparison = new Comparison();
  const CHECKSUM_AT = 14 + 20 + 6;
  const SRC_AT = 14 + 12;
  const [address, port] = ["10.9.9.9", 777];
  const zeroBy = (update: (csum: number) => number): number =>
    Array.from({ length: 0x10000 }, (_, csum) => csum).find((csum) => csum !== 0 && update(csum) === 0)!;
  const newAddress = 0x0a090909;
  const byAddress = zeroBy((csum) => updateChecksum32(csum, readBe32(PLAIN, SRC_AT), newAddress));
  const byPort = zeroBy((csum) => updateChecksum16(csum, 1, port));
  const packets = [0, 1, byAddress, byPort, 0xffff].map((csum): TestPacket => {
    const bytes = PLAIN.slice();
    writeBe16(bytes, CHECKSUM_AT, csum);
    return { bytes, list: 0 };
  });
  for (const actions of [`set(ipv4(src=${address})),1`, `set(udp(src=${port})),1`])
    comparison.check([parseActions(actions)], packets);
  t.equal(comparison.compiledShare, 1);
  t.ok(byAddress > 0 && byPort > 0);
});

t.test("a sample draws as the reference of its batch does", async (t) => {
  const comparison = new Comparison();
  const batch = new Array<TestPacket>(64).fill({ bytes: PLAIN, list: 0 });
  comparison.check([parseActions("sample(sample=50%,actions(1)),2")], batch, [0]);
  comparison.check([parseActions("sample(sample=10%,actions(1))")], batch, [0]);
  t.equal(comparison.compiledShare, 1);
});
