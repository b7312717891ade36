// The handler's answers to a worker's upcalls, one entry for each record and in their order, in a ring of four words
// an entry (reinjectRings; the handler produces, the worker consumes):
//
//   word 0  frame      the packet, the worker's again; NO_FRAME when the handler kept or freed it
//   word 1  kind in bits 0-3 (REINJECT), charge of the record above
//   word 2  orderHash  as in the record
//   word 3  portNo as in the record; for `execute` and `inject` the reference of an action list instead (table/action-store.ts),
//           the port number stands in the frame's record
//
// What the worker does with each kind, after it took the charge off the port's share:
//
//   lookup      a miss or follower comes back: one fewer of its conversation is in flight; the packet is looked up
//               as if it were received again. The flow it waited for was published before the entry. When it misses
//               all the same (the flow was removed in between) it goes up again as a new miss.
//   execute     likewise, but the packet is not looked up: the action list is carried out on it once. The handler
//               keeps the list until the worker has given the entry's room back and passed a quiescent point.
//   done        a miss or follower that the handler consumed or dropped: one fewer is in flight.
//   actionDone  a userspace() packet: never counted in flight.
//   inject      a packet that answers no record: executed as `execute` has it, never in flight, of no charge.
import type { Arena } from "../memory/arena.ts";
import { PAGE_BYTES, REINJECT_RING_ENTRIES } from "../memory/region-plan.ts";
import { RingConsumer, RingProducer, spscRingBytes } from "../ring/spsc-ring.ts";

export const REINJECT = { lookup: 1, execute: 2, done: 3, actionDone: 4, inject: 5 } as const;
export const REINJECT_WORDS = 4;
export const REINJECT_KIND_MASK = 15;
export const REINJECT_CHARGE_SHIFT = 4;

function ringOffset(arena: Arena, worker: number): number {
  const stride = Math.ceil(spscRingBytes(REINJECT_RING_ENTRIES, REINJECT_WORDS) / PAGE_BYTES) * PAGE_BYTES;
  return arena.region("reinjectRings").offset + worker * stride;
}

/** The worker's end of its reinject ring. */
export const reinjectConsumer = (arena: Arena, worker: number): RingConsumer =>
  new RingConsumer(arena, ringOffset(arena, worker), REINJECT_RING_ENTRIES, REINJECT_WORDS);

/** The handler's end of a worker's reinject ring. */
export const reinjectProducer = (arena: Arena, worker: number): RingProducer =>
  new RingProducer(arena, ringOffset(arena, worker), REINJECT_RING_ENTRIES, REINJECT_WORDS);

/** Word that the worker's release() moves on: entries before it are carried out. */
export const reinjectConsumedAt = (arena: Arena, worker: number): number => ringOffset(arena, worker) + 128;
