// Frames for extraction: every header that the key knows, stacked in likely and unlikely orders, with length fields
// that lie, options that repeat, and the frame cut off or padded anywhere. Most of a frame is right, so that the parse
// gets deep before it meets what is wrong.

import fc from "fast-check";

type Bytes = readonly number[];

const be16 = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff];
const randomBytes = (count: number): fc.Arbitrary<Bytes> =>
  fc.array(fc.integer({ min: 0, max: 255 }), { minLength: count, maxLength: count });
const tail = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 });
/** What a length field states more or less than the truth; 0 nearly always. */
const lie = fc.oneof(
  { weight: 8, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: -12, max: 12 }) },
);
const concat = (...parts: Bytes[]): number[] => parts.flat();

const tcp = fc
  .tuple(
    randomBytes(12),
    fc.constantFrom(5, 5, 5, 6, 8, 15, 4, 0),
    fc.integer({ min: 0, max: 0xfff }),
    randomBytes(6),
    tail,
  )
  .map(([start, dataOffset, flags, end, rest]) => concat(start, be16((dataOffset << 12) | flags), end, rest));
const udp = fc.tuple(randomBytes(8), tail).map(([header, rest]) => concat(header, rest));
const sctp = fc.tuple(randomBytes(12), tail).map(([header, rest]) => concat(header, rest));
const typeAndCode = fc
  .tuple(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 0, 1, 3), randomBytes(6), tail)
  .map(([type, code, header, rest]) => concat([type, code], header, rest));

const ndOption = fc
  .tuple(
    fc.constantFrom(1, 1, 2, 2, 3, 14),
    fc.constantFrom(1, 1, 1, 1, 0, 2),
    fc.oneof(randomBytes(6), fc.constant([0, 0, 0, 0, 0, 0])),
    tail,
  )
  .map(([type, units, body, rest]) =>
    concat([type, units], body, units === 2 ? [...rest, ...new Array(8).fill(7)].slice(0, 8) : []),
  );
const neighbor = fc
  .tuple(
    fc.constantFrom(135, 136),
    fc.constantFrom(0, 0, 0, 0, 1),
    randomBytes(2),
    fc.oneof(randomBytes(4), fc.constant([0, 0, 0, 0])),
    randomBytes(16),
    fc.array(ndOption, { maxLength: 4 }),
    fc.oneof(fc.constant([]), tail),
  )
  .map(([type, code, checksum, reserved, target, options, rest]) =>
    concat([type, code], checksum, reserved, target, ...options, rest),
  );

/** A transport protocol number and bytes that are meant for it. */
const transport: fc.Arbitrary<{ proto: number; bytes: Bytes }> = fc.oneof(
  tcp.map((bytes) => ({ proto: 6, bytes })),
  udp.map((bytes) => ({ proto: 17, bytes })),
  sctp.map((bytes) => ({ proto: 132, bytes })),
  typeAndCode.map((bytes) => ({ proto: 1, bytes })),
  typeAndCode.map((bytes) => ({ proto: 2, bytes })),
  typeAndCode.map((bytes) => ({ proto: 58, bytes })),
  neighbor.map((bytes) => ({ proto: 58, bytes })),
  fc.tuple(fc.integer({ min: 0, max: 255 }), tail).map(([proto, bytes]) => ({ proto, bytes })),
);

const ipv4 = fc
  .record({
    transport,
    version: fc.constantFrom(4, 4, 4, 4, 6, 0),
    optionWords: fc.constantFrom(0, 0, 0, 0, 1, 3, 10),
    headerWordsLie: fc.constantFrom(0, 0, 0, 0, 0, 0, -1, 1),
    lengthLie: lie,
    tos: fc.integer({ min: 0, max: 255 }),
    ttl: fc.integer({ min: 0, max: 255 }),
    fragment: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(0, 0x4000, 0x8000) },
      { weight: 1, arbitrary: fc.constantFrom(0x2000, 0x2001, 0x1fff, 0x0001, 0x6000, 0x4100) },
    ),
    addresses: randomBytes(8),
    filler: randomBytes(44),
  })
  .map((ip) => {
    const headerWords = (5 + ip.optionWords + ip.headerWordsLie) & 15;
    const totalBytes = 20 + 4 * ip.optionWords + ip.transport.bytes.length + ip.lengthLie;
    return concat(
      [(ip.version << 4) | headerWords, ip.tos],
      be16(totalBytes & 0xffff),
      ip.filler.slice(0, 2),
      be16(ip.fragment),
      [ip.ttl, ip.transport.proto],
      ip.filler.slice(2, 4),
      ip.addresses,
      ip.filler.slice(4, 4 + 4 * ip.optionWords),
      ip.transport.bytes,
    );
  });

