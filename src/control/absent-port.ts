// A port whose interface could not be taken again: it keeps number, slot, counters and place in the lists, and is down.
// Control thread.
import type { OpenPort, PortSpec, PortStatus, QueueAttachment } from "../port/port.ts";

export class AbsentPort implements OpenPort {
  readonly spec: PortSpec;
  readonly portNo: number;
  readonly slot: number;
  readonly rxqCount = 0;
  readonly txqCount = 0;
  readonly takesPartialChecksums = false;
  readonly shownOptions: OpenPort["shownOptions"];
  /** Why it is absent. */
  readonly reason: string;

  constructor({ spec, portNo, slot, shownOptions }: OpenPort, reason: string) {
    this.spec = spec;
    this.portNo = portNo;
    this.slot = slot;
    this.shownOptions = shownOptions;
    this.reason = reason;
  }

  rxAttachment(queue: number): QueueAttachment {
    throw new Error(`port ${this.spec.name}: it is absent and has no queue ${queue}`);
  }

  txAttachment(queue: number): QueueAttachment {
    return this.rxAttachment(queue);
  }

  status(): PortStatus {
    return { up: false, mtu: 0, notes: [this.reason] };
  }

  foldKernelCounters(): void {}

  async close(): Promise<void> {}
}
