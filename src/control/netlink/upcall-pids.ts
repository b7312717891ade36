// Whose misses go to which pids, as programs have set it and the handler carries it out (upcall/upcall-dispatch.ts).
//
// A port's pids go with the connection that set them: the kernel would go on sending to nobody when the program is gone,
// here the policy decides again.
import { USER_FEATURE } from "../../netlink/datapath-messages.ts";
import type { HandlerLink } from "../handler-link.ts";
import type { Connection } from "./connection.ts";

interface PortPids {
  readonly pids: readonly number[];
  readonly setBy: Connection;
}

export class UpcallPids {
  readonly #handler: Pick<HandlerLink, "ask">;
  readonly #byPort = new Map<number, PortPids>();
  #features = 0;
  #workerPids: readonly number[] = [];
  #workerPidsSetBy: Connection | undefined;

  constructor(handler: Pick<HandlerLink, "ask">) {
    this.#handler = handler;
  }

  /** Empty when the policy decides on the port's misses. */
  ofPort(portNo: number): readonly number[] {
    return this.#byPort.get(portNo)?.pids ?? [];
  }

  get features(): number {
    return this.#features;
  }

  get ofWorkers(): readonly number[] {
    return this.#workerPids;
  }

  async setPort(portNo: number, pids: readonly number[], setBy: Connection): Promise<void> {
    this.#byPort.set(portNo, { pids, setBy });
    await this.#handler.ask("setPortPids", { portNo, pids });
  }

  /** The port is gone; the handler knows. */
  forgetPort(portNo: number): void {
    this.#byPort.delete(portNo);
  }

  async setFeatures(features: number): Promise<void> {
    this.#features = features;
    await this.#applyWorkers();
  }

  async setWorkers(pids: readonly number[], setBy: Connection): Promise<void> {
    this.#workerPids = pids;
    this.#workerPidsSetBy = setBy;
    await this.#applyWorkers();
  }

  /** The program is gone, and what it set with it. */
  async forget(connection: Connection): Promise<void> {
    for (const [portNo, { setBy }] of [...this.#byPort]) {
      if (setBy !== connection) continue;
      this.#byPort.delete(portNo);
      await this.#handler.ask("setPortPids", { portNo, pids: [] });
    }
    if (this.#workerPidsSetBy !== connection) return;
    this.#workerPids = [];
    this.#workerPidsSetBy = undefined;
    this.#features &= ~USER_FEATURE.upcallPerCpu;
    await this.#applyWorkers();
  }

  async #applyWorkers(): Promise<void> {
    const isPerWorker = (this.#features & USER_FEATURE.upcallPerCpu) !== 0;
    await this.#handler.ask("setWorkerPids", { pids: isPerWorker ? this.#workerPids : [] });
  }
}
