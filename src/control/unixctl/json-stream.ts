// Splits a stream of JSON texts that follow one another without separators, as JSON-RPC over a unix stream socket
// sends them (RFC 7047 section 4). Only nesting and strings are followed; JSON.parse judges the text itself.

/** A request that is longer than this is no request; OVS's own parser stops at a similar depth of memory. */
export const JSON_TEXT_BYTES_MAX = 16 << 20;

export class JsonStream {
  #text = "";
  #scanned = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /**
   * Adds received text and returns the complete JSON values so far.
   * @throws SyntaxError when the stream cannot be JSON objects any more; the connection is of no further use
   */
  push(chunk: string): unknown[] {
    this.#text += chunk;
    const values: unknown[] = [];
    for (; this.#scanned < this.#text.length; this.#scanned += 1) {
      if (!this.#step(this.#text[this.#scanned]!)) continue;
      values.push(JSON.parse(this.#text.slice(0, this.#scanned + 1)));
      this.#text = this.#text.slice(this.#scanned + 1);
      this.#scanned = -1;
    }
    if (this.#text.length > JSON_TEXT_BYTES_MAX) {
      throw new SyntaxError(`JSON text longer than ${JSON_TEXT_BYTES_MAX} characters`);
    }
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
