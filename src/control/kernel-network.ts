// The kernel's routes and neighbours, for tunnels: read at the start and again whenever the kernel tells that something
// changed. Routes of the tables that OVS reads too: main, local and default; of equal ones the least metric counts.
import { type KernelRoute, native } from "../native.ts";
import { OWN_NETNS } from "../port/kernel-interface.ts";
import { type Endpoint, hasAddress, sourceFor } from "../tunnel/endpoints.ts";
import { IP_BITS, IPV4_PREFIX_BITS, isIpv4, NO_IP, networkOf, type Prefix, parseIp } from "../tunnel/ip.ts";
import type { Neighbour } from "../tunnel/neighbours.ts";
import type { Route } from "../tunnel/routes.ts";

/** RT_TABLE_DEFAULT, _MAIN and _LOCAL. */
const TABLES: ReadonlySet<number> = new Set([253, 254, 255]);
/** Changes come in flocks: an address brings routes along, a neighbour changes its state every few seconds. */
const QUIET_MILLIS = 100;
/** A table that changes while it is read may be told wrong; it is read again, whatever the kernel says. */
const REFRESH_MILLIS = 10_000;
/** Every thread gets a copy of the table whenever it changes: a full table of the Internet is none for tunnels. */
const ROUTE_COUNT_MAX = 16_384;

/** What the kernel says about networks. */
export interface KernelNetworks {
  readonly routes: readonly Route[];
  readonly neighbours: readonly Neighbour[];
  /** Addresses by interface name. */
  readonly addresses: ReadonlyMap<string, readonly Prefix[]>;
}

export class KernelNetwork {
  readonly #queryFd: number;
  readonly #eventFd: number;
  readonly #unwatch: () => void;
  readonly #changed: () => void;
  readonly #log: (message: string) => void;
  readonly #refresh: NodeJS.Timeout;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param changed told when read() may say something else, some time after a flock of changes
   * @throws Error when there is no kernel to ask
   */
  constructor(changed: () => void, log: (message: string) => void) {
    const { linkOpen, routeEventsOpen, fdWatch } = native();
    this.#changed = changed;
    this.#log = log;
    this.#queryFd = linkOpen(OWN_NETNS);
    this.#eventFd = routeEventsOpen(OWN_NETNS);
    this.#unwatch = fdWatch(this.#eventFd, () => this.#readEvents());
    this.#refresh = setInterval(changed, REFRESH_MILLIS).unref();
  }

  /**
   * @param endpoints by the name of their interface: what leaves by one of them leaves from its addresses, whatever the
   *   kernel's are
   */
  read(endpoints: ReadonlyMap<string, Endpoint>): KernelNetworks {
    const { linkList, addressList, routeList, neighbourList } = native();
    const names = new Map(linkList(this.#queryFd).map(({ ifindex, name }) => [ifindex, name]));
    const addresses = new Map<string, Prefix[]>();
    for (const { ifindex, family, address, prefixLength } of addressList(this.#queryFd)) {
      const name = names.get(ifindex);
      const ip = parseIp(address);
      if (name === undefined || ip === undefined) continue;
      const prefix = { ip, bits: bitsOf(family, prefixLength) };
      addresses.set(name, [...(addresses.get(name) ?? []), prefix]);
    }
    const known = routeList(this.#queryFd).filter(({ table }) => TABLES.has(table));
    if (known.length > ROUTE_COUNT_MAX)
      this.#log(`the kernel has ${known.length} routes; tunnels look at ${ROUTE_COUNT_MAX} of them`);
    const routes = known
      .sort((a, b) => b.metric - a.metric)
      .slice(-ROUTE_COUNT_MAX)
      .flatMap((route) => {
        const name = names.get(route.ifindex);
        return name === undefined ? [] : routeOf(route, endpoints.get(name), name, addresses.get(name) ?? []);
      });
    const neighbours = neighbourList(this.#queryFd).flatMap(({ ifindex, address, mac }) => {
      const endpoint = endpoints.get(names.get(ifindex) ?? "");
      const ip = parseIp(address);
      return endpoint === undefined || ip === undefined ? [] : [{ portName: endpoint.name, ip, mac }];
    });
    return { routes, neighbours, addresses };
  }

  close(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#refresh);
    this.#unwatch();
    native().fdClose(this.#eventFd);
    native().fdClose(this.#queryFd);
  }

  #readEvents(): void {
    native().linkEventsRead(this.#eventFd);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#changed();
    }, QUIET_MILLIS).unref();
  }
}

const bitsOf = (family: "ipv4" | "ipv6", prefixLength: number): number =>
  family === "ipv4" ? IPV4_PREFIX_BITS + prefixLength : prefixLength;

/** None when there is no address to send from. */
function routeOf(
  { family, destination, prefixLength, gateway, source, isLocal, mark }: KernelRoute,
  endpoint: Endpoint | undefined,
  interfaceName: string,
  addresses: readonly Prefix[],
): Route[] {
  const all = family === "ipv4" ? "0.0.0.0" : "::";
  const bits = bitsOf(family, prefixLength);
  const ip = networkOf(parseIp(destination === "" ? all : destination) ?? NO_IP, Math.min(bits, IP_BITS));
  const hop = (gateway === "" ? undefined : parseIp(gateway)) ?? NO_IP;
  const from = endpoint ?? { name: interfaceName, portNo: 0, mac: new Uint8Array(6), addresses };
  const wanted = source === "" ? undefined : parseIp(source);
  const found =
    (wanted !== undefined && hasAddress(from, wanted) ? wanted : undefined) ??
    (hop === NO_IP ? undefined : sourceFor(from, hop)) ??
    sourceFor(from, ip) ??
    (endpoint === undefined
      ? undefined
      : endpoint.addresses.find((own) => isIpv4(own.ip) === (family === "ipv4"))?.ip);
  if (found === undefined) return [];
  const origin = isLocal ? "local" : "cached";
  return [{ prefix: { ip, bits }, origin, mark, portName: from.name, gateway: hop, source: found }];
}
