// What a port is. Every port type is a folder with the same cast of files:
//
//   driver.ts   control thread: options, open, close, state, kernel counters        (PortDriver, OpenPort)
//   queues.ts   worker thread: receive and transmit queues, or rx.ts and tx.ts      (RxQueue, TxQueue)
//   layout.ts   arena layout of its rings, where it has any
//   README.md   a line on maturity, limits, system calls a packet
//
// Life of a port. The control thread opens it: descriptors, kernel rings mapped over pages of the kernelRings region.
// It hands every worker an attachment (plain data, structured-cloneable): rx queues that the worker owns, and either
// a tx queue of its own or the worker that owns one. A worker turns attachments into RxQueue and TxQueue. To close a
// port, control takes the attachments back, waits until every worker has passed a grace period, reclaims the frames
// left in its rings, maps anonymous memory over the kernel's, and closes the descriptors; arena pages never unmap.
//
// Ownership of frames. rxBurst hands frames to the caller. put hands a packet to the queue, whatever becomes of it:
// the queue transmits it, or drops it with a reason. No queue keeps a frame that no list of its own names.
import type { ThreadCounters } from "../datapath/counters.ts";
import type { Arena } from "../memory/arena.ts";
import type { CompiledRxKind, CompiledTxKind } from "../memory/engine-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import type { ArenaSizes } from "../memory/region-plan.ts";
import type { TunnelEngine } from "../tunnel/tunnel-engine.ts";
import type { PortCounters } from "./counters.ts";
import type { FrameBudget } from "./frame-budget.ts";

export const PORT_TYPES = [
  "pcap",
  "null",
  "dummy",
  "tap",
  "internal",
  "patch",
  "af_packet",
  "afxdp",
  "vxlan",
  "geneve",
  "gre",
  "ip6gre",
  "erspan",
  "ip6erspan",
  "gtpu",
  "srv6",
  "bareudp",
] as const;
export type PortType = (typeof PORT_TYPES)[number];

/** 65535 and above are reserved by OVS (DP_MAX_PORTS = USHRT_MAX). */
export const PORT_NO_MAX = 65534;
/** OVS's LOCAL port, the datapath's own interface on the host. */
export const LOCAL_PORT_NO = 0;

/** What the configuration or add-if asks for. */
export interface PortSpec {
  readonly name: string;
  readonly type: PortType;
  /** Absent: the lowest free number from 1. */
  readonly portNo?: number;
  /** Receive queues wanted; types with one queue refuse more. */
  readonly rxqCount?: number;
  /** Type-specific options, checked by the driver's schema; values as in YAML. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Plain data from which a worker makes a queue. `fields` are numbers and strings of the port type's own. */
export interface QueueAttachment {
  readonly type: PortType;
  readonly portNo: number;
  readonly slot: number;
  readonly queue: number;
  readonly fields: Readonly<Record<string, number | string | boolean>>;
}

/** What a worker gives to the queues it makes. */
export interface QueueContext {
  readonly arena: Arena;
  readonly threadIndex: number;
  readonly pool: FramePool;
  readonly packets: Packets;
  /** This thread's counters of this port. */
  readonly portCounters: PortCounters;
  readonly counters: ThreadCounters;
  /** This thread's tunnels. */
  readonly tunnels: TunnelEngine;
  /** Out of another port, now: for queues that only change packets. */
  readonly forward: (portNo: number, frame: number) => void;
}

/** Owned and polled by one worker. Hot. */
export interface RxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly queue: number;
  /**
   * Receives up to `limit` packets and writes their first frames at `frames[at ..]` of the arena's u32 view.
   * Each packet is described by its frame record (frame-layout.ts), its port included. Counts rx packets and bytes.
   */
  rxBurst(at: number, limit: number): number;
  /** How compiled code receives from the queue; absent: it does not. Either may receive the next burst. */
  readonly compiledRx?: CompiledQueue<CompiledRxKind> | undefined;
  /** Gives back every frame that the queue itself holds. Called by the owner before it drops the queue. */
  close(): void;
}

