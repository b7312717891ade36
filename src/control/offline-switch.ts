// A switch in one thread with time that its owner sets: the same ports, worker, handler and table as the daemon's, taken in
// turns. Replay, bench and tests run on it; a run with the same input gives the same result.
import type { BondSettings } from "../bridge/bond/bond.ts";
import { TRUNK_OF_ALL } from "../bridge/learn/vlan.ts";
import { ProgramPolicy } from "../compile/policy.ts";
import { encodeProgram } from "../compile/program-module.ts";
import { Arena } from "../memory/arena.ts";
import { VirtualClock } from "../memory/clock.ts";
import { EpochWriter } from "../memory/epoch.ts";
import { FramePool, fillReserve } from "../memory/frame-pool.ts";
import { type ArenaSizes, controlThread } from "../memory/region-plan.ts";
import { Pmd, type PmdOptions } from "../pmd/pmd.ts";
import type { PortDriver, PortType } from "../port/port.ts";
import { setHashSeed } from "../table/hash.ts";
import type { TableWriter } from "../table/table-writer.ts";
import { applyFlowChange, findFlow } from "../upcall/flow-change.ts";
import type { Handler } from "../upcall/handler.ts";
import type { Config, EngineName } from "./config/schema.ts";
import { PORT_DRIVERS } from "./drivers.ts";
import { FlowService, type FlowWriter } from "./flow-service.ts";
import { closePort, createHandlerCore, type HandlerCore, openPort } from "./handler-core.ts";
import { Ports } from "./ports.ts";
import type { PortWorkers } from "./queue-sharing.ts";
import { Tunnels } from "./tunnels.ts";

/** Turns without anything moving after which the switch is at rest: a packet may be in either side's ring. */
const QUIET_TURNS = 2;

export interface OfflineOptions {
  readonly sizes: ArenaSizes;
  readonly policy: Config["policy"];
  readonly vlanLimit: number;
  readonly seed: number;
  readonly debugLedger?: boolean;
  readonly bonds?: readonly BondSettings[];
  /** What forwards; absent: compiled. */
  readonly engine?: EngineName;
  /** Port types beside the switch's own. */
  readonly drivers?: ReadonlyMap<PortType, PortDriver>;
  readonly factories?: PmdOptions["factories"];
  readonly makeEngine?: ((arena: Arena) => NonNullable<PmdOptions["makeEngine"]>) | undefined;
}

export class OfflineSwitch {
  readonly arena: Arena;
  readonly clock = new VirtualClock(1);
  readonly pmd: Pmd;
  readonly handler: Handler;
  readonly table: TableWriter;
  readonly learn: HandlerCore["learn"];
  readonly ports: Ports;
  readonly tunnels: Tunnels;
  readonly flows: FlowService;
  readonly #policy: ProgramPolicy | null;

  constructor({
    sizes,
    policy,
    vlanLimit,
    seed,
    debugLedger = false,
    bonds = [],
    engine = "auto",
    drivers = PORT_DRIVERS,
    factories,
    makeEngine,
  }: OfflineOptions) {
    this.arena = Arena.create({ ...sizes, workerCount: 1 });
    new EpochWriter(this.arena).initialise();
    fillReserve(this.arena);
    setHashSeed(this.arena, seed);
    const core = createHandlerCore(this.arena, policy, this.clock, debugLedger, bonds, {
      onLearned: (neighbour) => this.tunnels.learn(neighbour),
    });
    this.handler = core.handler;
    this.table = core.table;
    this.learn = core.learn;
    this.pmd = new Pmd(this.arena, 0, {
      vlanLimit,
      debugLedger,
      clock: this.clock,
      ...(factories === undefined ? {} : { factories }),
      ...(makeEngine === undefined ? {} : { makeEngine: makeEngine(this.arena) }),
    });
    const pool = new FramePool(this.arena, controlThread(this.arena.plan.sizes), debugLedger);
    this.ports = new Ports({
      arena: this.arena,
      pool,
      workers: this.#workers(),
      drivers,
      log: () => undefined,
    });
    this.tunnels = new Tunnels({
      ports: this.ports,
      clock: this.clock,
      publish: (state) => {
        this.pmd.setTunnels(state);
        core.tunnels.setState(state);
      },
    });
    this.ports.on("added", (port) => {
      const { up, mac } = port.status();
      const news = { portNo: port.portNo, name: port.spec.name, vlan: TRUNK_OF_ALL, isUp: up, mac };
      openPort(core, news, this.clock.millis());
    });
    this.ports.on("removed", ({ portNo }) => closePort(core, portNo, this.clock.millis()));
    this.flows = new FlowService(this.arena, this.#writer(), true);
    this.#policy = engine === "reference" ? null : new ProgramPolicy(this.arena, vlanLimit, debugLedger);
    this.compile();
  }

  /** Takes a program for the masks and shapes that there are now; what comes later its general parts serve. */
  compile(): void {
    const source = this.#policy?.next() ?? null;
    if (source !== null) this.pmd.setProgram(new WebAssembly.Module(encodeProgram(this.arena, source)));
  }

  /** Takes turns until nothing moves any more. */
  settle(): void {
    for (let quiet = 0; quiet < QUIET_TURNS; ) {
      const moved = this.pmd.iterate() + this.handler.drain();
      quiet = moved === 0 ? quiet + 1 : 0;
    }
  }

  /** Carries all background work out that is due. */
  housekeep(): void {
    while (this.handler.step()) this.pmd.iterate();
    this.compile();
  }

  async close(): Promise<void> {
    await this.ports.removeAll();
    this.pmd.close();
    this.handler.close();
  }

  #workers(): PortWorkers {
    const { pmd } = this;
    return {
      count: 1,
      attachRx: (_worker, attachment) => pmd.attachRx(attachment),
      attachTx: (_worker, attachment) => pmd.attachTx(attachment),
      setTxOwner: (_worker, portNo, slot, owner) => pmd.setTxOwner(portNo, slot, owner),
      detachPort: (_worker, slot) => pmd.detachPort(slot),
      settled: async () => undefined,
    };
  }

  #writer(): FlowWriter {
    return {
      apply: async (changes) =>
        changes.map((change) => applyFlowChange(this.table, change, this.clock.millis())),
      find: async (ufid, key) => {
        const flowNo = findFlow(this.table, ufid, key);
        return flowNo === 0 ? null : this.table.flows.read(flowNo);
      },
      flush: async () => {
        this.table.flush();
        while (this.table.flushing) this.table.step();
      },
    };
  }
}
