// Makes AF_XDP queues from attachments, on a worker.
import type { QueueFactory } from "../port.ts";
import { AfxdpRxQueue } from "./rx.ts";
import { AfxdpTxQueue } from "./tx.ts";

export const afxdpQueues: QueueFactory = {
  type: "afxdp",
  openRx: (context, attachment) => new AfxdpRxQueue(context, attachment),
  openTx: (context, attachment) => new AfxdpTxQueue(context, attachment),
};
