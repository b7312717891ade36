// A switch with real worker threads for tests: supervisor, ports and the table's writer in this thread. No handler:
// flows are put by the test, misses stay in their ring.
import { setTimeout as sleep } from "node:timers/promises";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { Ports } from "../../src/control/ports.ts";
import { readTotals, type ThreadTotals } from "../../src/datapath/counters.ts";
import { KeyExtractor } from "../../src/flow/extract-key.ts";
import type { FieldName } from "../../src/flow/fields.ts";
import type { Arena } from "../../src/memory/arena.ts";
import type { EpochWriter } from "../../src/memory/epoch.ts";
import { FrameLedger } from "../../src/memory/frame-ledger.ts";
import { FramePool } from "../../src/memory/frame-pool.ts";
import { type ArenaSizes, controlThread } from "../../src/memory/region-plan.ts";
import { Supervisor } from "../../src/pmd/supervisor.ts";
import type { WorkerOptions } from "../../src/pmd/worker-process.ts";
import { type DummyPort, dummyDriver, isDummyPort } from "../../src/port/dummy/driver.ts";
import type { PortSpec } from "../../src/port/port.ts";
import { TableWriter } from "../../src/table/table-writer.ts";
import { createTestArena, maskOf } from "./dataplane.ts";

/** Far beyond what anything takes: a hang ends a test, slowness does not. */
const DEADLINE_MILLIS = 60_000;

export class LiveSwitch {
  readonly arena: Arena;
  readonly epochs: EpochWriter;
  readonly supervisor: Supervisor;
  readonly ports: Ports;
  readonly table: TableWriter;
  readonly logged: string[] = [];
  readonly #pool: FramePool;

  constructor(sizes: Partial<ArenaSizes>, options: Partial<WorkerOptions> = {}) {
    const { arena, epochs } = createTestArena(sizes);
    this.arena = arena;
    this.epochs = epochs;
    this.#pool = new FramePool(arena, controlThread(arena.plan.sizes), true);
    this.supervisor = new Supervisor(arena, {
      worker: { vlanLimit: 1, debugLedger: true, sleepMicrosMax: 200, faults: true, ...options },
      pool: this.#pool,
      epochs,
      log: (_level, message) => this.logged.push(message),
    });
    this.table = new TableWriter(arena, epochs);
    this.ports = new Ports({
      arena,
      pool: this.#pool,
      workers: this.supervisor,
      drivers: new Map([["dummy", dummyDriver]]),
      log: (_level, message) => this.logged.push(message),
    });
  }

  async addDummy(name: string, spec: Partial<PortSpec> = {}): Promise<DummyPort> {
    const port = await this.ports.add({ ...spec, name, type: "dummy" });
    if (!isDummyPort(port)) throw new Error(`${name} is no dummy port`);
    return port;
  }

  putFlow(packet: Uint8Array, inPort: number, actions: string, fields: readonly FieldName[]): void {
    const put = this.table.put({
      key: new KeyExtractor(1).extract(packet, inPort),
      mask: maskOf(fields),
      actions: parseActions(actions),
      create: true,
      modify: false,
      operator: true,
      nowMillis: 1,
    });
    if (put.error !== null) throw new Error(`putFlow: ${put.error}`);
  }

  totals(): ThreadTotals {
    return readTotals(this.arena);
  }

  books(): { in: number; out: number } {
    const { counters, drops } = this.totals();
    const dropped = Object.values(drops).reduce((sum, packets) => sum + packets, 0);
    return {
      in: counters.received + counters.copied + counters.reinjected + counters.originated,
      out: counters.transmitted + counters.consumed + dropped,
    };
  }

  /** Takes what a port transmitted until there are `count` packets. */
  async takeFrom(port: DummyPort, count: number): Promise<Uint8Array[]> {
    const taken: Uint8Array[] = [];
    await this.until(`${count} packets from ${port.spec.name}`, () => {
      taken.push(...port.take());
      return taken.length >= count;
    });
    return taken;
  }

  async until(what: string, isDone: () => boolean): Promise<void> {
    for (let waited = 0; !isDone(); waited += 1) {
      if (waited > DEADLINE_MILLIS)
        throw new Error(`waited in vain for ${what}; log: ${this.logged.join("\n")}`);
      await sleep(1);
    }
  }

  /** Frames that are not free. */
  framesInUse(): string[] {
    return [...new FrameLedger(this.arena).audit()]
      .filter(([owner]) => !/^(reserve|stack) /.test(owner))
      .map(([owner, count]) => `${count} ${owner}`);
  }

  async stop(): Promise<void> {
    await this.ports.removeAll();
    await this.supervisor.stop();
    this.supervisor.reclaimRings();
  }
}
