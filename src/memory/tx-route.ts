// How a thread reaches ports, as JavaScript sees it (layout: engine-layout.ts). Compiled code puts packets to the same
// queues, so what waits to be counted or flushed stands in the arena and not in objects.
//
// Per packet: a load, two additions. Per burst: a few words for each port that got packets.
import type { Arena } from "./arena.ts";
import { ENGINE, ENGINE_SCRATCH_BYTES, TX_KIND, TX_ROUTE, TX_ROUTE_BYTES } from "./engine-layout.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const PACKETS_WORD = TX_ROUTE.pendingPackets / 4;
const BYTES_WORD = TX_ROUTE.pendingBytes / 4;
const ROUTE_WORDS = TX_ROUTE_BYTES / 4;
const IS_DIRTY_WORD = TX_ROUTE.isDirty / 4;
const NEXT_DIRTY_WORD = TX_ROUTE.nextDirty / 4;

/** Byte address of a slot's route. */
export const txRouteAddress = (arena: Arena, threadIndex: number, slot: number): number =>
  arena.region("txRoutes").offset + (threadIndex * arena.plan.sizes.portCountMax + slot) * TX_ROUTE_BYTES;

/** What one slot's queue took since its last flush. */
export class TxTaken {
  readonly #i32: Int32Array;
  readonly #base: number;

  constructor(arena: Arena, threadIndex: number, slot: number) {
    this.#i32 = arena.i32;
    this.#base = txRouteAddress(arena, threadIndex, slot) >>> 2;
  }

  get packets(): number {
    return this.#i32[(this.#base + PACKETS_WORD) | 0]!;
  }

  get bytes(): number {
    return this.#i32[(this.#base + BYTES_WORD) | 0]!;
  }

  add(packets: number, bytes: number): void {
    this.#i32[(this.#base + PACKETS_WORD) | 0]! += packets;
    this.#i32[(this.#base + BYTES_WORD) | 0]! += bytes;
  }

  clear(): void {
    this.#i32[(this.#base + PACKETS_WORD) | 0] = 0;
    this.#i32[(this.#base + BYTES_WORD) | 0] = 0;
  }
}

/** How a thread reaches its ports, and which of them its next flush has to see. One instance a thread. */
export class TxRoutes {
  readonly #i32: Int32Array;
  readonly #base: number;
  readonly #dirtySlot: number;

  /** Nothing is reached and nothing dirty, whatever a thread before has left. */
  constructor(arena: Arena, threadIndex: number) {
    const { portCountMax } = arena.plan.sizes;
    const scratch = arena.region("engineScratch").offset + threadIndex * ENGINE_SCRATCH_BYTES;
    this.#i32 = arena.i32;
    this.#base = txRouteAddress(arena, threadIndex, 0) >>> 2;
    this.#dirtySlot = (scratch + ENGINE.dirtySlot) >>> 2;
    this.#i32.fill(0, this.#base, this.#base + portCountMax * ROUTE_WORDS);
    this.#i32[this.#dirtySlot] = 0;
  }

  /** Control path. */
  set(slot: number, kind: keyof typeof TX_KIND, parameters: number): void {
    const route = this.#base + slot * ROUTE_WORDS;
    this.#i32[route + TX_ROUTE.parameters / 4] = parameters;
    this.#i32[route + TX_ROUTE.kind / 4] = TX_KIND[kind];
  }

  isCompiled(slot: number): boolean {
    return this.#i32[this.#base + slot * ROUTE_WORDS + TX_ROUTE.kind / 4] !== TX_KIND.javascript;
  }

  /** The slot's port gets a packet. */
  touch(slot: number): void {
    const route = (this.#base + Math.imul(slot, ROUTE_WORDS)) | 0;
    if (this.#i32[(route + IS_DIRTY_WORD) | 0] !== 0) return;
    this.#i32[(route + IS_DIRTY_WORD) | 0] = 1;
    this.#i32[(route + NEXT_DIRTY_WORD) | 0] = this.#i32[this.#dirtySlot]!;
    this.#i32[this.#dirtySlot] = slot + 1;
  }

  /** A slot that got packets and was not taken since, -1 when there is none. */
  takeDirty(): number {
    const slot = (this.#i32[this.#dirtySlot]! - 1) | 0;
    if (slot < 0) return slot;
    const route = (this.#base + Math.imul(slot, ROUTE_WORDS)) | 0;
    this.#i32[(route + IS_DIRTY_WORD) | 0] = 0;
    this.#i32[this.#dirtySlot] = this.#i32[(route + NEXT_DIRTY_WORD) | 0]!;
    return slot;
  }
}
