// Writes pcapng: one section, one interface block for each interface with its name and nanosecond times,
// enhanced packet blocks. Interfaces are all told before the first packet or as they come up; a packet of an
// interface that was never added is refused.

import { CAPTURED_BYTES_MAX, type CaptureWriter, LINK_TYPE_ETHERNET } from "./capture.ts";
import { type CaptureSink, SinkBuffer } from "./capture-sink.ts";
import {
  BLOCK,
  BYTE_ORDER_MAGIC,
  ENHANCED,
  INTERFACE,
  OPTION,
  OPTION_HEADER_BYTES,
  PCAPNG_VERSION_MAJOR,
  padTo4,
  SECTION,
} from "./pcapng-format.ts";
import { joinNanoseconds, TSRESOL_NANO } from "./timestamp.ts";

/** A section length that says "not known", which a file that is still growing needs. */
const LENGTH_UNKNOWN = 0xffffffff;
/** if_tsresol: one byte, padded to four. */
const RESOLUTION_OPTION_BYTES = OPTION_HEADER_BYTES + 4;

export interface PcapngWriterOptions {
  readonly littleEndian?: boolean;
}

export class PcapngWriter implements CaptureWriter {
  readonly #sink: SinkBuffer;
  readonly #timeWords = new Uint32Array(2);
  #interfaceCount = 0;
  #capturedBytes = 0;
  #piecesBytes = 0;

  constructor(sink: CaptureSink, options: PcapngWriterOptions = {}) {
    this.#sink = new SinkBuffer(sink, options.littleEndian ?? true);
    this.#sink.put32(BLOCK.sectionHeader);
    this.#sink.put32(SECTION.bytesMin);
    this.#sink.put32(BYTE_ORDER_MAGIC);
    this.#sink.put16(PCAPNG_VERSION_MAJOR);
    this.#sink.put16(0);
    this.#sink.put32(LENGTH_UNKNOWN);
    this.#sink.put32(LENGTH_UNKNOWN);
    this.#sink.put32(SECTION.bytesMin);
  }

  /** Adds an interface and answers the index that its packets carry. */
  addInterface(
    name: string,
    snapBytes: number = CAPTURED_BYTES_MAX,
    linkType: number = LINK_TYPE_ETHERNET,
  ): number {
    const sink = this.#sink;
    const nameBytes = new TextEncoder().encode(name);
    const optionsBytes = OPTION_HEADER_BYTES * 2 + padTo4(nameBytes.length) + RESOLUTION_OPTION_BYTES;
    const blockBytes = INTERFACE.bytesMin + optionsBytes;
    sink.put32(BLOCK.interfaceDescription);
    sink.put32(blockBytes);
    sink.put16(linkType);
    sink.put16(0);
    sink.put32(snapBytes);
    sink.put16(OPTION.interfaceName);
    sink.put16(nameBytes.length);
    sink.putBytes(nameBytes, 0, nameBytes.length);
    sink.putZeros(padTo4(nameBytes.length) - nameBytes.length);
    sink.put16(OPTION.timeResolution);
    sink.put16(1);
    sink.putBytes(Uint8Array.of(TSRESOL_NANO, 0, 0, 0), 0, 4);
    sink.put16(OPTION.end);
    sink.put16(0);
    sink.put32(blockBytes);
    return this.#interfaceCount++;
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
    interfaceIndex: number,
    seconds: number,
    nanoseconds: number,
    originalBytes: number,
    capturedBytes: number,
  ): void {
    if (interfaceIndex >= this.#interfaceCount) {
      throw new RangeError(
        `pcapng: packet of interface ${interfaceIndex}, but only ${this.#interfaceCount} were added`,
      );
    }
    joinNanoseconds(seconds, nanoseconds, this.#timeWords);
    this.#sink.put32(BLOCK.enhancedPacket);
    this.#sink.put32(ENHANCED.bytesMin + padTo4(capturedBytes));
    this.#sink.put32(interfaceIndex);
    this.#sink.put32(this.#timeWords[0]!);
    this.#sink.put32(this.#timeWords[1]!);
    this.#sink.put32(capturedBytes);
    this.#sink.put32(originalBytes);
    this.#capturedBytes = capturedBytes;
    this.#piecesBytes = capturedBytes;
  }

  append(bytes: Uint8Array, offset: number, byteCount: number): void {
    this.#piecesBytes -= byteCount;
    this.#sink.putBytes(bytes, offset, byteCount);
  }

  end(): void {
    if (this.#piecesBytes !== 0) {
      throw new RangeError(
        `pcapng: the pieces of a packet missed its captured length by ${this.#piecesBytes} bytes`,
      );
    }
    const padded = padTo4(this.#capturedBytes);
    this.#sink.putZeros(padded - this.#capturedBytes);
    this.#sink.put32(ENHANCED.bytesMin + padded);
  }

  flush(): void {
    this.#sink.flush();
  }
}
