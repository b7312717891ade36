// Extraction against a second extractor written in another manner, on frames that lie in every way: at all four
// alignments and both sides of 2 GiB of address arithmetic, into slots that held other keys before, as packets of
// several frames, under metadata that must stay, and without a doubt about which bytes of the arena were touched.

import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { Extractor, vlanTagCount } from "../../src/flow/extract.ts";
import { ALL_LINES } from "../../src/flow/extract-cursor.ts";
import { KeyExtractor } from "../../src/flow/extract-key.ts";
import { FIELDS, K, KEY_BYTES, KEY_LINE_BYTES, KEY_LINE_COUNT } from "../../src/flow/fields.ts";
import { readBe16 } from "../../src/packet/bytes.ts";
import { ETH_TYPE } from "../../src/packet/link-headers.ts";
import { IP_PROTOCOL } from "../../src/packet/network-headers.ts";
import { anyFrame } from "../support/frames.ts";
import { runs } from "../support/seed.ts";
import { hostileFrame, paddedFrame } from "./hostile-frames.ts";
import { differingFields, slowExtract, slowKeyBytes } from "./slow-extract.ts";

const SLOT_AT = 1024;
const FRAME_AT = 4096;
const ARENA_BYTES = 128 * 1024;
const IN_PORT = 7;
/** Bytes around frame and slot hold this, so that reading or writing beside them shows. */
const FILLER = 0xa5;
/** Behind the first piece: bytes that make good headers (a TCP data offset of 5), for who reads too far. */
const PLAUSIBLE = 0x50;

function makeArena(): { u8: Uint8Array; u16: Uint16Array; u32: Uint32Array } {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  const u8 = new Uint8Array(memory.buffer, 0, ARENA_BYTES);
  u8.fill(FILLER);
  return { u8, u16: new Uint16Array(memory.buffer), u32: new Uint32Array(memory.buffer) };
}

const frames = fc.oneof(
  { weight: 20, arbitrary: hostileFrame },
  { weight: 10, arbitrary: anyFrame() },
  { weight: 1, arbitrary: paddedFrame(255, 256, 1400) },
);

/** A packet of IPv4 does, but for a second tag, and for neighbour discovery, which OVS looks for under IPv4 too. */
const staysInLine0 = (key: Uint8Array): boolean =>
  readBe16(key, K.eth_type) === ETH_TYPE.ipv4 &&
  readBe16(key, K.vlan2_tci) === 0 &&
  key[K.nw_proto] !== IP_PROTOCOL.icmpv6;

/** Bit n when line n of the key has a byte that is not zero. */
function dirtyLinesOf(key: Uint8Array): number {
  let lines = 0;
  for (let line = 0; line < KEY_LINE_COUNT; line++) {
    const bytes = key.subarray(line * KEY_LINE_BYTES, (line + 1) * KEY_LINE_BYTES);
    if (bytes.some((byte) => byte !== 0)) lines |= 1 << line;
  }
  return lines;
}

t.test("equals the slow extractor, at every alignment, slot after slot", async (t) => {
  for (const vlanLimit of [0, 1, 2]) {
    const arena = makeArena();
    const extractor = new Extractor(arena, vlanLimit);
    let dirtyLines = ALL_LINES;
    const property = fc.property(frames, fc.integer({ min: 0, max: 3 }), (frame, alignment) => {
      const head = FRAME_AT + alignment;
      arena.u8.set(frame, head);
      dirtyLines = extractor.receive(head, frame.length, frame.length, SLOT_AT, dirtyLines, IN_PORT);
      const slow = slowExtract(frame, vlanTagCount(vlanLimit));
      const key = arena.u8.slice(SLOT_AT, SLOT_AT + KEY_BYTES);
      assert.deepEqual(differingFields(key, slowKeyBytes(slow, IN_PORT)), []);
      assert.equal(extractor.l3Offset, slow.l3, "l3Offset");
      assert.equal(extractor.l4Offset, slow.l4, "l4Offset");
      assert.equal(extractor.tcpFlags, slow.tcpFlags, "tcpFlags");
      assert.equal(extractor.needsMoreLinear, false);
      assert.equal(dirtyLinesOf(key) & ~dirtyLines, 0, "every line that is not zero is reported");
      if (staysInLine0(key)) assert.equal(dirtyLines, 1, "nothing is written behind line 0");
      assert.equal(arena.u8[SLOT_AT - 1], FILLER, "nothing before the slot");
      assert.equal(arena.u8[SLOT_AT + KEY_BYTES], FILLER, "nothing behind the slot");
    });
    fc.assert(property, runs(1500));
    t.pass("1500 frames");
  }
});

