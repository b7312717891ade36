import fc from "fast-check";
import t from "tap";
import { readBe16, readBe32, swap16, writeBe16, writeBe32 } from "../../src/packet/bytes.ts";
import {
  addBytes,
  addPiece,
  checksum,
  finishSum,
  foldSum,
  patchChecksum16,
  patchChecksum32,
  patchUdpChecksum16,
  patchUdpChecksum32,
  pseudoSumV4,
  pseudoSumV6,
  udpChecksum,
  updateChecksum128,
} from "../../src/packet/checksum.ts";
import { runs } from "../support/seed.ts";

/** RFC 1071 by the letter, one word after the other, the carry added at once. */
function slowChecksum(bytes: readonly number[]): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index += 2) {
    sum += (bytes[index]! << 8) + (bytes[index + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return ~sum & 0xffff;
}

const someBytes = fc.uint8Array({ maxLength: 300 });
const word16 = fc.oneof(fc.constantFrom(0, 1, 0xffff, 0xfffe), fc.integer({ min: 0, max: 0xffff }));
const word32 = fc.oneof(
  fc.constantFrom(0, 1, 0xffffffff, 0xffff0000, 0xffff),
  fc.integer({ min: 0, max: 0xffffffff }),
);

t.test("the checksum is the one's-complement sum of words", async (t) => {
  t.equal(
    checksum(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7), 0, 8),
    ~0xddf2 & 0xffff,
    "RFC 1071",
  );
  fc.assert(
    fc.property(someBytes, fc.nat(20), (bytes, offset) => {
      const placed = new Uint8Array(offset + bytes.length + 3).fill(0xee);
      placed.set(bytes, offset);
      return checksum(placed, offset, bytes.length) === slowChecksum([...bytes]);
    }),
    runs(500),
  );
});

t.test("sums stay exact over the longest data and the largest words", async (t) => {
  for (const byteCount of [32767, 32768, 32769, 65535, 262_144, 1_000_001]) {
    const bytes = new Uint8Array(byteCount).fill(0xff);
    t.equal(checksum(bytes, 0, byteCount), slowChecksum([...bytes]), `${byteCount} bytes of 0xff`);
    t.ok(addBytes(0x7fffffff, bytes, 0, byteCount) < 2 ** 31, "the sum stays below 2^31");
  }
});

t.test("pieces of odd lengths in any order sum to the whole", async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(pieces, fc.boolean(), (list, backwards) => {
      const placed: { position: number; piece: Uint8Array }[] = [];
      let position = 0;
      for (const piece of list) {
        placed.push({ position, piece });
        position += piece.length;
      }
      if (backwards) placed.reverse();
      let sum = 0;
      for (const { position, piece } of placed) sum = addPiece(sum, position, piece, 0, piece.length);
      return finishSum(sum) === slowChecksum(list.flatMap((piece) => [...piece]));
    }),
    runs(500),
  );
});

t.test("pseudo headers are what the RFCs list", async () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 60, maxLength: 60 }),
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 0, max: 262_144 }),
      (bytes, protocol, l4Bytes) => {
        const length = [l4Bytes >>> 24, (l4Bytes >>> 16) & 255, (l4Bytes >>> 8) & 255, l4Bytes & 255];
        const v4 = [...bytes.subarray(12, 20), 0, protocol, ...length];
        const v6 = [...bytes.subarray(8, 40), ...length, 0, 0, 0, protocol];
        return (
          finishSum(pseudoSumV4(bytes, 0, protocol, l4Bytes)) === slowChecksum(v4) &&
          finishSum(pseudoSumV6(bytes, 8, 24, protocol, l4Bytes)) === slowChecksum(v6)
        );
      },
    ),
    runs(300),
  );
});

/** Equal as one's-complement numbers: 0 and 0xffff are both zero. */
function sameChecksum(left: number, right: number): boolean {
  return left % 0xffff === right % 0xffff;
}

t.test("an update equals computing anew", async () => {
  const even = fc
    .uint8Array({ minLength: 8, maxLength: 64 })
    .map((bytes) => bytes.subarray(0, bytes.length & ~3));
  fc.assert(
    fc.property(even, fc.nat(100), word16, word32, (data, place, value16, value32) => {
      const frame = new Uint8Array(data.length + 2);
      frame.set(data, 2);
      writeBe16(frame, 0, checksum(frame, 2, data.length));
      const at16 = 2 + (place % (data.length / 2)) * 2;
      patchChecksum16(frame, 0, readBe16(frame, at16), value16);
      writeBe16(frame, at16, value16);
      const after16 = sameChecksum(readBe16(frame, 0), checksum(frame, 2, data.length));
      const at32 = 2 + (place % (data.length / 4)) * 4;
      patchChecksum32(frame, 0, readBe32(frame, at32), value32);
      writeBe32(frame, at32, value32);
      return after16 && sameChecksum(readBe16(frame, 0), checksum(frame, 2, data.length));
    }),
    runs(1000),
  );
});

t.test("an update of data that is not all zero gives the very bits of computing anew", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), word32, (data, value) => {
      data[0] = 0x45;
      const csum = checksum(data, 0, 20);
      const frame = Uint8Array.of(csum >>> 8, csum);
      const before = readBe32(data, 12);
      if (before === value) return true;
      patchChecksum32(frame, 0, before, value);
      writeBe32(data, 12, value);
      return readBe16(frame, 0) === checksum(data, 0, 20);
    }),
    runs(1000),
  );
});

t.test("a wrong checksum stays wrong by the same difference", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), word16, word16, (data, error, value) => {
      data[0] = 0x45;
      const wrong = foldSum(checksum(data, 0, 20) + error);
      const frame = Uint8Array.of(wrong >>> 8, wrong);
      patchChecksum16(frame, 0, readBe16(data, 4), value);
      writeBe16(data, 4, value);
      const difference = (readBe16(frame, 0) + 0xffff - checksum(data, 0, 20)) % 0xffff;
      return difference === error % 0xffff;
    }),
    runs(1000),
  );
});

t.test("an IPv6 address is updated as its sixteen bytes", async () => {
  const address = fc.uint8Array({ minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(address, address, (before, after) => {
      const csum = checksum(before, 0, 16);
      return sameChecksum(updateChecksum128(csum, before, 0, after, 0), checksum(after, 0, 16));
    }),
    runs(500),
  );
});

t.test("UDP: no checksum stays none, a sum of zero is sent as 0xffff", async (t) => {
  fc.assert(
    fc.property(word16, word16, word16, word32, word32, (csum, before, after, before32, after32) => {
      const frame = Uint8Array.of(csum >>> 8, csum);
      patchUdpChecksum16(frame, 0, before, after);
      const first = readBe16(frame, 0);
      patchUdpChecksum32(frame, 0, before32, after32);
      const second = readBe16(frame, 0);
      return csum === 0 ? first === 0 && second === 0 : first !== 0 && second !== 0;
    }),
    runs(1000),
  );
  const frame = Uint8Array.of(0x00, 0x01);
  patchUdpChecksum16(frame, 0, 0, 1);
  t.equal(readBe16(frame, 0), 0xffff, "1 less 1 is sent as 0xffff");
  t.equal(udpChecksum(0), 0xffff);
  t.equal(udpChecksum(7), 7);
  t.equal(swap16(0x1234), 0x3412);
});
