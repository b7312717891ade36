// What a field becomes under set: the new value where the mask has ones, the old one elsewhere. Hot, per
// packet. `value` and `mask` are offsets of OVS key structs, `field` the offset in them; an installed
// action's value has no bit outside its mask (validation), so none is cut off here.
import { readBe16, readBe32 } from "../packet/bytes.ts";

/** Stands for a mask of ones: set without mask. Offset 0 of the arena is never used. */
export const NO_MASK = 0;

export function blend8(u8: Uint8Array, old: number, value: number, mask: number, field: number): number {
  const fresh = u8[value + field]!;
  return mask === NO_MASK ? fresh : fresh | (old & ~u8[mask + field]! & 0xff);
}

export function blend16(u8: Uint8Array, old: number, value: number, mask: number, field: number): number {
  const fresh = readBe16(u8, value + field);
  return mask === NO_MASK ? fresh : fresh | (old & ~readBe16(u8, mask + field) & 0xffff);
}

export function blend32(u8: Uint8Array, old: number, value: number, mask: number, field: number): number {
  const fresh = readBe32(u8, value + field);
  return mask === NO_MASK ? fresh : (fresh | (old & ~readBe32(u8, mask + field))) >>> 0;
}
