// The batch interface: what a poll loop drives and a datapath implements, the reference in TypeScript and the compiled
// one alike. Both work on the thread's batch in the arena (memory/batch-layout.ts) and hand every packet on.
//
// Ownership. The first `count` entries of the `frame` column are packets that the engine takes over. When a call
// returns, all of them have been handed to the sinks, and their entries are NO_FRAME.
import type { OutputSink } from "../action/output-sink.ts";
import type { BatchColumns } from "../memory/batch-columns.ts";

export interface Engine {
  /**
   * Packets just received on `portNo`, 1 to BATCH_SIZE of them. At an endpoint of tunnels, ARP and neighbour discovery go
   * to the handler whatever flows say, because addresses of our own have to be answered for.
   */
  process(count: number, portNo: number, isEndpoint: boolean): void;
  /**
   * Packets that came back from the handler, received on `portNo` at the time. None of them goes up behind a miss of
   * its own conversation; one that hits no flow goes up once more.
   */
  processReinjected(count: number, portNo: number): void;
  /**
   * Packets that came back from the handler with action lists, whose references stand in their `actions` column. A list
   * may begin with the packet's metadata (action/attributes.ts, METADATA); when nothing follows it, the packet is
   * looked up again under them.
   */
  execute(count: number): void;
}

/**
 * Where an engine sends packets that it cannot decide on. A packet in a batch slot is described by the slot's columns
 * and key. Hot: one call for each such packet, which belongs to the sink from then on.
 */
export interface MissSink {
  /** Misses in flight of this thread: while it is 0, no packet has to wait behind one. */
  readonly orderedCount: number;
  /** Whether a packet of this order hash has to go up behind a miss. */
  isBehindMiss(orderHash: number): boolean;
  miss(columns: BatchColumns, slot: number, frame: number): void;
  /** Behind a miss of its conversation, without its key: it comes back to be looked up as if it were just received. */
  follow(columns: BatchColumns, slot: number, frame: number): void;
}

/** Where packets leave a datapath. */
export interface PacketSink extends OutputSink {
  /**
   * output() of the packets in slots `from` .. `to` - 1 to the ports in their `outPort` column, which are ports' numbers
   * but need not exist, up to the first slot that has NO_PORT there. Sets their entries of the `frame` column to
   * NO_FRAME. Returns where it stopped.
   */
  outputRun(columns: BatchColumns, from: number, to: number): number;
  /**
   * output() of entry `from` of the thread's list of outputs (memory/engine-layout.ts), and of those behind it that go
   * the same way. Returns the entry behind them.
   */
  outputList(from: number): number;
}

/** Everything that leaves an engine goes here. */
export interface EngineSinks {
  readonly output: PacketSink;
  readonly misses: MissSink;
}
