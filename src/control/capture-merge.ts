// Captures as one sequence of packets: by time stamp, ties by port number, then by position in the file.
import { closeSync, openSync, readSync } from "node:fs";
import { CaptureError, type CaptureReader, LINK_TYPE_ETHERNET } from "../packet/capture.ts";
import { openCapture } from "../packet/capture-reader.ts";

const CHUNK_BYTES = 1 << 18;

export interface MergedPacket {
  readonly portNo: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly bytes: Uint8Array;
}

class CaptureInput {
  readonly portNo: number;
  readonly #path: string;
  readonly #onRead: (bytes: number) => void;
  readonly #fd: number;
  readonly #chunk = new Uint8Array(CHUNK_BYTES);
  #reader: CaptureReader | undefined;
  /** The packet that is next; undefined at the end. */
  head: MergedPacket | undefined;

  constructor(portNo: number, path: string, onRead: (bytes: number) => void) {
    this.portNo = portNo;
    this.#path = path;
    this.#onRead = onRead;
    this.#fd = openSync(path, "r");
    this.advance();
  }

  advance(): void {
    for (;;) {
      const packet = this.#reader?.next();
      if (packet !== undefined) {
        const reader = this.#reader!;
        const { linkType } = reader.interfaces[packet.interfaceIndex]!;
        if (linkType !== LINK_TYPE_ETHERNET)
          throw new CaptureError(
            this.#path,
            0,
            "interface",
            `link type ${linkType}; only Ethernet is forwarded`,
          );
        const bytes = reader.bytes.slice(packet.dataOffset, packet.dataOffset + packet.dataBytes);
        this.head = { portNo: this.portNo, seconds: packet.seconds, nanoseconds: packet.nanoseconds, bytes };
        return;
      }
      if (!this.#fill()) return;
    }
  }

  /** Feeds more of the file; false at its end. */
  #fill(): boolean {
    const count = readSync(this.#fd, this.#chunk);
    if (count === 0) {
      this.#reader?.finish();
      this.head = undefined;
      return false;
    }
    this.#onRead(count);
    const chunk = this.#chunk.subarray(0, count);
    if (this.#reader === undefined) this.#reader = openCapture(this.#path, chunk);
    else this.#reader.feed(chunk);
    return true;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const isBefore = (a: MergedPacket, b: MergedPacket): boolean =>
  a.seconds !== b.seconds
    ? a.seconds < b.seconds
    : a.nanoseconds !== b.nanoseconds
      ? a.nanoseconds < b.nanoseconds
      : a.portNo < b.portNo;

/**
 * @param onRead is told how many bytes more of the files have been read
 * @throws CaptureError or the system's error
 */
export function* mergeCaptures(
  files: readonly (readonly [portNo: number, path: string])[],
  onRead: (bytes: number) => void = () => undefined,
): Generator<MergedPacket> {
  const inputs: CaptureInput[] = [];
  try {
    for (const [portNo, path] of files) inputs.push(new CaptureInput(portNo, path, onRead));
    for (;;) {
      let first: CaptureInput | undefined;
      for (const input of inputs) {
        if (input.head !== undefined && (first?.head === undefined || isBefore(input.head, first.head)))
          first = input;
      }
      if (first?.head === undefined) return;
      yield first.head;
      first.advance();
    }
  } finally {
    for (const input of inputs) input.close();
  }
}