t.test("a packet in pieces is right or asks for more of it", async (t) => {
  const whole = new KeyExtractor(2);
  const arena = makeArena();
  const extractor = new Extractor(arena, 2);
  let asked = 0;
  const property = fc.property(hostileFrame, fc.nat(), (frame, cut) => {
    const linearBytes = frame.length === 0 ? 0 : cut % frame.length;
    arena.u8.fill(PLAUSIBLE, FRAME_AT, FRAME_AT + frame.length + 64);
    arena.u8.set(frame.subarray(0, linearBytes), FRAME_AT + 2);
    extractor.receive(FRAME_AT + 2, linearBytes, frame.length, SLOT_AT, ALL_LINES, IN_PORT);
    if (extractor.needsMoreLinear) {
      asked++;
      return;
    }
    const key = arena.u8.slice(SLOT_AT, SLOT_AT + KEY_BYTES);
    assert.deepEqual(differingFields(key, whole.extract(frame, IN_PORT)), []);
    assert.deepEqual({ l3: extractor.l3Offset, l4: extractor.l4Offset }, whole.offsets);
  });
  fc.assert(property, runs(3000));
  t.pass("3000 frames");
  t.ok(asked > 0, "some pieces were too short");

  // All headers of a frame in its first piece: nothing more may be asked for.
  const frame = Buffer.from(
    `001a9240ac050002e30f80a40800450005dc000000004011${"00".repeat(10)}${"11".repeat(8)}`,
    "hex",
  );
  arena.u8.set(frame, FRAME_AT + 2);
  extractor.receive(FRAME_AT + 2, frame.length, 14 + 1500, SLOT_AT, ALL_LINES, IN_PORT);
  t.equal(extractor.needsMoreLinear, false);
  t.equal(extractor.l4Offset, 34);
  t.equal(arena.u8[SLOT_AT + K.tp_src], 0x11);
});

t.test("extract keeps metadata, conntrack and tunnel fields", async (t) => {
  const kept = FIELDS.filter(({ group }) => ["metadata", "conntrack", "tunnel"].includes(group));
  const property = fc.property(
    hostileFrame,
    hostileFrame,
    fc.uint8Array({ minLength: KEY_BYTES, maxLength: KEY_BYTES }),
    (frame, earlier, noise) => {
      const extractor = new KeyExtractor(2);
      const given = extractor.extract(earlier, IN_PORT);
      for (const { name, offset, bytes } of kept) {
        if (name !== "packet_type") given.set(noise.subarray(offset, offset + bytes), offset);
      }
      const expected = extractor.extract(frame, IN_PORT);
      for (const { offset, bytes } of kept) expected.set(given.subarray(offset, offset + bytes), offset);
      assert.deepEqual(differingFields(extractor.extractUnder(frame, given), expected), []);
    },
  );
  fc.assert(property, runs(500));
  t.pass("500 frames");
});

t.test("a packet without Ethernet header takes its type from packet_type", async (t) => {
  const extractor = new KeyExtractor(1);
  const property = fc.property(hostileFrame, (frame) => {
    const expected = extractor.extract(frame, IN_PORT);
    const { l3, l4 } = extractor.offsets;
    const tagged = expected[K.vlan_tci] !== 0;
    const ethType = (expected[K.eth_type]! << 8) | expected[K.eth_type + 1]!;
    if (tagged || l3 !== 14 || ethType === 0x8847 || ethType === 0x8848) return;
    expected.fill(0, K.eth_dst, K.vlan_tpid);
    expected.set([0, 1, ethType >>> 8, ethType & 0xff], K.packet_type);
    const metadata = new Uint8Array(KEY_BYTES);
    metadata.set(expected.subarray(0, 16));
    assert.deepEqual(differingFields(extractor.extractUnder(frame.subarray(14), metadata), expected), []);
    assert.deepEqual(extractor.offsets, { l3: 0, l4: l4 === 0xffff ? l4 : l4 - 14 });
  });
  fc.assert(property, runs(500));
  t.pass("500 frames");
});

t.test("addresses past 2 GiB are the same words signed or unsigned", async (t) => {
  const pages = (0x8000_0000 + 0x1_0000) / 0x1_0000;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const arena = {
    u8: new Uint8Array(memory.buffer),
    u16: new Uint16Array(memory.buffer),
    u32: new Uint32Array(memory.buffer),
  };
  const extractor = new Extractor(arena, 2);
  const whole = new KeyExtractor(2);
  const property = fc.property(
    hostileFrame,
    fc.integer({ min: 0, max: 3 }),
    fc.boolean(),
    (frame, alignment, signed) => {
      const head = 0x8000_0100 + alignment;
      arena.u8.set(frame, head);
      extractor.receive(signed ? head | 0 : head, frame.length, frame.length, SLOT_AT, ALL_LINES, IN_PORT);
      assert.deepEqual(
        differingFields(arena.u8.slice(SLOT_AT, SLOT_AT + KEY_BYTES), whole.extract(frame, IN_PORT)),
        [],
      );
    },
  );
  fc.assert(property, runs(500));
  t.pass("500 frames");
});

t.test("a slot that held a tunnelled packet is clean for the next", async (t) => {
  const arena = makeArena();
  const extractor = new Extractor(arena, 1);
  const frame = Buffer.from("001a9240ac050002e30f80a456780000", "hex");
  arena.u8.set(frame, FRAME_AT);
  arena.u8.fill(0xff, SLOT_AT, SLOT_AT + KEY_BYTES);
  const lines = extractor.receive(FRAME_AT, frame.length, frame.length, SLOT_AT, ALL_LINES, IN_PORT);
  t.equal(lines, 1);
  t.strictSame(arena.u8.slice(SLOT_AT, SLOT_AT + KEY_BYTES), new KeyExtractor(1).extract(frame, IN_PORT));
});

t.test("vlan-limit as OVS reads it", async (t) => {
  t.strictSame([0, 1, 2, 3].map(vlanTagCount), [2, 1, 2, 2]);
});
