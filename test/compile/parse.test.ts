// The compiled parse against the reference extractor: valid, hostile and truncated packets at every alignment, cut at every
// length and between frames, in slots that held other keys before.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import t from "tap";
import { KeyExtractor } from "../../src/flow/extract-key.ts";
import { K, KEY_BYTES } from "../../src/flow/fields.ts";
import { BATCH_SIZE } from "../../src/memory/batch-layout.ts";
import { FRAME_HEADROOM_BYTES } from "../../src/memory/frame-layout.ts";
import { buildFrame, type Layer } from "../../src/packet/builder.ts";
import { ethernet, vlan } from "../../src/packet/builder-link.ts";
import { ipv4, ipv6 } from "../../src/packet/builder-network.ts";
import {
  icmp,
  icmpv6,
  igmp,
  linkAddressOption,
  nd,
  sctp,
  tcp,
  udp,
} from "../../src/packet/builder-transport.ts";
import { hexToBytes } from "../../src/packet/bytes.ts";
import { openCapture } from "../../src/packet/capture-reader.ts";
import { ETH } from "../../src/packet/link-headers.ts";
import { type ChainPart, randomChain } from "../action/rig.ts";
import { hostileFrame } from "../flow/hostile-frames.ts";
import { corporaSkipReason, corpusPath, type ExtractRow, readCorpusRows } from "../support/corpora.ts";
import { anyFrame, validFrame } from "../support/frames.ts";
import { SeededRandom } from "../support/random.ts";
import { runs, SEED } from "../support/seed.ts";
import { type LaidPacket, METADATA_FIELDS, ParseRig } from "./parse-rig.ts";

const VLAN_LIMITS = [0, 1, 2] as const;
/** Frames of a burst that fit the rig's 256 when each packet is cut into many. */
const CUT_BURST = 8;
const CHAIN_MAX = 30;
const LARGE_FRAME_BYTES = 4096;
const random = new SeededRandom(SEED);
const cutChain = ({ length }: Uint8Array): ChainPart[] =>
  randomChain(length, 2048, (limit) => random.below(limit));

const laid = (frame: fc.Arbitrary<Uint8Array>): fc.Arbitrary<LaidPacket> =>
  fc.tuple(frame, fc.integer({ min: 0, max: 3 })).map(([bytes, alignment]) => ({
    bytes,
    chain: [{ dataOffset: FRAME_HEADROOM_BYTES - 2 + alignment, dataBytes: bytes.length }],
  }));
const fits = ({ length }: Uint8Array): boolean => length > 0 && length < 1700;
const frames = fc.oneof(hostileFrame, anyFrame(), validFrame()).filter(fits);

for (const vlanLimit of VLAN_LIMITS) {
  t.test(`bursts of any packets under vlan-limit ${vlanLimit}`, async (t) => {
    const rig = new ParseRig(vlanLimit);
    fc.assert(
      fc.property(
        fc.array(laid(frames), { maxLength: BATCH_SIZE, size: "max" }),
        fc.option(fc.uint8Array({ minLength: 7, maxLength: 7 })),
        (burst, soil) => {
          if (soil !== null) rig.soil(soil);
          rig.check(burst);
        },
      ),
      runs(60),
    );
    t.pass("60 bursts");
  });
}

const PLAIN_STACKS: readonly Layer[][] = [
  [ethernet(), ipv4({ tos: 0xb9, ttl: 3 }), tcp({ src: 0x1234, dst: 0x5678, flags: 0x1ff })],
  [ethernet(), ipv4({ tos: 0xb9, ttl: 3 }), udp({ src: 0x1234, dst: 0x5678 })],
  [ethernet(), ipv4({}), icmp({ type: 8, code: 3 })],
  [ethernet(), vlan({ vid: 0xabc, dei: false }), ipv4({}), tcp({ flags: 0xeff })],
  [ethernet(), vlan({ vid: 0xabc, dei: true, pcp: 5 }), ipv4({}), udp({})],
];

const PLAIN_IPV6: Layer[] = [ethernet(), ipv6({ label: 0x12345, trafficClass: 0x9a }), tcp({ flags: 0x155 })];

