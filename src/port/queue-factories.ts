// Every port type's queues, by type: what a worker needs to turn attachments into queues.
import { afPacketQueues } from "./af_packet/queues.ts";
import { afxdpQueues } from "./afxdp/queues.ts";
import { dummyQueues } from "./dummy/queues.ts";
import { nullQueues } from "./null/queues.ts";
import { patchQueues } from "./patch/queues.ts";
import { pcapQueues } from "./pcap/queues.ts";
import type { PortType, QueueFactory } from "./port.ts";
import { tapQueues } from "./tap/queues.ts";
import { tunnelQueues } from "./tunnel/queues.ts";

export type QueueFactories = ReadonlyMap<PortType, QueueFactory>;

export const QUEUE_FACTORIES: QueueFactories = new Map(
  [
    pcapQueues,
    nullQueues,
    dummyQueues,
    tapQueues,
    patchQueues,
    afPacketQueues,
    afxdpQueues,
    ...tunnelQueues,
  ].map((factory) => [factory.type, factory]),
);
