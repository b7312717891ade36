// Who polls and transmits what. Control thread.
//
// Every rx queue belongs to one worker: queues go round robin to the worker with the fewest. A port's tx queue q
// belongs to the worker that polls its rx queue q where there is one (the kernel's rings of a queue have one owner);
// the others reach it through the owner.
import type { OpenPort, QueueAttachment } from "../port/port.ts";

/** The workers as ports see them; commands take effect in order, `settled` resolves when all were carried out. */
export interface PortWorkers {
  readonly count: number;
  attachRx(worker: number, attachment: QueueAttachment): void;
  attachTx(worker: number, attachment: QueueAttachment): void;
  /** The worker reaches the port through `owner`. */
  setTxOwner(worker: number, portNo: number, slot: number, owner: number): void;
  detachPort(worker: number, slot: number): void;
  /** Resolves when every worker has carried out what was asked before and passed a quiescent point. */
  settled(): Promise<void>;
}

export interface RxqAssignment {
  readonly port: OpenPort;
  readonly queue: number;
  readonly worker: number;
}

export class QueueSharing {
  readonly #workers: PortWorkers;
  #rxqs: RxqAssignment[] = [];

  constructor(workers: PortWorkers) {
    this.#workers = workers;
  }

  /** Which worker polls which queue. */
  get rxqs(): readonly RxqAssignment[] {
    return this.#rxqs;
  }

  /** Asks the workers to take the port's queues; they have them when they are settled. */
  attach(port: OpenPort): void {
    const { count } = this.#workers;
    if (count === 0) return;
    for (let queue = 0; queue < port.rxqCount; queue += 1) {
      this.#rxqs.push({
        port,
        queue,
        worker: port.hasQueuePerWorker ? queue % count : this.#leastLoadedWorker(),
      });
    }
    for (let worker = 0; worker < count; worker += 1) this.#attachTo(port, worker);
  }

  /** Asks the workers to let go of the ports' queues; they have when they are settled. */
  detach(ports: readonly OpenPort[]): void {
    for (const { slot } of ports) {
      for (let worker = 0; worker < this.#workers.count; worker += 1) this.#workers.detachPort(worker, slot);
    }
    const gone = new Set(ports);
    this.#rxqs = this.#rxqs.filter((rxq) => !gone.has(rxq.port));
  }

  #attachTo(port: OpenPort, worker: number): void {
    const own = this.#rxqs.filter((rxq) => rxq.port === port && rxq.worker === worker);
    // The tx side first: a packet received on the port may be sent back out of it.
    const txQueues = Array.from({ length: port.txqCount }, (_, queue) => queue);
    const txQueue = txQueues.find((queue) => this.#txOwner(port, queue) === worker);
    if (txQueue !== undefined) this.#workers.attachTx(worker, port.txAttachment(txQueue));
    else
      this.#workers.setTxOwner(worker, port.portNo, port.slot, this.#txOwner(port, worker % port.txqCount));
    for (const rxq of own) this.#workers.attachRx(worker, port.rxAttachment(rxq.queue));
  }

  /** The worker that owns a tx queue: the one that polls the rx queue of that number, else by turn. */
  #txOwner(port: OpenPort, txQueue: number): number {
    const rxq = this.#rxqs.find((candidate) => candidate.port === port && candidate.queue === txQueue);
    return rxq?.worker ?? txQueue % this.#workers.count;
  }

  #leastLoadedWorker(): number {
    const loads = Array.from(
      { length: this.#workers.count },
      (_, worker) => this.#rxqs.filter((rxq) => rxq.worker === worker && !rxq.port.hasQueuePerWorker).length,
    );
    return loads.indexOf(Math.min(...loads));
  }
}