interface Extension {
  readonly kind: number;
  readonly units: number;
  readonly unitsLie: number;
  readonly fragment: number;
  readonly filler: Bytes;
}
const extension: fc.Arbitrary<Extension> = fc.record({
  kind: fc.constantFrom(0, 43, 60, 51, 44, 44, 135, 50),
  units: fc.constantFrom(0, 0, 1, 2),
  unitsLie: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 1, -1, 30),
  fragment: fc.constantFrom(0, 0, 0x0001, 0x0008, 0x0006, 0x0002, 0xfff9),
  filler: randomBytes(32),
});

function extensionBytes({ kind, units, unitsLie, fragment, filler }: Extension, next: number): number[] {
  if (kind === 44) return concat([next, filler[0]!], be16(fragment), filler.slice(2, 6));
  const field = (units + unitsLie) & 0xff;
  if (kind === 51) return concat([next, field], filler.slice(0, (units + 2) * 4 - 2));
  return concat([next, field], filler.slice(0, (units + 1) * 8 - 2));
}

const ipv6 = fc
  .record({
    transport,
    firstWord: randomBytes(4),
    hopLimit: fc.integer({ min: 0, max: 255 }),
    addresses: fc.oneof(randomBytes(32), fc.constant(new Array<number>(32).fill(0))),
    extensions: fc.oneof(fc.constant<Extension[]>([]), fc.array(extension, { maxLength: 4 })),
    lengthLie: lie,
  })
  .map((ip) => {
    const kinds = [...ip.extensions.map(({ kind }) => kind), ip.transport.proto];
    const payload = concat(
      ...ip.extensions.map((header, index) => extensionBytes(header, kinds[index + 1]!)),
      ip.transport.bytes,
    );
    const payloadBytes = Math.max(0, payload.length + ip.lengthLie);
    return concat(ip.firstWord, be16(payloadBytes), [kinds[0]!, ip.hopLimit], ip.addresses, payload);
  });

const arp = fc
  .record({
    form: fc.constantFrom(
      [0, 1, 8, 0, 6, 4],
      [0, 1, 8, 0, 6, 4],
      [0, 1, 8, 0, 6, 4],
      [0, 6, 8, 0, 6, 4],
      [0, 1, 8, 0, 8, 4],
      [0, 1, 8, 6, 6, 4],
    ),
    operation: fc.constantFrom(1, 2, 3, 255, 256, 0),
    body: randomBytes(20),
    rest: tail,
  })
  .map(({ form, operation, body, rest }) => concat(form, be16(operation), body, rest));

const mpls = fc
  .tuple(fc.array(fc.tuple(randomBytes(4), fc.boolean()), { maxLength: 5 }), fc.oneof(fc.constant([]), tail))
  .map(([entries, rest]) =>
    concat(
      ...entries.map(([entry, bottom]) => [
        entry[0]!,
        entry[1]!,
        (entry[2]! & 0xfe) | Number(bottom),
        entry[3]!,
      ]),
      rest,
    ),
  );

const nsh = fc
  .record({
    version: fc.constantFrom(0, 0, 0, 0, 1, 3),
    flagsAndTtl: fc.integer({ min: 0, max: 255 }),
    words: fc.constantFrom(6, 6, 6, 2, 3, 0, 1, 63),
    mdtype: fc.constantFrom(1, 1, 1, 2, 0, 3, 0x11, 0xff),
    rest: fc.oneof(randomBytes(21), randomBytes(5), tail),
  })
  .map(({ version, flagsAndTtl, words, mdtype, rest }) =>
    concat(be16((version << 14) | (flagsAndTtl << 6) | words), [mdtype], rest),
  );

