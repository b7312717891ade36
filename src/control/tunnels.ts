// What the switch knows of the network that its tunnels run over: routes, neighbours, its own addresses. Control keeps
// it and tells workers and handler whenever something changed; commands and learned neighbours change it.
import { createHash } from "node:crypto";
import type { Clock } from "../memory/clock.ts";
import type { OpenPort } from "../port/port.ts";
import { isTunnelPort } from "../port/tunnel/driver.ts";
import type { Endpoint } from "../tunnel/endpoints.ts";
import { NO_IP, type Prefix } from "../tunnel/ip.ts";
import { listenerOf } from "../tunnel/listeners.ts";
import { type Neighbour, NeighbourTable } from "../tunnel/neighbours.ts";
import { EGRESS_PORT_MAX, EGRESS_PORT_MIN } from "../tunnel/push.ts";
import { RouteTable } from "../tunnel/routes.ts";
import type { TunnelState } from "../tunnel/state.ts";
import type { KernelNetworks } from "./kernel-network.ts";
import type { Ports } from "./ports.ts";

/** Locally administered, unicast. */
const MAC_PREFIX = 0x02;

export interface TunnelsOptions {
  readonly ports: Ports;
  readonly clock: Clock;
  /** Reads the kernel's tables; absent: they are not looked at. */
  readonly kernel?: (endpoints: ReadonlyMap<string, Endpoint>) => KernelNetworks;
  /** Told after changes, once for all of a turn of the event loop. */
  readonly publish: (state: TunnelState) => void;
}

export class Tunnels {
  readonly routes = new RouteTable();
  readonly neighbours = new NeighbourTable();
  egressPorts: readonly [min: number, max: number] = [EGRESS_PORT_MIN, EGRESS_PORT_MAX];
  readonly #ports: Ports;
  readonly #clock: Clock;
  readonly #publish: (state: TunnelState) => void;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #kernel: TunnelsOptions["kernel"];
  /** What the kernel said last. */
  #kernelText = "";
  #kernelNeighbours: readonly Neighbour[] = [];
  #isScheduled = false;

  constructor({ ports, clock, publish, kernel }: TunnelsOptions) {
    this.#ports = ports;
    this.#clock = clock;
    this.#publish = publish;
    this.#kernel = kernel;
    ports.on("added", (port) => {
      if (isTunnelPort(port)) this.changed();
    });
    ports.on("options", () => this.changed());
    ports.on("removed", (port) => this.#portRemoved(port));
  }

  endpoint(portName: string): Endpoint | undefined {
    return this.#endpoints.get(portName);
  }

  /** Whether the port has addresses of ours: then it is no port of the bridge. */
  isEndpoint(port: OpenPort): boolean {
    return this.#endpoints.has(port.spec.name);
  }

  /** What the last changes made, for those who missed them. */
  state(): TunnelState {
    return {
      endpoints: [...this.#endpoints.values()],
      routes: this.routes.list(),
      // Of equal ones the last counts: what we were told ourselves.
      neighbours: [...this.#kernelNeighbours, ...this.neighbours.list()],
      listeners: this.#ports
        .list()
        .filter(isTunnelPort)
        .map(({ portNo, spec, vport }) => listenerOf(portNo, spec.name, vport)),
      egressPorts: this.egressPorts,
    };
  }

  /** Something that state() tells is different now. */
  changed(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.publishNow());
  }

  publishNow(): void {
    this.#isScheduled = false;
    this.#publish(this.state());
  }

  /**
   * Gives a port addresses of our own, with routes to their networks when `withRoutes`.
   * @param mac absent: one that is made from the port's name
   */
  setAddresses(port: OpenPort, addresses: readonly Prefix[], withRoutes: boolean, mac?: Uint8Array): void {
    const { name } = port.spec;
    const endpoint = { name, portNo: port.portNo, mac: mac ?? macOf(name), addresses };
    this.#endpoints.set(name, endpoint);
    if (withRoutes) {
      for (const prefix of addresses) {
        this.routes.add({ prefix, origin: "cached", mark: 0, gateway: NO_IP, source: prefix.ip }, endpoint);
      }
    }
    this.readKernel();
    this.changed();
  }

  /** The kernel's tables may have changed. */
  readKernel(): void {
    if (this.#kernel === undefined) return;
    const byInterface = new Map<string, Endpoint>();
    for (const endpoint of this.#endpoints.values()) {
      const port = this.#ports.byName(endpoint.name);
      if (port !== undefined) byInterface.set(interfaceOf(port), endpoint);
    }
    const { routes, neighbours } = this.#kernel(byInterface);
    const text = JSON.stringify([routes, neighbours], (_key, value: unknown) =>
      typeof value === "bigint" ? value.toString(16) : value,
    );
    // Neighbours change their state, which is none of ours, every few seconds.
    if (text === this.#kernelText) return;
    this.#kernelText = text;
    this.routes.setKernel(routes);
    this.#kernelNeighbours = neighbours;
    this.changed();
  }

  /** Next hops that the kernel knows, ours not among them. */
  get kernelNeighbours(): readonly Neighbour[] {
    return this.#kernelNeighbours;
  }

  /** A neighbour answered. */
  learn(neighbour: Neighbour): void {
    if (this.neighbours.set(neighbour, this.#clock.millis())) this.changed();
  }

  /** Once a second. */
  age(): void {
    if (this.neighbours.age(this.#clock.millis())) this.changed();
  }

  #portRemoved(port: OpenPort): void {
    const { name } = port.spec;
    if (this.#endpoints.delete(name)) {
      this.routes.removeWhere(({ portName }) => portName === name);
      this.neighbours.removePort(name);
      this.readKernel();
      this.changed();
    } else if (isTunnelPort(port)) {
      this.changed();
    }
  }
}

/** A port is called as its interface unless an option says otherwise. */
function interfaceOf({ spec }: OpenPort): string {
  const name = spec.options?.["interface"];
  return typeof name === "string" ? name : spec.name;
}

/** The same name has the same address after a restart, so that neighbours need not learn another. */
function macOf(portName: string): Uint8Array {
  const digest = createHash("sha256").update(`millrace ${portName}`).digest();
  return Uint8Array.of(MAC_PREFIX, ...digest.subarray(0, 5));
}
