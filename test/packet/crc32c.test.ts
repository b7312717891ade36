import fc from "fast-check";
import t from "tap";
import {
  CRC32C_START,
  crc32c,
  crc32cAdd,
  crc32cAddZeros,
  crc32cFinish,
  readSctpChecksum,
  sctpCrc,
  writeSctpChecksum,
} from "../../src/packet/crc32c.ts";
import { runs } from "../support/seed.ts";

/** One bit after the other, as RFC 9260 appendix A defines it. */
function slowCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

t.test("known values", async (t) => {
  const digits = new TextEncoder().encode("123456789");
  t.equal(crc32c(digits, 0, 9), 0xe3069283, "the check value of the CRC catalogue");
  t.equal(crc32c(new Uint8Array(32), 0, 32), 0x8a9136aa, "RFC 3720 B.4: 32 zero bytes");
  t.equal(crc32c(new Uint8Array(32).fill(0xff), 0, 32), 0x62a8ab43, "RFC 3720 B.4: 32 bytes of ones");
  const rising = Uint8Array.from({ length: 32 }, (_, index) => index);
  t.equal(crc32c(rising, 0, 32), 0x46dd794e, "RFC 3720 B.4: 0 to 31");
});

t.test("tables equal bits, at any offset and length", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(9), (bytes, offset) => {
      const placed = new Uint8Array(offset + bytes.length + 1).fill(0xee);
      placed.set(bytes, offset);
      return crc32c(placed, offset, bytes.length) === slowCrc(bytes);
    }),
    runs(500),
  );
});

t.test("pieces in order give the whole; zeros can be added by count", async () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 }),
      fc.nat(20),
      (pieces, zeroCount) => {
        let state = CRC32C_START;
        for (const piece of pieces) state = crc32cAdd(state, piece, 0, piece.length);
        state = crc32cAddZeros(state, zeroCount);
        const whole = Uint8Array.from([
          ...pieces.flatMap((piece) => [...piece]),
          ...new Array<number>(zeroCount).fill(0),
        ]);
        return crc32cFinish(state) === slowCrc(whole);
      },
    ),
    runs(300),
  );
});

t.test("an SCTP packet counts with its checksum as zero, and the xor rule keeps an error", async () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 12, maxLength: 80 }),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.integer({ min: 0, max: 0xffff }),
      (bytes, stored, port) => {
        writeSctpChecksum(bytes, 0, stored);
        if (readSctpChecksum(bytes, 0) !== stored) return false;
        const zeroed = bytes.slice();
        zeroed.fill(0, 8, 12);
        const before = sctpCrc(bytes, 0, bytes.length);
        if (before !== slowCrc(zeroed)) return false;
        bytes[0] = port >>> 8;
        bytes[1] = port;
        const updated = (stored ^ before ^ sctpCrc(bytes, 0, bytes.length)) >>> 0;
        return (updated ^ sctpCrc(bytes, 0, bytes.length)) >>> 0 === (stored ^ before) >>> 0;
      },
    ),
    runs(500),
  );
});
