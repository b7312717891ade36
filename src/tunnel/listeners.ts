// What outer packets a tunnel port takes, and the lines of tnl/ports/show. Control path.
import { IP_PROTOCOL } from "../packet/network-headers.ts";
import type { TunnelTypeName } from "../packet/tunnel-headers.ts";
import type { Listener } from "./state.ts";
import { hasUdp, type TunnelVport } from "./vport.ts";

/** The last header before the inner packet, as extraction finds it behind extension headers. */
function protocolsOf(type: TunnelTypeName): readonly number[] {
  if (hasUdp(type)) return [IP_PROTOCOL.udp];
  return type === "srv6" ? [IP_PROTOCOL.ipip, IP_PROTOCOL.ipv6] : [IP_PROTOCOL.gre];
}

export function listenerOf(portNo: number, name: string, { type, dstPort }: TunnelVport): Listener {
  return { portNo, name, protocols: protocolsOf(type), dstPort };
}

/** The first listener for packets of this kind. */
export function findListener(
  listeners: readonly Listener[],
  protocol: number,
  dstPort: number,
): Listener | undefined {
  return listeners.find(
    (listener) =>
      listener.protocols.includes(protocol) && (listener.dstPort === 0 || listener.dstPort === dstPort),
  );
}