/** An Ethertype and bytes that are meant for it; 0 stands for an 802.3 length. */
const network: fc.Arbitrary<{ ethType: number; bytes: Bytes }> = fc.oneof(
  { weight: 4, arbitrary: ipv4.map((bytes) => ({ ethType: 0x0800, bytes })) },
  { weight: 4, arbitrary: ipv6.map((bytes) => ({ ethType: 0x86dd, bytes })) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(0x0806, 0x8035), arp).map(([ethType, bytes]) => ({ ethType, bytes })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(0x8847, 0x8848), mpls)
      .map(([ethType, bytes]) => ({ ethType, bytes })),
  },
  { weight: 1, arbitrary: nsh.map((bytes) => ({ ethType: 0x894f, bytes })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 0, max: 0xffff }), tail)
      .map(([ethType, bytes]) => ({ ethType, bytes })),
  },
);

const tag: fc.Arbitrary<[number, Bytes]> = fc.tuple(
  fc.constantFrom(0x8100, 0x8100, 0x8100, 0x8100, 0x88a8, 0x88a8, 0x9100),
  randomBytes(2),
);
/** LLC and SNAP, mostly of encapsulated Ethernet. */
const llc = fc.constantFrom<Bytes>(
  [0xaa, 0xaa, 3, 0, 0, 0],
  [0xaa, 0xaa, 3, 0, 0, 0],
  [0xaa, 0xaa, 3, 0, 0, 1],
  [0xaa, 0xaa, 7, 0, 0, 0],
  [0xaa, 0xab, 3, 0, 0, 0],
  [0x42, 0x42, 3, 0, 0, 0],
);

/** A frame, then what became of it on the way: cut off, padded, one byte flipped. */
export const hostileFrame: fc.Arbitrary<Uint8Array> = fc
  .record({
    addresses: randomBytes(12),
    tags: fc.oneof(
      { weight: 2, arbitrary: fc.constant<[number, Bytes][]>([]) },
      { weight: 1, arbitrary: fc.array<[number, Bytes]>(tag, { maxLength: 3 }) },
    ),
    encapsulation: fc.oneof({ weight: 6, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: llc }),
    network,
    damage: fc.oneof(
      { weight: 4, arbitrary: fc.constant({ kind: "none", value: 0 }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("cut"), value: fc.nat() }) },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant("pad"), value: fc.integer({ min: 1, max: 320 }) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("flip"), value: fc.nat() }) },
    ),
  })
  .map(({ addresses, tags, encapsulation, network: { ethType, bytes }, damage }) => {
    const type =
      encapsulation === null ? be16(ethType) : concat(be16(bytes.length + 8), encapsulation, be16(ethType));
    const frame = concat(addresses, ...tags.map(([tpid, tci]) => concat(be16(tpid), tci)), type, bytes);
    return damaged(Uint8Array.from(frame), damage);
  });

function damaged(frame: Uint8Array, { kind, value }: { kind: string; value: number }): Uint8Array {
  if (kind === "cut") return frame.slice(0, value % (frame.length + 1));
  if (kind === "flip") {
    const bit = value % (frame.length * 8);
    frame[bit >>> 3]! ^= 1 << (bit & 7);
    return frame;
  }
  if (kind === "pad") {
    const padded = new Uint8Array(frame.length + value);
    padded.set(frame);
    return padded;
  }
  return frame;
}

/** Frames with one of these numbers of bytes behind what the headers state. */
export function paddedFrame(...paddings: number[]): fc.Arbitrary<Uint8Array> {
  return fc.tuple(hostileFrame, fc.constantFrom(...paddings)).map(([frame, padding]) => {
    const padded = new Uint8Array(frame.length + padding);
    padded.set(frame);
    return padded;
  });
}
