// Writes pcap files, with nanoseconds unless asked otherwise. A pcap file has one link type and no
// interfaces, so the interface index of a packet is not kept. The seconds are 32 bits wide: times past 2106
// are refused.

import { CAPTURED_BYTES_MAX, type CaptureWriter, LINK_TYPE_ETHERNET } from "./capture.ts";
import { type CaptureSink, SinkBuffer } from "./capture-sink.ts";
import { PCAP_MAGIC_MICRO, PCAP_MAGIC_NANO, PCAP_VERSION_MAJOR, PCAP_VERSION_MINOR } from "./pcap.ts";

const SECONDS_MAX = 0xffffffff;
const NANOSECONDS_PER_MICROSECOND = 1000;

export interface PcapWriterOptions {
  readonly littleEndian?: boolean;
  /** Microseconds are what tools older than libpcap 1.5 read; times are cut, not rounded. */
  readonly resolution?: "micro" | "nano";
  readonly linkType?: number;
  readonly snapBytes?: number;
}

export class PcapWriter implements CaptureWriter {
  readonly #sink: SinkBuffer;
  readonly #nano: boolean;
  #piecesBytes = 0;

  constructor(sink: CaptureSink, options: PcapWriterOptions = {}) {
    this.#sink = new SinkBuffer(sink, options.littleEndian ?? true);
    this.#nano = options.resolution !== "micro";
    this.#sink.put32(this.#nano ? PCAP_MAGIC_NANO : PCAP_MAGIC_MICRO);
    this.#sink.put16(PCAP_VERSION_MAJOR);
    this.#sink.put16(PCAP_VERSION_MINOR);
    this.#sink.putZeros(8);
    this.#sink.put32(options.snapBytes ?? CAPTURED_BYTES_MAX);
    this.#sink.put32(options.linkType ?? LINK_TYPE_ETHERNET);
  }

  write(
    interfaceIndex: number,
    seconds: number,
    nanoseconds: number,
    originalBytes: number,
    bytes: Uint8Array,
    offset: number,
    byteCount: number,
  ): void {
    this.begin(interfaceIndex, seconds, nanoseconds, originalBytes, byteCount);
    this.append(bytes, offset, byteCount);
    this.end();
  }

  begin(
    _interfaceIndex: number,
    seconds: number,
    nanoseconds: number,
    originalBytes: number,
    capturedBytes: number,
  ): void {
    if (seconds < 0 || seconds > SECONDS_MAX) {
      throw new RangeError(`pcap: a time of ${seconds} seconds does not fit into 32 bits; write pcapng`);
    }
    this.#sink.put32(seconds);
    this.#sink.put32(this.#nano ? nanoseconds : Math.floor(nanoseconds / NANOSECONDS_PER_MICROSECOND));
    this.#sink.put32(capturedBytes);
    this.#sink.put32(originalBytes);
    this.#piecesBytes = capturedBytes;
  }

  append(bytes: Uint8Array, offset: number, byteCount: number): void {
    this.#piecesBytes -= byteCount;
    this.#sink.putBytes(bytes, offset, byteCount);
  }

  end(): void {
    if (this.#piecesBytes !== 0) {
      throw new RangeError(
        `pcap: the pieces of a packet missed its captured length by ${this.#piecesBytes} bytes`,
      );
    }
  }

  flush(): void {
    this.#sink.flush();
  }
}
