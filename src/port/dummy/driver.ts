// The dummy port on the control thread: a port without a network. Control injects packets and takes what was
// transmitted; tests and `netdev-dummy/receive` live on it.
//
// What is transmitted waits in a bounded ring until it is taken; a full ring drops (tx_full). With `tx_pcap` it goes
// into a file instead, through the pcap port's transmit queue.
import { closeSync, openSync } from "node:fs";
import * as v from "valibot";
import type { Arena } from "../../memory/arena.ts";
import { NO_FRAME, PACKET_BYTES_MAX } from "../../memory/frame-layout.ts";
import type { FramePool } from "../../memory/frame-pool.ts";
import { Handover, ringOwner } from "../../memory/handover.ts";
import { Packets } from "../../memory/packets.ts";
import { controlThread } from "../../memory/region-plan.ts";
import { RingConsumer, RingProducer } from "../../ring/spsc-ring.ts";
import { PORT_COUNTER } from "../counters.ts";
import type { OpenPort, PortContext, PortDriver, PortSpec, PortStatus, QueueAttachment } from "../port.ts";
import { DUMMY_RING_ENTRIES, DUMMY_RING_STRIDE } from "./layout.ts";

/** As Ethernet has it, and OVS's dummy. */
const DUMMY_MTU_DEFAULT = 1500;
const DUMMY_MTU_MIN = 68;
const DUMMY_MTU_MAX = 9000;
const DUMMY_QUEUES_MAX = 16;

const wholeNumber = (least: number, most: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));

const optionSchema = v.strictObject({
  mtu: v.optional(wholeNumber(DUMMY_MTU_MIN, DUMMY_MTU_MAX), DUMMY_MTU_DEFAULT),
  /** Fewer than workers: the others reach the port through the owner. */
  "tx-queues": v.optional(wholeNumber(1, DUMMY_QUEUES_MAX), 1),
  tx_pcap: v.optional(v.string()),
});

type DummyOptions = v.InferOutput<typeof optionSchema>;

export const dummyDriver: PortDriver = {
  type: "dummy",
  open: async (context: PortContext, spec: PortSpec, portNo: number, slot: number): Promise<OpenPort> => {
    const parsed = v.safeParse(optionSchema, spec.options ?? {});
    if (!parsed.success) {
      const [issue] = parsed.issues;
      throw new Error(
        `port ${spec.name}: option ${v.getDotPath(issue) ?? ""}: ${issue.message}; a dummy port takes mtu, tx-queues and tx_pcap`,
      );
    }
    const options = parsed.output;
    const rxqCount = spec.rxqCount ?? 1;
    if (rxqCount > DUMMY_QUEUES_MAX)
      throw new Error(
        `port ${spec.name}: ${rxqCount} rx queues, ${DUMMY_QUEUES_MAX} are the most; lower rx-queues`,
      );
    if (options.tx_pcap !== undefined && options["tx-queues"] !== 1)
      throw new Error(`port ${spec.name}: tx_pcap is one file with one writer; lower tx-queues to 1`);
    const ringsBytes = (rxqCount + options["tx-queues"]) * DUMMY_RING_STRIDE;
    const rings = context.pages.allocate(ringsBytes);
    try {
      const txFd = options.tx_pcap === undefined ? -1 : openSync(options.tx_pcap, "w");
      return new DummyPort(context, spec, portNo, slot, rxqCount, options, rings, txFd);
    } catch (error) {
      context.pages.free(rings, ringsBytes);
      throw error;
    }
  },
};

export const isDummyPort = (port: OpenPort): port is DummyPort => port instanceof DummyPort;

export class DummyPort implements OpenPort {
  readonly spec: PortSpec;
  readonly portNo: number;
  readonly slot: number;
  readonly rxqCount: number;
  readonly txqCount: number;
  readonly takesPartialChecksums = false;
  readonly shownOptions: readonly (readonly [string, string])[];
  readonly #context: PortContext;
  readonly #arena: Arena;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #handover: Handover;
  readonly #ringOwner: number;
  readonly #options: DummyOptions;
  readonly #rings: number;
  readonly #txFd: number;
  readonly #injected: RingProducer[];
  readonly #transmitted: RingConsumer[];
  #isUp = true;

