// The null port's transmit queue on a worker.
//
// Per packet: its frames go back to the pool. Per burst: two port counters, two thread counters. No memory of its
// own. Counters: the port's tx packets and bytes.
import { COUNTER, type ThreadCounters } from "../../datapath/counters.ts";
import type { FramePool } from "../../memory/frame-pool.ts";
import type { Packets } from "../../memory/packets.ts";
import { PORT_COUNTER, type PortCounters } from "../counters.ts";
import type { QueueAttachment, QueueContext, QueueFactory, TxQueue } from "../port.ts";

export const nullQueues: QueueFactory = {
  type: "null",
  openRx: (_context, attachment) => {
    throw new RangeError(`port ${attachment.portNo}: a null port has no rx queue`);
  },
  openTx: (context, attachment) => new NullTxQueue(context, attachment),
};

class NullTxQueue implements TxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #counters: ThreadCounters;
  #pending = 0;
  #pendingBytes = 0;

  constructor(context: QueueContext, { portNo, slot }: QueueAttachment) {
    this.portNo = portNo;
    this.slot = slot;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#counters = context.counters;
  }

  put(frame: number): void {
    this.#pending += 1;
    this.#pendingBytes += this.#packets.packetBytes(frame);
    this.#pool.freePacket(frame);
  }

  flush(): void {
    if (this.#pending === 0) return;
    this.#portCounters.add(PORT_COUNTER.tx_packets, this.#pending);
    this.#portCounters.add(PORT_COUNTER.tx_bytes, this.#pendingBytes);
    this.#counters.add(COUNTER.transmitted, this.#pending);
    this.#counters.add(COUNTER.tx_batches, 1);
    this.#pending = 0;
    this.#pendingBytes = 0;
  }

  close(): void {
    this.flush();
  }
}
