import fc from "fast-check";
import t from "tap";
import { bytesToHex } from "../../src/packet/bytes.ts";
import { CaptureError, type CaptureReader, type CaptureWriter } from "../../src/packet/capture.ts";
import { openCapture } from "../../src/packet/capture-reader.ts";
import { PcapReader } from "../../src/packet/pcap.ts";
import { PcapWriter } from "../../src/packet/pcap-writer.ts";
import { PcapngReader } from "../../src/packet/pcapng.ts";
import { PcapngWriter } from "../../src/packet/pcapng-writer.ts";
import { type CaptureFile, pcapFile, pcapngFile } from "../support/capture-files.ts";
import { corporaSkipReason, corpusPath } from "../support/corpora.ts";
import { runs } from "../support/seed.ts";

/** All packets of a reader as text, one line each, fed in chunks of these sizes. */
function readAll(reader: CaptureReader, file: Uint8Array, chunkSizes: readonly number[] = []): string[] {
  const packets: string[] = [];
  let offset = 0;
  for (let index = 0; index === 0 || offset < file.length; index++) {
    const size = chunkSizes[index % chunkSizes.length] ?? file.length;
    reader.feed(file.subarray(offset, offset + size));
    offset += size;
    for (let packet = reader.next(); packet !== undefined; packet = reader.next()) {
      const data = reader.bytes.subarray(packet.dataOffset, packet.dataOffset + packet.dataBytes);
      const time = `${packet.seconds}.${packet.nanoseconds}`;
      packets.push(`${time} ${packet.interfaceIndex} ${packet.originalBytes} ${bytesToHex(data)}`);
    }
  }
  reader.finish();
  return packets;
}

function expectedLines(file: CaptureFile): string[] {
  return file.packets.map((packet) => {
    const time = `${packet.seconds}.${packet.nanoseconds}`;
    return `${time} ${packet.interfaceIndex} ${packet.originalBytes} ${bytesToHex(packet.data)}`;
  });
}

const chunkSizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 400 })), {
  minLength: 1,
  maxLength: 5,
});

t.test("pcap of every byte order and resolution is read, in chunks of any size", async () => {
  fc.assert(
    fc.property(pcapFile, chunkSizes, (file, sizes) => {
      const lines = readAll(new PcapReader("x.pcap"), file.bytes, sizes);
      return lines.join("\n") === expectedLines(file).join("\n");
    }),
    runs(400),
  );
});

t.test(
  "pcapng with sections, interfaces, resolutions and foreign blocks is read, in chunks of any size",
  async () => {
    fc.assert(
      fc.property(pcapngFile, chunkSizes, (file, sizes) => {
        const reader = new PcapngReader("x.pcapng");
        const lines = readAll(reader, file.bytes, sizes);
        const names = reader.interfaces.map((entry) => entry.name);
        return (
          lines.join("\n") === expectedLines(file).join("\n") &&
          JSON.stringify(names) === JSON.stringify(file.interfaceNames)
        );
      }),
      runs(400),
    );
  },
);

const anyFile = fc.oneof(pcapFile, pcapngFile);

t.test("a file cut anywhere gives its whole packets, then says where it ends", async () => {
  fc.assert(
    fc.property(anyFile, fc.nat(10_000), (file, part) => {
      const length = 4 + Math.floor((part / 10_000) * (file.bytes.length - 4));
      const whole = expectedLines(file).join("\n");
      try {
        const reader = openCapture("cut", file.bytes.subarray(0, length));
        return whole.startsWith(readAll(reader, new Uint8Array(0)).join("\n"));
      } catch (error) {
        if (!(error instanceof CaptureError)) throw error;
        return error.fileOffset <= length && error.message.includes(`cut: offset ${error.fileOffset}: `);
      }
    }),
    runs(600),
  );
});

t.test("damaged files end in packets or in an error that names the offset", async () => {
  const damage = fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(anyFile, damage, chunkSizes, (file, changes, sizes) => {
      const bytes = file.bytes.slice();
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      try {
        const reader = openCapture("damaged", bytes.subarray(0, 4));
        const lines = readAll(reader, bytes.subarray(4), sizes);
        return lines.length * 16 <= bytes.length;
      } catch (error) {
        if (!(error instanceof CaptureError)) throw error;
        return error.fileOffset <= bytes.length;
      }
    }),
    runs(1500),
  );
});

const plainPackets = fc.array(
  fc.record({
    seconds: fc.integer({ min: 0, max: 0xffffffff }),
    nanoseconds: fc.nat(999_999_999),
    cutBytes: fc.nat(20),
    data: fc.uint8Array({ maxLength: 200 }),
    pieceBytes: fc.integer({ min: 1, max: 250 }),
    interfaceIndex: fc.nat(2),
  }),
  { maxLength: 20 },
);
type PlainPacket = typeof plainPackets extends fc.Arbitrary<(infer Packet)[]> ? Packet : never;

function writeAll(writer: CaptureWriter, packets: readonly PlainPacket[]): void {
  for (const { seconds, nanoseconds, cutBytes, data, pieceBytes, interfaceIndex } of packets) {
    writer.begin(interfaceIndex, seconds, nanoseconds, data.length + cutBytes, data.length);
    for (let offset = 0; offset < data.length; offset += pieceBytes) {
      writer.append(data, offset, Math.min(pieceBytes, data.length - offset));
    }
    writer.end();
  }
  writer.flush();
}

