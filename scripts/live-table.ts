// A table that is drawn over itself on a terminal, and one below the other elsewhere.
export interface TableStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export class LiveTable {
  readonly #stream: TableStream;
  #drawnLines = 0;

  constructor(stream: TableStream = process.stdout) {
    this.#stream = stream;
  }

  draw(lines: readonly string[]): void {
    const isTerminal = this.#stream.isTTY === true;
    const upAndErase = this.#drawnLines === 0 ? "" : `\x1b[${this.#drawnLines}A\x1b[J`;
    this.#stream.write(`${isTerminal ? upAndErase : ""}${lines.join("\n")}\n${isTerminal ? "" : "\n"}`);
    this.#drawnLines = lines.length;
  }
}
