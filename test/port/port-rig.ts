// Ports of any type without workers: the rig's arena, pools and context, with queues that the test polls itself.
import { PORT_DRIVERS } from "../../src/control/drivers.ts";
import { type CounterName, readTotals } from "../../src/datapath/counters.ts";
import type { OpenPort, PortSpec } from "../../src/port/port.ts";
import { QUEUE_FACTORIES } from "../../src/port/queue-factories.ts";
import { FRAME_COUNT, Rig, type RigPort } from "./afxdp/rig.ts";

export const hex = (frames: readonly Uint8Array[]): string[] =>
  frames.map((frame) => Buffer.from(frame).toString("hex"));

/** Three af_packet queues of 4 MiB each. */
const KERNEL_RING_BYTES = 16 << 20;

export class PortRig extends Rig {
  constructor() {
    super(FRAME_COUNT, KERNEL_RING_BYTES);
  }

  async openPort(spec: PortSpec, slot = 0): Promise<RigPort> {
    const port = await PORT_DRIVERS.get(spec.type)!.open(this.context, spec, slot + 1, slot);
    return this.queuesOf(port);
  }

  /** Fresh queue objects, as another worker would make them. */
  queuesOf(port: OpenPort): RigPort {
    const context = this.queueContext(port.slot);
    const factory = QUEUE_FACTORIES.get(port.spec.type)!;
    return {
      port,
      rx: Array.from({ length: port.rxqCount }, (_, queue) =>
        factory.openRx(context, port.rxAttachment(queue)),
      ),
      tx: Array.from({ length: port.txqCount }, (_, queue) =>
        factory.openTx(context, port.txAttachment(queue)),
      ),
    };
  }

  /** Bytes of received packets, whose frames go back. */
  takeBytes(frames: readonly number[]): Uint8Array[] {
    return frames.map((frame) => {
      const bytes = this.bytes(frame);
      this.pool.freePacket(frame);
      return bytes;
    });
  }

  totals(): { counters: Record<CounterName, number>; drops: Readonly<Record<string, number>> } {
    return readTotals(this.arena);
  }

  /** What a closed port must leave as it was. */
  left(): { frames: number; pages: number } {
    return { frames: this.pooled(), pages: this.pages.freeBytes };
  }
}
