// The pcap format of libpcap ("savefile"): one 24-byte header, then records of 16 bytes and data. Four
// magics: micro- or nanoseconds, in the byte order of the machine that wrote the file.
//
// Versions before 2.3 hold the two lengths of a record changed over; 2.3 came from writers of both kinds, so
// there the smaller one is the captured length, as in libpcap. A fraction of a second that is too large is
// carried into the seconds. The upper half of the link-type word holds FCS facts and is not part of the type.

import {
  CAPTURED_BYTES_MAX,
  CaptureError,
  type CaptureInterface,
  type CapturePacket,
  type CaptureReader,
  emptyPacket,
  FeedBuffer,
  NANOSECONDS_PER_SECOND,
  readFile16,
  readFile32,
} from "./capture.ts";

export const PCAP_MAGIC_MICRO = 0xa1b2c3d4;
export const PCAP_MAGIC_NANO = 0xa1b23c4d;
export const PCAP_HEADER_BYTES = 24;
export const PCAP_RECORD_BYTES = 16;
export const PCAP_VERSION_MAJOR = 2;
export const PCAP_VERSION_MINOR = 4;

const NANOSECONDS_PER_MICROSECOND = 1000;

/** Does a file that begins with these four bytes look like pcap? */
export function isPcapMagic(bytes: Uint8Array, offset: number): boolean {
  return byteOrderOf(bytes, offset) !== undefined;
}

function byteOrderOf(
  bytes: Uint8Array,
  offset: number,
): { littleEndian: boolean; nano: boolean } | undefined {
  for (const littleEndian of [true, false]) {
    const magic = readFile32(bytes, offset, littleEndian);
    if (magic === PCAP_MAGIC_MICRO) return { littleEndian, nano: false };
    if (magic === PCAP_MAGIC_NANO) return { littleEndian, nano: true };
  }
  return undefined;
}

export class PcapReader implements CaptureReader {
  readonly interfaces: CaptureInterface[] = [];
  readonly #source: string;
  readonly #feed: FeedBuffer;
  readonly #packet: CapturePacket = emptyPacket();
  #littleEndian = true;
  #nanosecondsPerUnit = NANOSECONDS_PER_MICROSECOND;
  #versionMinor = PCAP_VERSION_MINOR;

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
    if (this.interfaces.length === 0 && !this.#readHeader()) return undefined;
    return this.#readRecord();
  }

  finish(): void {
    const left = this.#feed.available;
    if (this.interfaces.length === 0) {
      this.#fail("file header", `the file ends after ${left} of ${PCAP_HEADER_BYTES} bytes`);
    }
    if (left > 0) this.#fail("packet record", `the file ends within it, ${left} bytes after its start`);
  }

  #readHeader(): boolean {
    const feed = this.#feed;
    if (feed.available < PCAP_HEADER_BYTES) return false;
    const order = byteOrderOf(feed.bytes, feed.start);
    if (order === undefined) this.#fail("file header", "the first four bytes are no pcap magic");
    this.#littleEndian = order.littleEndian;
    this.#nanosecondsPerUnit = order.nano ? 1 : NANOSECONDS_PER_MICROSECOND;
    const major = readFile16(feed.bytes, feed.start + 4, this.#littleEndian);
    this.#versionMinor = readFile16(feed.bytes, feed.start + 6, this.#littleEndian);
    if (major !== PCAP_VERSION_MAJOR || this.#versionMinor > PCAP_VERSION_MINOR) {
      this.#fail("file header", `version ${major}.${this.#versionMinor} is not one of 2.0 to 2.4`);
    }
    this.interfaces.push({
      name: undefined,
      linkType: readFile32(feed.bytes, feed.start + 20, this.#littleEndian) & 0xffff,
      snapBytes: readFile32(feed.bytes, feed.start + 16, this.#littleEndian),
    });
    feed.consume(PCAP_HEADER_BYTES);
    return true;
  }

  #readRecord(): CapturePacket | undefined {
    const feed = this.#feed;
    if (feed.available < PCAP_RECORD_BYTES) return undefined;
    const { bytes, start } = feed;
    let captured = readFile32(bytes, start + 8, this.#littleEndian);
    let original = readFile32(bytes, start + 12, this.#littleEndian);
    if (this.#versionMinor < 3 || (this.#versionMinor === 3 && captured > original)) {
      [captured, original] = [original, captured];
    }
    if (captured > CAPTURED_BYTES_MAX) {
      this.#fail(
        "packet record",
        `captured length ${captured} is over the limit of ${CAPTURED_BYTES_MAX} bytes`,
      );
    }
    if (feed.available < PCAP_RECORD_BYTES + captured) return undefined;
    const packet = this.#packet;
    const fraction = readFile32(bytes, start + 4, this.#littleEndian) * this.#nanosecondsPerUnit;
    const carry = Math.floor(fraction / NANOSECONDS_PER_SECOND);
    packet.seconds = readFile32(bytes, start, this.#littleEndian) + carry;
    packet.nanoseconds = fraction - carry * NANOSECONDS_PER_SECOND;
    packet.originalBytes = original;
    packet.dataOffset = start + PCAP_RECORD_BYTES;
    packet.dataBytes = captured;
    feed.consume(PCAP_RECORD_BYTES + captured);
    return packet;
  }

  #fail(what: string, rule: string): never {
    throw new CaptureError(this.#source, this.#feed.fileOffset, what, rule);
  }
}