/** Owned by one worker. Hot. */
export interface TxQueue {
  readonly portNo: number;
  readonly slot: number;
  /** Takes the packet over; it leaves at the next flush, or at once when the queue's own burst is full. */
  put(frame: number): void;
  /** Transmits what was put and takes back what the kernel is done with. Called once a burst and when idle. */
  flush(): void;
  close(): void;
  /** How compiled code puts packets to the queue; absent: it does not. Either may put the next one; JavaScript flushes. */
  readonly compiledRoute?: CompiledQueue<CompiledTxKind> | undefined;
}

/** What compiled code works a queue by. */
export interface CompiledQueue<Kind extends string> {
  readonly kind: Kind;
  /** Arena address of what the kind needs (memory/queue-layout.ts). */
  readonly parameters: number;
}

/** State that control and the worker share, as commands print it. */
export interface PortStatus {
  /** False when the interface is down, gone, or without carrier. */
  readonly up: boolean;
  /** Longest payload behind the link header that the port transmits. */
  readonly mtu: number;
  /** Its interface's address, where it has an interface. */
  readonly mac?: string;
  /** Why it is down, or what is wrong although it is up (offloads that hide bytes, for example). */
  readonly notes: readonly string[];
}

/** An open port on the control thread. */
export interface OpenPort {
  readonly spec: PortSpec;
  readonly portNo: number;
  readonly slot: number;
  readonly rxqCount: number;
  readonly txqCount: number;
  /** Queue n belongs to worker n, whatever else that one polls; absent: control spreads the queues. */
  readonly hasQueuePerWorker?: boolean;
  /** Can take packets with PACKET_CSUM_PARTIAL; others get them finished first. */
  readonly takesPartialChecksums: boolean;
  /** Can take packets without Ethernet header; absent: they are dropped. */
  readonly takesL3?: boolean;
  /** Options as `dpctl/show` prints them behind the type, in order. */
  readonly shownOptions: readonly (readonly [key: string, value: string])[];
  rxAttachment(queue: number): QueueAttachment;
  txAttachment(queue: number): QueueAttachment;
  status(): PortStatus;
  /** Folds counters that only the kernel has (XDP_STATISTICS, PACKET_STATISTICS) into control's part of the port's counters. */
  foldKernelCounters(): void;
  /** After all workers have let go: reclaims frames, unmaps, closes. Resolves when the port can be opened again. */
  close(): Promise<void>;
}

/** What a driver needs of its surroundings, on the control thread. */
export interface PortContext {
  readonly arena: Arena;
  /** Control's own pool, for frames that a closing port gives back. */
  readonly pool: FramePool;
  /** Pages of the kernelRings region. */
  readonly pages: PageAllocator;
  /** What ports may keep; control claims keptFrames() before it opens a port and releases it after. */
  readonly frames: FrameBudget;
  readonly log: (level: "debug" | "info" | "warn" | "error", message: string) => void;
  /** Control's part of the port's counters. */
  counters(slot: number): PortCounters;
  /** Packets that a closing port finds unsent because their worker died: counted as dropped. */
  readonly dropped: (packets: number) => void;
  /** Told by a driver when the state may have changed (link events). */
  readonly changed: (slot: number) => void;
  /** Told by a driver when its interface vanished and one of the same name came: the port is opened again. */
  readonly reappeared: (slot: number) => void;
}

export interface PageAllocator {
  /** Offset of `bytes` (rounded up to pages) zeroed bytes. @throws RangeError naming memory.kernel-ring-bytes */
  allocate(bytes: number): number;
  free(offset: number, bytes: number): void;
}

/** One for each type. */
export interface PortDriver {
  readonly type: PortType;
  /**
   * Frames that the port's queues keep while nothing moves, in the mode that keeps fewest; absent: none. An open port
   * that turns out to keep more claims that itself (PortContext.frames).
   * @throws Error naming port, option and what it takes
   */
  keptFrames?(spec: PortSpec, sizes: ArenaSizes): number;
  /** @throws Error naming port, operation, cause and mending step; nothing is left behind. */
  /** Whether open() takes nothing that an open port of the same spec has, so that another one may take its place. */
  readonly takesOptionsWhileOpen?: boolean;
  open(context: PortContext, spec: PortSpec, portNo: number, slot: number): Promise<OpenPort>;
}

/** Turns attachments into queues on a worker; one for each type. */
export interface QueueFactory {
  readonly type: PortType;
  openRx(context: QueueContext, attachment: QueueAttachment): RxQueue;
  openTx(context: QueueContext, attachment: QueueAttachment): TxQueue;
}
