// Reads pcapng: any number of sections, each in its own byte order with its own interfaces; enhanced, simple
// and obsolete packet blocks; other blocks and options are passed over. Interfaces of later sections are
// numbered on.
//
// A block is looked at when all of it is there, so a damaged length can hold at most BLOCK_BYTES_MAX bytes
// back. Per packet nothing is allocated; per interface one object is.

import {
  CAPTURED_BYTES_MAX,
  CaptureError,
  type CaptureInterface,
  type CapturePacket,
  type CaptureReader,
  emptyPacket,
  FeedBuffer,
  readFile16,
  readFile32,
} from "./capture.ts";
import {
  BLOCK,
  BLOCK_BYTES_MAX,
  BLOCK_BYTES_MIN,
  BYTE_ORDER_MAGIC,
  ENHANCED,
  INTERFACE,
  OLD_PACKET,
  OPTION,
  OPTION_HEADER_BYTES,
  PCAPNG_VERSION_MAJOR,
  PCAPNG_VERSIONS_MINOR,
  padTo4,
  SECTION,
  SIMPLE,
} from "./pcapng-format.ts";
import { TimestampResolution, TSRESOL_DEFAULT } from "./timestamp.ts";

const UTF8 = new TextDecoder();
const TWO_TO_32 = 0x1_0000_0000;

interface InterfaceOptions {
  name: string | undefined;
  tsresol: number;
  offsetSeconds: number;
}

export class PcapngReader implements CaptureReader {
  readonly interfaces: CaptureInterface[] = [];
  readonly #source: string;
  readonly #feed: FeedBuffer;
  readonly #packet: CapturePacket = emptyPacket();
  readonly #resolutions: TimestampResolution[] = [];
  /** Index in `interfaces` of the first one of the section. */
  #sectionBase = 0;
  #littleEndian = true;
  #inSection = false;

  constructor(source: string, feed: FeedBuffer = new FeedBuffer()) {
    this.#source = source;
    this.#feed = feed;
  }

  get bytes(): Uint8Array {
    return this.#feed.bytes;
  }

  feed(chunk: Uint8Array): void {
    this.#feed.feed(chunk);
  }

  next(): CapturePacket | undefined {
    for (;;) {
      const blockBytes = this.#blockBytes();
      if (blockBytes === 0) return undefined;
      const found = this.#readBlock(blockBytes);
      this.#feed.consume(blockBytes);
      if (found) return this.#packet;
    }
  }

