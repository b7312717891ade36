// A switch in one thread around the real handler: dummy ports, a Pmd for each worker, the table and a policy.
// The test takes the turns and sets the time; the debug ledger is on.

import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { printActions } from "../../src/action/odp/print-actions.ts";
import type { BondSettings } from "../../src/bridge/bond/bond.ts";
import { TRUNK_OF_ALL } from "../../src/bridge/learn/vlan.ts";
import { closePort, createHandlerCore, type HandlerCore, openPort } from "../../src/control/handler-core.ts";
import { Ports } from "../../src/control/ports.ts";
import type { PortWorkers } from "../../src/control/queue-sharing.ts";
import { readTotals, type ThreadTotals } from "../../src/datapath/counters.ts";
import { KeyExtractor } from "../../src/flow/extract-key.ts";
import type { FieldName } from "../../src/flow/fields.ts";
import { VirtualClock } from "../../src/memory/clock.ts";
import type { EpochWriter } from "../../src/memory/epoch.ts";
import { FrameLedger } from "../../src/memory/frame-ledger.ts";
import { FramePool } from "../../src/memory/frame-pool.ts";
import { type ArenaSizes, controlThread } from "../../src/memory/region-plan.ts";
import { Pmd } from "../../src/pmd/pmd.ts";
import { type DummyPort, dummyDriver, isDummyPort } from "../../src/port/dummy/driver.ts";
import { FlowCursor } from "../../src/table/flow-cursor.ts";
import type { FlowView } from "../../src/table/flow-reader.ts";
import { createTestArena, maskOf } from "../support/dataplane.ts";

const POLICY = {
  type: "learn",
  "mac-aging-seconds": 300,
  "mac-table-size": 1000,
  "flow-idle-millis": 10_000,
  "flow-limit": 1000,
} as const;

export interface HandlerRigOptions {
  readonly policy?: Partial<Parameters<typeof createHandlerCore>[1]>;
  readonly sizes?: Partial<ArenaSizes>;
  readonly bonds?: readonly BondSettings[];
}

export class HandlerRig {
  readonly clock = new VirtualClock(1000);
  readonly core: HandlerCore;
  readonly pmds: readonly Pmd[];
  readonly ports: Ports;
  readonly arena: ReturnType<typeof createTestArena>["arena"];
  readonly #epochs: EpochWriter;

  constructor({ policy = {}, sizes = {}, bonds = [] }: HandlerRigOptions = {}) {
    const { arena, epochs } = createTestArena(sizes);
    this.arena = arena;
    this.#epochs = epochs;
    this.core = createHandlerCore(arena, { ...POLICY, ...policy }, this.clock, true, bonds);
    this.pmds = Array.from(
      { length: arena.plan.sizes.workerCount },
      (_, worker) => new Pmd(arena, worker, { vlanLimit: 1, debugLedger: true, clock: this.clock }),
    );
    this.ports = new Ports({
      arena,
      pool: new FramePool(arena, controlThread(arena.plan.sizes), true),
      workers: this.#workers(),
      drivers: new Map([["dummy", dummyDriver]]),
      log: () => {},
    });
    this.ports.on("added", (port) => {
      const link = { isUp: port.status().up, mac: undefined };
      const news = { portNo: port.portNo, name: port.spec.name, vlan: TRUNK_OF_ALL, ...link };
      openPort(this.core, news, this.clock.millis());
    });
    this.ports.on("changed", ({ portNo }, { up }) =>
      this.core.bonds.setLink(portNo, { isUp: up, mac: undefined }, this.clock.millis()),
    );
    this.ports.on("removed", ({ portNo }) => closePort(this.core, portNo, this.clock.millis()));
  }

  #workers(): PortWorkers {
    return {
      count: this.pmds.length,
      attachRx: (worker, attachment) => this.pmds[worker]!.attachRx(attachment),
      attachTx: (worker, attachment) => this.pmds[worker]!.attachTx(attachment),
      setTxOwner: (worker, portNo, slot, owner) => this.pmds[worker]!.setTxOwner(portNo, slot, owner),
      detachPort: (worker, slot) => this.pmds[worker]!.detachPort(slot),
      settled: async () => {},
    };
  }

  async addDummy(name: string): Promise<DummyPort> {
    const port = await this.ports.add({ name, type: "dummy" });
    if (!isDummyPort(port)) throw new Error(`${name} is no dummy port`);
    return port;
  }

  async addDummies(count: number): Promise<DummyPort[]> {
    const ports: DummyPort[] = [];
    for (let index = 1; index <= count; index += 1) ports.push(await this.addDummy(`p${index}`));
    return ports;
  }

  putOperatorFlow(packet: Uint8Array, inPort: number, actions: string, fields: readonly FieldName[]): void {
    const put = this.core.table.put({
      key: new KeyExtractor(1).extract(packet, inPort),
      mask: maskOf(fields),
      actions: parseActions(actions),
      create: true,
      modify: false,
      operator: true,
      nowMillis: this.clock.millis(),
    });
    if (put.error !== null) throw new Error(`putOperatorFlow: ${put.error}`);
  }

  /** Turns until nothing moves any more. */
  settle(): void {
    for (let quiet = 0; quiet < 2; ) {
      let moved = 0;
      for (const pmd of this.pmds) moved += pmd.iterate();
      moved += this.core.handler.drain();
      quiet = moved === 0 ? quiet + 1 : 0;
    }
  }

  /** Carries out the background work that is due. */
  housekeep(): void {
    while (this.core.handler.step()) for (const pmd of this.pmds) pmd.iterate();
  }

  /** Time passes, with background work every half second, as the handler's loop has it at least. */
  pass(millis: number): void {
    for (let left = millis; left > 0; left -= 500) {
      this.clock.advance(Math.min(left, 500));
      for (const pmd of this.pmds) pmd.iterate();
      this.housekeep();
    }
  }

  flows(): FlowView[] {
    const cursor = new FlowCursor(this.arena, null);
    const views: FlowView[] = [];
    while (!cursor.done) views.push(...cursor.next());
    return views;
  }

  /** Action lists as text, sorted. */
  actions(): string[] {
    return this.flows()
      .map((flow) => printActions(flow.actions))
      .sort();
  }

  totals(): ThreadTotals {
    return readTotals(this.arena);
  }

  /** What came in less what went out, over all threads; 0 at rest. */
  imbalance(): number {
    const { counters, drops } = this.totals();
    const dropped = Object.values(drops).reduce((sum, packets) => sum + packets, 0);
    const came = counters.received + counters.copied + counters.reinjected + counters.originated;
    return came - counters.transmitted - counters.consumed - dropped;
  }

  /** Closes everything. Returns how many frames are not free then. */
  async close(): Promise<number> {
    await this.ports.removeAll();
    for (const pmd of this.pmds) pmd.close();
    this.core.handler.close();
    this.#epochs.reclaim();
    let held = 0;
    for (const [owner, count] of new FrameLedger(this.arena).audit()) {
      if (!/^(reserve|stack) /.test(owner)) held += count;
    }
    return held;
  }
}
