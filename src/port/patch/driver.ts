// The patch port on the control thread: what leaves through it arrives at its peer, another patch port that names it.
// Without a peer it is down.
import * as v from "valibot";
import type { OpenPort, PortContext, PortDriver, PortSpec, PortStatus, QueueAttachment } from "../port.ts";
import { type PatchEnd, PatchPair } from "./pair.ts";

/** Nothing limits a patch port but the longest packet that passes. */
const PATCH_MTU = 9000;

const optionSchema = v.strictObject({ peer: v.string() });

export const patchDriver: PortDriver = {
  type: "patch",
  open: async (context: PortContext, spec: PortSpec, portNo: number, slot: number): Promise<OpenPort> => {
    const parsed = v.safeParse(optionSchema, spec.options ?? {});
    if (!parsed.success) {
      const [issue] = parsed.issues;
      throw new Error(
        `port ${spec.name}: option ${v.getDotPath(issue) ?? ""}: ${issue.message}; a patch port takes peer, the other patch port's name`,
      );
    }
    const { peer } = parsed.output;
    if (peer === spec.name)
      throw new Error(`port ${spec.name}: option peer: it names the port itself; name the other patch port`);
    if (spec.rxqCount !== undefined)
      throw new Error(`port ${spec.name}: a patch port has one queue for each worker; remove rx-queues`);
    return new PatchPort(PatchPair.of(context, [spec.name, peer]), spec, peer, portNo, slot);
  },
};

class PatchPort implements OpenPort {
  readonly spec: PortSpec;
  readonly portNo: number;
  readonly slot: number;
  readonly rxqCount: number;
  readonly txqCount: number;
  /** A packet that a worker sends is received by the same worker. */
  readonly hasQueuePerWorker = true;
  readonly takesPartialChecksums = true;
  readonly shownOptions: readonly (readonly [string, string])[];
  readonly #pair: PatchPair;
  readonly #end: PatchEnd;
  readonly #peer: string;

  constructor(pair: PatchPair, spec: PortSpec, peer: string, portNo: number, slot: number) {
    this.spec = spec;
    this.portNo = portNo;
    this.slot = slot;
    this.rxqCount = pair.queueCount;
    this.txqCount = pair.queueCount;
    this.shownOptions = [["peer", peer]];
    this.#pair = pair;
    this.#peer = peer;
    this.#end = spec.name < peer ? 0 : 1;
    pair.join(this.#end, this);
  }

  rxAttachment(queue: number): QueueAttachment {
    return this.#attachment(queue, this.#end);
  }

  txAttachment(queue: number): QueueAttachment {
    return this.#attachment(queue, this.#end === 0 ? 1 : 0);
  }

  /** @param end whose rings the queue reads or fills */
  #attachment(queue: number, end: PatchEnd): QueueAttachment {
    const fields = { ring: this.#pair.ring(end, queue), owner: this.#pair.owner(end) };
    return { type: "patch", portNo: this.portNo, slot: this.slot, queue, fields };
  }

  status(): PortStatus {
    const up = this.#pair.hasPeer(this.#end);
    return { up, mtu: PATCH_MTU, notes: up ? [] : [`there is no patch port ${this.#peer} that names it`] };
  }

  /** The kernel knows nothing of it. */
  foldKernelCounters(): void {}

  async close(): Promise<void> {
    this.#pair.leave(this.#end);
  }
}
