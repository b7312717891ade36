// The handler's answers to one worker: its end of the worker's reinject ring (datapath/reinject-entry.ts), and the
// action lists that entries in flight refer to. A list is given back when the worker has consumed the entry and then
// passed a grace period.
import {
  REINJECT,
  REINJECT_CHARGE_SHIFT,
  reinjectConsumedAt,
  reinjectProducer,
} from "../datapath/reinject-entry.ts";
import type { Arena } from "../memory/arena.ts";
import type { EpochWriter } from "../memory/epoch.ts";
import { NO_FRAME } from "../memory/frame-layout.ts";
import { type Handover, ringOwner } from "../memory/handover.ts";
import { REINJECT_RING_ENTRIES } from "../memory/region-plan.ts";
import type { RingProducer } from "../ring/spsc-ring.ts";
import type { UpcallReader } from "./upcall-reader.ts";

const SPARE_ENTRIES = REINJECT_RING_ENTRIES / 2;

interface LentList {
  /** Position of the entry behind the one that refers to the list. */
  readonly position: number;
  readonly giveBack: () => void;
}

export class Answers {
  readonly #arena: Arena;
  readonly #handover: Handover;
  readonly #epochs: EpochWriter;
  readonly #ring: RingProducer;
  readonly #owner: number;
  readonly #consumedAt: number;
  /** Free-running position of the next entry. */
  #position: number;
  #lent: LentList[] = [];

  constructor(arena: Arena, worker: number, handover: Handover, epochs: EpochWriter) {
    this.#arena = arena;
    this.#handover = handover;
    this.#epochs = epochs;
    this.#ring = reinjectProducer(arena, worker);
    this.#owner = ringOwner("reinject", worker);
    this.#consumedAt = reinjectConsumedAt(arena, worker);
    this.#position = arena.intrinsics.load(this.#consumedAt) >>> 0;
  }

  /** Whether one more answer fits. Charges see to it that it does; a worker that stopped may leave the ring full. */
  get hasRoom(): boolean {
    return this.#ring.free(1) > 0;
  }

  /** Whether half of the ring is free: what nobody waits for leaves room for the answers. */
  get hasRoomToSpare(): boolean {
    return this.#ring.free(SPARE_ENTRIES) >= SPARE_ENTRIES;
  }

  /** The packet goes back to be looked up. */
  lookup({ frame, charge, orderHash, portNo }: UpcallReader): void {
    this.#put(REINJECT.lookup, frame, charge, orderHash, portNo);
  }

  /** The packet goes back with an action list to carry out once; `giveBack` is called when nobody reads it any more. */
  execute({ frame, charge, orderHash }: UpcallReader, actionList: number, giveBack: () => void): void {
    this.#put(REINJECT.execute, frame, charge, orderHash, actionList);
    this.#lent.push({ position: this.#position, giveBack });
  }

  /** A packet that answers no record, with an action list to carry out once. */
  inject(frame: number, actionList: number, giveBack: () => void): void {
    this.#put(REINJECT.inject, frame, 0, 0, actionList);
    this.#lent.push({ position: this.#position, giveBack });
  }

  /** The handler kept or freed the packet. */
  done(
    { charge, orderHash, portNo }: UpcallReader,
    kind: typeof REINJECT.done | typeof REINJECT.actionDone,
  ): void {
    this.#put(kind, NO_FRAME, charge, orderHash, portNo);
  }

  publish(): void {
    this.#ring.publish();
  }

  /** Gives lists back whose entries were consumed. */
  collect(): void {
    const consumed = this.#arena.intrinsics.load(this.#consumedAt) >>> 0;
    while (this.#lent.length > 0 && ((consumed - this.#lent[0]!.position) | 0) >= 0) {
      this.#epochs.retire(this.#lent.shift()!.giveBack);
    }
  }

  #put(kind: number, frame: number, charge: number, orderHash: number, word: number): void {
    if (frame !== NO_FRAME) this.#handover.give(frame, this.#owner);
    const at = this.#ring.slot();
    const { u32 } = this.#arena;
    u32[at] = frame;
    u32[at + 1] = kind | (charge << REINJECT_CHARGE_SHIFT);
    u32[at + 2] = orderHash;
    u32[at + 3] = word;
    this.#ring.advance();
    this.#position = (this.#position + 1) >>> 0;
  }
}
