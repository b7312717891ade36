// vlan(...) and mpls(...): headers whose payload is a word of bit fields.

import { MPLS, VLAN } from "../../packet/link-headers.ts";
import { KEY_ATTR, MPLS_LABELS_MAX } from "./attributes.ts";
import { type KeyParse, parseMembers } from "./key-parse.ts";
import { numberToBytes } from "./values.ts";

/** A bit field of a word: where it begins, and its ones. */
interface BitField {
  readonly shift: number;
  readonly most: number;
}

const VLAN_FIELDS: ReadonlyMap<string, BitField> = new Map([
  ["vid", { shift: 0, most: VLAN.vidMask }],
  ["pcp", { shift: VLAN.pcpShift, most: 7 }],
  ["cfi", { shift: 12, most: 1 }],
]);

const LSE_FIELDS: ReadonlyMap<string, BitField> = new Map([
  ["label", { shift: MPLS.labelShift, most: 0xfffff }],
  ["tc", { shift: MPLS.tcShift, most: 7 }],
  ["ttl", { shift: 0, most: 0xff }],
  ["bos", { shift: 8, most: 1 }],
]);

interface MaskedWord {
  value: number;
  mask: number;
}

/** The bits of one named field, read into a word. */
function readBits({ cursor, rules }: KeyParse, name: string, field: BitField, word: MaskedWord): void {
  const bits = (field.most << field.shift) >>> 0;
  const value = cursor.integer(name, field.most);
  const mask =
    rules.allowMask && cursor.skip("/") ? cursor.integer(`mask of ${name}`, field.most) : field.most;
  word.value = ((word.value & ~bits) | (value << field.shift)) >>> 0;
  word.mask = ((word.mask & ~bits) | (mask << field.shift)) >>> 0;
}

/** A tag is there unless cfi=0 says otherwise. */
export function parseVlan(parse: KeyParse): void {
  const tci: MaskedWord = { value: VLAN.cfi, mask: VLAN.cfi };
  parseMembers(parse.cursor, "vid=, pcp=, cfi=", (name) => {
    const field = VLAN_FIELDS.get(name);
    if (field !== undefined) readBits(parse, name, field, tci);
    return field !== undefined;
  });
  parse.key.putBe16(KEY_ATTR.vlan, tci.value);
  parse.mask.putBe16(KEY_ATTR.vlan, tci.mask);
}

/** A name that comes again begins the next label. `mpls()` is a label stack of which nothing could be read. */
export function parseMpls(parse: KeyParse): void {
  const { cursor } = parse;
  const entries: MaskedWord[] = [];
  const seen = new Set<string>();
  parseMembers(cursor, "label=, tc=, ttl=, bos=", (name) => {
    const field = LSE_FIELDS.get(name);
    if (field === undefined) return false;
    if (entries.length === 0 || seen.has(name)) {
      if (entries.length === MPLS_LABELS_MAX) cursor.fail(`before this at most ${MPLS_LABELS_MAX} labels`);
      entries.push({ value: 0, mask: 0 });
      seen.clear();
    }
    seen.add(name);
    readBits(parse, name, field, entries.at(-1)!);
    return true;
  });
  const bytes = (part: keyof MaskedWord): Uint8Array =>
    Uint8Array.from(entries.flatMap((entry) => [...numberToBytes(entry[part], MPLS.entryBytes)]));
  parse.key.put(KEY_ATTR.mpls, bytes("value"));
  parse.mask.put(KEY_ATTR.mpls, bytes("mask"));
}
