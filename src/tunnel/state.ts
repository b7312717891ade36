// What workers and handler know of routes, neighbours and our own addresses: a snapshot that control sends whenever
// something changes. Plain data.
import type { Endpoint } from "./endpoints.ts";
import type { Ip } from "./ip.ts";
import type { Neighbour } from "./neighbours.ts";
import { type NextHop, type Route, RouteTable } from "./routes.ts";

export interface Listener {
  readonly portNo: number;
  readonly name: string;
  /** IP protocols of its outer packets. */
  readonly protocols: readonly number[];
  /** UDP port, 0 for tunnels without UDP. */
  readonly dstPort: number;
}

export interface TunnelState {
  readonly endpoints: readonly Endpoint[];
  readonly routes: readonly Route[];
  readonly neighbours: readonly Neighbour[];
  /** What comes for tunnels, and the ports that it is for; the first of equals counts. */
  readonly listeners: readonly Listener[];
  /** UDP source ports: from the first on and below the second. */
  readonly egressPorts: readonly [min: number, max: number];
}

/** A snapshot made ready for look-ups. */
export class TunnelView {
  readonly egressPorts: readonly [min: number, max: number];
  readonly #routes: RouteTable;
  readonly #endpoints: ReadonlyMap<string, Endpoint>;
  readonly #macs: ReadonlyMap<string, Uint8Array>;

  constructor(state: TunnelState) {
    this.egressPorts = state.egressPorts;
    this.#routes = new RouteTable(state.routes);
    this.#endpoints = new Map(state.endpoints.map((endpoint) => [endpoint.name, endpoint]));
    this.#macs = new Map(state.neighbours.map(({ portName, ip, mac }) => [`${ip} ${portName}`, mac]));
  }

  route(destination: Ip): NextHop | undefined {
    return this.#routes.lookup(destination);
  }

  endpoint(name: string): Endpoint | undefined {
    return this.#endpoints.get(name);
  }

  mac(portName: string, ip: Ip): Uint8Array | undefined {
    return this.#macs.get(`${ip} ${portName}`);
  }
}