t.test("what the templates are for is left to nobody", async (t) => {
  const rig = new ParseRig(1);
  const burst = PLAIN_STACKS.map((layers) => ({ bytes: buildFrame(layers, new Uint8Array(18)) }));
  t.equal(rig.check(burst), 0);
});

t.test("cut off at every length", async (t) => {
  const rig = new ParseRig(2);
  const cutAll = (bytes: Uint8Array): void => {
    for (let cut = 1; cut <= bytes.length; cut += BATCH_SIZE)
      rig.check(
        Array.from({ length: Math.min(BATCH_SIZE, bytes.length + 1 - cut) }, (_, index) => ({
          bytes: bytes.subarray(0, cut + index),
        })),
      );
  };
  for (const layers of PLAIN_STACKS) cutAll(buildFrame(layers, new Uint8Array(18)));
  fc.assert(fc.property(frames, cutAll), runs(40));
  t.pass("40 packets");
});

t.test("in frames cut at any byte", async (t) => {
  const rig = new ParseRig(2);
  let left = 0;
  fc.assert(
    fc.property(fc.array(frames, { maxLength: CUT_BURST }), (packets) => {
      const burst = packets.map((bytes) => ({ bytes, chain: cutChain(bytes) }));
      left += rig.check(burst.filter(({ chain }) => chain.length < CHAIN_MAX));
    }),
    runs(150),
  );
  t.ok(left > 0, "headers in a second frame are left");
});

t.test("plain packets in two frames, cut at every byte", async (t) => {
  const rig = new ParseRig(1);
  for (const layers of [...PLAIN_STACKS, PLAIN_IPV6]) {
    const bytes = buildFrame(layers, new Uint8Array(24));
    const burst = Array.from({ length: bytes.length - 1 }, (_, index) => ({
      bytes,
      chain: [index + 1, bytes.length - index - 1].map((dataBytes) => ({
        dataOffset: FRAME_HEADROOM_BYTES,
        dataBytes,
      })),
    }));
    let left = 0;
    for (let from = 0; from < burst.length; from += BATCH_SIZE)
      left += rig.check(burst.slice(from, from + BATCH_SIZE));
    t.ok(left > 0 && left < burst.length, `${left} of ${burst.length} are left`);
  }
});

const keyBytes = fc.uint8Array({ minLength: KEY_BYTES, maxLength: KEY_BYTES });

/** Metadata fields of which each is zero or noise, over the headers of another packet. */
const metadata = fc
  .tuple(
    frames,
    keyBytes,
    fc.integer(),
    fc.oneof(fc.constant(0), fc.constantFrom(0x0800, 0x86dd, 0x0806, 0x8847, 0x894f)),
  )
  .map(([earlier, noise, chosen, l3Type]) => {
    const key = new KeyExtractor(2).extract(earlier, 1);
    for (const [index, { offset, bytes }] of METADATA_FIELDS.entries())
      if (((chosen >>> (index % 32)) & 1) === 1) key.set(noise.subarray(offset, offset + bytes), offset);
    key.set(l3Type === 0 ? [0, 0, 0, 0] : [0, 1, l3Type >>> 8, l3Type & 0xff], K.packet_type);
    return key;
  });

const isL3 = (key: Uint8Array): boolean => key[K.packet_type + 1] === 1;

for (const vlanLimit of VLAN_LIMITS) {
  t.test(`under metadata, vlan-limit ${vlanLimit}`, async (t) => {
    const rig = new ParseRig(vlanLimit);
    const packet = fc.tuple(laid(frames), metadata, fc.boolean()).map(([{ bytes, chain }, key, isCut]) => {
      // A packet without Ethernet header: what some frame has behind its own, or what only looks like a frame.
      const cut = isCut && isL3(key) ? bytes.subarray(ETH.headerBytes) : bytes;
      return { key, packet: { bytes: cut, chain: [{ ...chain![0]!, dataBytes: cut.length }] } };
    });
    fc.assert(
      fc.property(fc.array(packet, { maxLength: BATCH_SIZE, size: "max" }), (burst) => {
        const short = burst.filter(({ packet, key }) => packet.bytes.length < ETH.headerBytes && !isL3(key));
        const left = rig.checkAgain(
          burst.map(({ packet }) => packet),
          burst.map(({ key }) => key),
        );
        assert.equal(left, short.length);
      }),
      runs(60),
    );
    t.pass("60 bursts");
  });
}

