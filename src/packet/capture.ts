// What the readers and writers of both capture formats share: the packet record, interfaces, errors that say
// where in the file, and the buffer that readers are fed through.
//
// A reader is fed chunks of a file in any sizes and gives one reused record a packet. The record points into
// the reader's buffer and is good until the next `next` or `feed`. Per packet nothing is allocated.

/** Link type of Ethernet in both formats (LINKTYPE_ETHERNET). */
export const LINK_TYPE_ETHERNET = 1;

/** Largest captured packet that is believed: libpcap's MAXIMUM_SNAPLEN. More is a damaged length field. */
export const CAPTURED_BYTES_MAX = 262_144;

export const NANOSECONDS_PER_SECOND = 1_000_000_000;

export interface CaptureInterface {
  readonly name: string | undefined;
  readonly linkType: number;
  /** 0: no limit was stated. */
  readonly snapBytes: number;
}

/**
 * The one record of a reader, valid until the next call. Data stands at `dataOffset` of the reader's `bytes`.
 */
export interface CapturePacket {
  seconds: number;
  nanoseconds: number;
  /** Place in the reader's `interfaces`; pcapng numbers them on over all sections of a file. */
  interfaceIndex: number;
  originalBytes: number;
  dataOffset: number;
  dataBytes: number;
}

export interface CaptureReader {
  readonly interfaces: readonly CaptureInterface[];
  /** The buffer that the last packet's data stands in. */
  readonly bytes: Uint8Array;
  feed(chunk: Uint8Array): void;
  /** The next whole packet, or undefined when more bytes are needed. */
  next(): CapturePacket | undefined;
  /** To be called after the last chunk: throws when the file ends within something. */
  finish(): void;
}

export interface CaptureWriter {
  /** Bytes of header, then of each packet as they come, go to the sink when the buffer is full or flushed. */
  write(
    interfaceIndex: number,
    seconds: number,
    nanoseconds: number,
    originalBytes: number,
    bytes: Uint8Array,
    offset: number,
    byteCount: number,
  ): void;
  /** A packet in pieces: begin, then pieces that sum to `capturedBytes`, then end. */
  begin(
    interfaceIndex: number,
    seconds: number,
    nanoseconds: number,
    originalBytes: number,
    capturedBytes: number,
  ): void;
  append(bytes: Uint8Array, offset: number, byteCount: number): void;
  end(): void;
  flush(): void;
}

/**
 * A capture file that breaks its format: names the file, the byte offset, the block or record, and the rule.
 */
export class CaptureError extends Error {
  readonly source: string;
  readonly fileOffset: number;

  constructor(source: string, fileOffset: number, what: string, rule: string) {
    super(`${source}: offset ${fileOffset}: ${what}: ${rule}`);
    this.name = "CaptureError";
    this.source = source;
    this.fileOffset = fileOffset;
  }
}

export function emptyPacket(): CapturePacket {
  return { seconds: 0, nanoseconds: 0, interfaceIndex: 0, originalBytes: 0, dataOffset: 0, dataBytes: 0 };
}

const FEED_BYTES_MIN = 65_536;

/** Bytes that were fed and not yet consumed, in one piece, and where in the file they stand. */
export class FeedBuffer {
  bytes: Uint8Array = new Uint8Array(FEED_BYTES_MIN);
  /** The first byte that is not consumed. */
  start = 0;
  /** Behind the last byte fed. */
  end = 0;
  /** File offset of bytes[0]. */
  #base = 0;

  get available(): number {
    return this.end - this.start;
  }

  get fileOffset(): number {
    return this.#base + this.start;
  }

  feed(chunk: Uint8Array): void {
    if (this.end + chunk.length > this.bytes.length) this.#makeRoom(chunk.length);
    this.bytes.set(chunk, this.end);
    this.end += chunk.length;
  }

  consume(byteCount: number): void {
    this.start += byteCount;
  }

  #makeRoom(byteCount: number): void {
    const kept = this.available;
    const needed = kept + byteCount;
    if (needed <= this.bytes.length) {
      this.bytes.copyWithin(0, this.start, this.end);
    } else {
      const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
      grown.set(this.bytes.subarray(this.start, this.end));
      this.bytes = grown;
    }
    this.#base += this.start;
    this.start = 0;
    this.end = kept;
  }
}

/** Reads words in the byte order of the file. */
export function readFile16(bytes: Uint8Array, offset: number, littleEndian: boolean): number {
  return littleEndian
    ? bytes[offset]! | (bytes[offset + 1]! << 8)
    : (bytes[offset]! << 8) | bytes[offset + 1]!;
}

export function readFile32(bytes: Uint8Array, offset: number, littleEndian: boolean): number {
  return littleEndian
    ? (bytes[offset]! |
        (bytes[offset + 1]! << 8) |
        (bytes[offset + 2]! << 16) |
        (bytes[offset + 3]! << 24)) >>>
        0
    : ((bytes[offset]! << 24) |
        (bytes[offset + 1]! << 16) |
        (bytes[offset + 2]! << 8) |
        bytes[offset + 3]!) >>>
        0;
}
