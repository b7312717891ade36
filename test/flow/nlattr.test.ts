// Netlink attributes: what is written is read, and malformed lists end where they are malformed.

import fc from "fast-check";
import t from "tap";
import {
  attributeAt,
  attributes,
  findAttribute,
  malformedAt,
  NLA_PAYLOAD_BYTES_MAX,
  NlWriter,
  payloadOf,
} from "../../src/flow/nlattr.ts";
import { runs } from "../support/seed.ts";

const list = fc.array(fc.tuple(fc.nat(0x3fff), fc.uint8Array({ maxLength: 40 })), { maxLength: 12 });

t.test("lists read back as they were written, each attribute on a word", async () => {
  fc.assert(
    fc.property(list, (items) => {
      const writer = new NlWriter();
      for (const [type, payload] of items) writer.put(type, payload);
      const bytes = writer.finish();
      const read = [...attributes(bytes)];
      if (malformedAt(bytes) !== undefined || read.length !== items.length)
        throw new Error("lost attributes");
      for (const [index, attribute] of read.entries()) {
        const [type, payload] = items[index]!;
        if (attribute.type !== type || attribute.at % 4 !== 0) throw new Error(`attribute ${index}`);
        if (Buffer.compare(payloadOf(bytes, attribute), payload) !== 0) throw new Error(`payload ${index}`);
      }
    }),
    runs(500),
  );
});

t.test("bytes of any kind are read without leaving them", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), (bytes, start) => {
      const from = Math.min(start, bytes.length);
      for (const { at, end, next } of attributes(bytes, from)) {
        if (at < from || end > bytes.length || next > bytes.length || next <= at) throw new Error("outside");
      }
    }),
    runs(1000),
  );
});

t.test("nested attributes, numbers of both byte orders, flags", async (t) => {
  const writer = new NlWriter();
  const outer = writer.begin(7);
  writer.putU32(1, 0x01020304);
  writer.putBe32(2, 0x01020304);
  writer.putU64(3, 0x0102030405060708n);
  writer.putBe64(4, 0x0102030405060708n);
  writer.putFlag(5);
  writer.end(outer);
  const bytes = writer.finish();
  const nested = attributeAt(bytes, 0, bytes.length)!;
  const hex = (type: number): string =>
    Buffer.from(payloadOf(bytes, findAttribute(bytes, type, nested.start, nested.end)!)).toString("hex");
  t.equal(hex(1), "04030201");
  t.equal(hex(2), "01020304");
  t.equal(hex(3), "0807060504030201");
  t.equal(hex(4), "0102030405060708");
  t.equal(hex(5), "");
  t.equal(findAttribute(bytes, 6, nested.start, nested.end), undefined);
});

t.test("a payload that no length word can state is refused, and nothing of it stays", async (t) => {
  const writer = new NlWriter();
  writer.putU8(1, 2);
  const { size } = writer;
  t.throws(() => writer.put(9, new Uint8Array(NLA_PAYLOAD_BYTES_MAX + 1)), /netlink attribute 9/);
  t.equal(writer.size, size);
  writer.put(9, new Uint8Array(NLA_PAYLOAD_BYTES_MAX));
  t.equal(malformedAt(writer.finish()), undefined);
});
