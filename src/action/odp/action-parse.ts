// What the parsers of single actions share: the list being read, and the pieces of text that several of them
// have. Control path.

import type { NlWriter } from "../../flow/nlattr.ts";
import type { PortNumbers } from "../../flow/odp/key-parse.ts";
import { OdpSyntaxError, type TextCursor } from "../../flow/odp/text-cursor.ts";
import { parseMac } from "../../packet/address.ts";

export const U16_MAX = 0xffff;
export const U32_MAX = 0xffffffff;

export interface ActionParse {
  readonly cursor: TextCursor;
  readonly writer: NlWriter;
  readonly ports: PortNumbers | undefined;
  /** Reads a list in parentheses, from behind "(" to behind ")", into the writer. */
  readonly parseList: () => void;
}

/** Reads what follows an action's name. */
export type ActionForm = (parse: ActionParse) => void;

/** A port by number or name. */
export function parsePort({ cursor, ports }: ActionParse): number {
  const name = ports === undefined ? undefined : cursor.take(/[a-zA-Z_][^, \t\r\n()]*/y);
  if (name === undefined) return cursor.integer("port", U32_MAX);
  return ports?.get(name) ?? cursor.fail(`a known port instead of "${name}"`);
}

export function parseMacAddress(cursor: TextCursor, name: string): Uint8Array {
  const text = cursor.take(/[0-9a-fA-F:]+/y);
  return (text === undefined ? undefined : parseMac(text)) ?? cursor.fail(`${name}, a MAC address`);
}

/** Pairs of hexadecimal digits. */
export function parseHexBytes(cursor: TextCursor, bytesMax: number): Uint8Array {
  const from = cursor.at;
  const digits = cursor.take(/[0-9a-fA-F]+/y) ?? cursor.fail("hexadecimal digits");
  if (digits.length % 2 !== 0 || digits.length > bytesMax * 2) {
    throw new OdpSyntaxError(cursor.text, from, `pairs of hexadecimal digits, ${bytesMax} at most`);
  }
  return Uint8Array.from(digits.match(/../g)!, (pair) => Number.parseInt(pair, 16));
}
