// The tap port on the control thread: a multi-queue tap device of the host's, made at opening and gone at closing.
// TUN_F_CSUM alone: the host leaves TCP and UDP checksums to us, and no segment is longer than the MTU.
import * as v from "valibot";
import { Handover, ringOwner } from "../../memory/handover.ts";
import { type ArenaSizes, controlThread } from "../../memory/region-plan.ts";
import { type Native, native } from "../../native.ts";
import { KernelInterface, OWN_NETNS } from "../kernel-interface.ts";
import type { OpenPort, PortContext, PortDriver, PortSpec, PortStatus, QueueAttachment } from "../port.ts";
import { TxPending } from "../tx-pending.ts";
import { rxArea, segmentsPerPacket, TAP_BURST, TX_AREA } from "./layout.ts";

/** The kernel's MAX_TAP_QUEUES is 256; more queues than CPUs of one machine serve nothing. */
const QUEUES_MAX = 16;

const optionSchema = v.strictObject({
  netns: v.optional(v.string()),
  mtu: v.optional(v.pipe(v.number(), v.integer(), v.minValue(68), v.maxValue(9000))),
});

export const tapDriver: PortDriver = { type: "tap", keptFrames: stockedFrames, open: openTap };
/** An interface by which the host itself takes part: OVS's internal ports of the userspace datapath are taps too. */
export const internalDriver: PortDriver = { type: "internal", keptFrames: stockedFrames, open: openTap };

const queueCountOf = ({ rxqCount }: PortSpec): number => Math.max(rxqCount ?? 1, 1);

/** Every receive queue stocks frames for a burst of the longest packets. */
function stockedFrames(spec: PortSpec, { frameBytes }: ArenaSizes): number {
  return queueCountOf(spec) * TAP_BURST * segmentsPerPacket(frameBytes);
}

async function openTap(
  context: PortContext,
  spec: PortSpec,
  portNo: number,
  slot: number,
): Promise<OpenPort> {
  const parsed = v.safeParse(optionSchema, spec.options ?? {});
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new Error(
      `port ${spec.name}: option ${v.getDotPath(issue) ?? ""}: ${issue.message}; a ${spec.type} port takes netns and mtu`,
    );
  }
  const queueCount = queueCountOf(spec);
  if (queueCount > QUEUES_MAX)
    throw new Error(`port ${spec.name}: ${queueCount} queues, ${QUEUES_MAX} is the most`);
  const port = new TapPort(context, spec, portNo, slot, queueCount);
  try {
    port.openQueues(parsed.output);
    return port;
  } catch (error) {
    await port.close();
    throw new Error(`port ${spec.name}: ${(error as Error).message}`, { cause: error });
  }
}

class TapPort implements OpenPort {
  readonly spec: PortSpec;
  readonly portNo: number;
  readonly slot: number;
  readonly rxqCount: number;
  readonly txqCount: number;
  readonly takesPartialChecksums = true;
  readonly shownOptions: readonly (readonly [string, string])[];
  readonly #context: PortContext;
  readonly #native: Native = native();
  readonly #fds: number[] = [];
  readonly #rxAreas: number[] = [];
  readonly #txAreas: number[] = [];
  #interface: KernelInterface | undefined;

  constructor(context: PortContext, spec: PortSpec, portNo: number, slot: number, queueCount: number) {
    this.#context = context;
    this.spec = spec;
    this.portNo = portNo;
    this.slot = slot;
    this.rxqCount = queueCount;
    this.txqCount = Math.max(queueCount, context.arena.plan.sizes.workerCount);
    this.shownOptions = [["n_rxq", String(queueCount)]];
  }

  /** @throws NativeError; close() releases what was opened until then */
  openQueues({ netns, mtu }: v.InferOutput<typeof optionSchema>): void {
    const { pages, arena } = this.#context;
    const namespace = netns === undefined ? OWN_NETNS : this.#native.netnsOpen(netns);
    for (let queue = 0; queue < this.rxqCount; queue += 1) {
      this.#fds.push(this.#native.tapOpen(namespace, this.spec.name, true));
      this.#rxAreas.push(pages.allocate(rxArea(arena.plan.sizes.frameBytes).bytes));
    }
    for (let queue = 0; queue < this.txqCount; queue += 1) this.#txAreas.push(pages.allocate(TX_AREA.bytes));
    this.#interface = new KernelInterface({
      port: this.spec.name,
      interfaceName: this.spec.name,
      ...(netns === undefined ? {} : { netns }),
      force: true,
      changed: () => this.#context.changed(this.slot),
      reappeared: () => this.#context.reappeared(this.slot),
    });
    const { linkFd, ifindex } = this.#interface;
    if (mtu !== undefined) this.#native.linkSetMtu(linkFd, ifindex, mtu, this.spec.name);
    this.#native.linkSetUp(linkFd, ifindex, true, this.spec.name);
    this.#interface.refresh();
  }

  rxAttachment(queue: number): QueueAttachment {
    const fields = { fd: this.#fds[queue]!, area: this.#rxAreas[queue]! };
    return { type: "tap", portNo: this.portNo, slot: this.slot, queue, fields };
  }

  txAttachment(queue: number): QueueAttachment {
    const fields = { fd: this.#fds[queue % this.#fds.length]!, area: this.#txAreas[queue]! };
    return { type: "tap", portNo: this.portNo, slot: this.slot, queue, fields };
  }

  status(): PortStatus {
    return this.#interface?.status() ?? { up: false, mtu: 0, notes: ["not open"] };
  }

  /** The tap's kernel counters are the host's view of the same packets. */
  foldKernelCounters(): void {}

  async close(): Promise<void> {
    this.#interface?.close();
    for (const fd of this.#fds) this.#native.fdClose(fd);
    const { bytes } = rxArea(this.#context.arena.plan.sizes.frameBytes);
    for (const area of this.#rxAreas) {
      this.#reclaimStock(area);
      this.#context.pages.free(area, bytes);
    }
    for (const area of this.#txAreas) {
      new TxPending(this.#context.arena, area + TX_AREA.pending).reclaim(this.#context);
      this.#context.pages.free(area, TX_AREA.bytes);
    }
  }

  /** Frames that a queue stocked and, its worker having died, did not give back. */
  #reclaimStock(area: number): void {
    const { arena, pool } = this.#context;
    const { u32, plan } = arena;
    const handover = new Handover(arena, pool, controlThread(plan.sizes));
    const words = TAP_BURST * segmentsPerPacket(plan.sizes.frameBytes);
    for (let index = area >>> 2; index < (area >>> 2) + words; index += 1) {
      if (u32[index]! === 0) continue;
      const frame = u32[index]! - 1;
      u32[index] = 0;
      handover.receive(frame, ringOwner("port", this.slot));
      pool.free(frame);
    }
  }
}
