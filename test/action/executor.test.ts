// The executor beside set(): copies, trunc, tags, drops, upcalls, partial checksums, and packets whose frames
// have no room left in front or whose pool is empty.
import fc from "fast-check";
import t from "tap";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import {
  FRAME_HEADROOM_BYTES,
  NO_FRAME,
  PACKET_BYTES_MAX,
  PACKET_CSUM_PARTIAL,
} from "../../src/memory/frame-layout.ts";
import { buildFrame } from "../../src/packet/builder.ts";
import { ethernet, vlan } from "../../src/packet/builder-link.ts";
import { ipv4, ipv6 } from "../../src/packet/builder-network.ts";
import { sctp, tcp, udp } from "../../src/packet/builder-transport.ts";
import { bytesToHex, readBe16, writeBe16 } from "../../src/packet/bytes.ts";
import { SeededRandom } from "../support/random.ts";
import { runs, SEED } from "../support/seed.ts";
import { ActionRig, type ChainPart, type Fate, randomChain } from "./rig.ts";

const FRAME_BYTES = 2048;
const random = new SeededRandom(SEED);
const below = (limit: number): number => random.below(limit);

const UDP4 = buildFrame(
  [ethernet(), ipv4({ src: "10.0.0.1", dst: "10.0.0.2" }), udp({ src: 5, dst: 6 })],
  new Uint8Array(40),
);
const sent = (portNo: number, bytes: Uint8Array): Fate => ({
  kind: "output",
  portNo,
  hex: bytesToHex(bytes),
});

t.test("several outputs: a copy for all but the last", (t) => {
  const rig = new ActionRig();
  t.same(rig.run(UDP4, parseActions("2,3,4")), [sent(2, UDP4), sent(3, UDP4), sent(4, UDP4)]);
  t.equal(rig.executor.copies, 2);
  rig.executor.copies = 0;
  t.same(rig.run(UDP4, parseActions("2,set(eth(src=00:00:00:00:00:09)),pop_vlan")), [sent(2, UDP4)]);
  t.equal(rig.executor.copies, 0, "what follows the last output sends nothing, so there is no copy");
  t.end();
});

t.test("a list that sends nothing drops", (t) => {
  const rig = new ActionRig();
  for (const text of ["", "drop", "drop(9)", "pop_vlan", "trunc(20)"]) {
    t.same(rig.run(UDP4, parseActions(text)), [{ kind: "drop", end: "nowhere" }], text);
  }
  t.same(rig.run(UDP4, parseActions("ct,2")), [{ kind: "drop", end: "unable" }], "no validated list has it");
  t.end();
});

t.test("trunc cuts the next output alone", (t) => {
  const rig = new ActionRig();
  const head = UDP4.slice(0, 20);
  t.same(rig.run(UDP4, parseActions("trunc(20),2,3")), [sent(2, head), sent(3, UDP4)]);
  t.same(rig.run(UDP4, parseActions("2,trunc(20),3")), [sent(2, UDP4), sent(3, head)]);
  t.same(rig.run(UDP4, parseActions("trunc(30),trunc(20),2")), [sent(2, head)], "the later trunc counts");
  t.same(rig.run(UDP4, parseActions("trunc(20),trunc(4000),2")), [sent(2, UDP4)]);
  const [pushed] = rig.run(UDP4, parseActions("trunc(20),push_vlan(vid=1,pcp=0),2"));
  t.equal(pushed?.kind === "output" && pushed.hex.length, 48, "as many bytes are cut as at trunc");
  t.same(rig.run(UDP4.slice(0, 14), parseActions("trunc(14),2")), [sent(2, UDP4.slice(0, 14))]);
  const [popped] = rig.run(
    buildFrame([ethernet(), vlan({ vid: 1 })], new Uint8Array(20)),
    parseActions("trunc(14),pop_vlan,2"),
  );
  t.equal(popped?.kind === "output" && popped.hex.length, 20);
  t.end();
});

