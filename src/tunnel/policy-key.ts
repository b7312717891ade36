// The tunnel key of packets put out of a port with a remote end of its own, and what of it follows the packet. Control
// path.
import { EMPTY_TUNNEL_KEY, type TunnelKey } from "./tunnel-key.ts";
import type { TunnelVport } from "./vport.ts";

/** When there is nothing to inherit from. */
export const TTL_DEFAULT = 64;

/** The key as far as it is the same for all packets; undefined for a flow-based port, which has no remote end. */
export function policyKey(vport: TunnelVport): TunnelKey | undefined {
  if (vport.remote === 0n) return undefined;
  return {
    ...EMPTY_TUNNEL_KEY,
    destination: vport.remote,
    source: vport.local,
    id: typeof vport.outKey === "bigint" ? vport.outKey : 0n,
    hasId: vport.outKey !== undefined,
    tos: vport.tos === "inherit" ? 0 : vport.tos,
    ttl: vport.ttl === "inherit" ? TTL_DEFAULT : vport.ttl,
    isDontFragment: vport.isDontFragment,
    hasChecksum: vport.hasChecksum,
  };
}
