// push_vlan and pop_vlan on a packet's front. Hot, per packet; writes packet bytes and the frame's record.
import type { Arena } from "../memory/arena.ts";
import { NO_FRAME } from "../memory/frame-layout.ts";
import type { Packets } from "../memory/packets.ts";
import { readBe16 } from "../packet/bytes.ts";
import { ETH, ETH_TYPE, VLAN } from "../packet/link-headers.ts";
import { closeGap, openGap } from "./gap.ts";
import type { PacketFront } from "./packet-front.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const ETH_BYTES = ETH.headerBytes;
const TAG_BYTES = VLAN.headerBytes;
const TPID_VLAN = ETH_TYPE.vlan;
const TPID_QINQ = ETH_TYPE.qinq;
const ADDRESS_BYTES = ETH.addressBytes;

/** The two addresses, which a pushed tag follows. */
const ADDRESSES_BYTES = 2 * ADDRESS_BYTES;
/** The DEI bit's place in the first byte of a TCI. */
const CFI_HIGH_BYTE = VLAN.cfi >>> 8;

/**
 * Puts a tag behind the addresses. The TCI's CFI bit says "a tag" in the action and is clear in the packet,
 * as in OVS. Returns the packet's first frame, NO_FRAME with the packet untouched when no frame for headroom
 * was free.
 * @param tag arena offset of TPID and TCI in network order
 */
export function pushVlan(
  arena: Arena,
  packets: Packets,
  front: PacketFront,
  frame: number,
  tag: number,
): number {
  const first = openGap(arena, packets, front, frame, ADDRESSES_BYTES, TAG_BYTES);
  if (first === NO_FRAME) return NO_FRAME;
  const { u8 } = arena;
  const at = packets.head(first) + ADDRESSES_BYTES;
  u8[at] = u8[tag]!;
  u8[at + 1] = u8[tag + 1]!;
  u8[at + 2] = u8[tag + 2]! & ~CFI_HIGH_BYTE;
  u8[at + 3] = u8[tag + 3]!;
  return first;
}

/** Takes the outer tag off. Returns whether there was one. */
export function popVlan(arena: Arena, packets: Packets, front: PacketFront, frame: number): boolean {
  if (packets.packetBytes(frame) < ETH_BYTES + TAG_BYTES) return false;
  front.pullUp(frame, ADDRESSES_BYTES + TAG_BYTES);
  const tpid = readBe16(arena.u8, packets.head(frame) + ADDRESSES_BYTES);
  if (tpid !== TPID_VLAN && tpid !== TPID_QINQ) return false;
  closeGap(arena, packets, front, frame, ADDRESSES_BYTES, TAG_BYTES);
  return true;
}
