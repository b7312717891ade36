// push_mpls, pop_mpls and set(mpls): action/packet-layers.ts for stacks that begin right behind an Ethernet header without
// tags (those that actions have taken off do not count). The header moves by one entry, what is behind it stays.
import { K } from "../../flow/fields.ts";
import { NLA_HEADER_BYTES } from "../../flow/nlattr.ts";
import { BATCH } from "../../memory/batch-layout.ts";
import { swap16 } from "../../packet/bytes.ts";
import { ETH, ETH_TYPE, MPLS, VLAN } from "../../packet/link-headers.ts";
import { choose } from "../ops/control.ts";
import type { I32, Statement } from "../ops/expression.ts";
import { i32Memory, v128Memory } from "../ops/memory.ts";
import { i32 } from "../ops/numeric.ts";
import { i8x16, i32x4 } from "../ops/vector.ts";
import { blendBytes, type SetValue } from "./act-blend.ts";
import { movesFront, UP_ONE_WORD } from "./act-tag.ts";
import { type Hand, NoTemplate, type Template } from "./act-template.ts";

const ENTRY_BYTES = MPLS.entryBytes;
const TYPE_AT = ETH.type;
const STACK_AT = ETH.headerBytes;
/** The bottom bit in an entry's third byte. */
const BOTTOM_AT = 2;

/** @param at offset of the action in the list */
export function pushMpls(template: Template, hand: Hand, at: number): Statement[] {
  guardStack(template, hand);
  // When the bottom is off, a new stack begins where extraction saw the network header.
  if (hand.ownLabelsPopped > 0) throw new NoTemplate();
  movesFront(template, hand, ENTRY_BYTES);
  const head = template.code.scope.region("frames") + hand.shift;
  const entry = at + NLA_HEADER_BYTES;
  const addresses = v128Memory.load(hand.head.get, head);
  const type = i32.or(template.arg16(entry + ENTRY_BYTES), i32.shl(template.arg16(entry), i32.const(16)));
  hand.shift -= ENTRY_BYTES;
  hand.labelsPushed += 1;
  return [
    // Addresses, the type, half of the entry; its other half takes the place of the type before.
    v128Memory.store(hand.head.get, i32x4.replace_lane(addresses, 3, type), head - ENTRY_BYTES),
    i32Memory.store16(hand.head.get, template.arg16(entry + 2), head + TYPE_AT),
  ];
}

export function popMpls(template: Template, hand: Hand, at: number): Statement[] {
  guardStack(template, hand);
  if (hand.labelsPushed > 0) {
    hand.labelsPushed -= 1;
    // Whether a stack is left depends on the bottom bit that was pushed.
    hand.isStackUnknown = true;
  } else {
    guardOwnEntry(template, hand);
  }
  movesFront(template, hand, -ENTRY_BYTES);
  const head = template.code.scope.region("frames") + hand.shift;
  const addresses = v128Memory.load(hand.head.get, head);
  hand.shift += ENTRY_BYTES;
  const type = i32.const(template.u16(at + NLA_HEADER_BYTES));
  return [
    v128Memory.store(hand.head.get, i8x16.shuffle(addresses, addresses, UP_ONE_WORD), head),
    i32Memory.store16(hand.head.get, type, head + ENTRY_BYTES + TYPE_AT),
  ];
}

/** The outermost entry. */
export function setMpls(template: Template, hand: Hand, value: SetValue): Statement[] {
  guardStack(template, hand);
  if (hand.isStackUnknown || hand.ownLabelsPopped > 0) throw new NoTemplate();
  if (hand.labelsPushed === 0) guardMpls(template, hand, 0);
  const offset = template.code.scope.region("frames") + hand.shift + STACK_AT;
  return blendBytes(template, value, 0, ENTRY_BYTES, hand.head.get, offset);
}

/** Behind the packet's own link header, less the tags that are off. */
const ownStackAt = (hand: Hand): number => STACK_AT + hand.ownTagsPopped * VLAN.headerBytes;

/** The packet begins with Ethernet, and behind its header stands a label stack or the network header. */
function guardStack(template: Template, hand: Hand): void {
  if (hand.tags.length > 0 || hand.isStackUnknown) throw new NoTemplate();
  const { key, l3, isMpls } = template;
  const at = ownStackAt(hand);
  template.guardBytes(STACK_AT);
  template.guard("begins with Ethernet", () => i32Memory.load(key.get, BATCH.keys + K.packet_type));
  template.guard(`link header of ${at} bytes`, () =>
    choose(isMpls.get, isNoMplsType(template, at - 2), i32.ne(l3.get, i32.const(at))),
  );
}

/** The entry that is popped next is the packet's own, and there. */
function guardOwnEntry(template: Template, hand: Hand): void {
  const index = hand.ownLabelsPopped;
  hand.ownLabelsPopped += 1;
  guardMpls(template, hand, index);
  if (index === 0) return;
  const before = ownStackAt(hand) + (index - 1) * ENTRY_BYTES + BOTTOM_AT;
  const offset = template.code.scope.region("frames") + before;
  template.guard(`entry ${index - 1} of ${ownStackAt(hand)} is no bottom`, () =>
    i32.and(i32Memory.load8_u(template.head.get, offset), i32.const(1)),
  );
}

function guardMpls(template: Template, hand: Hand, index: number): void {
  template.guardBytes(ownStackAt(hand) + (index + 1) * ENTRY_BYTES);
  template.guard("has labels", () => i32.eqz(template.isMpls.get));
}

function isNoMplsType(template: Template, at: number): I32 {
  const type = i32Memory.load16_u(template.head.get, template.code.scope.region("frames") + at);
  return i32.and(
    i32.ne(type, i32.const(swap16(ETH_TYPE.mpls))),
    i32.ne(type, i32.const(swap16(ETH_TYPE.mplsMulticast))),
  );
}
