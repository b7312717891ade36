// The kernel's side of an AF_XDP socket, played over rings in the arena: frames arrive in buffers of the fill ring,
// descriptors to transmit are taken and completed. Every packet carries a number, by which it is known on its way.
import type { Arena } from "../../src/memory/arena.ts";
import { FRAME_HEADROOM_BYTES } from "../../src/memory/frame-layout.ts";
import { AFXDP_CONTINUES } from "../../src/memory/queue-layout.ts";
import { type AfxdpFields, planPort, QUEUE_BLOCK_BYTES } from "../../src/port/afxdp/layout.ts";

const RING_ENTRIES = 64;
const FILL_ENTRIES = 2 * RING_ENTRIES;
/** Where a ring's words stand in its pages. */
const PRODUCER = 0;
const CONSUMER = 64;
const FLAGS = 128;
const ENTRIES = 1024;

export interface ArrivingPacket {
  readonly number: number;
  /** Bytes of each of its frames, the first at least 60. */
  readonly segments: readonly number[];
}

export class FakeXsk {
  readonly fields: AfxdpFields;
  /** What left: number, bytes, frames. */
  readonly sent: string[] = [];
  readonly #arena: Arena;
  #fillConsumer = 0;
  #rxProducer = 0;
  #txConsumer = 0;
  #completionProducer = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
    const base = arena.region("kernelRings").offset;
    const { queues } = planPort(1, RING_ENTRIES);
    const { rx, tx, fill, completion } = queues[0]!;
    const at = (ring: { offset: number }, word: number): number => base + ring.offset + word;
    this.fields = {
      block: base + 0 * QUEUE_BLOCK_BYTES,
      fd: -1,
      ringEntries: RING_ENTRIES,
      fillEntries: FILL_ENTRIES,
      fillPosted: RING_ENTRIES,
      multiBuffer: true,
      needWakeup: true,
      rxProducer: at(rx, PRODUCER),
      rxConsumer: at(rx, CONSUMER),
      rxDesc: at(rx, ENTRIES),
      fillProducer: at(fill, PRODUCER),
      fillFlags: at(fill, FLAGS),
      fillDesc: at(fill, ENTRIES),
      txProducer: at(tx, PRODUCER),
      txConsumer: at(tx, CONSUMER),
      txFlags: at(tx, FLAGS),
      txDesc: at(tx, ENTRIES),
      completionProducer: at(completion, PRODUCER),
      completionConsumer: at(completion, CONSUMER),
      completionDesc: at(completion, ENTRIES),
    };
  }

  #load(address: number): number {
    return this.#arena.u32[address >>> 2]!;
  }

  #store(address: number, value: number): void {
    this.#arena.u32[address >>> 2] = value;
  }

  /** Both sides' rings begin at this index, to see it wrap. Before any queue is opened. */
  startAt(index: number): void {
    const words = ["rxProducer", "rxConsumer", "fillProducer", "txProducer", "txConsumer"] as const;
    for (const word of [...words, "completionProducer", "completionConsumer"] as const)
      this.#store(this.fields[word], index);
    this.#store(this.fields.block, index);
    this.#fillConsumer = index >>> 0;
    this.#rxProducer = index >>> 0;
    this.#txConsumer = index >>> 0;
    this.#completionProducer = index >>> 0;
  }

  /** False when the packet found no buffers, or no room in the rx ring. */
  receive({ number, segments }: ArrivingPacket): boolean {
    const { fields } = this;
    const buffers = (this.#load(fields.fillProducer) - this.#fillConsumer) >>> 0;
    const queued = (this.#rxProducer - this.#load(fields.rxConsumer)) >>> 0;
    if (buffers < segments.length || queued + segments.length > RING_ENTRIES) return false;
    for (const [index, bytes] of segments.entries()) {
      const fill = fields.fillDesc + (this.#fillConsumer & (FILL_ENTRIES - 1)) * 8;
      const address = this.#load(fill) + FRAME_HEADROOM_BYTES;
      const data = this.#arena.region("frames").offset + address;
      this.#arena.u8.set(Uint8Array.of(number, number >>> 8, 1, 2), data);
      const descriptor = fields.rxDesc + (this.#rxProducer & (RING_ENTRIES - 1)) * 16;
      this.#store(descriptor, address);
      this.#store(descriptor + 4, 0);
      this.#store(descriptor + 8, bytes);
      this.#store(descriptor + 12, index + 1 < segments.length ? AFXDP_CONTINUES : 0);
      this.#fillConsumer = (this.#fillConsumer + 1) >>> 0;
      this.#rxProducer = (this.#rxProducer + 1) >>> 0;
    }
    this.#store(fields.rxProducer, this.#rxProducer);
    return true;
  }

  /** Sends up to `limit` descriptors, as far as the completion ring has room. */
  transmit(limit: number): void {
    const { fields } = this;
    for (let left = limit; left > 0; left -= 1) {
      if (this.#txConsumer === this.#load(fields.txProducer)) break;
      const done = (this.#completionProducer - this.#load(fields.completionConsumer)) >>> 0;
      if (done === RING_ENTRIES) break;
      const descriptor = fields.txDesc + (this.#txConsumer & (RING_ENTRIES - 1)) * 16;
      const address = this.#load(descriptor);
      const data = this.#arena.region("frames").offset + address;
      const number = this.#arena.u8[data]! | (this.#arena.u8[data + 1]! << 8);
      const words = [4, 8, 12].map((word) => this.#load(descriptor + word));
      this.sent.push(`${number}: ${words.join()}`);
      const completion = fields.completionDesc + (this.#completionProducer & (RING_ENTRIES - 1)) * 8;
      this.#store(completion, address);
      this.#store(completion + 4, 0);
      this.#txConsumer = (this.#txConsumer + 1) >>> 0;
      this.#completionProducer = (this.#completionProducer + 1) >>> 0;
    }
    this.#store(fields.txConsumer, this.#txConsumer);
    this.#store(fields.completionProducer, this.#completionProducer);
  }
}
