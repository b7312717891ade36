// A worker's upcalls as the handler reads them: the records of one ring, in order (datapath/upcall-record.ts).
// The fields are those of the record that next() took, until the next one.
import { UPCALL_RECORD, upcallRingOffset } from "../datapath/upcall-record.ts";
import { KEY_LINE_BYTES } from "../flow/fields.ts";
import { newKey } from "../flow/key.ts";
import type { Arena } from "../memory/arena.ts";
import { RecordConsumer } from "../ring/record-ring.ts";

export class UpcallReader {
  readonly worker: number;
  readonly #arena: Arena;
  readonly #ring: RecordConsumer;
  #at = 0;

  constructor(arena: Arena, worker: number) {
    this.worker = worker;
    this.#arena = arena;
    this.#ring = new RecordConsumer(arena, upcallRingOffset(arena, worker), arena.plan.sizes.upcallRingBytes);
  }

  /** Takes the next record; false when there is none. */
  next(): boolean {
    this.#at = this.#ring.next();
    return this.#at !== 0;
  }

  get isEmpty(): boolean {
    return this.#ring.isEmpty;
  }

  /** Gives the room of taken records back. */
  release(): void {
    this.#ring.release();
  }

  get type(): number {
    return this.#word(UPCALL_RECORD.type);
  }

  get frame(): number {
    return this.#word(UPCALL_RECORD.frame);
  }

  get portNo(): number {
    return this.#word(UPCALL_RECORD.portNo);
  }

  get orderHash(): number {
    return this.#word(UPCALL_RECORD.orderHash);
  }

  get charge(): number {
    return this.#word(UPCALL_RECORD.charge);
  }

  /** Bytes of the packet before trunc cut it. */
  get packetBytes(): number {
    return this.#word(UPCALL_RECORD.packetBytes);
  }

  /** With which packets get to the action through samples, of 2^32 - 1. */
  get probability(): number {
    return this.#word(UPCALL_RECORD.probability);
  }

  /** When the worker sent it, on the scale of MonotonicClock. */
  get millis(): number {
    return this.#arena.f64[(this.#at + UPCALL_RECORD.millis) >>> 3]!;
  }

  /** The flow key, a copy; zero where the record has no line. */
  key(): Uint8Array {
    const key = newKey();
    let source = this.#at + UPCALL_RECORD.body;
    for (let lines = this.#word(UPCALL_RECORD.keyLines), line = 0; lines !== 0; lines >>>= 1, line += 1) {
      if ((lines & 1) === 0) continue;
      key.set(this.#arena.u8.subarray(source, source + KEY_LINE_BYTES), line * KEY_LINE_BYTES);
      source += KEY_LINE_BYTES;
    }
    return key;
  }

  /** Nested attributes of the userspace() action, a copy. */
  attributes(): Uint8Array {
    return this.#copy(this.#keyBytes(), UPCALL_RECORD.attributeBytes);
  }

  /** The flow's actions when the userspace() action asked for them, a copy. */
  actions(): Uint8Array {
    return this.#copy(
      this.#keyBytes() + this.#padded(UPCALL_RECORD.attributeBytes),
      UPCALL_RECORD.actionsBytes,
    );
  }

  /** Nested attributes of the tunnel key that the packet would leave under, a copy; empty for none. */
  egressTunnelKey(): Uint8Array {
    const before = this.#padded(UPCALL_RECORD.attributeBytes) + this.#padded(UPCALL_RECORD.actionsBytes);
    return this.#copy(this.#keyBytes() + before, UPCALL_RECORD.egressKeyBytes);
  }

  /** @param from offset in the body; `countField` of the record says how many bytes */
  #copy(from: number, countField: number): Uint8Array {
    const start = this.#at + UPCALL_RECORD.body + from;
    return this.#arena.u8.slice(start, start + this.#word(countField));
  }

  /** What a part of so many bytes takes in the record. */
  #padded(countField: number): number {
    return (this.#word(countField) + 7) & ~7;
  }

  #keyBytes(): number {
    let bytes = 0;
    for (let lines = this.#word(UPCALL_RECORD.keyLines); lines !== 0; lines &= lines - 1)
      bytes += KEY_LINE_BYTES;
    return bytes;
  }

  #word(offset: number): number {
    return this.#arena.u32[(this.#at + offset) >>> 2]!;
  }
}
