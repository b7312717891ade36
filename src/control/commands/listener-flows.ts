// tnl/ports/show -v: the packets that tunnel ports take, as flows.
import { formatIpv4, formatIpv6, formatMac } from "../../packet/address.ts";
import { IP_PROTOCOL } from "../../packet/network-headers.ts";
import type { Endpoint } from "../../tunnel/endpoints.ts";
import { ipBytes, isIpv4 } from "../../tunnel/ip.ts";
import type { Listener } from "../../tunnel/state.ts";

export function formatListenerFlows(
  listeners: readonly Listener[],
  endpoints: readonly Endpoint[],
): string[] {
  return endpoints.flatMap(({ mac, addresses }) =>
    addresses.flatMap(({ ip }) =>
      listeners.flatMap(({ name, portNo, protocols, dstPort }) =>
        protocols.map((protocol) => {
          const network = isIpv4(ip)
            ? `eth_type(0x0800),ipv4(dst=${formatIpv4(ipBytes(ip))},proto=${protocol},frag=no)`
            : `eth_type(0x86dd),ipv6(dst=${formatIpv6(ipBytes(ip))},proto=${protocol},frag=no)`;
          const transport = protocol === IP_PROTOCOL.udp ? `,udp(dst=${dstPort})` : "";
          return `${name} (${portNo}) : eth(dst=${formatMac(mac)}),${network}${transport}`;
        }),
      ),
    ),
  );
}
