// The dummy port's queues on a worker: rings that control fills and empties, or a file for what is transmitted.
import { ringOwner } from "../../memory/handover.ts";
import { pcapQueues } from "../pcap/queues.ts";
import type { QueueAttachment, QueueFactory } from "../port.ts";
import { type PortRing, RingRxQueue, RingTxQueue } from "../ring-queues.ts";
import { DUMMY_RING_ENTRIES } from "./layout.ts";

export const dummyQueues: QueueFactory = {
  type: "dummy",
  openRx: (context, attachment) => new RingRxQueue(context, attachment, ringOf(attachment)),
  openTx: (context, attachment) =>
    attachment.fields["fd"] === undefined
      ? new RingTxQueue(context, attachment, ringOf(attachment))
      : pcapQueues.openTx(context, attachment),
};

const ringOf = ({ slot, fields }: QueueAttachment): PortRing => ({
  offset: fields["ring"] as number,
  entryCount: DUMMY_RING_ENTRIES,
  owner: ringOwner("port", slot),
});
