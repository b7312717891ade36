// Which pid an upcall goes to. A port may have pids of its own, among which the packet's hash chooses, so that packets
// of a conversation reach one program in their order; or, instead of all that, each worker has one, as the kernel's
// per-CPU dispatch has it: then ports' pids and the pid of a userspace() action are passed over.
import type { UpcallReader } from "./upcall-reader.ts";

/** Nobody: the upcall is lost. */
const PID_NONE = 0;

export class UpcallDispatch {
  readonly #portPids = new Map<number, readonly number[]>();
  #workerPids: readonly number[] = [];

  /** @param pids empty: the port's misses are the policy's again */
  setPortPids(portNo: number, pids: readonly number[]): void {
    if (pids.length === 0) this.#portPids.delete(portNo);
    else this.#portPids.set(portNo, pids);
  }

  /** @param pids by worker, taken in turn when there are fewer than workers; empty: by port */
  setWorkerPids(pids: readonly number[]): void {
    this.#workerPids = pids;
  }

  /** Where a miss goes; undefined when the policy decides. */
  missPid({ worker, portNo, orderHash }: UpcallReader): number | undefined {
    if (this.#workerPids.length > 0) return this.#workerPid(worker);
    const pids = this.#portPids.get(portNo);
    return pids?.[orderHash % pids.length];
  }

  /** Where a packet of userspace(pid) goes. */
  actionPid({ worker }: UpcallReader, pid: number): number {
    return this.#workerPids.length > 0 ? this.#workerPid(worker) : pid;
  }

  #workerPid(worker: number): number {
    return this.#workerPids[worker % this.#workerPids.length] ?? PID_NONE;
  }
}