t.test("trunc equals a slice, in every chain", (t) => {
  const rig = new ActionRig();
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 14, maxLength: PACKET_BYTES_MAX, size: "max" }),
      fc.integer({ min: 14, max: PACKET_BYTES_MAX + 100 }),
      (packet, length) => {
        const chain =
          packet.length < 400 ? randomChain(packet.length, FRAME_BYTES, below) : wideChain(packet.length);
        const fates = rig.run(packet, parseActions(`trunc(${length}),2,3,trunc(${length}),4`), chain);
        const cut = packet.slice(0, length);
        t.same(fates, [sent(2, cut), sent(3, packet), sent(4, cut)]);
      },
    ),
    runs(60),
  );
  t.end();
});

function wideChain(packetBytes: number): ChainPart[] {
  const chain: ChainPart[] = [];
  for (let left = packetBytes; left > 0; left -= chain.at(-1)!.dataBytes) {
    chain.push({ dataOffset: FRAME_HEADROOM_BYTES, dataBytes: Math.min(left, 1 + below(1700)) });
  }
  return chain;
}

const tagStep = fc.oneof(
  fc.constant("pop_vlan"),
  fc
    .record({
      vid: fc.integer({ min: 0, max: 4095 }),
      pcp: fc.integer({ min: 0, max: 7 }),
      tpid: fc.constantFrom(0x8100, 0x88a8),
    })
    .map(({ vid, pcp, tpid }) => `push_vlan(tpid=0x${tpid.toString(16)},vid=${vid},pcp=${pcp})`),
);

t.test("tags are pushed and popped like on a plain array", (t) => {
  const rig = new ActionRig();
  fc.assert(
    fc.property(
      fc.array(tagStep, { maxLength: 80 }),
      fc.integer({ min: 14, max: 90 }),
      (steps, packetBytes) => {
        const packet = UDP4.slice(0, packetBytes);
        let expected: Uint8Array = packet;
        for (const text of steps) expected = slowTag(expected, text);
        const actions = parseActions([...steps, "2"].join(","));
        t.same(rig.run(packet, actions), [sent(2, expected)]);
        t.same(rig.run(packet, actions, randomChain(packet.length, FRAME_BYTES, below)), [sent(2, expected)]);
      },
    ),
    runs(150),
  );
  t.end();
});

t.test("tags of packets of up to 9,022 bytes, in every chain", (t) => {
  const rig = new ActionRig();
  const lengths = fc.oneof(
    fc.integer({ min: 1500, max: PACKET_BYTES_MAX }),
    fc.constantFrom(PACKET_BYTES_MAX - 4, PACKET_BYTES_MAX),
  );
  fc.assert(
    fc.property(fc.array(tagStep, { minLength: 1, maxLength: 6 }), lengths, (steps, packetBytes) => {
      const packet = Uint8Array.from({ length: packetBytes }, (_, index) => index * 7 + (index >>> 8));
      let expected: Uint8Array = packet;
      for (const text of steps) expected = slowTag(expected, text);
      const actions = parseActions([...steps, "2"].join(","));
      for (const chain of [wideChain(packetBytes), randomChain(packetBytes, FRAME_BYTES, below)])
        t.same(rig.run(packet, actions, chain), [sent(2, expected)]);
    }),
    runs(100),
  );
  t.end();
});

function slowTag(packet: Uint8Array, text: string): Uint8Array {
  if (text === "pop_vlan") {
    const tpid = readBe16(packet, 12);
    if (packet.length < 18 || (tpid !== 0x8100 && tpid !== 0x88a8)) return packet;
    return Uint8Array.from([...packet.slice(0, 12), ...packet.slice(16)]);
  }
  const [, tpid, vid, pcp] = /tpid=(\w+),vid=(\d+),pcp=(\d)/.exec(text)!.map(Number);
  const tag = new Uint8Array(4);
  writeBe16(tag, 0, tpid!);
  writeBe16(tag, 2, (pcp! << 13) | vid!);
  return Uint8Array.from([...packet.slice(0, 12), ...tag, ...packet.slice(12)]);
}

