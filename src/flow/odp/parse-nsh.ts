// nsh(...): RFC 8300's base header and the four context words of metadata type 1. spi and si share the path word.

import { NSH_MD_TYPE } from "../../packet/link-headers.ts";
import { KEY_ATTR, NSH_KEY_ATTR } from "./attributes.ts";
import { type KeyParse, parseMembers } from "./key-parse.ts";
import { ones, scanValue } from "./values.ts";

const BASE_BYTES = 8;
const CONTEXT_BYTES = 16;
const SPI_MAX = 0xffffff;

/** Offsets of one-byte members in the base header. */
const BASE_MEMBERS: ReadonlyMap<string, number> = new Map([
  ["flags", 0],
  ["ttl", 1],
  ["mdtype", 2],
  ["np", 3],
  ["si", 7],
]);
const SPI_AT = 4;
const CONTEXT_MEMBERS: readonly string[] = ["c1", "c2", "c3", "c4"];

export interface NshPayload {
  readonly base: Uint8Array;
  readonly contexts: Uint8Array;
}

export function parseNsh(parse: KeyParse): void {
  const { key, mask } = readNshMembers(parse);
  writeNsh(parse, key, mask);
}

/** The members behind "(", the ")" included; set(nsh()) has an attribute form of its own for them. */
export function readNshMembers(parse: KeyParse): { key: NshPayload; mask: NshPayload } {
  const { cursor, rules } = parse;
  const key: NshPayload = { base: new Uint8Array(BASE_BYTES), contexts: new Uint8Array(CONTEXT_BYTES) };
  const mask: NshPayload = { base: new Uint8Array(BASE_BYTES), contexts: new Uint8Array(CONTEXT_BYTES) };
  const names = "flags=, ttl=, mdtype=, np=, spi=, si=, c1= to c4=";
  parseMembers(cursor, names, (name) => {
    const baseAt = BASE_MEMBERS.get(name);
    const context = CONTEXT_MEMBERS.indexOf(name);
    if (baseAt !== undefined) {
      const scanned = scanValue(cursor, name, "decimal", 1, rules);
      key.base.set(scanned.value, baseAt);
      mask.base.set(scanned.mask, baseAt);
    } else if (name === "spi") {
      readSpi(parse, key.base, mask.base);
    } else if (context >= 0) {
      const scanned = scanValue(cursor, name, "hex", 4, rules);
      key.contexts.set(scanned.value, context * 4);
      mask.contexts.set(scanned.mask, context * 4);
    } else {
      return false;
    }
    return true;
  });
  return { key, mask };
}

/** 24 bits; a mask may be written with 32, of which the lower 24 count. */
function readSpi({ cursor, rules }: KeyParse, base: Uint8Array, maskBase: Uint8Array): void {
  const value = cursor.integer("spi", SPI_MAX);
  const mask = rules.allowMask && cursor.skip("/") ? cursor.integer("mask of spi", 0xffffffff) : SPI_MAX;
  for (let index = 0; index < 3; index++) {
    base[SPI_AT + index] = value >>> (16 - index * 8);
    maskBase[SPI_AT + index] = mask >>> (16 - index * 8);
  }
}

/** The key has contexts with metadata type 1 only, the mask always, as in OVS. */
function writeNsh(parse: KeyParse, key: NshPayload, mask: NshPayload): void {
  const keyMark = parse.key.begin(KEY_ATTR.nsh);
  parse.key.put(NSH_KEY_ATTR.base, key.base);
  if (key.base[BASE_MEMBERS.get("mdtype")!] === NSH_MD_TYPE.fixed) {
    parse.key.put(NSH_KEY_ATTR.md1, key.contexts);
  }
  parse.key.end(keyMark);
  const maskMark = parse.mask.begin(KEY_ATTR.nsh);
  parse.mask.put(NSH_KEY_ATTR.base, parse.rules.allowMask ? mask.base : ones(BASE_BYTES));
  parse.mask.put(NSH_KEY_ATTR.md1, parse.rules.allowMask ? mask.contexts : ones(CONTEXT_BYTES));
  parse.mask.end(maskMark);
}
