// The order hash depends on what a conversation keeps and on nothing else.
import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { orderHash } from "../../src/datapath/order-hash.ts";
import { KeyExtractor } from "../../src/flow/extract-key.ts";
import { FIELDS, type FieldName, KEY_BYTES } from "../../src/flow/fields.ts";
import { fieldOf } from "../../src/flow/key.ts";
import { anyFrame } from "../support/frames.ts";
import { runs } from "../support/seed.ts";

const COVERED: readonly FieldName[] = [
  "in_port",
  "eth_dst",
  "eth_src",
  "vlan_tpid",
  "vlan_tci",
  "eth_type",
  "nw_proto",
  "nw_src",
  "nw_dst",
  "tp_src",
  "tp_dst",
  "ipv6_src",
  "ipv6_dst",
];
const ALL_LINES = 0x3ff;

const hashOf = (key: Uint8Array): number => {
  const words = new Int32Array(KEY_BYTES / 4);
  new Uint8Array(words.buffer).set(key);
  return orderHash(words, 0, ALL_LINES);
};

t.test("a bit of a covered field changes it, one of another field does not", async () => {
  const names = FIELDS.map(({ name }) => name as FieldName);
  fc.assert(
    fc.property(anyFrame(), fc.constantFrom(...names), fc.nat(), (frame, name, place) => {
      const key = new KeyExtractor(1).extract(frame, 3);
      const before = hashOf(key);
      const { offset, bytes } = fieldOf(name);
      const bit = place % (bytes * 8);
      key[offset + (bit >>> 3)]! ^= 1 << (bit & 7);
      assert.equal(hashOf(key) !== before, COVERED.includes(name));
    }),
    runs(2000),
  );
});

t.test("conversations spread over the order slots", async (t) => {
  const slots = new Set<number>();
  const key = new KeyExtractor(1).extract(new Uint8Array(64), 1);
  for (let port = 0; port < 4096; port += 1) {
    key[fieldOf("tp_src").offset] = port >>> 8;
    key[fieldOf("tp_src").offset + 1] = port & 0xff;
    slots.add(hashOf(key) & 4095);
  }
  // Balls into as many bins fill 63 % of them.
  t.ok(slots.size > 4096 * 0.58, `${slots.size} of 4096`);
});
