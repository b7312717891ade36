// The afxdp port on the control thread: opens it in the best mode that the interface has, watches it, closes
// it.
import { AFXDP_TX } from "../../memory/queue-layout.ts";
import { type Native, native, type XskStatistics } from "../../native.ts";
import { PORT_COUNTER, type PortCounterName } from "../counters.ts";
import { KernelInterface } from "../kernel-interface.ts";
import type { OffloadRules } from "../offloads.ts";
import type { OpenPort, PortContext, PortDriver, PortSpec, PortStatus, QueueAttachment } from "../port.ts";
import { MTU_MAX, offloadRules, singleFrameMtu } from "./interface.ts";
import { type AfxdpFields, fillEntries, fillPosted, keptFrames, QUEUE_BLOCK, ringFields } from "./layout.ts";
import { type OpenedMode, openInBestMode, type PortPages, takePages } from "./open.ts";
import { type AfxdpOptions, readOptions } from "./options.ts";
import { loseFrames, quarantine, queueIsFree, reclaimFrames } from "./reclaim.ts";

export const afxdpDriver: PortDriver = {
  type: "afxdp",
  // `auto` may end in a copy mode, which keeps fewer.
  keptFrames: (spec) => {
    const options = readOptions(spec);
    return keptFrames(options, options.mode);
  },
  open: async (context: PortContext, spec: PortSpec, portNo: number, slot: number): Promise<OpenPort> => {
    const options = readOptions(spec);
    const target = new KernelInterface({
      port: spec.name,
      interfaceName: options.interfaceName,
      ...(options.netns === undefined ? {} : { netns: options.netns }),
      force: options.force,
      changed: () => context.changed(slot),
      reappeared: () => context.reappeared(slot),
    });
    let pages: PortPages | undefined;
    try {
      pages = takePages(context.pages, options);
      const opened = await openInBestMode(context, slot, target, options, pages);
      context.log("info", `port ${spec.name}: ${target.name} in ${opened.mode} mode`);
      return new AfxdpPort(context, { spec, portNo, slot }, options, target, pages, opened);
    } catch (error) {
      if (pages !== undefined) context.pages.free(pages.offset, pages.layout.bytes);
      target.close();
      throw new Error(`port ${spec.name}: ${(error as Error).message}`, { cause: error });
    }
  },
};

interface PortIdentity {
  readonly spec: PortSpec;
  readonly portNo: number;
  readonly slot: number;
}

/** Which of the kernel's counters of a socket goes into which of the port's. */
const SOCKET_COUNTERS: readonly (readonly [keyof XskStatistics, PortCounterName])[] = [
  ["rxDropped", "rx_dropped"],
  ["rxRingFull", "rx_ring_full"],
  ["rxFillRingEmpty", "rx_fill_ring_empty"],
  ["rxInvalidDescriptors", "rx_invalid"],
  ["txInvalidDescriptors", "tx_invalid"],
];

class AfxdpPort implements OpenPort {
  readonly spec: PortSpec;
  readonly portNo: number;
  readonly slot: number;
  readonly rxqCount: number;
  readonly txqCount: number;
  readonly takesPartialChecksums = false;
  readonly shownOptions: readonly (readonly [string, string])[];
  readonly #context: PortContext;
  readonly #native: Native = native();
  readonly #options: AfxdpOptions;
  readonly #target: KernelInterface;
  readonly #pages: PortPages;
  readonly #opened: OpenedMode;
  readonly #offloads: OffloadRules;
  /** What was folded into the port's counters so far: the kernel's count from the socket's birth. */
  readonly #folded = new Map<PortCounterName, number>();

