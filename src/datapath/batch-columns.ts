// Where the columns of a thread's batch stand: indices of the arena's 32-bit views (memory/batch-layout.ts).
import type { Arena } from "../memory/arena.ts";
import { BATCH, BATCH_BYTES } from "../memory/batch-layout.ts";

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

  constructor(arena: Arena, threadIndex: number) {
    const batch = arena.region("batches").offset + threadIndex * BATCH_BYTES;
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
