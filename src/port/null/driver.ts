// The null port on the control thread: receives nothing, and what is sent to it is counted and gone.
import type { OpenPort, PortContext, PortDriver, PortSpec, PortStatus, QueueAttachment } from "../port.ts";

/** Nothing limits a null port but the longest packet that passes. */
const NULL_MTU = 9000;

export const nullDriver: PortDriver = {
  type: "null",
  open: async (context: PortContext, spec: PortSpec, portNo: number, slot: number): Promise<OpenPort> => {
    const [option] = Object.keys(spec.options ?? {});
    if (option !== undefined)
      throw new Error(`port ${spec.name}: option ${option}: a null port takes no options; remove it`);
    if ((spec.rxqCount ?? 0) > 1)
      throw new Error(`port ${spec.name}: a null port receives nothing; remove rx-queues`);
    return new NullPort(spec, portNo, slot, Math.max(1, context.arena.plan.sizes.workerCount));
  },
};

class NullPort implements OpenPort {
  readonly spec: PortSpec;
  readonly portNo: number;
  readonly slot: number;
  readonly rxqCount = 0;
  /** One for each worker: the queues share nothing. */
  readonly txqCount: number;
  readonly takesPartialChecksums = true;
  readonly shownOptions = [];

  constructor(spec: PortSpec, portNo: number, slot: number, txqCount: number) {
    this.spec = spec;
    this.portNo = portNo;
    this.slot = slot;
    this.txqCount = txqCount;
  }

  rxAttachment(queue: number): QueueAttachment {
    throw new RangeError(`port ${this.spec.name}: rx queue ${queue}: a null port has none`);
  }

  txAttachment(queue: number): QueueAttachment {
    return { type: "null", portNo: this.portNo, slot: this.slot, queue, fields: {} };
  }

  status(): PortStatus {
    return { up: true, mtu: NULL_MTU, notes: [] };
  }

  /** The kernel knows nothing of it. */
  foldKernelCounters(): void {}

  async close(): Promise<void> {}
}
