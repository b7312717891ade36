// The null port's transmit queue on a worker.
//
// Per packet: its frames go back to the pool. Per burst: two port counters, two thread counters. No memory of its
// own. Compiled code does the same (compile/emit/transmit-memory.ts). Counters: the port's tx packets and bytes.
import { COUNTER, type ThreadCounters } from "../../datapath/counters.ts";
import type { FramePool } from "../../memory/frame-pool.ts";
import type { Packets } from "../../memory/packets.ts";
import { TxTaken } from "../../memory/tx-route.ts";
import { PORT_COUNTER, type PortCounters } from "../counters.ts";
import type { CompiledQueue, QueueAttachment, QueueContext, QueueFactory, TxQueue } from "../port.ts";

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
  readonly compiledRoute: CompiledQueue<"null"> | undefined;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #counters: ThreadCounters;
  readonly #taken: TxTaken;

  constructor(context: QueueContext, { portNo, slot }: QueueAttachment) {
    this.portNo = portNo;
    this.slot = slot;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#counters = context.counters;
    this.#taken = new TxTaken(context.arena, context.threadIndex, slot);
    // Compiled code reports nothing to the ledger.
    this.compiledRoute = context.pool.ledger === null ? { kind: "null", parameters: 0 } : undefined;
  }

  put(frame: number): void {
    this.#taken.add(1, this.#packets.packetBytes(frame));
    this.#pool.freePacket(frame);
  }

  flush(): void {
    const { packets } = this.#taken;
    if (packets === 0) return;
    this.#portCounters.add(PORT_COUNTER.tx_packets, packets);
    this.#portCounters.add(PORT_COUNTER.tx_bytes, this.#taken.bytes);
    this.#counters.add(COUNTER.transmitted, packets);
    this.#counters.add(COUNTER.tx_batches, 1);
    this.#taken.clear();
  }

  close(): void {
    this.flush();
  }
}
