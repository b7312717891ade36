// The af_packet port on the control thread: sockets on a kernel interface, receive rings over arena pages.
// One socket a receive queue, joined by fanout when there are several; a worker without one sends through a
// neighbour's socket (sendmmsg is safe from several threads) with segment pages of its own.
import * as v from "valibot";
import { type Native, native, PACKET_FANOUT } from "../../native.ts";
import { PORT_COUNTER } from "../counters.ts";
import { KernelInterface } from "../kernel-interface.ts";
import { type OffloadRules, OWN_OFFLOADS, PEER_OFFLOADS } from "../offloads.ts";
import type { OpenPort, PortContext, PortDriver, PortSpec, PortStatus, QueueAttachment } from "../port.ts";
import { TxPending } from "../tx-pending.ts";
import {
  BLOCK_BYTES,
  BLOCK_COUNT,
  BLOCK_RETIRE_MILLIS,
  RX_POSITION,
  TX_AREA_BYTES,
  TX_PENDING,
} from "./layout.ts";

const RING_BYTES = BLOCK_BYTES * BLOCK_COUNT;
const RX_AREA_BYTES = RING_BYTES + RX_POSITION.bytes;
/** PACKET_FANOUT takes up to 256 members; more queues than CPUs of one machine serve nothing. */
const RX_QUEUES_MAX = 16;

const optionSchema = v.strictObject({
  interface: v.optional(v.string()),
  netns: v.optional(v.string()),
  force: v.optional(v.boolean(), false),
});

/** Tags that the kernel keeps beside a packet are put back (queues.ts), so those offloads do no harm. */
const OFFLOADS: OffloadRules = {
  own: [OWN_OFFLOADS.gro, OWN_OFFLOADS.hardwareGro, OWN_OFFLOADS.lro],
  peer: [PEER_OFFLOADS.checksum, PEER_OFFLOADS.tcpSegmentation, PEER_OFFLOADS.udpSegmentation],
};

export const afPacketDriver: PortDriver = {
  type: "af_packet",
  open: async (context: PortContext, spec: PortSpec, portNo: number, slot: number): Promise<OpenPort> => {
    const parsed = v.safeParse(optionSchema, spec.options ?? {});
    if (!parsed.success) {
      const [issue] = parsed.issues;
      throw new Error(
        `port ${spec.name}: option ${v.getDotPath(issue) ?? ""}: ${issue.message}; an af_packet port takes interface, netns and force`,
      );
    }
    const rxqCount = spec.rxqCount ?? 1;
    if (rxqCount > RX_QUEUES_MAX)
      throw new Error(`port ${spec.name}: ${rxqCount} receive queues, ${RX_QUEUES_MAX} is the most`);
    const { netns, force, interface: interfaceName = spec.name } = parsed.output;
    const kernelInterface = new KernelInterface({
      port: spec.name,
      interfaceName,
      ...(netns === undefined ? {} : { netns }),
      force,
      changed: () => context.changed(slot),
      reappeared: () => context.reappeared(slot),
    });
    const port = new AfPacketPort(context, spec, portNo, slot, rxqCount, kernelInterface);
    try {
      port.openSockets();
      return port;
    } catch (error) {
      await port.close();
      throw new Error(`port ${spec.name}: ${(error as Error).message}`, { cause: error });
    }
  },
};

class AfPacketPort implements OpenPort {
  readonly spec: PortSpec;
  readonly portNo: number;
  readonly slot: number;
  readonly rxqCount: number;
  readonly txqCount: number;
  readonly takesPartialChecksums = true;
  readonly shownOptions: readonly (readonly [string, string])[];
  readonly #context: PortContext;
  readonly #native: Native = native();
  readonly #interface: KernelInterface;
  readonly #fds: number[] = [];
  readonly #rings: number[] = [];
  readonly #txAreas: number[] = [];

  constructor(
    context: PortContext,
    spec: PortSpec,
    portNo: number,
    slot: number,
    rxqCount: number,
    kernelInterface: KernelInterface,
  ) {
    this.#context = context;
    this.spec = spec;
    this.portNo = portNo;
    this.slot = slot;
    this.rxqCount = rxqCount;
    this.txqCount = Math.max(rxqCount, context.arena.plan.sizes.workerCount, 1);
    this.#interface = kernelInterface;
    this.shownOptions = [
      ...(kernelInterface.name === spec.name ? [] : [["interface", kernelInterface.name] as const]),
      ["n_rxq", String(rxqCount)],
    ];
  }

  /** @throws NativeError; close() releases what was opened until then */
  openSockets(): void {
    const { arena, pages } = this.#context;
    const { name, ifindex, netns } = this.#interface;
    for (let queue = 0; queue < this.rxqCount; queue += 1) {
      const fd = this.#native.packetOpen(netns, true, true);
      this.#fds.push(fd);
      const ring = pages.allocate(RX_AREA_BYTES);
      this.#rings.push(ring);
      this.#native.packetMapRing(fd, arena.u8, ring, BLOCK_BYTES, BLOCK_COUNT, BLOCK_RETIRE_MILLIS);
      this.#native.packetMute(fd);
      this.#native.packetBind(fd, ifindex, name);
      this.#native.packetSetPromiscuous(fd, ifindex, name);
    }
    if (this.rxqCount > 1) this.#shareByHash();
    for (const fd of this.#fds) this.#native.packetUnmute(fd);
    for (let queue = 0; queue < this.txqCount; queue += 1) this.#txAreas.push(pages.allocate(TX_AREA_BYTES));
  }

  #shareByHash(): void {
    const [first, ...others] = this.#fds;
    const group = this.#native.packetNewFanout(first!, PACKET_FANOUT.hash);
    for (const fd of others) this.#native.packetJoinFanout(fd, group, PACKET_FANOUT.hash);
  }

  rxAttachment(queue: number): QueueAttachment {
    const fields = { ring: this.#rings[queue]! };
    return { type: "af_packet", portNo: this.portNo, slot: this.slot, queue, fields };
  }

  txAttachment(queue: number): QueueAttachment {
    const fields = { fd: this.#fds[queue % this.#fds.length]!, area: this.#txAreas[queue]! };
    return { type: "af_packet", portNo: this.portNo, slot: this.slot, queue, fields };
  }

  status(): PortStatus {
    return this.#interface.status(OFFLOADS);
  }

  foldKernelCounters(): void {
    const counters = this.#context.counters(this.slot);
    for (const fd of this.#fds) {
      const { drops } = this.#native.packetStatistics(fd);
      counters.add(PORT_COUNTER.rx_dropped, drops);
      counters.add(PORT_COUNTER.rx_ring_full, drops);
    }
  }

  async close(): Promise<void> {
    const { arena, pages } = this.#context;
    this.#interface.close();
    for (const fd of this.#fds) this.#native.fdClose(fd);
    for (const ring of this.#rings) {
      // The kernel's pages leave the arena; whoever still reads there finds zeroes.
      this.#native.pagesMapAnonymous(arena.u8, ring, RING_BYTES);
      pages.free(ring, RX_AREA_BYTES);
    }
    for (const area of this.#txAreas) {
      new TxPending(arena, area + TX_PENDING).reclaim(this.#context);
      pages.free(area, TX_AREA_BYTES);
    }
  }
}
