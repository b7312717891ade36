// What travels between a worker and the handler: upcall records up, reinject entries down. Offsets and words are the
// same for both sides.
//
// Order. A worker counts, for each of ORDER_SLOTS order hashes, the misses in flight, and sends what hits meanwhile up
// behind them (`follow`). The handler therefore returns EVERY record through the worker's reinject ring, in the order
// in which it took them from that worker: with the packet, or without one (REINJECT.done) when it kept, dropped or
// consumed it. The entry repeats the record's `order` word and `portNo` as they were, whatever the record's type: the
// worker takes them off its counts. At most REINJECT_RING_ENTRIES records are in flight, so the ring never overflows.
//
// Ownership. The packet of a record is the handler's from the moment the record is published, and the worker's again
// from the moment the entry is. Books: the worker counts `consumed` for each record and `reinjected` for each entry
// with a packet. A handler that drops a packet counts `reinjected` and the drop's reason itself.
import { KEY_BYTES } from "../flow/fields.ts";

/** Why a packet goes up. */
export const UPCALL = {
  /** No flow matched. */
  miss: 1,
  /** A userspace() action. */
  action: 2,
  /** It hit a flow, but a miss of its own conversation is in flight: it comes back behind that. */
  follow: 3,
} as const;

/** Words of a record, indices from its start (a multiple of eight bytes). */
export const UPCALL_WORD = {
  type: 0,
  /** The packet's first frame. */
  frame: 1,
  /** Where the packet came in. */
  portNo: 2,
  /** To be repeated in the reinject entry. */
  order: 3,
  /** Of a userspace action, else 0. */
  pid: 4,
  /** Bytes of the packet before trunc; what the frame holds may be less. */
  packetBytes: 5,
  userdataBytes: 6,
  /** Bytes of the flow's action list, which a userspace action may ask for; 0 when it did not. */
  actionsBytes: 7,
  /** Of a userspace action with an egress tunnel port, else NO_TUNNEL_PORT. */
  tunnelPortNo: 8,
  /** Key lines that are not zero, bit n for line n. */
  dirtyLines: 9,
} as const;

export const NO_TUNNEL_PORT = 0xffffffff;

/** The packet's key as it was extracted, KEY_BYTES. */
export const UPCALL_KEY_AT = 64;
/** Userdata, then, at the next multiple of four, the flow's actions. */
export const UPCALL_TAIL_AT = UPCALL_KEY_AT + KEY_BYTES;

/** Bytes of a record without userdata and actions. */
export const UPCALL_BYTES = UPCALL_TAIL_AT;

/** Where the flow's actions start behind a record's start. */
export const upcallActionsAt = (userdataBytes: number): number => UPCALL_TAIL_AT + ((userdataBytes + 3) & ~3);

/** Order hashes that are told apart. */
export const ORDER_SLOTS = 4096;
/** Bits of an `order` word: the slot, and whether the record counts there (misses and follows do). */
export const ORDER_SLOT_MASK = ORDER_SLOTS - 1;
export const ORDER_COUNTED = 0x8000;

/** Words of a reinject ring's entry. */
export const REINJECT_WORDS = 4;
export const REINJECT_WORD = { frame: 0, order: 1, actions: 2, portNo: 3 } as const;

/** What becomes of a returned packet, in bits 16 and up of the entry's `order` word. */
export const REINJECT_KIND_SHIFT = 16;
export const REINJECT = {
  /** There is no packet any more. `frame` is not read. */
  done: 0,
  /**
   * Looked up again as if just received on `portNo`. When that misses too, the actions that came with it are carried
   * out; without any it goes up once more.
   */
  lookup: 1,
  /** The actions that came with it are carried out, no look-up: a decision that was not installed. */
  execute: 2,
} as const;
// `actions` is a reference as flows have it (table/action-store.ts), 0 for none. The handler keeps the list alive until
// a grace period after the worker took the entry.
