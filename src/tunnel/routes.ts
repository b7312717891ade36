// The route table: which port and next hop lead to a tunnel's remote end, and which of our addresses it is sent from.
// Longest prefix first; a route of the operator stands before a cached one of about its length, an address of our own
// before both, all by OVS's arithmetic of priorities. Control path.
import type { Endpoint } from "./endpoints.ts";
import { sourceFor } from "./endpoints.ts";
import { formatIp, type Ip, NO_IP, networkOf, type Prefix, shownBits } from "./ip.ts";

/** What a route's origin adds to its prefix length. */
const PRIORITY = { cached: 0, user: 32, local: 64 } as const;
export type RouteOrigin = keyof typeof PRIORITY;

export interface Route {
  /** Host bits are zero. */
  readonly prefix: Prefix;
  /** `cached`: of the kernel or of an address of ours; `local`: to an address itself; `user`: of the operator. */
  readonly origin: RouteOrigin;
  readonly mark: number;
  readonly portName: string;
  /** NO_IP when the destination is a neighbour itself. */
  readonly gateway: Ip;
  readonly source: Ip;
}

export interface NextHop {
  readonly portName: string;
  readonly gateway: Ip;
  readonly source: Ip;
}

const priorityOf = ({ prefix, origin }: Route): number => prefix.bits + PRIORITY[origin];
const idOf = ({ prefix, mark, origin }: Pick<Route, "prefix" | "mark" | "origin">): string =>
  `${prefix.ip}/${prefix.bits} ${mark} ${origin}`;

/** Routes of one priority and prefix length, by network. */
interface Level {
  readonly mark: number;
  readonly bits: number;
  readonly routes: Map<Ip, Route>;
}

export class RouteTable {
  readonly #routes = new Map<string, Route>();
  #kernel: readonly Route[] = [];
  /** The one to try first in front; empty when it has to be made anew. */
  #ordered: readonly Route[] = [];
  #levels: readonly Level[] = [];

  constructor(routes: readonly Route[] = []) {
    for (const route of routes) this.#routes.set(idOf(route), route);
  }

  list(): readonly Route[] {
    this.#order();
    return this.#ordered;
  }

  /** Replaces all that the kernel's tables told; routes of our own stand before equal ones of them. */
  setKernel(routes: readonly Route[]): void {
    this.#kernel = routes;
    this.#ordered = [];
  }

  /**
   * Adds a route or replaces the one of the same prefix, mark and origin.
   * @param source one of the endpoint's addresses; absent: that in the destination's or the gateway's network
   * @returns false, table unchanged, when the endpoint has no address to send from
   */
  add(
    route: Omit<Route, "source" | "portName"> & { readonly source?: Ip },
    endpoint: Endpoint | undefined,
  ): boolean {
    if (endpoint === undefined) return false;
    const { prefix, gateway } = route;
    const found =
      route.source ??
      sourceFor(endpoint, prefix.ip) ??
      (gateway === NO_IP ? undefined : sourceFor(endpoint, gateway));
    if (found === undefined) return false;
    const added: Route = {
      ...route,
      prefix: { ip: networkOf(prefix.ip, prefix.bits), bits: prefix.bits },
      portName: endpoint.name,
      source: found,
    };
    this.#routes.set(idOf(added), added);
    this.#ordered = [];
    return true;
  }

  /** False when there is none. */
  remove(prefix: Prefix, mark: number, origin: RouteOrigin): boolean {
    const { bits } = prefix;
    const found = this.#routes.delete(
      idOf({ prefix: { ip: networkOf(prefix.ip, bits), bits }, mark, origin }),
    );
    this.#ordered = [];
    return found;
  }

  /** Removes all routes that `matches` says. */
  removeWhere(matches: (route: Route) => boolean): void {
    for (const [id, route] of this.#routes) if (matches(route)) this.#routes.delete(id);
    this.#ordered = [];
  }

  lookup(destination: Ip, mark = 0): NextHop | undefined {
    this.#order();
    for (const level of this.#levels) {
      const found = level.mark === mark ? level.routes.get(networkOf(destination, level.bits)) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #order(): void {
    if (this.#ordered.length > 0) return;
    const routes = new Map([...this.#kernel.map((route) => [idOf(route), route] as const), ...this.#routes]);
    this.#ordered = [...routes.values()].sort(
      (a, b) => priorityOf(b) - priorityOf(a) || (a.prefix.ip < b.prefix.ip ? -1 : 1),
    );
    const levels = new Map<string, Level>();
    for (const route of this.#ordered) {
      const { mark, prefix } = route;
      const id = `${priorityOf(route)} ${prefix.bits} ${mark}`;
      const level = levels.get(id) ?? { mark, bits: prefix.bits, routes: new Map<Ip, Route>() };
      level.routes.set(prefix.ip, route);
      levels.set(id, level);
    }
    this.#levels = [...levels.values()];
  }
}

/** A line of ovs/route/show. */
export function formatRoute(route: Route): string {
  const { prefix, origin, mark, portName, gateway, source } = route;
  const parts = [
    `${origin === "user" ? "User" : "Cached"}: ${formatIp(prefix.ip)}/${shownBits(prefix)}`,
    ...(mark === 0 ? [] : [`MARK ${mark}`]),
    `dev ${portName}`,
    ...(gateway === NO_IP ? [] : [`GW ${formatIp(gateway)}`]),
    `SRC ${formatIp(source)}`,
    ...(origin === "local" ? ["local"] : []),
  ];
  return parts.join(" ");
}
