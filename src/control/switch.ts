// A whole switch: arena, handler thread, workers, ports, flows, put together from a configuration and taken apart again.
//
// Start: arena, huge pages, frames, hash seed; then the handler, so that somebody answers upcalls; then the workers; then
// ports, one by one; then the configured flows. Stop is the same backwards, so rings drain into somebody.
import { randomInt } from "node:crypto";
import { MeterTable } from "../action/meter-table.ts";
import type { LinkState } from "../bridge/bond/member.ts";
import { portVlan } from "../bridge/learn/vlan.ts";
import { Arena } from "../memory/arena.ts";
import { MonotonicClock } from "../memory/clock.ts";
import { EpochWriter } from "../memory/epoch.ts";
import { FrameLedger } from "../memory/frame-ledger.ts";
import { FramePool, fillReserve } from "../memory/frame-pool.ts";
import { controlThread } from "../memory/region-plan.ts";
import { parseMac } from "../packet/address.ts";
import { Supervisor } from "../pmd/supervisor.ts";
import { LOCAL_PORT_NO, type OpenPort, type PortStatus } from "../port/port.ts";
import { setHashSeed } from "../table/hash.ts";
import { parsePrefix } from "../tunnel/ip.ts";
import { arenaSizes, workerCpus } from "./config/arena-sizes.ts";
import { bondSettings } from "./config/bonds.ts";
import { portSpec } from "./config/port-spec.ts";
import type { Config, PortConfig } from "./config/schema.ts";
import { PORT_DRIVERS } from "./drivers.ts";
import type { PortLookup } from "./flow-entry.ts";
import { type FlowFileEntry, parseFlowFile } from "./flow-file.ts";
import { FlowFileReader } from "./flow-file-reader.ts";
import { installFlows } from "./flow-install.ts";
import { FlowService } from "./flow-service.ts";
import { HandlerLink } from "./handler-link.ts";
import { mapHugePages } from "./huge-pages.ts";
import { KernelNetwork } from "./kernel-network.ts";
import type { Log } from "./log.ts";
import { MeterWatch } from "./meter-watch.ts";
import { Ports } from "./ports.ts";
import { Programs } from "./programs.ts";
import type { SwitchView, WorkerView } from "./switch-view.ts";
import { Tunnels } from "./tunnels.ts";
import { ValidatorThread } from "./validator-thread.ts";

/** How often counters of the kernel and states of ports are read. */
const PORT_POLL_MILLIS = 1000;
const SEED_MAX = 0xffffffff;

export class Switch implements SwitchView {
  readonly arena: Arena;
  readonly ports: Ports;
  readonly tunnels: Tunnels;
  readonly flows: FlowService;
  readonly meters: MeterTable;
  readonly handler: HandlerLink;
  readonly supervisor: Supervisor;
  readonly clock = new MonotonicClock();
  readonly startedMillis = performance.now();
  readonly config: Config;
  readonly #log: Log;
  /** Null when the reference forwards. */
  readonly #programs: Programs | null;
  readonly #network: KernelNetwork | undefined;
  #pollTimer: NodeJS.Timeout | undefined;

  private constructor(config: Config, log: Log, arena: Arena, epochs: EpochWriter) {
    const debugLedger = config.debug.ledger;
    const pool = new FramePool(arena, controlThread(arena.plan.sizes), debugLedger);
    this.config = config;
    this.#log = log;
    this.arena = arena;
    this.handler = new HandlerLink({
      handle: arena.handle(),
      policy: config.policy,
      bonds: bondSettings(config.bonds),
      debugLedger,
    });
    this.handler.on("failed", (error) =>
      log.module("handler").fatal(`the handler ended: ${error.stack ?? error.message}`),
    );
    this.handler.on("bondNotice", (text) => log.module("bridge").info(text));
    this.supervisor = new Supervisor(arena, {
      worker: {
        vlanLimit: config["vlan-limit"],
        debugLedger,
        sleepMicrosMax: config.workers["sleep-micros-max"],
        faults: config.debug.faults,
      },
      cpus: workerCpus(config),
      pool,
      epochs,
      log: (level, message) => log.module("pmd")[level](message),
    });
    this.ports = new Ports({
      arena,
      pool,
      workers: this.supervisor,
      drivers: PORT_DRIVERS,
      log: log.portLog(),
    });
    this.meters = new MeterTable(arena);
    const writer = new MeterWatch(this.handler, this.meters, (message) =>
      log.module("control").warn(message),
    );
    this.flows = new FlowService(arena, writer, false);
    const network = config["kernel-routes"] ? this.#openNetwork() : undefined;
    this.#network = network;
    this.tunnels = new Tunnels({
      ports: this.ports,
      ...(network === undefined ? {} : { kernel: (endpoints) => network.read(endpoints) }),
      clock: this.clock,
      publish: (state) => {
        this.supervisor.setTunnels(state);
        const { endpoints, listeners } = state;
        void this.handler.ask("setTunnels", { endpoints, listeners });
      },
    });
    this.#programs = this.#createPrograms();
    this.handler.on("neighbour", (neighbour) => this.tunnels.learn(neighbour));
    this.#watchPorts();
  }

