// The output side of both capture writers: a fixed buffer that words and data are put into in the file's byte
// order, handed to the sink when full. The sink must take the bytes before it returns; the buffer is used
// again.

const SINK_BUFFER_BYTES = 65_536;

export type CaptureSink = (bytes: Uint8Array) => void;

export class SinkBuffer {
  readonly #buffer = new Uint8Array(SINK_BUFFER_BYTES);
  readonly #sink: CaptureSink;
  readonly #littleEndian: boolean;
  #used = 0;

  constructor(sink: CaptureSink, littleEndian: boolean) {
    this.#sink = sink;
    this.#littleEndian = littleEndian;
  }

  put16(value: number): void {
    this.#reserve(2);
    const at = this.#used;
    this.#buffer[this.#littleEndian ? at : at + 1] = value;
    this.#buffer[this.#littleEndian ? at + 1 : at] = value >>> 8;
    this.#used += 2;
  }

  put32(value: number): void {
    this.#reserve(4);
    const at = this.#used;
    const buffer = this.#buffer;
    if (this.#littleEndian) {
      buffer[at] = value;
      buffer[at + 1] = value >>> 8;
      buffer[at + 2] = value >>> 16;
      buffer[at + 3] = value >>> 24;
    } else {
      buffer[at] = value >>> 24;
      buffer[at + 1] = value >>> 16;
      buffer[at + 2] = value >>> 8;
      buffer[at + 3] = value;
    }
    this.#used += 4;
  }

  putBytes(bytes: Uint8Array, offset: number, byteCount: number): void {
    while (byteCount > 0) {
      this.#reserve(1);
      const count = Math.min(byteCount, SINK_BUFFER_BYTES - this.#used);
      const buffer = this.#buffer;
      // A loop and not set(subarray()): one view a packet would be garbage on the way of every packet.
      for (let index = 0; index < count; index++) buffer[this.#used + index] = bytes[offset + index]!;
      this.#used += count;
      offset += count;
      byteCount -= count;
    }
  }

  putZeros(byteCount: number): void {
    this.#reserve(byteCount);
    this.#buffer.fill(0, this.#used, this.#used + byteCount);
    this.#used += byteCount;
  }

  flush(): void {
    if (this.#used === 0) return;
    this.#sink(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }

  #reserve(byteCount: number): void {
    if (this.#used + byteCount > SINK_BUFFER_BYTES) this.flush();
  }
}
