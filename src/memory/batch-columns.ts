// Where the columns of a thread's batch stand: indices of the arena's 32-bit views (batch-layout.ts). Depth 0 is the
// batch of packets received, the deeper ones hold packets that recirculated so often.
import type { Arena } from "./arena.ts";
import { BATCH, BATCH_BYTES, RECIRC_DEPTH_MAX } from "./batch-layout.ts";

export class BatchColumns {
  /** Arena offset of the batch. */
  readonly batch: number;
  /** Arena offset of the first key slot. */
  readonly keys: number;
  readonly frames: number;
  readonly packetBytes: number;
  readonly l3Offsets: number;
  readonly l4Offsets: number;
  readonly flows: number;
  readonly orderHashes: number;
  readonly dirtyLines: number;
  readonly tcpFlags: number;
  readonly actions: number;
  readonly outPorts: number;

  /** @param depth 0 to RECIRC_DEPTH_MAX */
  constructor(arena: Arena, threadIndex: number, depth = 0) {
    const batch =
      depth === 0
        ? arena.region("batches").offset + threadIndex * BATCH_BYTES
        : arena.region("recircBatches").offset + (threadIndex * RECIRC_DEPTH_MAX + depth - 1) * BATCH_BYTES;
    const column = (offset: number): number => (batch + offset) >>> 2;
    this.batch = batch;
    this.keys = batch + BATCH.keys;
    this.frames = column(BATCH.frame);
    this.packetBytes = column(BATCH.packetBytes);
    this.l3Offsets = column(BATCH.l3Offset);
    this.l4Offsets = column(BATCH.l4Offset);
    this.flows = column(BATCH.flow);
    this.orderHashes = column(BATCH.orderHash);
    this.dirtyLines = column(BATCH.dirtyLines);
    this.tcpFlags = column(BATCH.tcpFlags);
    this.actions = column(BATCH.actions);
    this.outPorts = column(BATCH.outPort);
  }
}
