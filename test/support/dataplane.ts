// A switch in one thread for tests: an arena, control's ports, a Pmd for each worker, the table's writer and a handler
// that the test steers. Everything runs by turns, so a run is repeatable; the debug ledger is on.
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { ProgramPolicy } from "../../src/compile/policy.ts";
import { encodeProgram } from "../../src/compile/program-module.ts";
import { Ports } from "../../src/control/ports.ts";
import type { PortWorkers } from "../../src/control/queue-sharing.ts";
import { readTotals, type ThreadTotals } from "../../src/datapath/counters.ts";
import { KeyExtractor } from "../../src/flow/extract-key.ts";
import type { FieldName } from "../../src/flow/fields.ts";
import { fieldOf, newKey, setOnes } from "../../src/flow/key.ts";
import { parseMatch } from "../../src/flow/odp/match.ts";
import { Arena } from "../../src/memory/arena.ts";
import { VirtualClock } from "../../src/memory/clock.ts";
import { EpochReader, EpochWriter } from "../../src/memory/epoch.ts";
import { FrameLedger } from "../../src/memory/frame-ledger.ts";
import { FramePool, fillReserve } from "../../src/memory/frame-pool.ts";
import {
  type ArenaSizes,
  controlThread,
  DEFAULT_SIZES,
  handlerThread,
} from "../../src/memory/region-plan.ts";
import { Pmd } from "../../src/pmd/pmd.ts";
import { type DummyPort, dummyDriver, isDummyPort } from "../../src/port/dummy/driver.ts";
import { nullDriver } from "../../src/port/null/driver.ts";
import { patchDriver } from "../../src/port/patch/driver.ts";
import type { OpenPort, PortSpec } from "../../src/port/port.ts";
import { QUEUE_FACTORIES, type QueueFactories } from "../../src/port/queue-factories.ts";
import { setHashSeed } from "../../src/table/hash.ts";
import { TableWriter } from "../../src/table/table-writer.ts";
import { SEED } from "./seed.ts";
import { TestHandler } from "./test-handler.ts";

/** Small: a test that leaks runs dry soon. */
export const TEST_SIZES: ArenaSizes = {
  ...DEFAULT_SIZES,
  frameCount: 2048,
  flowCountMax: 1024,
  maskCountMax: 64,
  portCountMax: 32,
  upcallRingBytes: 1 << 17,
  kernelRingBytes: 1 << 20,
};

/** What a megaflow of these tests looks at, unless told otherwise. */
export const FIVE_TUPLE: readonly FieldName[] = [
  "in_port",
  "eth_type",
  "nw_frag",
  "nw_proto",
  "nw_src",
  "nw_dst",
  "tp_src",
  "tp_dst",
];

/** An arena as a daemon starts with it. */
export function createTestArena(sizes: Partial<ArenaSizes> = {}): { arena: Arena; epochs: EpochWriter } {
  const arena = Arena.create({ ...TEST_SIZES, ...sizes });
  const epochs = new EpochWriter(arena);
  epochs.initialise();
  fillReserve(arena);
  setHashSeed(arena, SEED);
  return { arena, epochs };
}

export function maskOf(fields: readonly FieldName[]): Uint8Array {
  const mask = newKey();
  for (const name of fields) setOnes(mask, fieldOf(name).name as FieldName);
  return mask;
}

export interface DataplaneOptions {
  readonly sizes?: Partial<ArenaSizes>;
  readonly vlanLimit?: number;
  readonly factories?: QueueFactories;
  /** Absent: what the environment's ENGINE says, compiled when it says nothing. */
  readonly engine?: "compiled" | "reference";
}

const ENGINE = process.env["ENGINE"] ?? "compiled";

export class Dataplane {
  readonly arena: Arena;
  readonly clock = new VirtualClock(1000);
  readonly table: TableWriter;
  readonly handler: TestHandler;
  readonly pmds: Pmd[];
  readonly ports: Ports;
  readonly #epochs: EpochWriter;
  readonly #handlerEpoch: EpochReader;
  readonly #controlPool: FramePool;
  readonly #vlanLimit: number;
  readonly #policy: ProgramPolicy | null;

