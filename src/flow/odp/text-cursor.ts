// A place in a line of ODP text, and the few ways in which its grammar reads on: literals, numbers, patterns.
// Every failure is an OdpSyntaxError that says where and what was expected. Control path.

/** How much of the text an error repeats. */
const FOUND_CHARACTERS_MAX = 24;

export class OdpSyntaxError extends Error {
  /** Column of the offending character, from 1. */
  readonly column: number;
  readonly expected: string;
  /** From the start of the attribute or action in error: what OVS names in "syntax error at". */
  readonly rest: string;

  /** @param from where the attribute or action begins that `at` lies in */
  constructor(text: string, at: number, expected: string, from = at) {
    const found = at < text.length ? `"${text.slice(at, at + FOUND_CHARACTERS_MAX)}"` : "the end";
    super(`syntax error at column ${at + 1}: expected ${expected}, found ${found}`);
    this.name = "OdpSyntaxError";
    this.column = at + 1;
    this.expected = expected;
    this.rest = text.slice(from);
  }
}

/** What may stand between actions and between members. */
const DELIMITERS = ", \t\r\n";
/** A number as C's %i reads it. */
const INTEGER = /0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*/y;
const OCTAL = /^0\d/;
const WORD_CHARACTER = /\w/y;

export class TextCursor {
  readonly text: string;
  at: number;

  constructor(text: string, at = 0) {
    this.text = text;
    this.at = at;
  }

  get isAtEnd(): boolean {
    return this.at >= this.text.length;
  }

  /** The character at the cursor, "" at the end. */
  peek(): string {
    return this.text.charAt(this.at);
  }

  startsWith(literal: string): boolean {
    return this.text.startsWith(literal, this.at);
  }

  /** Moves over the literal if it stands here. */
  skip(literal: string): boolean {
    if (!this.startsWith(literal)) return false;
    this.at += literal.length;
    return true;
  }

  expect(literal: string): void {
    if (!this.skip(literal)) this.fail(`"${literal}"`);
  }

  /** Moves over delimiters. Returns whether there were any. */
  skipDelimiters(): boolean {
    const from = this.at;
    while (!this.isAtEnd && DELIMITERS.includes(this.peek())) this.at += 1;
    return this.at > from;
  }

  isAtDelimiter(): boolean {
    return !this.isAtEnd && DELIMITERS.includes(this.peek());
  }

  /** Moves over what the sticky pattern matches here and returns it. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    // test() and not exec(), which makes an array for each match.
    if (!pattern.test(this.text)) return undefined;
    const from = this.at;
    this.at = pattern.lastIndex;
    return this.text.slice(from, this.at);
  }

  /** A number as C's %i reads it: decimal, 0x hexadecimal or 0 octal. @throws OdpSyntaxError above `most` */
  integer(name: string, most: number): number {
    const from = this.at;
    const value = this.number(name, most);
    this.#requireEnd(from, name);
    return value;
  }

  /** As `integer`, whatever stands behind it. */
  number(name: string, most: number): number {
    const from = this.at;
    const digits = this.take(INTEGER);
    if (digits === undefined) this.fail(`${name}, a number`);
    const value = OCTAL.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
    if (value > most) this.#failRange(from, name, `0x${most.toString(16)}`);
    return value;
  }

  /** A decimal number, or hexadecimal behind 0x; no octal. */
  unsigned(name: string, most: number): number {
    const from = this.at;
    const digits = this.take(/0[xX][0-9a-fA-F]+|[0-9]+/y);
    if (digits === undefined) this.fail(`${name}, a number`);
    const value = Number(/^0\d/.test(digits) ? digits.replace(/^0+(?=\d)/, "") : digits);
    if (!(value <= most)) this.#failRange(from, name, String(most));
    return value;
  }

  /** Hexadecimal digits, 0x before them or not. */
  hexadecimal(name: string, most: number): number {
    const from = this.at;
    const digits = this.take(/(?:0[xX])?[0-9a-fA-F]+/y);
    if (digits === undefined) this.fail(`${name}, a hexadecimal number`);
    const value = Number.parseInt(digits.replace(/^0[xX]/, ""), 16);
    if (value > most) this.#failRange(from, name, `0x${most.toString(16)}`);
    return value;
  }

  /** As `number`, for numbers above 2^53. */
  bigInteger(name: string, most: bigint): bigint {
    const from = this.at;
    const digits = this.take(INTEGER);
    if (digits === undefined) this.fail(`${name}, a number`);
    const value = BigInt(OCTAL.test(digits) ? `0o${digits.slice(1)}` : digits);
    if (value > most) this.#failRange(from, name, `0x${most.toString(16)}`);
    return value;
  }

  fail(expected: string): never {
    throw new OdpSyntaxError(this.text, this.at, expected);
  }

  #failRange(from: number, name: string, most: string): never {
    throw new OdpSyntaxError(this.text, from, `${name} of at most ${most}`);
  }

  /** A digit right behind a number (as in octal 08) means that the number was not what its writer thought. */
  #requireEnd(from: number, name: string): void {
    WORD_CHARACTER.lastIndex = this.at;
    if (WORD_CHARACTER.test(this.text)) throw new OdpSyntaxError(this.text, from, `${name}, a number`);
  }
}
