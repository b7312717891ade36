// What the parsers of single key attributes share: the text being read, the attributes being written, and the loop over
// named members.

import type { NlWriter } from "../nlattr.ts";
import type { TextCursor } from "./text-cursor.ts";
import type { ScanRules } from "./values.ts";

/** Port numbers by name. */
export type PortNumbers = Pick<ReadonlyMap<string, number>, "get">;

export interface KeyParse {
  readonly cursor: TextCursor;
  readonly key: NlWriter;
  readonly mask: NlWriter;
  readonly rules: ScanRules;
  readonly ports: PortNumbers | undefined;
  depth: number;
}

const MEMBER_NAME = /[a-z_0-9]+(?==)/y;

/**
 * Reads `name=...` members, separated by ",", up to and over the ")". A "," at the end is let pass, as in OVS.
 * @param read reads what stands behind "name=" and returns false when it does not know the name
 */
export function parseMembers(cursor: TextCursor, names: string, read: (name: string) => boolean): void {
  while (!cursor.skip(")")) {
    const from = cursor.at;
    const name = cursor.take(MEMBER_NAME);
    if (name !== undefined) cursor.expect("=");
    if (name === undefined || !read(name)) {
      cursor.at = from;
      cursor.fail(`${names} or ")"`);
    }
    if (!cursor.skip(",") && cursor.peek() !== ")") cursor.fail('"," or ")"');
  }
}
