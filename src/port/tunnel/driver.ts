// Tunnel ports on the control thread: settings, no device. One driver for each type of tunnel.

import { PORT_BLOCK } from "../../memory/port-layout.ts";
import { PORT_BLOCK_BYTES } from "../../memory/region-plan.ts";
import { TUNNEL_TYPE, type TunnelTypeName } from "../../packet/tunnel-headers.ts";
import { formatIp, NO_IP } from "../../tunnel/ip.ts";
import { type TunnelVport, tunnelVport } from "../../tunnel/vport.ts";
import type { OpenPort, PortContext, PortDriver, PortSpec, PortStatus, QueueAttachment } from "../port.ts";

/** As OVS's: the outer packet's port has the limit that counts. */
const TUNNEL_MTU = 65_465;
const DST_PORT_SHOWN: Readonly<Partial<Record<TunnelTypeName, number>>> = {
  vxlan: 4789,
  geneve: 6081,
  gtpu: 2152,
};

export const tunnelDrivers: readonly PortDriver[] = (Object.keys(TUNNEL_TYPE) as TunnelTypeName[]).map(
  (type) => ({
    type,
    takesOptionsWhileOpen: true,
    open: async (context: PortContext, spec: PortSpec, portNo: number, slot: number): Promise<OpenPort> => {
      if (spec.rxqCount !== undefined) {
        throw new Error(`port ${spec.name}: a tunnel port has no queues of its own; remove rx-queues`);
      }
      try {
        return new TunnelPort(context, spec, portNo, slot, tunnelVport(type, spec.options ?? {}));
      } catch (error) {
        throw new Error(`port ${spec.name}: ${(error as Error).message}`, { cause: error });
      }
    },
  }),
);

export const isTunnelPort = (port: OpenPort): port is TunnelPort => port instanceof TunnelPort;

export class TunnelPort implements OpenPort {
  readonly spec: PortSpec;
  readonly portNo: number;
  readonly slot: number;
  readonly rxqCount = 0;
  readonly txqCount: number;
  readonly hasQueuePerWorker = true;
  /** They are finished before a header goes in front. */
  readonly takesPartialChecksums = true;
  readonly takesL3 = true;
  readonly shownOptions: readonly (readonly [string, string])[];
  readonly vport: TunnelVport;
  readonly #sequenceAt: number;

  constructor(context: PortContext, spec: PortSpec, portNo: number, slot: number, vport: TunnelVport) {
    this.spec = spec;
    this.portNo = portNo;
    this.slot = slot;
    this.vport = vport;
    this.txqCount = Math.max(1, context.arena.plan.sizes.workerCount);
    this.shownOptions = shownOptions(vport);
    this.#sequenceAt =
      context.arena.region("ports").offset + slot * PORT_BLOCK_BYTES + PORT_BLOCK.tunnelSequence;
    context.arena.u32[this.#sequenceAt >>> 2] = 0;
  }

  rxAttachment(): never {
    throw new Error(`port ${this.spec.name}: a tunnel port has no receive queues`);
  }

  txAttachment(queue: number): QueueAttachment {
    const fields = { options: JSON.stringify(this.spec.options ?? {}), sequenceAt: this.#sequenceAt };
    return { type: this.spec.type, portNo: this.portNo, slot: this.slot, queue, fields };
  }

  status(): PortStatus {
    return { up: true, mtu: TUNNEL_MTU, notes: [] };
  }

  /** The kernel knows nothing of it. */
  foldKernelCounters(): void {}

  async close(): Promise<void> {}
}

/** As dpctl/show prints a tunnel's options in OVS: what is not as it is by itself, by name. */
function shownOptions(vport: TunnelVport): (readonly [string, string])[] {
  const rows: (readonly [string, string | false])[] = [
    ["csum", vport.hasChecksum && "true"],
    ["df_default", !vport.isDontFragment && "false"],
    ["dst_port", vport.dstPort !== (DST_PORT_SHOWN[vport.type] ?? vport.dstPort) && String(vport.dstPort)],
    ["exts", vport.hasGbp ? "gbp" : vport.hasGpe && "gpe"],
    ["in_key", vport.inKey !== vport.outKey && vport.inKey !== undefined && String(vport.inKey)],
    ["key", vport.inKey === vport.outKey && vport.inKey !== undefined && String(vport.inKey)],
    ["local_ip", vport.local !== NO_IP && formatIp(vport.local)],
    ["out_key", vport.inKey !== vport.outKey && vport.outKey !== undefined && String(vport.outKey)],
    ["remote_ip", vport.remote !== NO_IP && formatIp(vport.remote)],
    ["seq", vport.hasSequence && "true"],
    ["tos", vport.tos !== 0 && String(vport.tos)],
    ["ttl", vport.ttl !== 64 && String(vport.ttl)],
    ["packet_type", "ptap"],
  ];
  return rows.flatMap(([name, value]) => (value === false ? [] : [[name, value] as const]));
}
