// The ports of a switch: numbers, slots, opening and closing.
//
// Closing takes two grace periods: workers let the queues go (queue-sharing.ts), then nobody can know the slot any more.
// Opening, closing and opening again run one after the other, in the order asked for.
import { EventEmitter } from "node:events";
import { isDeepStrictEqual } from "node:util";
import { ThreadCounters } from "../datapath/counters.ts";
import { DROP } from "../datapath/drop-reason.ts";
import type { Arena } from "../memory/arena.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import { PORT_TAKES_L3, PORT_TAKES_PARTIAL_CHECKSUMS, PORT_UP } from "../memory/port-layout.ts";
import { controlThread } from "../memory/region-plan.ts";
import { PortCounters } from "../port/counters.ts";
import { FrameBudget } from "../port/frame-budget.ts";
import { ArenaPages } from "../port/page-allocator.ts";
import {
  type OpenPort,
  PORT_NO_MAX,
  type PortContext,
  type PortDriver,
  type PortSpec,
  type PortStatus,
  type PortType,
} from "../port/port.ts";
import { PortTable } from "../port/port-table.ts";
import { AbsentPort } from "./absent-port.ts";
import { NumberPool } from "./number-pool.ts";
import { type PortWorkers, QueueSharing, type RxqAssignment } from "./queue-sharing.ts";

/** What an MTU does not count, but for one tag, which the transmit check allows where there is one. */
const LINK_HEADER_BYTES = 14;

export class PortError extends Error {
  /** errno name as dpctl prints its text: EEXIST, EBUSY, EFBIG, ENODEV, EINVAL ... */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "PortError";
    this.code = code;
  }
}

export interface PortsOptions {
  readonly arena: Arena;
  readonly pool: FramePool;
  readonly workers: PortWorkers;
  readonly drivers: ReadonlyMap<PortType, PortDriver>;
  readonly log: PortContext["log"];
}

/** Events: `added`, `removed`, `changed` (its state), `options`, each with the OpenPort. */
export class Ports extends EventEmitter<{
  added: [OpenPort];
  removed: [OpenPort];
  changed: [OpenPort, PortStatus];
  options: [OpenPort];
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
  readonly #frames: FrameBudget;
  readonly #reopening = new Set<OpenPort>();
  readonly #queues: QueueSharing;
  #turn: Promise<unknown> = Promise.resolve();

  constructor({ arena, pool, workers, drivers, log }: PortsOptions) {
    super();
    this.#arena = arena;
    this.#workers = workers;
    this.#queues = new QueueSharing(workers);
    this.#drivers = drivers;
    this.#table = new PortTable(arena);
    this.#frames = new FrameBudget(arena.plan.sizes);
    const threadCounters = new ThreadCounters(arena, controlThread(arena.plan.sizes));
    this.#context = {
      arena,
      pool,
      pages: new ArenaPages(arena),
      frames: this.#frames,
      log,
      counters: (slot) => new PortCounters(arena, controlThread(arena.plan.sizes), slot),
      dropped: (packets) => threadCounters.drop(DROP.stopping, packets),
      changed: (slot) => this.#refresh(slot),
      reappeared: (slot) => this.#askToReopen(slot),
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
    return this.#queues.rxqs;
  }

  /**
   * Opens a port and hands its queues to the workers.
   * @throws PortError when the name or number is taken or out of range, or the driver's error; nothing is left behind
   */
  add(spec: PortSpec): Promise<OpenPort> {
    return this.#inTurn(() => this.#add(spec));
  }

  /** Gives a port other options under its number and slot. @throws PortError, the driver's; nothing changed then */
  setOptions(old: OpenPort, options: NonNullable<PortSpec["options"]>): Promise<void> {
    return this.#inTurn(async () => {
      const { spec, portNo, slot } = old;
      const driver = this.#drivers.get(spec.type);
      if (driver?.takesOptionsWhileOpen !== true || this.#open.get(portNo) !== old)
        throw new PortError("EOPNOTSUPP", `port ${spec.name}: its options change by removing and adding it`);
      const port = await driver.open(this.#context, { ...spec, options }, portNo, slot);
      this.#queues.detach([old]);
      await this.#workers.settled();
      await old.close();
      this.#keep(port);
      this.#queues.attach(port);
      await this.#workers.settled();
      this.#refresh(slot);
      this.emit("options", port);
    });
  }