  /** Undefined where there is no kernel to ask. */
  #openNetwork(): KernelNetwork | undefined {
    const log = this.#log.module("control");
    try {
      return new KernelNetwork(
        () => this.tunnels.readKernel(),
        (message) => log.warn(message),
      );
    } catch (error) {
      log.warn(`tunnels do without the kernel's routes: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** @throws Error naming what could not be started; what had been started is stopped again */
  static async start(config: Config, log: Log): Promise<Switch> {
    const arena = Arena.create(arenaSizes(config));
    log.module("control").info(mapHugePages(arena, config.memory["huge-pages"]));
    const epochs = new EpochWriter(arena);
    epochs.initialise();
    fillReserve(arena);
    setHashSeed(arena, config.seed ?? randomInt(SEED_MAX));
    const running = new Switch(config, log, arena, epochs);
    try {
      running.#programs?.start();
      await running.supervisor.start();
      running.tunnels.readKernel();
      const local = config["local-port"];
      if (local !== undefined)
        await running.ports.add({ name: local, type: "internal", portNo: LOCAL_PORT_NO });
      for (const port of config.ports) await running.ports.add(portSpec(port));
      for (const { id, ...spec } of config.meters) running.meters.set(id, spec);
      await running.#installConfiguredFlows();
    } catch (error) {
      await running.stop();
      throw error;
    }
    running.#pollTimer = setInterval(() => {
      running.ports.poll();
      running.tunnels.age();
    }, PORT_POLL_MILLIS);
    return running;
  }

  get datapath(): string {
    return this.config.datapath;
  }

  get portLookup(): PortLookup {
    const ports = this.ports.list();
    return {
      numbers: new Map(ports.map(({ spec, portNo }) => [spec.name, portNo])),
      names: new Map(ports.map(({ spec, portNo }) => [portNo, spec.name])),
    };
  }

  workers(): readonly WorkerView[] {
    return this.supervisor.workers();
  }

  /** Frames of the arena, those that have an owner, and how many each has; null unless the ledger is kept. */
  frames(): {
    readonly total: number;
    readonly accounted: number;
    readonly byOwner: Readonly<Record<string, number>>;
  } | null {
    if (!this.config.debug.ledger) return null;
    const byOwner = Object.fromEntries(new FrameLedger(this.arena).audit());
    const total = this.arena.plan.sizes.frameCount;
    return { total, accounted: total - (byOwner["none 0"] ?? 0), byOwner };
  }

  async stop(): Promise<void> {
    clearInterval(this.#pollTimer);
    await this.#programs?.stop();
    await this.ports.removeAll();
    this.#network?.close();
    await this.supervisor.stop();
    await this.handler.stop();
    this.supervisor.reclaimRings();
  }

  #createPrograms(): Programs | null {
    if (this.config.engine === "reference") return null;
    return new Programs({
      arena: this.arena,
      vlanLimit: this.config["vlan-limit"],
      debugLedger: this.config.debug.ledger,
      publish: (module) => this.supervisor.setProgram(module),
      validator: new ValidatorThread(this.arena),
      log: (level, message) => this.#log.module("compile")[level](message),
    });
  }

  async #installConfiguredFlows(): Promise<void> {
    await installFlows(this.flows.writer, this.#configuredFlows());
  }

  async *#configuredFlows(): AsyncGenerator<readonly FlowFileEntry[]> {
    const { flows, "flow-file": file, "vlan-limit": vlanLimit } = this.config;
    yield parseFlowFile(flows.join("\n"), "flows", this.portLookup, vlanLimit);
    if (file === undefined) return;
    const reader = await FlowFileReader.open(file);
    try {
      for await (const { entries } of reader.slices(this.portLookup, vlanLimit, "add")) yield entries;
    } finally {
      await reader.close();
    }
  }

  /** The policy knows the ports that exist; the log knows what becomes of them. */
  #watchPorts(): void {
    const log = this.#log.module("bridge");
    this.ports.on("added", (port) => {
      log.info(`port ${port.spec.name} is number ${port.portNo}`);
      for (const note of this.ports.status(port).notes) log.warn(`port ${port.spec.name}: ${note}`);
      const { addresses = [], mac } = this.#configOf(port) ?? {};
      if (addresses.length > 0) {
        const prefixes = addresses.map((text) => parsePrefix(text)!);
        this.tunnels.setAddresses(port, prefixes, true, mac === undefined ? undefined : parseMac(mac));
        return;
      }
      // A port with addresses of our own is where tunnels end, no port of the bridge.
      const { portNo, spec } = port;
      const link = linkOf(this.ports.status(port));
      void this.handler.ask("setPort", { portNo, name: spec.name, vlan: this.#vlanOf(port), ...link });
    });
    this.ports.on("removed", (port) => {
      log.info(`port ${port.spec.name}, number ${port.portNo}, is gone`);
      void this.handler.ask("removePort", { portNo: port.portNo });
    });
    this.ports.on("options", ({ spec }) =>
      log.info(`port ${spec.name} has options ${JSON.stringify(spec.options)}`),
    );
    this.ports.on("changed", (port, status) => {
      const { up, mtu, notes } = status;
      void this.handler.ask("setLink", { portNo: port.portNo, link: linkOf(status) });
      log.warn(
        `port ${port.spec.name} is ${up ? "up" : "down"}, MTU ${mtu}${notes.length > 0 ? `: ${notes.join("; ")}` : ""}`,
      );
    });
  }

  #vlanOf(port: OpenPort) {
    return portVlan(this.#configOf(port)?.vlan ?? {});
  }

  #configOf(port: OpenPort): PortConfig | undefined {
    return this.config.ports.find(({ name }) => name === port.spec.name);
  }
}

const linkOf = ({ up, mac }: PortStatus): LinkState => ({ isUp: up, mac });
