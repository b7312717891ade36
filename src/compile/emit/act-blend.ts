// Fields written in place under a mask that is known: whole ones are stored, ones without bits are not touched, others
// keep what the mask leaves out. Equals action/blend.ts; a validated value has no bit outside its mask.
import type { I32, Statement } from "../ops/expression.ts";
import { i32Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import type { Template } from "./act-template.ts";

/** The value of a set, and what of it is set: where both stand in the list, and the mask's bytes. */
export interface SetValue {
  readonly at: number;
  readonly mask: Uint8Array;
}

/** @param key offset of the key attribute in the list; `isMasked` when value and mask stand in it side by side */
export function setValue(template: Template, key: number, isMasked: boolean): SetValue {
  const bytes = template.u16(key) - 4;
  const at = key + 4;
  const valueBytes = isMasked ? bytes >>> 1 : bytes;
  const mask = Uint8Array.from({ length: valueBytes }, (_, index) =>
    isMasked ? template.u8(at + valueBytes + index) : 0xff,
  );
  return { at, mask };
}

/** The mask of some bytes as a little-endian word. */
export function maskWord({ mask }: SetValue, field: number, bytes: number): number {
  let word = 0;
  for (let index = bytes - 1; index >= 0; index -= 1) word = word * 256 + mask[field + index]!;
  return word;
}

/** Whether anything of a field is set. */
export const isSet = (value: SetValue, field: number, bytes: number): boolean =>
  maskWord(value, field, bytes) !== 0;

/** What a field of the packet becomes. @param old as it is; `fresh` the list's value, both as they lie in memory */
export function blended(old: I32, fresh: I32, mask: number, bytes: number): I32 {
  const ones = 2 ** (8 * bytes) - 1;
  return mask === ones ? fresh : i32.or(fresh, i32.and(old, i32.const((~mask & ones) >>> 0)));
}

/** The list's value of a field of 1, 2 or 4 bytes. */
export function freshValue(template: Template, { at }: SetValue, field: number, bytes: number): I32 {
  if (bytes === 4) return template.arg(at + field);
  return bytes === 2 ? template.arg16(at + field) : template.arg8(at + field);
}

const LOADS = { 1: i32Memory.load8_u, 2: i32Memory.load16_u, 4: i32Memory.load } as const;
const STORES = { 1: i32Memory.store8, 2: i32Memory.store16, 4: i32Memory.store } as const;
export type WordBytes = keyof typeof LOADS;

/** Writes `bytes` bytes of the value, from `field` on, at an address in the packet. @param offset static, added to it */
export function blendBytes(
  template: Template,
  value: SetValue,
  field: number,
  bytes: number,
  address: I32,
  offset: number,
): Statement[] {
  const statements: Statement[] = [];
  for (let done = 0; done < bytes; ) {
    const word: WordBytes = bytes - done >= 4 ? 4 : bytes - done >= 2 ? 2 : 1;
    const mask = maskWord(value, field + done, word);
    if (mask !== 0) {
      const old = LOADS[word](address, offset + done);
      const fresh = freshValue(template, value, field + done, word);
      statements.push(STORES[word](address, blended(old, fresh, mask, word), offset + done));
    }
    done += word;
  }
  return statements;
}
