// Makes capture files of every form that the readers must take, independently of the project's writers: plain
// DataView code by the format's text, with sections, interfaces, resolutions, block kinds and foreign blocks
// in any mixture. Each file comes with what a reader must find in it.

import fc from "fast-check";

/** What a reader must give for one packet. Times as exact integers. */
export interface ExpectedPacket {
  readonly seconds: bigint;
  readonly nanoseconds: bigint;
  readonly interfaceIndex: number;
  readonly originalBytes: number;
  readonly data: Uint8Array;
}

export interface CaptureFile {
  readonly bytes: Uint8Array;
  readonly packets: readonly ExpectedPacket[];
  /** Name of each interface, in order over all sections. */
  readonly interfaceNames: readonly (string | undefined)[];
}

class FileBytes {
  readonly #parts: number[] = [];
  readonly #littleEndian: boolean;

  constructor(littleEndian: boolean) {
    this.#littleEndian = littleEndian;
  }

  get length(): number {
    return this.#parts.length;
  }

  word(value: bigint | number, byteCount: 2 | 4 | 8): this {
    const view = new DataView(new ArrayBuffer(8));
    if (byteCount === 8) view.setBigUint64(0, BigInt.asUintN(64, BigInt(value)), this.#littleEndian);
    else if (byteCount === 4) view.setUint32(0, Number(value), this.#littleEndian);
    else view.setUint16(0, Number(value), this.#littleEndian);
    return this.raw(new Uint8Array(view.buffer, 0, byteCount));
  }

  raw(bytes: Iterable<number>): this {
    this.#parts.push(...bytes);
    return this;
  }

  padded(bytes: Uint8Array): this {
    this.raw(bytes);
    while (this.length % 4 !== 0) this.#parts.push(0);
    return this;
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#parts);
  }
}

const NANOSECONDS = 1_000_000_000n;
const word32 = fc.integer({ min: 0, max: 0xffffffff });
const data = fc.uint8Array({ maxLength: 90 });

/** pcap in both byte orders and both resolutions, fractions past a second among them. */
export const pcapFile: fc.Arbitrary<CaptureFile> = fc
  .record({
    littleEndian: fc.boolean(),
    nano: fc.boolean(),
    minor: fc.constantFrom(4, 4, 4, 3, 2),
    packets: fc.array(fc.record({ seconds: word32, fraction: word32, cutBytes: fc.nat(50), data }), {
      maxLength: 12,
    }),
  })
  .map(({ littleEndian, nano, minor, packets }) => {
    const file = new FileBytes(littleEndian);
    file
      .word(nano ? 0xa1b23c4d : 0xa1b2c3d4, 4)
      .word(2, 2)
      .word(minor, 2);
    file.word(0, 8).word(65535, 4).word(1, 4);
    const expected = packets.map((packet): ExpectedPacket => {
      const originalBytes = packet.data.length + packet.cutBytes;
      const lengths = minor < 3 ? [originalBytes, packet.data.length] : [packet.data.length, originalBytes];
      file.word(packet.seconds, 4).word(packet.fraction, 4).word(lengths[0]!, 4).word(lengths[1]!, 4);
      file.raw(packet.data);
      const nanoseconds = BigInt(packet.fraction) * (nano ? 1n : 1000n);
      return {
        seconds: BigInt(packet.seconds) + nanoseconds / NANOSECONDS,
        nanoseconds: nanoseconds % NANOSECONDS,
        interfaceIndex: 0,
        originalBytes,
        data: packet.data,
      };
    });
    return { bytes: file.bytes(), packets: expected, interfaceNames: [undefined] };
  });

interface InterfaceForm {
  readonly name: string | undefined;
  readonly tsresol: number | undefined;
  readonly tsoffset: bigint | undefined;
  readonly snapBytes: number;
}

const interfaceForm: fc.Arbitrary<InterfaceForm> = fc.record({
  name: fc.option(fc.constantFrom("eth0", "p1", "größe", ""), { nil: undefined }),
  tsresol: fc.option(fc.constantFrom(0, 3, 6, 7, 9, 12, 19, 0x80, 0x8a, 0x94, 0xa0, 0xb8), {
    nil: undefined,
  }),
  tsoffset: fc.option(fc.bigInt({ min: -(2n ** 40n), max: 2n ** 40n }), { nil: undefined }),
  snapBytes: fc.constantFrom(0, 40, 65535),
});

interface PacketForm {
  readonly kind: "enhanced" | "simple" | "old";
  readonly interfaceChoice: number;
  readonly high: number;
  readonly low: number;
  readonly cutBytes: number;
  readonly data: Uint8Array;
  readonly foreignBefore: boolean;
  readonly withOptions: boolean;
}

const packetForm: fc.Arbitrary<PacketForm> = fc.record({
  kind: fc.constantFrom("enhanced", "enhanced", "simple", "old"),
  interfaceChoice: fc.nat(20),
  // Times stay where seconds are exact numbers, for resolutions of a whole second too.
  high: fc.nat(0xfffff),
  low: word32,
  cutBytes: fc.nat(50),
  data,
  foreignBefore: fc.boolean(),
  withOptions: fc.boolean(),
});

interface SectionForm {
  readonly littleEndian: boolean;
  readonly interfaces: readonly InterfaceForm[];
  readonly packets: readonly PacketForm[];
}

const sectionForm: fc.Arbitrary<SectionForm> = fc.record({
  littleEndian: fc.boolean(),
  interfaces: fc.array(interfaceForm, { minLength: 1, maxLength: 3 }),
  packets: fc.array(packetForm, { maxLength: 6 }),
});

/** pcapng of one to three sections with everything that may stand in them. */
export const pcapngFile: fc.Arbitrary<CaptureFile> = fc
  .array(sectionForm, { minLength: 1, maxLength: 3 })
  .map((sections) => {
    const parts: number[] = [];
    const packets: ExpectedPacket[] = [];
    const interfaceNames: (string | undefined)[] = [];
    for (const section of sections) {
      const base = interfaceNames.length;
      parts.push(...block(section.littleEndian, 0x0a0d0d0a, sectionBody(section.littleEndian)));
      for (const form of section.interfaces) {
        parts.push(...block(section.littleEndian, 1, interfaceBody(section.littleEndian, form)));
        interfaceNames.push(form.name);
      }
      for (const form of section.packets) {
        if (form.foreignBefore) parts.push(...block(section.littleEndian, 0x0bad + 4, new Uint8Array(12)));
        const made = packetBlock(section, form, base);
        parts.push(...made.bytes);
        packets.push(made.expected);
      }
    }
    return { bytes: Uint8Array.from(parts), packets, interfaceNames };
  });

function block(littleEndian: boolean, type: number, body: Uint8Array): Uint8Array {
  const length = body.length + 12;
  return new FileBytes(littleEndian).word(type, 4).word(length, 4).raw(body).word(length, 4).bytes();
}

function sectionBody(littleEndian: boolean): Uint8Array {
  const file = new FileBytes(littleEndian).word(0x1a2b3c4d, 4).word(1, 2).word(0, 2).word(-1n, 8);
  const application = new TextEncoder().encode("somebody's tool");
  return file.word(4, 2).word(application.length, 2).padded(application).word(0, 4).bytes();
}

function interfaceBody(littleEndian: boolean, form: InterfaceForm): Uint8Array {
  const file = new FileBytes(littleEndian).word(1, 2).word(0, 2).word(form.snapBytes, 4);
  file.word(3, 2).word(5, 2).padded(new TextEncoder().encode("hello"));
  if (form.name !== undefined) {
    const name = new TextEncoder().encode(form.name);
    file.word(2, 2).word(name.length, 2).padded(name);
  }
  if (form.tsresol !== undefined) file.word(9, 2).word(1, 2).padded(Uint8Array.of(form.tsresol));
  if (form.tsoffset !== undefined) file.word(14, 2).word(8, 2).word(form.tsoffset, 8);
  return file.bytes();
}

function packetBlock(
  section: SectionForm,
  form: PacketForm,
  base: number,
): { bytes: Uint8Array; expected: ExpectedPacket } {
  const { littleEndian, interfaces } = section;
  const index = form.kind === "simple" ? 0 : form.interfaceChoice % interfaces.length;
  const { tsresol, tsoffset, snapBytes } = interfaces[index]!;
  const file = new FileBytes(littleEndian);
  if (form.kind === "simple") {
    const kept = snapBytes === 0 ? form.data : form.data.subarray(0, snapBytes);
    file.word(form.data.length, 4).padded(kept);
    const expected = { seconds: 0n, nanoseconds: 0n, interfaceIndex: base, originalBytes: form.data.length };
    return { bytes: block(littleEndian, 3, file.bytes()), expected: { ...expected, data: kept } };
  }
  if (form.kind === "old") file.word(index, 2).word(7, 2);
  else file.word(index, 4);
  const originalBytes = form.data.length + form.cutBytes;
  file
    .word(form.high, 4)
    .word(form.low, 4)
    .word(form.data.length, 4)
    .word(originalBytes, 4)
    .padded(form.data);
  if (form.withOptions) file.word(1, 2).word(3, 2).padded(new TextEncoder().encode("abc")).word(0, 4);
  const time = exactTime((BigInt(form.high) << 32n) + BigInt(form.low), tsresol ?? 6, tsoffset ?? 0n);
  return {
    bytes: block(littleEndian, form.kind === "old" ? 2 : 6, file.bytes()),
    expected: { ...time, interfaceIndex: base + index, originalBytes, data: form.data },
  };
}

function exactTime(ticks: bigint, tsresol: number, offset: bigint): { seconds: bigint; nanoseconds: bigint } {
  const perSecond = tsresol & 0x80 ? 2n ** BigInt(tsresol & 0x7f) : 10n ** BigInt(tsresol);
  return {
    seconds: ticks / perSecond + offset,
    nanoseconds: ((ticks % perSecond) * NANOSECONDS) / perSecond,
  };
}
