// Splits a stream of JSON texts that follow one another without separators, as JSON-RPC over a unix stream socket
// sends them (RFC 7047 section 4). Only nesting and strings are followed; JSON.parse judges the text itself.

/** A request that is longer than this is no request; OVS's own parser stops at a similar depth of memory. */
export const REQUEST_CHARACTERS_MAX = 16 << 20;

export class JsonStream {
  readonly #charactersMax: number;
  /** Pieces of the value that is not complete yet, and how long they are. */
  #pieces: string[] = [];
  #pieceCharacters = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  constructor(charactersMax = REQUEST_CHARACTERS_MAX) {
    this.#charactersMax = charactersMax;
  }

  /**
   * Adds received text and returns the complete JSON values so far.
   * @throws SyntaxError when the stream cannot be JSON objects any more; the connection is of no further use
   */
  push(chunk: string): unknown[] {
    const values: unknown[] = [];
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      if (!this.#step(chunk[at]!)) continue;
      this.#pieces.push(chunk.slice(start, at + 1));
      values.push(JSON.parse(this.#pieces.join("")));
      this.#pieces = [];
      this.#pieceCharacters = 0;
      start = at + 1;
    }
    this.#pieces.push(chunk.slice(start));
    this.#pieceCharacters += chunk.length - start;
    if (this.#pieceCharacters > this.#charactersMax)
      throw new SyntaxError(`JSON text longer than ${this.#charactersMax} characters`);
    return values;
  }

  /** Follows one character; true when it ends a value. */
  #step(character: string): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (character === "\\") this.#escaped = true;
      else if (character === '"') this.#inString = false;
      return false;
    }
    if (this.#depth === 0 && !/[\s{[]/.test(character)) {
      throw new SyntaxError(`unexpected "${character}" between JSON texts`);
    }
    if (character === '"') this.#inString = true;
    else if (character === "{" || character === "[") this.#depth += 1;
    else if (character === "}" || character === "]") {
      this.#depth -= 1;
      return this.#depth === 0;
    }
    return false;
  }
}
