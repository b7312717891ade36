// The ports of a switch: numbers, slots, opening, closing, and who polls and transmits what.
//
// Every rx queue belongs to one worker: queues go round robin to the worker with the fewest. A port's tx queue q
// belongs to the worker that polls its rx queue q where there is one (the kernel's rings of a queue have one owner);
// the others reach it through the owner. Closing takes two grace periods: workers let the queues go, then nobody can
// know the slot any more.
import { EventEmitter } from "node:events";
import type { Arena } from "../memory/arena.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import { controlThread } from "../memory/region-plan.ts";
import { PortCounters } from "../port/counters.ts";
import { ArenaPages } from "../port/page-allocator.ts";
import {
  type OpenPort,
  PORT_NO_MAX,
  type PortContext,
  type PortDriver,
  type PortSpec,
  type PortStatus,
  type PortType,
  type QueueAttachment,
} from "../port/port.ts";
import { PORT_TAKES_PARTIAL_CHECKSUMS, PORT_UP, PortTable } from "../port/port-table.ts";

/** Ethernet header and one VLAN tag: what an MTU does not count. */
const LINK_HEADER_BYTES = 14;

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

export class PortError extends Error {
  /** errno name as dpctl prints its text: EEXIST, EBUSY, EFBIG, ENODEV, EINVAL ... */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "PortError";
    this.code = code;
  }
}

export interface RxqAssignment {
  readonly port: OpenPort;
  readonly queue: number;
  readonly worker: number;
}

export interface PortsOptions {
  readonly arena: Arena;
  readonly pool: FramePool;
  readonly workers: PortWorkers;
  readonly drivers: ReadonlyMap<PortType, PortDriver>;
  readonly log: PortContext["log"];
}

