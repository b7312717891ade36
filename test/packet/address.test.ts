import { isIPv4, isIPv6, SocketAddress } from "node:net";
import fc from "fast-check";
import t from "tap";
import {
  formatIpv4,
  formatIpv6,
  formatMac,
  parseIpv4,
  parseIpv6,
  parseMac,
} from "../../src/packet/address.ts";
import { bytesToHex, hexToBytes } from "../../src/packet/bytes.ts";
import { runs } from "../support/seed.ts";

const zeroRich = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 255 }));
const address16 = fc.array(zeroRich, { minLength: 16, maxLength: 16 }).map((list) => Uint8Array.from(list));

t.test("IPv6 is printed as the C library prints it, and read back", async () => {
  fc.assert(
    fc.property(address16, (bytes) => {
      const text = formatIpv6(bytes);
      const full = Array.from({ length: 8 }, (_, index) =>
        bytesToHex(bytes.subarray(index * 2, index * 2 + 2)),
      );
      const theirs = new SocketAddress({ address: full.join(":"), family: "ipv6" }).address;
      return text === theirs && bytesToHex(parseIpv6(text)!) === bytesToHex(bytes);
    }),
    runs(1000),
  );
});

t.test("IPv6 text is accepted exactly when the C library accepts it", async (t) => {
  const piece = fc.constantFrom(":", "::", "0", "1", "ffff", "12345", "1.2.3.4", "g", "fe80", ".");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 18 }), (pieces) => {
      const text = pieces.join("");
      return (parseIpv6(text) !== undefined) === isIPv6(text);
    }),
    runs(3000),
  );
  for (const text of ["::", "::1", "1::", "1:2:3:4:5:6:7:8", "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1::8"]) {
    t.ok(parseIpv6(text), text);
  }
  for (const text of [
    "",
    ":",
    ":::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    "1.2.3.4::",
    "1:2:3:4:5:6:7::8",
  ]) {
    t.equal(parseIpv6(text) !== undefined, isIPv6(text), `'${text}'`);
  }
});

t.test("IPv4 and MAC round trips and refusals", async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
      const mac = bytesToHex(parseMac(formatMac(bytes))!) === bytesToHex(bytes);
      return mac && bytesToHex(parseIpv4(formatIpv4(bytes, 2))!) === bytesToHex(bytes.subarray(2));
    }),
    runs(300),
  );
  for (const text of ["1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4.5", "", "a.b.c.d"]) {
    t.equal(parseIpv4(text), undefined, `'${text}'`);
    t.notOk(isIPv4(text));
  }
  for (const text of ["", "1:2:3:4:5", "1:2:3:4:5:6:7", "g0:00:00:00:00:00", "000:1:2:3:4:5"]) {
    t.equal(parseMac(text), undefined, `'${text}'`);
  }
});

t.test("hex text", async (t) => {
  t.equal(bytesToHex(hexToBytes("00 01\nfF")), "0001ff");
  t.throws(() => hexToBytes("00 0g"), { message: /'g' at column 5/ });
  t.throws(() => hexToBytes("000"), { message: /3 digits/ });
});
