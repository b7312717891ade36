// The switch's own addresses: ports at which tunnels begin and end. A packet to one of them is the switch's own; the
// port answers ARP and neighbour solicitations for them. Control path, plain data between threads.
import { type Ip, isIpv4, networkOf, type Prefix } from "./ip.ts";

export interface Endpoint {
  readonly name: string;
  readonly portNo: number;
  /** Source of what the switch sends there, six bytes. */
  readonly mac: Uint8Array;
  /** Addresses with the prefix lengths of their networks. */
  readonly addresses: readonly Prefix[];
}

/** The address of `endpoint` in the network that `ip` is in; the longest prefix decides, as in OVS. */
export function sourceFor(endpoint: Endpoint, ip: Ip): Ip | undefined {
  let best: Prefix | undefined;
  for (const address of endpoint.addresses) {
    if (isIpv4(address.ip) !== isIpv4(ip)) continue;
    if (networkOf(address.ip, address.bits) !== networkOf(ip, address.bits)) continue;
    if (best === undefined || address.bits > best.bits) best = address;
  }
  return best?.ip;
}

export const hasAddress = (endpoint: Endpoint, ip: Ip): boolean =>
  endpoint.addresses.some((address) => address.ip === ip);