t.test("headroom is made by moving data, or by a frame in front", (t) => {
  const rig = new ActionRig();
  const packet = Uint8Array.from({ length: FRAME_BYTES + 100 }, (_, index) => index);
  const expected = slowTag(packet, "push_vlan(tpid=0x8100,vid=1,pcp=0)");
  const actions = parseActions("push_vlan(vid=1,pcp=0),2");
  const chains: ChainPart[][] = [
    [
      { dataOffset: 0, dataBytes: 2000 },
      { dataOffset: 0, dataBytes: packet.length - 2000 },
    ],
    [
      { dataOffset: 3, dataBytes: FRAME_BYTES - 3 },
      { dataOffset: 0, dataBytes: 103 },
    ],
    [
      { dataOffset: 0, dataBytes: FRAME_BYTES },
      { dataOffset: 7, dataBytes: 100 },
    ],
    [
      { dataOffset: 0, dataBytes: 5 },
      { dataOffset: 0, dataBytes: FRAME_BYTES },
      { dataOffset: 0, dataBytes: 95 },
    ],
    [
      { dataOffset: FRAME_BYTES - 5, dataBytes: 5 },
      { dataOffset: 0, dataBytes: FRAME_BYTES },
      { dataOffset: 0, dataBytes: 95 },
    ],
  ];
  for (const chain of chains)
    t.same(rig.run(packet, actions, chain), [sent(2, expected)], JSON.stringify(chain[0]));
  t.end();
});

t.test("an empty pool loses copies and pushed headers, never frames", (t) => {
  const rig = new ActionRig();
  const frame = rig.lay(UDP4);
  const full = rig.lay(new Uint8Array(FRAME_BYTES), [{ dataOffset: 0, dataBytes: FRAME_BYTES }]);
  const held: number[] = [];
  for (let taken = rig.pool.alloc(); taken !== NO_FRAME; taken = rig.pool.alloc()) held.push(taken);
  const release = (): void => {
    for (const taken of held.splice(0)) rig.pool.free(taken);
  };
  // `full` is out of the pool during the first run, its freed frames are there for the second unless they are
  // taken.
  const fates = rig.runHeld(frame, parseActions("2,3"), held.length + 1);
  t.same(fates, [sent(3, UDP4)]);
  t.equal(rig.executor.copiesLost, 1);
  held.push(rig.pool.alloc());
  t.same(rig.runHeld(full, parseActions("push_vlan(vid=1,pcp=0),2"), held.length), [
    { kind: "drop", end: "noFrame" },
  ]);
  release();
  t.equal(rig.freeFrames(), 256);
  t.end();
});

t.test("userspace gets the packet as it is by then", (t) => {
  const rig = new ActionRig();
  const fates = rig.run(
    UDP4,
    parseActions("set(eth(src=00:00:00:00:00:09)),trunc(20),userspace(pid=7,userdata(0102030405060708)),2"),
  );
  const changed = UDP4.slice();
  changed.set([0, 0, 0, 0, 0, 9], 6);
  t.same(fates, [
    {
      kind: "upcall",
      slot: 7,
      attributes: "0800010007000000" + "0c000200" + "0102030405060708",
      packetBytes: UDP4.length,
      hex: bytesToHex(changed.slice(0, 20)),
    },
    sent(2, changed),
  ]);
  const [last] = rig.run(UDP4, parseActions("userspace(pid=7)"));
  t.equal(last?.kind, "upcall");
  t.end();
});

/** The packet with the pseudo header's sum in its checksum field, as an offloading sender hands it over. */
function withPartial(frame: Uint8Array, l4: number, offset: number, pseudo: number): Uint8Array {
  const partial = frame.slice();
  writeBe16(partial, l4 + offset, pseudo);
  return partial;
}