  constructor(
    context: PortContext,
    { spec, portNo, slot }: PortIdentity,
    options: AfxdpOptions,
    target: KernelInterface,
    pages: PortPages,
    opened: OpenedMode,
  ) {
    this.spec = spec;
    this.portNo = portNo;
    this.slot = slot;
    this.rxqCount = options.rxqCount;
    this.txqCount = options.rxqCount;
    this.#context = context;
    this.#options = options;
    this.#target = target;
    this.#pages = pages;
    this.#opened = opened;
    this.#offloads = offloadRules(opened.mode, target.link?.kind ?? "");
    this.shownOptions = [
      ...(target.name === spec.name ? [] : [["interface", target.name] as const]),
      ["n_rxq", String(options.rxqCount)],
      ["use-need-wakeup", String(options.needWakeup)],
      ["xdp-mode", opened.mode],
    ];
    for (const block of pages.layout.blocks)
      context.arena.u32[(pages.offset + block + QUEUE_BLOCK.tx + AFXDP_TX.staged) >>> 2] = 0;
  }

  rxAttachment(queue: number): QueueAttachment {
    return this.#attachment(queue);
  }

  txAttachment(queue: number): QueueAttachment {
    return this.#attachment(queue);
  }

  /** One socket serves both halves: who owns which is the owner's business. */
  #attachment(queue: number): QueueAttachment {
    const { ringEntries, needWakeup } = this.#options;
    const { mode, multiBuffer, sockets } = this.#opened;
    const socket = sockets[queue]!;
    const fields: AfxdpFields = {
      block: this.#pages.offset + this.#pages.layout.blocks[queue]!,
      fd: socket.fd,
      ringEntries,
      fillEntries: fillEntries(ringEntries),
      fillPosted: fillPosted(ringEntries, mode === "zero-copy"),
      multiBuffer,
      needWakeup,
      ...ringFields(socket.rings),
    };
    return { type: "afxdp", portNo: this.portNo, slot: this.slot, queue, fields: { ...fields } };
  }

  status(): PortStatus {
    const most = this.#opened.multiBuffer
      ? MTU_MAX
      : singleFrameMtu(this.#context.arena.plan.sizes.frameBytes);
    const status = this.#target.status(this.#offloads);
    if (status.mtu <= most) return status;
    const note = `MTU ${status.mtu} is over the ${most} the port was opened for; add it again`;
    return { ...status, mtu: most, notes: [...status.notes, note] };
  }

  foldKernelCounters(): void {
    const totals = new Map<PortCounterName, number>([["rx_no_socket", this.#opened.program.unservedCount()]]);
    for (const { fd } of this.#opened.sockets) {
      const counts = this.#native.xskStatistics(fd);
      for (const [from, to] of SOCKET_COUNTERS) totals.set(to, (totals.get(to) ?? 0) + counts[from]);
    }
    const counters = this.#context.counters(this.slot);
    for (const [name, total] of totals) {
      counters.add(PORT_COUNTER[name], total - (this.#folded.get(name) ?? 0));
      this.#folded.set(name, total);
    }
  }

  async close(): Promise<void> {
    const { program, sockets, promiscuousFd, mode } = this.#opened;
    for (const queue of sockets.keys()) program.withdraw(queue);
    if (this.#target.isUp) await Promise.all(sockets.map((socket) => socket.drain()));
    this.foldKernelCounters();
    program.close();
    this.#native.fdClose(promiscuousFd);
    for (const socket of sockets) socket.close();
    if (mode === "zero-copy") await this.#reclaimLater();
    else this.#reclaim();
    this.#target.close();
    this.#context.pages.free(this.#pages.offset, this.#pages.layout.bytes);
  }

  /** Frames of a zero-copy port come back once every queue is free of the driver's buffer pool. */
  async #reclaimLater(): Promise<void> {
    const { arena, pages, pool, log, frames } = this.#context;
    const { netns, ifindex, name } = this.#target;
    for (const queue of this.#opened.sockets.keys()) {
      if (await quarantine(() => queueIsFree(arena, pages, netns, ifindex, queue))) continue;
      const lost = loseFrames(arena, pool, this.slot);
      frames.lose(lost);
      log(
        "warn",
        `port ${this.spec.name}: queue ${queue} of ${name} is never let go; ${lost} frames stay unused`,
      );
      return;
    }
    this.#reclaim();
  }

  #reclaim(): void {
    const { arena, pool } = this.#context;
    reclaimFrames(arena, pool, this.slot);
  }
}