  constructor({ sizes = {}, vlanLimit = 1, factories = QUEUE_FACTORIES, engine }: DataplaneOptions = {}) {
    const { arena, epochs } = createTestArena(sizes);
    this.arena = arena;
    this.#epochs = epochs;
    this.#vlanLimit = vlanLimit;
    this.table = new TableWriter(arena, epochs);
    this.#handlerEpoch = new EpochReader(arena, handlerThread(arena.plan.sizes));
    this.#policy = (engine ?? ENGINE) === "reference" ? null : new ProgramPolicy(arena, vlanLimit, true);
    this.#controlPool = new FramePool(arena, controlThread(arena.plan.sizes), true);
    this.pmds = Array.from(
      { length: arena.plan.sizes.workerCount },
      (_, worker) => new Pmd(arena, worker, { vlanLimit, debugLedger: true, clock: this.clock, factories }),
    );
    this.handler = new TestHandler(arena, this.table, this.clock);
    this.ports = new Ports({
      arena,
      pool: this.#controlPool,
      workers: this.#workers(),
      drivers: new Map([
        ["dummy", dummyDriver],
        ["null", nullDriver],
        ["patch", patchDriver],
      ]),
      log: () => {},
    });
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

  async addPort(spec: PortSpec): Promise<OpenPort> {
    return await this.ports.add(spec);
  }

  async addDummy(name: string, spec: Partial<PortSpec> = {}): Promise<DummyPort> {
    const port = await this.ports.add({ ...spec, name, type: "dummy" });
    if (!isDummyPort(port)) throw new Error(`${name} is no dummy port`);
    return port;
  }

  /** Installs a flow for packets like this one. Returns its number. */
  putFlow(packet: Uint8Array, inPort: number, actions: string, fields = FIVE_TUPLE): number {
    const key = new KeyExtractor(this.#vlanLimit).extract(packet, inPort);
    const put = this.table.put({
      key,
      mask: maskOf(fields),
      actions: parseActions(actions),
      create: true,
      modify: true,
      operator: true,
      nowMillis: this.clock.millis(),
    });
    if (put.error !== null) throw new Error(`putFlow: ${put.error}`);
    return put.flowNo;
  }

  /** Installs a flow given as ODP text. Returns its number. */
  putText(flow: string, actions: string): number {
    const put = this.table.put({
      ...parseMatch(flow, { vlanLimit: this.#vlanLimit }),
      actions: parseActions(actions),
      create: true,
      modify: true,
      operator: true,
      nowMillis: this.clock.millis(),
    });
    if (put.error !== null) throw new Error(`putText: ${flow}: ${put.error}`);
    return put.flowNo;
  }

  /** Every worker takes a program for what is in the table now. */
  #compile(): void {
    const source = this.#policy?.next() ?? null;
    if (source === null) return;
    const module = new WebAssembly.Module(encodeProgram(this.arena, source));
    for (const pmd of this.pmds) pmd.setProgram(module);
  }

  /** Every worker loops once, then the handler answers what is there. Returns what moved. */
  turn(): number {
    let moved = 0;
    this.#compile();
    for (const pmd of this.pmds) moved += pmd.iterate();
    moved += this.handler.drain();
    this.#handlerEpoch.goOffline();
    return moved;
  }

  /** Turns until nothing moves any more. */
  settle(): void {
    let quietTurns = 0;
    while (quietTurns < 2) quietTurns = this.turn() === 0 ? quietTurns + 1 : 0;
  }

  totals(): ThreadTotals {
    return readTotals(this.arena);
  }

  /** Both sides of the books at a quiescent moment. */
  books(): { in: number; out: number } {
    const { counters, drops } = this.totals();
    return {
      in: counters.received + counters.copied + counters.reinjected + counters.originated,
      out:
        counters.transmitted +
        counters.consumed +
        Object.values(drops).reduce((sum, packets) => sum + packets, 0),
    };
  }

  /** Frames by owner, with everything that is free counted together. */
  frameOwners(): Map<string, number> {
    const owners = new Map<string, number>();
    for (const [owner, count] of new FrameLedger(this.arena).audit()) {
      const name = /^(reserve|stack) /.test(owner) ? "free" : owner;
      owners.set(name, (owners.get(name) ?? 0) + count);
    }
    return owners;
  }

  /** Closes all ports; every frame must be free afterwards. */
  async close(): Promise<void> {
    await this.ports.removeAll();
    for (const pmd of this.pmds) pmd.close();
    this.#epochs.reclaim();
  }
}