function sumWords(bytes: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index += 2) sum += (bytes[index]! << 8) | (bytes[index + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

t.test("partial checksums stay finishable", (t) => {
  const rig = new ActionRig();
  const payload = Uint8Array.from({ length: 51 }, (_, index) => index * 7);
  const v4 = [ethernet(), ipv4({ src: "10.0.0.1", dst: "10.0.0.2" })];
  const v6 = [ethernet(), ipv6({ src: "fd00::1", dst: "fd00::2" })];
  const cases = [
    {
      layers: [...v4, tcp({ src: 5, dst: 6 })],
      l4: 34,
      offset: 16,
      protocol: 6,
      addresses: [26, 34],
      set: "set(ipv4(src=1.2.3.4,ttl=9)),set(tcp(dst=99))",
    },
    {
      layers: [...v4, udp({ src: 5, dst: 6 })],
      l4: 34,
      offset: 6,
      protocol: 17,
      addresses: [26, 34],
      set: "set(ipv4(dst=255.255.255.255)),set(udp(src=99))",
    },
    {
      layers: [...v6, tcp({ src: 5, dst: 6 })],
      l4: 54,
      offset: 16,
      protocol: 6,
      addresses: [22, 54],
      set: "set(ipv6(src=::9,dst=fd00::77)),set(tcp(dst=99))",
    },
  ];
  for (const { layers, l4, offset, protocol, addresses, set } of cases) {
    const right = buildFrame(layers, payload);
    const pseudo = sumWords(
      Uint8Array.from([
        ...right.slice(...(addresses as [number, number])),
        0,
        protocol,
        (right.length - l4) >> 8,
        right.length - l4,
      ]),
    );
    const input = withPartial(right, l4, offset, pseudo);
    const partial = { flags: PACKET_CSUM_PARTIAL, csumStart: l4, csumOffset: offset };
    // What the same actions make of the finished packet is what the partial one must be when it is finished.
    const [finished] = rig.run(right, parseActions(`${set},push_vlan(vid=3,pcp=0),2`));
    // trunc to more than all of it but one byte longer cuts nothing; to cut a byte finishes the sum first.
    const padded = Uint8Array.from([...input, 0]);
    const [cut] = rig.run(
      padded,
      parseActions(`${set},push_vlan(vid=3,pcp=0),trunc(${input.length + 4}),2`),
      undefined,
      partial,
    );
    t.same(cut, finished, `${set}: finished by trunc`);
    const [chained] = rig.run(
      padded,
      parseActions(`${set},push_vlan(vid=3,pcp=0),trunc(${input.length + 4}),2`),
      randomChain(padded.length, FRAME_BYTES, below),
      partial,
    );
    t.same(chained, finished, `${set}: finished by trunc in a chain`);
    const [untouched] = rig.run(right, parseActions("2"));
    const [same] = rig.run(input, parseActions("2"), undefined, partial);
    t.notSame(same, untouched, "an output alone leaves the sum as it is");
  }
  const outside = { flags: PACKET_CSUM_PARTIAL, csumStart: 60, csumOffset: 60 };
  t.same(rig.run(UDP4, parseActions("trunc(20),2"), undefined, outside), [{ kind: "drop", end: "unable" }]);
  t.end();
});

t.test("set does nothing to headers that are cut short or not there", (t) => {
  const rig = new ActionRig();
  const layers = [ethernet(), ipv4({ src: "10.0.0.1", dst: "10.0.0.2" })];
  const frames = [
    buildFrame([ethernet()], new Uint8Array(0)),
    buildFrame([...layers, sctp({ src: 1, dst: 2 })], new Uint8Array(9)).slice(0, 30),
    buildFrame([...layers, tcp({ src: 1, dst: 2 })]).slice(0, 50),
  ];
  const lists = ["set(tcp(src=7)),2", "set(udp(src=7)),2", "set(sctp(src=7)),2"];
  for (const frame of frames) {
    for (const text of lists) t.same(rig.run(frame, parseActions(text)), [sent(2, frame)], text);
  }
  t.same(rig.run(frames[1]!, parseActions("set(ipv4(ttl=7)),2")), [sent(2, frames[1]!)]);
  t.same(
    rig.run(UDP4, parseActions("set(tcp(src=7)),set(sctp(src=7)),2")),
    [sent(2, UDP4)],
    "other protocols",
  );
  t.end();
});
