// The reference engine through a poll loop: however a packet lies in frames it goes the same way with the same bytes,
// flows' statistics are what the packets were, and a batch's slots forget the packet before.
import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { KeyExtractor } from "../../src/flow/extract-key.ts";
import type { FieldName } from "../../src/flow/fields.ts";
import { keysEqual } from "../../src/flow/key.ts";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet } from "../../src/packet/builder-link.ts";
import { ipv4 } from "../../src/packet/builder-network.ts";
import { tcp } from "../../src/packet/builder-transport.ts";
import { Dataplane, maskOf } from "../support/dataplane.ts";
import { anyFrame, FRAME_BYTES_MIN } from "../support/frames.ts";
import { runs } from "../support/seed.ts";

const ALL_FIELDS: readonly FieldName[] = [
  "in_port",
  "eth_src",
  "eth_dst",
  "eth_type",
  "vlan_tci",
  "nw_frag",
  "nw_proto",
  "nw_tos",
  "nw_ttl",
  "nw_src",
  "nw_dst",
  "tp_src",
  "tp_dst",
  "tcp_flags",
  "ipv6_src",
  "ipv6_dst",
  "ipv6_label",
  "mpls_lse0",
  "nd_target",
  "arp_sha",
  "arp_tha",
];

t.test(
  "the key that goes up is the packet's, whatever frames it lies in and whatever the slot held before",
  async () => {
    const segments = fc.constantFrom(1, 3, 14, 40, 64, 100_000);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(anyFrame(), segments), { minLength: 1, maxLength: 90 }),
        fc.constantFrom(1, 2),
        async (packets, vlanLimit) => {
          const plane = new Dataplane({ vlanLimit, sizes: { frameCount: 16384, upcallRingBytes: 1 << 18 } });
          const one = await plane.addDummy("one", { options: { mtu: 9000 } });
          const two = await plane.addDummy("two", { options: { mtu: 9000 } });
          const keys: Uint8Array[] = [];
          plane.handler.decide = (key) => {
            keys.push(key);
            return { mask: maskOf(ALL_FIELDS), actions: String(two.portNo) };
          };
          const sent = packets.filter(([bytes]) => bytes.length >= FRAME_BYTES_MIN);
          for (const [bytes, segmentBytes] of sent) assert.ok(one.inject(bytes, 0, segmentBytes));
          plane.settle();
          const extractor = new KeyExtractor(vlanLimit);
          const wanted = sent.map(([bytes]) => extractor.extract(bytes, one.portNo));
          for (const key of keys)
            assert.ok(
              wanted.some((other) => keysEqual(key, other)),
              "a key of one of the packets",
            );
          const hits = wanted.map((key) => plane.table.findMatch(key));
          assert.ok(hits.every((flowNo) => flowNo !== 0));
          assert.deepEqual(
            two.take().map((bytes) => Buffer.from(bytes).toString("hex")),
            sent.map(([bytes]) => Buffer.from(bytes).toString("hex")),
          );
          const flows = new Map<number, { packets: number; bytes: number }>();
          for (const [index, flowNo] of hits.entries()) {
            const { packets: count, bytes } = flows.get(flowNo) ?? { packets: 0, bytes: 0 };
            flows.set(flowNo, { packets: count + 1, bytes: bytes + sent[index]![0].length });
          }
          for (const [flowNo, wantedStats] of flows) {
            const { packets: count, bytes } = plane.table.flows.stats(flowNo);
            assert.deepEqual({ packets: count, bytes }, wantedStats);
          }
          await plane.close();
        },
      ),
      runs(60),
    );
  },
);

t.test("flows are counted with the time and the TCP flags of their packets", async (t) => {
  const plane = new Dataplane();
  const one = await plane.addDummy("one");
  const segment = (flags: number): Uint8Array => buildFrame([ethernet(), ipv4({}), tcp({ flags })]);
  const flowNo = plane.putFlow(segment(0), one.portNo, "drop");
  plane.clock.advanceTo(5000);
  one.inject(segment(0x02));
  plane.settle();
  plane.clock.advanceTo(7000);
  for (const flags of [0x10, 0x18, 0x111]) one.inject(segment(flags));
  plane.settle();
  t.strictSame(plane.table.flows.stats(flowNo), {
    packets: 4,
    bytes: 4 * segment(0).length,
    usedMillis: 7000,
    tcpFlags: 0x11b,
  });
  t.equal(plane.totals().drops.flow_drop, 4);
  await plane.close();
});

t.test("a burst of one flow and a burst of many count alike", async (t) => {
  const plane = new Dataplane();
  const one = await plane.addDummy("one");
  const frame = (host: number): Uint8Array =>
    buildFrame([ethernet(), ipv4({ src: `10.0.${host >>> 8}.${host & 255}` })]);
  const flowNos = Array.from({ length: 600 }, (_, host) => plane.putFlow(frame(host), one.portNo, "drop"));
  // Numbers 256 apart share a guess of the burst's collection.
  for (let host = 0; host < 600; host += 1)
    for (let count = 0; count <= host % 3; count += 1) one.inject(frame((host % 256) + 256 * (host % 2)));
  plane.settle();
  const counted = flowNos.reduce((sum, flowNo) => sum + plane.table.flows.stats(flowNo).packets, 0);
  t.equal(counted, plane.totals().counters.received);
  t.equal(plane.totals().counters.lookup_hit, counted);
  await plane.close();
});