  finish(): void {
    const left = this.#feed.available;
    if (left > 0) this.#fail("block", `the file ends within it, ${left} bytes after its start`);
    if (!this.#inSection) this.#fail("section header block", "the file is empty");
  }

  /** Length of the block at the buffer's start, checked; 0 while it is not all there. */
  #blockBytes(): number {
    const feed = this.#feed;
    if (feed.available < BLOCK_BYTES_MIN) return 0;
    const { bytes, start } = feed;
    if (readFile32(bytes, start, true) === BLOCK.sectionHeader) this.#readByteOrder();
    else if (!this.#inSection) this.#fail("first block", "a pcapng file begins with a section header block");
    const type = readFile32(bytes, start, this.#littleEndian);
    const blockBytes = readFile32(bytes, start + 4, this.#littleEndian);
    const what = blockName(type);
    if (blockBytes < BLOCK_BYTES_MIN || blockBytes % 4 !== 0) {
      this.#fail(what, `total length ${blockBytes} is not a multiple of 4 of at least ${BLOCK_BYTES_MIN}`);
    }
    if (blockBytes > BLOCK_BYTES_MAX) {
      this.#fail(what, `total length ${blockBytes} is over the limit of ${BLOCK_BYTES_MAX} bytes`);
    }
    if (feed.available < blockBytes) return 0;
    const trailing = readFile32(bytes, start + blockBytes - 4, this.#littleEndian);
    if (trailing !== blockBytes) {
      this.#fail(what, `total length is ${blockBytes} at its start and ${trailing} at its end`);
    }
    return blockBytes;
  }

  #readByteOrder(): void {
    const { bytes, start } = this.#feed;
    if (readFile32(bytes, start + SECTION.byteOrder, true) === BYTE_ORDER_MAGIC) this.#littleEndian = true;
    else if (readFile32(bytes, start + SECTION.byteOrder, false) === BYTE_ORDER_MAGIC)
      this.#littleEndian = false;
    else this.#fail("section header block", "the byte-order magic is not 0x1a2b3c4d in either order");
  }

  /** Takes in one whole block; true when it was a packet. */
  #readBlock(blockBytes: number): boolean {
    const type = readFile32(this.#feed.bytes, this.#feed.start, this.#littleEndian);
    switch (type) {
      case BLOCK.enhancedPacket:
        this.#readEnhanced(blockBytes, false);
        return true;
      case BLOCK.packet:
        this.#readEnhanced(blockBytes, true);
        return true;
      case BLOCK.simplePacket:
        this.#readSimple(blockBytes);
        return true;
      case BLOCK.interfaceDescription:
        this.#readInterface(blockBytes);
        return false;
      case BLOCK.sectionHeader:
        this.#readSection(blockBytes);
        return false;
      default:
        return false;
    }
  }

  #readSection(blockBytes: number): void {
    this.#expectBytes("section header block", blockBytes, SECTION.bytesMin);
    const { bytes, start } = this.#feed;
    const major = readFile16(bytes, start + SECTION.major, this.#littleEndian);
    const minor = readFile16(bytes, start + SECTION.minor, this.#littleEndian);
    if (major !== PCAPNG_VERSION_MAJOR || !PCAPNG_VERSIONS_MINOR.includes(minor)) {
      this.#fail("section header block", `version ${major}.${minor} is not 1.0 or 1.2`);
    }
    this.#sectionBase = this.interfaces.length;
    this.#inSection = true;
  }

  #readInterface(blockBytes: number): void {
    this.#expectBytes("interface description block", blockBytes, INTERFACE.bytesMin);
    const { bytes, start } = this.#feed;
    const options = this.#readOptions(start + INTERFACE.options, start + blockBytes - 4);
    this.interfaces.push({
      name: options.name,
      linkType: readFile16(bytes, start + INTERFACE.linkType, this.#littleEndian),
      snapBytes: readFile32(bytes, start + INTERFACE.snapBytes, this.#littleEndian),
    });
    this.#resolutions.push(new TimestampResolution(options.tsresol, options.offsetSeconds));
  }

  #readOptions(offset: number, end: number): InterfaceOptions {
    const options: InterfaceOptions = { name: undefined, tsresol: TSRESOL_DEFAULT, offsetSeconds: 0 };
    const { bytes } = this.#feed;
    while (offset + OPTION_HEADER_BYTES <= end) {
      const code = readFile16(bytes, offset, this.#littleEndian);
      const valueBytes = readFile16(bytes, offset + 2, this.#littleEndian);
      const value = offset + OPTION_HEADER_BYTES;
      if (code === OPTION.end) break;
      if (value + valueBytes > end) {
        this.#fail(
          "interface description block",
          `option ${code} of ${valueBytes} bytes passes the block's end`,
        );
      }
      if (code === OPTION.interfaceName) {
        options.name = UTF8.decode(bytes.subarray(value, value + valueBytes)).replace(/\0+$/, "");
      } else if (code === OPTION.timeResolution) {
        this.#expectOption("if_tsresol", valueBytes, 1);
        options.tsresol = bytes[value]!;
      } else if (code === OPTION.timeOffset) {
        this.#expectOption("if_tsoffset", valueBytes, 8);
        options.offsetSeconds = this.#readSigned64(value);
      }
      offset = value + padTo4(valueBytes);
    }
    return options;
  }

  #expectOption(name: string, valueBytes: number, expected: number): void {
    if (valueBytes === expected) return;
    this.#fail("interface description block", `option ${name} has ${valueBytes} bytes, not ${expected}`);
  }

  #readSigned64(offset: number): number {
    const first = readFile32(this.#feed.bytes, offset, this.#littleEndian);
    const second = readFile32(this.#feed.bytes, offset + 4, this.#littleEndian);
    const high = this.#littleEndian ? second : first;
    return (high | 0) * TWO_TO_32 + (this.#littleEndian ? first : second);
  }

  /** The obsolete block differs only in the width of its interface number. */
  #readEnhanced(blockBytes: number, obsolete: boolean): void {
    const what = obsolete ? "packet block" : "enhanced packet block";
    this.#expectBytes(what, blockBytes, ENHANCED.bytesMin);
    const { bytes, start } = this.#feed;
    const littleEndian = this.#littleEndian;
    const id = obsolete
      ? readFile16(bytes, start + OLD_PACKET.interfaceId, littleEndian)
      : readFile32(bytes, start + ENHANCED.interfaceId, littleEndian);
    const resolution = this.#resolutionOf(what, id);
    const captured = readFile32(bytes, start + ENHANCED.capturedBytes, littleEndian);
    this.#expectData(what, captured, blockBytes - ENHANCED.bytesMin);
    resolution.split(
      readFile32(bytes, start + ENHANCED.timeHigh, littleEndian),
      readFile32(bytes, start + ENHANCED.timeLow, littleEndian),
    );
    const packet = this.#packet;
    packet.seconds = resolution.seconds;
    packet.nanoseconds = resolution.nanoseconds;
    packet.interfaceIndex = this.#sectionBase + id;
    packet.originalBytes = readFile32(bytes, start + ENHANCED.originalBytes, littleEndian);
    packet.dataOffset = start + ENHANCED.data;
    packet.dataBytes = captured;
  }

  /**
   * A simple packet has no time and belongs to the section's first interface, whose snapshot length cut it.
   */
  #readSimple(blockBytes: number): void {
    const what = "simple packet block";
    this.#expectBytes(what, blockBytes, SIMPLE.bytesMin);
    this.#resolutionOf(what, 0);
    const { bytes, start } = this.#feed;
    const original = readFile32(bytes, start + SIMPLE.originalBytes, this.#littleEndian);
    const { snapBytes } = this.interfaces[this.#sectionBase]!;
    const captured = snapBytes === 0 ? original : Math.min(original, snapBytes);
    this.#expectData(what, captured, blockBytes - SIMPLE.bytesMin);
    const packet = this.#packet;
    packet.seconds = 0;
    packet.nanoseconds = 0;
    packet.interfaceIndex = this.#sectionBase;
    packet.originalBytes = original;
    packet.dataOffset = start + SIMPLE.data;
    packet.dataBytes = captured;
  }

  #resolutionOf(what: string, id: number): TimestampResolution {
    const resolution = this.#resolutions[this.#sectionBase + id];
    if (resolution !== undefined) return resolution;
    const count = this.interfaces.length - this.#sectionBase;
    this.#fail(what, `interface ${id} is not described: the section has ${count} so far`);
  }

  #expectBytes(what: string, blockBytes: number, bytesMin: number): void {
    if (blockBytes < bytesMin)
      this.#fail(what, `total length ${blockBytes} is less than its fixed ${bytesMin}`);
  }

  #expectData(what: string, captured: number, room: number): void {
    if (captured > room)
      this.#fail(what, `captured length ${captured} passes the ${room} bytes of the block`);
    if (captured > CAPTURED_BYTES_MAX) {
      this.#fail(what, `captured length ${captured} is over the limit of ${CAPTURED_BYTES_MAX} bytes`);
    }
  }

  #fail(what: string, rule: string): never {
    throw new CaptureError(this.#source, this.#feed.fileOffset, what, rule);
  }
}

const BLOCK_NAMES: Readonly<Record<number, string>> = {
  [BLOCK.sectionHeader]: "section header block",
  [BLOCK.interfaceDescription]: "interface description block",
  [BLOCK.packet]: "packet block",
  [BLOCK.simplePacket]: "simple packet block",
  [BLOCK.enhancedPacket]: "enhanced packet block",
};

function blockName(type: number): string {
  return BLOCK_NAMES[type] ?? `block of type 0x${type.toString(16)}`;
}

/**
 * Does a file that begins with these bytes look like pcapng? The block type reads alike in both byte orders.
 */
export function isPcapngMagic(bytes: Uint8Array, offset: number): boolean {
  return readFile32(bytes, offset, true) === BLOCK.sectionHeader;
}
