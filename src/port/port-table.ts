// The port table in the arena: port number -> slot (a 16-bit word for each number, slot + 1, 0 for none), and a block
// for each slot (memory/port-layout.ts). Control writes both, workers read them; a slot is filled before its number is
// published and reused only after a grace period.
import type { Arena } from "../memory/arena.ts";
import { PORT_BLOCK } from "../memory/port-layout.ts";
import { PORT_BLOCK_BYTES } from "../memory/region-plan.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const BLOCK_WORDS = PORT_BLOCK_BYTES / 4;
const FLAGS_WORD = PORT_BLOCK.flags / 4;
const PACKET_BYTES_MAX_WORD = PORT_BLOCK.packetBytesMax / 4;

/** A worker's view: plain loads of words that control stores whole. */
export class PortTable {
  readonly #arena: Arena;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #numbers: number;
  readonly #blocks: number;
  readonly #blockWords: number;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#numbers = arena.region("portNumbers").offset >>> 1;
    this.#blocks = arena.region("ports").offset;
    this.#blockWords = this.#blocks >>> 2;
    this.#u16 = arena.u16;
    this.#u32 = arena.u32;
  }

  /** The slot of a port number, -1 when there is no such port. */
  slot(portNo: number): number {
    return portNo > 0xffff ? -1 : this.#u16[this.#numbers + portNo]! - 1;
  }

  portNo(slot: number): number {
    return this.#arena.u32[(this.#blocks + slot * PORT_BLOCK_BYTES + PORT_BLOCK.portNo) >>> 2]!;
  }

  flags(slot: number): number {
    return this.#u32[this.#blockWords + slot * BLOCK_WORDS + FLAGS_WORD]!;
  }

  packetBytesMax(slot: number): number {
    return this.#u32[this.#blockWords + slot * BLOCK_WORDS + PACKET_BYTES_MAX_WORD]!;
  }

  /** Control only: fills a slot and publishes its number. */
  publish(slot: number, portNo: number, flags: number, packetBytesMax: number): void {
    const { u32, u16 } = this.#arena;
    const block = (this.#blocks + slot * PORT_BLOCK_BYTES) >>> 2;
    u32[block + PORT_BLOCK.portNo / 4] = portNo;
    u32[block + PORT_BLOCK.packetBytesMax / 4] = packetBytesMax;
    u32[block + PORT_BLOCK.flags / 4] = flags;
    Atomics.store(u16, this.#numbers + portNo, slot + 1);
  }

  /** Control only: flags and length limit of a live port. */
  update(slot: number, flags: number, packetBytesMax: number): void {
    const { u32 } = this.#arena;
    const block = (this.#blocks + slot * PORT_BLOCK_BYTES) >>> 2;
    Atomics.store(u32, block + PORT_BLOCK.packetBytesMax / 4, packetBytesMax);
    Atomics.store(u32, block + PORT_BLOCK.flags / 4, flags);
  }

  /** Control only: the number leads nowhere from now on; the slot may be reused after a grace period. */
  withdraw(portNo: number): void {
    Atomics.store(this.#arena.u16, this.#numbers + portNo, 0);
  }
}