t.test("under metadata, in frames cut at any byte", async (t) => {
  const rig = new ParseRig(2);
  let left = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(frames, metadata), { maxLength: CUT_BURST }), (packets) => {
      const burst = packets.map(([bytes, key]) => ({ key, bytes, chain: cutChain(bytes) }));
      const short = burst.filter(({ chain }) => chain.length < CHAIN_MAX);
      left += rig.checkAgain(
        short,
        short.map(({ key }) => key),
      );
    }),
    runs(100),
  );
  t.ok(left > 0, "headers in a second frame are left");
});

t.test("the packets of the corpus", { skip: corporaSkipReason() }, async (t) => {
  const rows = readCorpusRows<ExtractRow>("extract/odp-extract-ovs3.1.jsonl")!;
  const flowgen = openCapture("flowgen.pcap", readFileSync(corpusPath("extract/flowgen.pcap")!));
  const packets = rows.map(({ hex }) => hexToBytes(hex));
  for (let packet = flowgen.next(); packet !== undefined; packet = flowgen.next())
    packets.push(flowgen.bytes.slice(packet.dataOffset, packet.dataOffset + packet.dataBytes));
  // In one frame, the longest too: some have extension headers to their end.
  const burst = packets.map((bytes) => ({ bytes, chain: [{ dataOffset: 2, dataBytes: bytes.length }] }));
  for (const vlanLimit of VLAN_LIMITS) {
    const rig = new ParseRig(vlanLimit, LARGE_FRAME_BYTES);
    let left = 0;
    for (let from = 0; from < burst.length; from += BATCH_SIZE)
      left += rig.check(burst.slice(from, from + BATCH_SIZE));
    t.equal(left, 0, `${packets.length} packets under vlan-limit ${vlanLimit}`);
  }
  t.ok(packets.length > 1750);
});

t.test("IP headers that state every length, in frames that have more", async (t) => {
  const rig = new ParseRig(1);
  const transports = [tcp(), udp(), icmp(), icmpv6(), sctp(), igmp(), nd()];
  for (const transport of transports) {
    for (const [network, lengthAt] of [
      [ipv4(), 2],
      [ipv6(), 4],
    ] as const) {
      const whole = buildFrame([ethernet(), network, transport], new Uint8Array(60));
      const burst = Array.from({ length: BATCH_SIZE }, (_, length) => {
        const bytes = whole.slice();
        bytes[ETH.headerBytes + lengthAt] = 0;
        bytes[ETH.headerBytes + lengthAt + 1] = length;
        return { bytes };
      });
      t.equal(rig.check(burst), 0);
    }
  }
});

t.test("more bytes behind an IP packet than OVS can note as padding", async (t) => {
  const rig = new ParseRig(1, LARGE_FRAME_BYTES);
  const stacks: Layer[][] = [
    ...PLAIN_STACKS,
    [ethernet(), ipv6(), udp()],
    [ethernet(), ipv4({ moreFragments: true }), udp()],
  ];
  for (const layers of stacks) {
    const frame = buildFrame(layers, new Uint8Array(18));
    const burst = [0xfffe, 0xffff, 0x10000].map((padding) => {
      const bytes = new Uint8Array(frame.length + padding);
      bytes.set(frame);
      return { bytes };
    });
    t.equal(rig.check(burst), 0);
  }
});

t.test("link-layer addresses of which only some bytes are zero, twice", async (t) => {
  const rig = new ParseRig(1);
  const burst = Array.from({ length: 6 }, (_, index) => {
    const address = new Uint8Array(6);
    address[index] = 1;
    const options = [1, 2, 1].map((type) => linkAddressOption(type, address));
    return { bytes: buildFrame([ethernet(), ipv6(), nd({ options })]) };
  });
  t.equal(rig.check(burst), 0);
});

t.test("no packets", async () => {
  assert.equal(new ParseRig(1).check([]), 0);
  assert.equal(new ParseRig(1).checkAgain([], []), 0);
});