  constructor(
    context: PortContext,
    spec: PortSpec,
    portNo: number,
    slot: number,
    rxqCount: number,
    options: DummyOptions,
    rings: number,
    txFd: number,
  ) {
    this.spec = spec;
    this.portNo = portNo;
    this.slot = slot;
    this.rxqCount = rxqCount;
    this.txqCount = options["tx-queues"];
    this.shownOptions = options.tx_pcap === undefined ? [] : [["tx_pcap", options.tx_pcap]];
    this.#context = context;
    this.#arena = context.arena;
    this.#pool = context.pool;
    this.#packets = new Packets(context.arena, context.pool);
    this.#handover = new Handover(context.arena, context.pool, controlThread(context.arena.plan.sizes));
    this.#ringOwner = ringOwner("port", slot);
    this.#options = options;
    this.#rings = rings;
    this.#txFd = txFd;
    const ring = (index: number): number => rings + index * DUMMY_RING_STRIDE;
    this.#injected = Array.from(
      { length: rxqCount },
      (_, queue) => new RingProducer(this.#arena, ring(queue), DUMMY_RING_ENTRIES),
    );
    this.#transmitted = Array.from(
      { length: this.txqCount },
      (_, queue) => new RingConsumer(this.#arena, ring(rxqCount + queue), DUMMY_RING_ENTRIES),
    );
  }

  /**
   * Lets the port receive a packet. False, and counted as rx_dropped, when the queue or the frame pool is full.
   * @param segmentBytesMax most bytes in one frame; smaller ones make chains
   */
  inject(bytes: Uint8Array, queue = 0, segmentBytesMax = Number.MAX_SAFE_INTEGER): boolean {
    const ring = this.#injected[queue];
    if (ring === undefined)
      throw new RangeError(`port ${this.spec.name}: rx queue ${queue} of ${this.rxqCount} does not exist`);
    if (bytes.length > PACKET_BYTES_MAX) {
      throw new RangeError(
        `port ${this.spec.name}: a packet of ${bytes.length} bytes, ${PACKET_BYTES_MAX} are the most`,
      );
    }
    const frame = ring.free(1) > 0 ? this.#packets.fromBytes(bytes, this.portNo, segmentBytesMax) : NO_FRAME;
    if (frame === NO_FRAME) {
      this.#context.counters(this.slot).add(PORT_COUNTER.rx_dropped, 1);
      return false;
    }
    this.#handover.give(frame, this.#ringOwner);
    ring.put(frame);
    ring.publish();
    return true;
  }

  /** Everything transmitted since the last call, queue by queue, oldest first. */
  take(): Uint8Array[] {
    return this.#transmitted.flatMap((ring) => this.#drain(ring));
  }

  /** Takes the port down or up again, as a link would. */
  setUp(isUp: boolean): void {
    this.#isUp = isUp;
    this.#context.changed(this.slot);
  }

  rxAttachment(queue: number): QueueAttachment {
    return this.#attachment(queue, { ring: this.#rings + queue * DUMMY_RING_STRIDE });
  }

  txAttachment(queue: number): QueueAttachment {
    const ring = this.#rings + (this.rxqCount + queue) * DUMMY_RING_STRIDE;
    if (this.#txFd < 0) return this.#attachment(queue, { ring });
    const path = this.#options.tx_pcap!;
    return this.#attachment(queue, { ring, fd: this.#txFd, path, format: "pcap", name: this.spec.name });
  }

  #attachment(queue: number, fields: QueueAttachment["fields"]): QueueAttachment {
    return { type: "dummy", portNo: this.portNo, slot: this.slot, queue, fields };
  }

  status(): PortStatus {
    return { up: this.#isUp, mtu: this.#options.mtu, notes: this.#isUp ? [] : ["set down"] };
  }

  /** The kernel knows nothing of it. */
  foldKernelCounters(): void {}

  async close(): Promise<void> {
    this.#publishStaged();
    this.take();
    for (let queue = 0; queue < this.rxqCount; queue += 1) {
      // The worker has let go of the queue: what it did not take is control's again.
      this.#drain(new RingConsumer(this.#arena, this.#rings + queue * DUMMY_RING_STRIDE, DUMMY_RING_ENTRIES));
    }
    this.#context.pages.free(this.#rings, (this.rxqCount + this.txqCount) * DUMMY_RING_STRIDE);
    if (this.#txFd >= 0) closeSync(this.#txFd);
  }

  /** What a worker put and, having died, did not send. */
  #publishStaged(): void {
    for (let queue = 0; queue < this.txqCount; queue += 1) {
      const at = this.#rings + (this.rxqCount + queue) * DUMMY_RING_STRIDE;
      const ring = new RingProducer(this.#arena, at, DUMMY_RING_ENTRIES);
      if (ring.stagedCount > 0) this.#context.dropped(ring.stagedCount);
      ring.publish();
    }
  }

  #drain(ring: RingConsumer): Uint8Array[] {
    const taken: Uint8Array[] = [];
    for (let count = ring.available(); count > 0; count -= 1) {
      const frame = ring.take();
      this.#handover.receive(frame, this.#ringOwner);
      taken.push(this.#packets.toBytes(frame));
      this.#pool.freePacket(frame);
    }
    ring.release();
    return taken;
  }
}
