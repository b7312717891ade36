// A tunnel port's transmit queue on a worker: encapsulates and hands the packet to the port that it leaves by, at once.
//
// Per packet: one encapsulation (tunnel/tunnel-engine.ts), then what the other port's queue does. Memory: none of its
// own. Counters: the port's tx packets and bytes, inner ones; drops under tunnel_key, tunnel_route, tunnel_neighbour,
// no_frame.
import { DROP } from "../../datapath/drop-reason.ts";
import { NO_FRAME } from "../../memory/frame-layout.ts";
import { TUNNEL_TYPE, type TunnelTypeName } from "../../packet/tunnel-headers.ts";
import { EGRESS_END } from "../../tunnel/header-cache.ts";
import { tunnelVport } from "../../tunnel/vport.ts";
import { PORT_COUNTER } from "../counters.ts";
import type { QueueAttachment, QueueContext, QueueFactory, TxQueue } from "../port.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const { tx_packets: TX_PACKETS, tx_bytes: TX_BYTES, tx_dropped: TX_DROPPED } = PORT_COUNTER;
const REASONS = new Uint8Array(4);
REASONS[EGRESS_END.none] = DROP.no_frame;
REASONS[EGRESS_END.invalid] = DROP.tunnel_key;
REASONS[EGRESS_END.unroutable] = DROP.tunnel_route;
REASONS[EGRESS_END.unresolved] = DROP.tunnel_neighbour;

export const tunnelQueues: readonly QueueFactory[] = (Object.keys(TUNNEL_TYPE) as TunnelTypeName[]).map(
  (type) => ({
    type,
    openRx: (_context, { portNo }) => {
      throw new Error(`port ${portNo} is a tunnel, which has no receive queues`);
    },
    openTx: (context, attachment) => new TunnelTxQueue(type, context, attachment),
  }),
);

class TunnelTxQueue implements TxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly #context: QueueContext;

  constructor(type: TunnelTypeName, context: QueueContext, { portNo, slot, fields }: QueueAttachment) {
    this.portNo = portNo;
    this.slot = slot;
    this.#context = context;
    const vport = tunnelVport(type, JSON.parse(fields["options"] as string) as Record<string, unknown>);
    context.tunnels.addPort(portNo, vport, fields["sequenceAt"] as number);
  }

  put(frame: number): void {
    const { packets, tunnels, portCounters } = this.#context;
    const innerBytes = packets.packetBytes(frame);
    const first = tunnels.encapsulate(this.portNo, frame);
    if (first === NO_FRAME) {
      this.#drop(frame);
      return;
    }
    portCounters.add(TX_PACKETS, 1);
    portCounters.add(TX_BYTES, innerBytes);
    this.#context.forward(tunnels.outPort, first);
  }

  #drop(frame: number): void {
    const { counters, pool, portCounters, tunnels } = this.#context;
    counters.drop(REASONS[tunnels.egressFailure]!, 1);
    portCounters.add(TX_DROPPED, 1);
    pool.freePacket(frame);
  }

  /** What it sent waits in the other port's queue, which is flushed with the burst. */
  flush(): void {}

  close(): void {
    this.#context.tunnels.removePort(this.portNo);
  }
}