/** Events: `added`, `removed`, `changed`, each with the OpenPort. */
export class Ports extends EventEmitter<{
  added: [OpenPort];
  removed: [OpenPort];
  changed: [OpenPort, PortStatus];
}> {
  readonly #arena: Arena;
  readonly #workers: PortWorkers;
  readonly #drivers: ReadonlyMap<PortType, PortDriver>;
  readonly #table: PortTable;
  readonly #context: PortContext;
  readonly #open = new Map<number, OpenPort>();
  readonly #statuses = new Map<number, PortStatus>();
  readonly #bySlot = new Map<number, OpenPort>();
  readonly #byName = new Map<string, OpenPort>();
  readonly #slots = new NumberPool(0);
  /** Without a wish a port gets the lowest free number from 1, as in OVS; 0 is LOCAL's. */
  readonly #numbers = new NumberPool(1);
  readonly #reopening = new Set<number>();
  #rxqs: RxqAssignment[] = [];

  constructor({ arena, pool, workers, drivers, log }: PortsOptions) {
    super();
    this.#arena = arena;
    this.#workers = workers;
    this.#drivers = drivers;
    this.#table = new PortTable(arena);
    this.#context = {
      arena,
      pool,
      pages: new ArenaPages(arena),
      log,
      counters: (slot) => new PortCounters(arena, controlThread(arena.plan.sizes), slot),
      changed: (slot) => this.#refresh(slot),
      reappeared: (slot) => void this.#reopen(slot),
    };
  }

  /** Open ports by ascending number. */
  list(): OpenPort[] {
    return [...this.#open.values()].sort((a, b) => a.portNo - b.portNo);
  }

  byName(name: string): OpenPort | undefined {
    return this.#byName.get(name);
  }

  byNumber(portNo: number): OpenPort | undefined {
    return this.#open.get(portNo);
  }

  status(port: OpenPort): PortStatus {
    return this.#statuses.get(port.slot) ?? port.status();
  }

  /** Which worker polls which queue. */
  rxqs(): readonly RxqAssignment[] {
    return this.#rxqs;
  }

  /**
   * Opens a port and hands its queues to the workers.
   * @throws PortError when the name or number is taken or out of range, or the driver's error; nothing is left behind
   */
  async add(spec: PortSpec): Promise<OpenPort> {
    const driver = this.#drivers.get(spec.type);
    if (driver === undefined)
      throw new PortError("EAFNOSUPPORT", `port ${spec.name}: there is no port type "${spec.type}"`);
    if (this.byName(spec.name))
      throw new PortError("EEXIST", `port ${spec.name}: a port of that name exists`);
    const portNo = this.#claimNumber(spec);
    const slot = this.#claimSlot(spec, portNo);
    let port: OpenPort;
    try {
      for (let thread = 0; thread <= controlThread(this.#arena.plan.sizes); thread += 1) {
        new PortCounters(this.#arena, thread, slot).clear();
      }
      port = await driver.open(this.#context, spec, portNo, slot);
    } catch (error) {
      this.#slots.release(slot);
      this.#numbers.release(portNo);
      throw error;
    }
    this.#keep(port);
    this.#publish(port);
    this.#attach(port);
    await this.#workers.settled();
    this.emit("added", port);
    return port;
  }

  /** Closes a port: frames and pages come back, the number leads nowhere. */
  async remove(portNo: number): Promise<void> {
    const port = this.#open.get(portNo);
    if (port === undefined) throw new PortError("ENODEV", `port ${portNo}: there is no such port`);
    this.#open.delete(portNo);
    this.#bySlot.delete(port.slot);
    this.#byName.delete(port.spec.name);
    this.#table.withdraw(portNo);
    for (let worker = 0; worker < this.#workers.count; worker += 1)
      this.#workers.detachPort(worker, port.slot);
    this.#rxqs = this.#rxqs.filter((rxq) => rxq.port !== port);
    await this.#workers.settled();
    await port.close();
    await this.#workers.settled();
    this.#slots.release(port.slot);
    this.#numbers.release(portNo);
    this.#statuses.delete(port.slot);
    this.emit("removed", port);
  }

  async removeAll(): Promise<void> {
    for (const port of this.list()) await this.remove(port.portNo);
  }

  /** Reads what only the kernel counts, and the state of every port. */
  poll(): void {
    for (const port of this.#open.values()) {
      port.foldKernelCounters();
      this.#refresh(port.slot);
    }
  }

  /** Opens a port whose interface came back under its old number, slot and counters. */
  async #reopen(slot: number): Promise<void> {
    const old = this.#bySlot.get(slot);
    if (old === undefined || this.#reopening.has(slot)) return;
    this.#reopening.add(slot);
    try {
      await this.#detach(old);
      await old.close();
      const port = await this.#drivers.get(old.spec.type)!.open(this.#context, old.spec, old.portNo, slot);
      this.#keep(port);
      this.#attach(port);
      this.#refresh(slot);
      await this.#workers.settled();
    } catch (error) {
      this.#context.log(
        "error",
        `${(error as Error).message}; port ${old.spec.name} stays down, remove and add it again`,
      );
    } finally {
      this.#reopening.delete(slot);
    }
  }

  async #detach(port: OpenPort): Promise<void> {
    for (let worker = 0; worker < this.#workers.count; worker += 1)
      this.#workers.detachPort(worker, port.slot);
    this.#rxqs = this.#rxqs.filter((rxq) => rxq.port !== port);
    await this.#workers.settled();
  }

  #keep(port: OpenPort): void {
    this.#open.set(port.portNo, port);
    this.#bySlot.set(port.slot, port);
    this.#byName.set(port.spec.name, port);
  }

  /** Gives a worker everything that is assigned to it again: after its restart. */
  reattach(worker: number): void {
    for (const port of this.list()) this.#attachTo(port, worker);
  }

  #claimNumber({ name, portNo }: PortSpec): number {
    if (portNo === undefined) return this.#numbers.claimLowest(PORT_NO_MAX) ?? this.#refuseNumber(name);
    if (portNo > PORT_NO_MAX)
      throw new PortError("EFBIG", `port ${name}: number ${portNo}, ${PORT_NO_MAX} is the most`);
    if (!this.#numbers.claim(portNo)) {
      throw new PortError(
        "EBUSY",
        `port ${name}: number ${portNo} belongs to ${this.#open.get(portNo)?.spec.name ?? "a port that is closing"}`,
      );
    }
    return portNo;
  }

  #refuseNumber(name: string): never {
    throw new PortError("EFBIG", `port ${name}: every number up to ${PORT_NO_MAX} is taken; remove a port`);
  }

  #claimSlot({ name }: PortSpec, portNo: number): number {
    const { portCountMax } = this.#arena.plan.sizes;
    const slot = this.#slots.claimLowest(portCountMax - 1);
    if (slot !== null) return slot;
    this.#numbers.release(portNo);
    throw new PortError("ENOSPC", `port ${name}: ${portCountMax} ports are open; raise memory.ports`);
  }

  #publish(port: OpenPort): void {
    const status = port.status();
    this.#statuses.set(port.slot, status);
    this.#table.publish(port.slot, port.portNo, flagsOf(port, status), status.mtu + LINK_HEADER_BYTES);
  }

  #refresh(slot: number): void {
    const port = this.#bySlot.get(slot);
    if (port === undefined) return;
    const before = this.#statuses.get(slot);
    const status = port.status();
    this.#statuses.set(slot, status);
    this.#table.update(slot, flagsOf(port, status), status.mtu + LINK_HEADER_BYTES);
    if (before?.up !== status.up || before.mtu !== status.mtu) this.emit("changed", port, status);
  }

  #attach(port: OpenPort): void {
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

/** Numbers in use, and the lowest that is not without a walk over all of them. */
class NumberPool {
  readonly #first: number;
  readonly #used = new Set<number>();
  /** Nothing from #first up to here is free. */
  #next: number;

  constructor(first: number) {
    this.#first = first;
    this.#next = first;
  }

  /** False when it is in use. */
  claim(number: number): boolean {
    if (this.#used.has(number)) return false;
    this.#used.add(number);
    return true;
  }

  /** Null when all up to `most` are in use. */
  claimLowest(most: number): number | null {
    while (this.#used.has(this.#next)) this.#next += 1;
    if (this.#next > most) return null;
    this.#used.add(this.#next);
    return this.#next;
  }

  release(number: number): void {
    this.#used.delete(number);
    if (number >= this.#first) this.#next = Math.min(this.#next, number);
  }
}

function flagsOf(port: OpenPort, status: PortStatus): number {
  return (status.up ? PORT_UP : 0) | (port.takesPartialChecksums ? PORT_TAKES_PARTIAL_CHECKSUMS : 0);
}
