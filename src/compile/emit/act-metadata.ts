// The metadata of the packet in hand, as action/packet-metadata.ts keeps them: what actions set stands in locals, everything
// else in the packet's key.
import { BATCH } from "../../memory/batch-layout.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { i32Memory } from "../ops/memory.ts";
import { blended, maskWord, type SetValue } from "./act-blend.ts";
import type { Hand, Template } from "./act-template.ts";

/** @param field its offset in a key */
export function metadata(template: Template, hand: Hand, field: number): I32 {
  return hand.metadata.get(field)?.get ?? i32Memory.load(template.key.get, BATCH.keys + field);
}

export function writeMetadata(template: Template, hand: Hand, field: number, value: I32): Statement {
  const local = template.code.local(`metadata${field}_${hand.depth}`);
  hand.metadata.set(field, local);
  return local.set(value);
}

/** set() of a word in host order. */
export function setMetadata(template: Template, hand: Hand, value: SetValue, field: number): Statement[] {
  const mask = maskWord(value, 0, 4);
  const word = blended(metadata(template, hand, field), template.arg(value.at), mask, 4);
  return [writeMetadata(template, hand, field, word)];
}
