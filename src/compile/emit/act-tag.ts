// push_vlan and pop_vlan: action/vlan.ts and gap.ts, for packets whose headroom takes a tag and whose link header stands in
// the first frame. The two addresses move, what is behind them stays; so a push is one load and one store of sixteen bytes,
// and a pop too.
import { NLA_HEADER_BYTES } from "../../flow/nlattr.ts";
import { swap16 } from "../../packet/bytes.ts";
import { ETH, ETH_TYPE, VLAN } from "../../packet/link-headers.ts";
import type { Statement } from "../ops/expression.ts";
import { i32Memory, v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { i8x16, i32x4 } from "../ops/vector.ts";
import type { Hand, Template } from "./act-template.ts";

const TAG_BYTES = VLAN.headerBytes;
/** TPID and TCI as they lie in memory, without the CFI bit. */
const RAW_TAG_MASK = ~((VLAN.cfi >>> 8) << 16);
/** The addresses one word up; what comes into the first word is of no account. */
export const UP_ONE_WORD = [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/** @param at offset of the action in the list */
export function pushVlan(template: Template, hand: Hand, at: number): Statement[] {
  template.guardBytes(ETH.headerBytes);
  movesFront(template, hand, TAG_BYTES);
  const head = template.code.scope.region("frames") + hand.shift;
  const tag = i32.and(template.arg(at + NLA_HEADER_BYTES), i32.const(RAW_TAG_MASK));
  const addresses = v128Memory.load(hand.head.get, head);
  hand.shift -= TAG_BYTES;
  hand.tags.push("pushed");
  return [v128Memory.store(hand.head.get, i32x4.replace_lane(addresses, 3, tag), head - TAG_BYTES)];
}

export function popVlan(template: Template, hand: Hand): Statement[] {
  if (hand.tags.pop() === undefined) guardOwnTag(template, hand);
  movesFront(template, hand, -TAG_BYTES);
  const head = template.code.scope.region("frames") + hand.shift;
  const { head: at } = hand;
  const addresses = v128Memory.load(at.get, head);
  hand.shift += TAG_BYTES;
  return [v128Memory.store(at.get, i8x16.shuffle(addresses, addresses, UP_ONE_WORD), head)];
}

/** The packet came with so many tags that one is left. Own tags stand where they came, whatever moved before them. */
function guardOwnTag(template: Template, hand: Hand): void {
  const index = hand.ownTagsPopped;
  hand.ownTagsPopped += 1;
  template.guardBytes(ETH.headerBytes + (index + 1) * TAG_BYTES);
  const offset = template.code.scope.region("frames") + ETH.type + index * TAG_BYTES;
  template.guard(`tag ${index}`, () => {
    const tpid = i32Memory.load16_u(template.head.get, offset);
    return i32.and(
      i32.ne(tpid, i32.const(swap16(ETH_TYPE.vlan))),
      i32.ne(tpid, i32.const(swap16(ETH_TYPE.qinq))),
    );
  });
}

/** The headroom takes what is pushed, and no partial checksum would have to move along. */
export function movesFront(template: Template, hand: Hand, bytes: number): void {
  template.guardWholeChecksum();
  const needed = bytes - hand.shift;
  if (needed > 0)
    template.guard(`headroom ${needed}`, () => i32.lt_u(template.headroom.get, i32.const(needed)));
}