  /** Closes a port: frames and pages come back, the number leads nowhere. @throws PortError when there is none */
  remove(portNo: number): Promise<void> {
    return this.#inTurn(async () => {
      const port = this.#open.get(portNo);
      if (port === undefined) throw new PortError("ENODEV", `port ${portNo}: there is no such port`);
      await this.#remove([port]);
    });
  }

  /** Closes all ports, in as many grace periods as one takes. */
  removeAll(): Promise<void> {
    return this.#inTurn(() => this.#remove(this.list()));
  }

  /** Reads what only the kernel counts, and the state of every port; tries again to open those that are absent. */
  poll(): void {
    for (const port of this.#open.values()) {
      port.foldKernelCounters();
      this.#refresh(port.slot);
      if (port instanceof AbsentPort) this.#askToReopen(port.slot);
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #add(spec: PortSpec): Promise<OpenPort> {
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
      this.#claimFrames(driver, spec, slot);
      port = await driver.open(this.#context, spec, portNo, slot);
    } catch (error) {
      this.#frames.release(slot);
      this.#slots.release(slot);
      this.#numbers.release(portNo);
      throw error;
    }
    this.#keep(port);
    this.#publish(port);
    try {
      this.#queues.attach(port);
      await this.#workers.settled();
    } catch (error) {
      await this.#remove([port]);
      throw new Error(`port ${spec.name}: ${(error as Error).message}`, { cause: error });
    }
    this.emit("added", port);
    return port;
  }

  /** @throws the first error, when all was done that could be */
  async #remove(ports: readonly OpenPort[]): Promise<void> {
    for (const { portNo, slot, spec } of ports) {
      this.#open.delete(portNo);
      this.#bySlot.delete(slot);
      this.#byName.delete(spec.name);
      this.#table.withdraw(portNo);
    }
    const failures: unknown[] = [];
    const attempt = (work: Promise<void>): Promise<unknown> => work.catch((error) => failures.push(error));
    this.#queues.detach(ports);
    await attempt(this.#workers.settled());
    await Promise.all(ports.map((port) => attempt(port.close())));
    await attempt(this.#workers.settled());
    for (const port of ports) {
      this.#frames.release(port.slot);
      this.#slots.release(port.slot);
      this.#numbers.release(port.portNo);
      this.#statuses.delete(port.slot);
      this.emit("removed", port);
    }
    if (failures.length > 0) throw failures[0];
  }

  /** The interface of the port in this slot can be taken again; asked for while it is being done, it is done once. */
  #askToReopen(slot: number): void {
    const port = this.#bySlot.get(slot);
    if (port === undefined || this.#reopening.has(port)) return;
    this.#reopening.add(port);
    void this.#inTurn(() => this.#reopen(port)).finally(() => this.#reopening.delete(port));
  }

  /**
   * Opens a port anew under its old number, slot and counters. When that fails an absent port keeps its place, and
   * poll() tries again.
   */
  async #reopen(old: OpenPort): Promise<void> {
    const { spec, portNo, slot } = old;
    // Removed while it waited for its turn.
    if (this.#open.get(portNo) !== old) return;
    try {
      if (!(old instanceof AbsentPort)) await this.#letGo(old);
      const port = await this.#drivers.get(spec.type)!.open(this.#context, spec, portNo, slot);
      this.#keep(port);
      try {
        this.#queues.attach(port);
        await this.#workers.settled();
      } catch (error) {
        await this.#letGo(port);
        throw error;
      }
    } catch (error) {
      const { message } = error as Error;
      this.#keep(new AbsentPort(old, message));
      if (!(old instanceof AbsentPort && old.reason === message))
        this.#context.log("error", `${message}; port ${spec.name} is tried again every second`);
    }
    this.#refresh(slot);
  }

  /** Closes a port whose place is kept. From the start poll() asks it for nothing any more. */
  async #letGo(port: OpenPort): Promise<void> {
    this.#keep(new AbsentPort(port, "it is being opened again"));
    this.#refresh(port.slot);
    this.#queues.detach([port]);
    await this.#workers.settled();
    await port.close();
  }

  #keep(port: OpenPort): void {
    this.#open.set(port.portNo, port);
    this.#bySlot.set(port.slot, port);
    this.#byName.set(port.spec.name, port);
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

  #claimFrames(driver: PortDriver, spec: PortSpec, slot: number): void {
    const frames = driver.keptFrames?.(spec, this.#arena.plan.sizes) ?? 0;
    try {
      this.#frames.claim(slot, frames);
    } catch (error) {
      throw new PortError("ENOMEM", `port ${spec.name}: ${(error as Error).message}`);
    }
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
    if (isChange(before, status)) this.emit("changed", port, status);
  }
}

/** Why a port stays down is told by who tries to bring it back; what is wrong with one that is up, here. */
function isChange(before: PortStatus | undefined, { up, mtu, notes }: PortStatus): boolean {
  if (before?.up !== up || before.mtu !== mtu) return true;
  return up && !isDeepStrictEqual(before.notes, notes);
}

function flagsOf(port: OpenPort, status: PortStatus): number {
  return (
    (status.up ? PORT_UP : 0) |
    (port.takesPartialChecksums ? PORT_TAKES_PARTIAL_CHECKSUMS : 0) |
    (port.takesL3 ? PORT_TAKES_L3 : 0)
  );
}
