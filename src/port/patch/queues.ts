// The patch port's queues on a worker: the transmit queue fills the ring that the peer receives from.
//
// Per packet, beside what the ring takes: the packet's count of hops. Counters: patch_loop.
import { DROP } from "../../datapath/drop-reason.ts";
import { PACKET_PATCH_HOP, PACKET_TUNNEL_SET } from "../../memory/frame-layout.ts";
import type { Packets } from "../../memory/packets.ts";
import type { QueueAttachment, QueueContext, QueueFactory } from "../port.ts";
import { type PortRing, RingRxQueue, RingTxQueue } from "../ring-queues.ts";
import { PATCH_HOPS_MAX, PATCH_RING_ENTRIES } from "./layout.ts";

/** Module constants: a property of an object, `as const` or not, is a load in hot code. */
const HOP = PACKET_PATCH_HOP;
const TUNNEL_SET = PACKET_TUNNEL_SET;
const FLAGS_MAX = PATCH_HOPS_MAX * PACKET_PATCH_HOP;

export const patchQueues: QueueFactory = {
  type: "patch",
  openRx: (context, attachment) => new RingRxQueue(context, attachment, ringOf(attachment)),
  openTx: (context, attachment) => new PatchTxQueue(context, attachment),
};

const ringOf = ({ fields }: QueueAttachment): PortRing => ({
  offset: fields["ring"] as number,
  entryCount: PATCH_RING_ENTRIES,
  owner: fields["owner"] as number,
});

class PatchTxQueue extends RingTxQueue {
  readonly #packets: Packets;

  constructor(context: QueueContext, attachment: QueueAttachment) {
    super(context, attachment, ringOf(attachment));
    this.#packets = context.packets;
  }

  override put(frame: number): void {
    // Behind the patch it is a packet just received, which no tunnel is set for.
    const flags = (this.#packets.flags(frame) & ~TUNNEL_SET) + HOP;
    if (flags >= FLAGS_MAX) {
      this.drop(frame, DROP.patch_loop);
      return;
    }
    this.#packets.setFlags(frame, flags);
    super.put(frame);
  }
}