function plainLines(packets: readonly PlainPacket[], unit: number, interfaces: boolean): string[] {
  return packets.map(({ seconds, nanoseconds, cutBytes, data, interfaceIndex }) => {
    const time = `${seconds}.${Math.floor(nanoseconds / unit) * unit}`;
    return `${time} ${interfaces ? interfaceIndex : 0} ${data.length + cutBytes} ${bytesToHex(data)}`;
  });
}

t.test("what the writers write is read back, in both orders and resolutions", async () => {
  fc.assert(
    fc.property(
      plainPackets,
      fc.boolean(),
      fc.constantFrom("micro", "nano"),
      (packets, littleEndian, resolution) => {
        const chunks: Uint8Array[] = [];
        const sink = (bytes: Uint8Array): number => chunks.push(bytes.slice());
        writeAll(new PcapWriter(sink, { littleEndian, resolution }), packets);
        const pcap = readAll(openCapture("pcap", Buffer.concat(chunks.splice(0))), new Uint8Array(0));
        const writer = new PcapngWriter(sink, { littleEndian });
        for (const name of ["eth0", "p2", "größe"]) writer.addInterface(name);
        writeAll(writer, packets);
        const pcapng = readAll(openCapture("pcapng", Buffer.concat(chunks)), new Uint8Array(0));
        const unit = resolution === "nano" ? 1 : 1000;
        return (
          pcap.join("\n") === plainLines(packets, unit, false).join("\n") &&
          pcapng.join("\n") === plainLines(packets, 1, true).join("\n")
        );
      },
    ),
    runs(300),
  );
});

t.test("the writers refuse what a file cannot hold", async (t) => {
  const pcap = new PcapWriter(() => undefined);
  t.throws(() => pcap.begin(0, 2 ** 32, 0, 1, 1), { message: /does not fit into 32 bits/ });
  pcap.begin(0, 0, 0, 2, 2);
  pcap.append(Uint8Array.of(1), 0, 1);
  t.throws(() => pcap.end(), { message: /missed its captured length by 1/ });
  const pcapng = new PcapngWriter(() => undefined);
  t.throws(() => pcapng.begin(0, 0, 0, 1, 1), { message: /interface 0, but only 0/ });
});

const SECTION_HEADER = [0x0a0d0d0a, 28, 0x1a2b3c4d, 0x00000001, -1, -1, 28];

function wordsLe(words: readonly number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(words).buffer);
}

t.test("each rule of the formats has its own error", async (t) => {
  const cases: readonly [string, readonly number[], RegExp][] = [
    ["foreign magic", [0x12345678], /offset 0: file header: bytes 78 56 34 12 begin neither/],
    ["pcap version", [0xa1b2c3d4 | 0, 0x00040003, 0, 0, 65535, 1], /version 3\.4 is not one of/],
    [
      "pcap length",
      [0xa1b2c3d4 | 0, 0x00040002, 0, 0, 0, 1, 0, 0, 262145, 1],
      /offset 24: .*262145 is over the limit/,
    ],
    ["pcap cut header", [0xa1b2c3d4 | 0], /the file ends after 4 of 24 bytes/],
    ["section order magic", [0x0a0d0d0a, 28, 0x11111111, 1, 0, 0, 28], /byte-order magic/],
    ["section version", [0x0a0d0d0a, 28, 0x1a2b3c4d, 0x00010001, -1, -1, 28], /version 1\.1 is not/],
    ["short section", [0x0a0d0d0a, 20, 0x1a2b3c4d, 1, 20], /20 is less than its fixed 28/],
    [
      "odd length",
      [...SECTION_HEADER, 5, 13, 0],
      /offset 28: block of type 0x5: total length 13 is not a multiple/,
    ],
    [
      "huge length",
      [...SECTION_HEADER, 6, 0x10000000, 0],
      /enhanced packet block: total length 268435456 is over/,
    ],
    ["trailing length", [...SECTION_HEADER, 5, 12, 16], /is 12 at its start and 16 at its end/],
    ["no interface", [...SECTION_HEADER, 6, 32, 0, 0, 0, 0, 0, 32], /interface 0 is not described/],
    ["no interface, simple", [...SECTION_HEADER, 3, 16, 0, 16], /simple packet block: interface 0 is not/],
    [
      "option past its block",
      [...SECTION_HEADER, 1, 24, 1, 0, 0x00400002, 24],
      /option 2 of 64 bytes passes/,
    ],
    ["tsresol length", [...SECTION_HEADER, 1, 28, 1, 0, 0x00020009, 6, 28], /if_tsresol has 2 bytes, not 1/],
    [
      "captured length",
      [...SECTION_HEADER, 1, 20, 1, 0, 20, 6, 32, 0, 0, 0, 1, 1, 32],
      /captured length 1 passes the 0/,
    ],
    ["cut block", [...SECTION_HEADER, 6], /offset 28: block: the file ends within it, 4 bytes/],
  ];
  for (const [name, words, message] of cases) {
    t.throws(() => readAll(openCapture("bad", wordsLe(words)), new Uint8Array(0)), { message }, name);
  }
  t.throws(() => openCapture("tiny", Uint8Array.of(1)), { message: /only 1 bytes/ });
  t.throws(() => readAll(new PcapngReader("bad"), wordsLe([6, 12, 12])), {
    message: /begins with a section header/,
  });
  t.throws(() => new PcapngReader("empty").finish(), { message: /the file is empty/ });
});

t.test("a capture of the corpora is read whole", { skip: corporaSkipReason() }, async (t) => {
  const { readFileSync } = await import("node:fs");
  const file = readFileSync(corpusPath("extract/flowgen.pcap")!);
  t.equal(readAll(openCapture("flowgen.pcap", file), new Uint8Array(0)).length, 247);
});
