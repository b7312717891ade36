// A flow file in slices, as often as it is asked for: a million flows take more memory as keys and masks than the table
// they go into, so they are never all there at once, and other work gets its turn between slices.
import { type FileHandle, open } from "node:fs/promises";
import type { PortLookup } from "./flow-entry.ts";
import { type FlowFileEntry, FlowFileError, type FlowOperation, parseFlowLines } from "./flow-file.ts";

/** Some hundred lines: a few milliseconds of parsing. */
const SLICE_BYTES = 1 << 15;
/** No flow is as long: a file without line ends is no flow file. */
const LINE_BYTES_MAX = 1 << 20;
const LINE_END = 0x0a;

interface Lines {
  readonly texts: readonly string[];
  readonly first: number;
  /** Where in the file the slice ends. */
  readonly endBytes: number;
}

export interface FlowFileSlice {
  readonly entries: readonly FlowFileEntry[];
  readonly endBytes: number;
}

export class FlowFileReader {
  readonly #path: string;
  readonly #handle: FileHandle;
  /** What a pipe held, which can be read only once; undefined for a file. */
  readonly #text: Buffer | undefined;
  readonly sizeBytes: number;

  private constructor(path: string, handle: FileHandle, text: Buffer | undefined, sizeBytes: number) {
    this.#path = path;
    this.#handle = handle;
    this.#text = text;
    this.sizeBytes = sizeBytes;
  }

  /** @throws the system's error */
  static async open(path: string): Promise<FlowFileReader> {
    const handle = await open(path, "r");
    try {
      const stat = await handle.stat();
      if (stat.isFile()) return new FlowFileReader(path, handle, undefined, stat.size);
      const text = await handle.readFile();
      return new FlowFileReader(path, handle, text, text.length);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** From the beginning, each time. @throws FlowFileError at the first bad line */
  async *slices(
    ports: PortLookup,
    vlanLimit: number,
    fallback: FlowOperation,
  ): AsyncGenerator<FlowFileSlice> {
    for await (const { texts, first, endBytes } of this.#lines()) {
      yield { entries: parseFlowLines(texts, first, this.#path, ports, vlanLimit, fallback), endBytes };
    }
  }

  async *#lines(): AsyncGenerator<Lines> {
    let rest: Buffer = Buffer.alloc(0);
    let first = 1;
    for (let position = 0; ; ) {
      const chunk = await this.#read(position);
      position += chunk.length;
      const end = chunk.length === 0 ? 0 : chunk.lastIndexOf(LINE_END) + 1;
      if (chunk.length > 0 && end === 0) {
        rest = Buffer.concat([rest, chunk]);
        if (rest.length > LINE_BYTES_MAX)
          throw new FlowFileError(
            this.#path,
            first,
            1,
            `a line of at most ${LINE_BYTES_MAX} bytes is expected`,
          );
        continue;
      }
      const texts = Buffer.concat([rest, chunk.subarray(0, end)])
        .toString("utf8")
        .split("\n");
      // Whole lines end in a line end, behind which split() sees one more.
      if (texts.at(-1) === "") texts.pop();
      yield { texts, first, endBytes: position };
      if (chunk.length === 0) return;
      first += texts.length;
      rest = chunk.subarray(end);
    }
  }

  /** The next bytes, none at the end; another turn of the event loop each time. */
  async #read(position: number): Promise<Buffer> {
    if (this.#text !== undefined) {
      await new Promise((resume) => setImmediate(resume));
      return this.#text.subarray(position, position + SLICE_BYTES);
    }
    const { buffer, bytesRead } = await this.#handle.read(
      Buffer.allocUnsafe(SLICE_BYTES),
      0,
      SLICE_BYTES,
      position,
    );
    return buffer.subarray(0, bytesRead);
  }
}
