// ovs_packet: packets on their way up (MISS, ACTION) and down (EXECUTE).
import { ETH } from "../packet/link-headers.ts";
import { type AttributeTable, blob, flag, u16, u32, u64, type Values } from "./attribute-table.ts";

export const PACKET_COMMAND = { miss: 1, action: 2, execute: 3 } as const;

/** OVS_PACKET_HASH_SW_BIT and _L4_BIT, above the hash itself: software made it, of ports too. */
export const PACKET_HASH = { software: 1n << 32n, l4: 1n << 33n } as const;

/** OVS_PACKET_ATTR_*. */
export const PACKET_ATTRIBUTES = {
  /** As an upcall reports it: modified so far. */
  packet: { type: 1, form: blob(ETH.headerBytes) },
  /** As the packet was extracted. */
  key: { type: 2, form: blob() },
  /** ACTION: the payload of the action's userdata, byte for byte. */
  userdata: { type: 4, form: blob() },
  /** ACTION: OVS_TUNNEL_KEY_ATTR_* that the action's output port would use. */
  egressTunnelKey: { type: 5, form: blob() },
  /** ACTION: the flow's actions, when the action asked for them. EXECUTE: what to do. */
  actions: { type: 3, form: blob() },
  /** EXECUTE: a feature test, whose failure is not logged. */
  probe: { type: 8, form: flag },
  /** Longest fragment that the packet was put together from. */
  mru: { type: 9, form: u16 },
  /** Bytes of the packet before trunc cut it; absent when nothing was cut. */
  length: { type: 10, form: u32 },
  /** The hash that chose the pid, and PACKET_HASH. */
  hash: { type: 11, form: u64 },
  /** EXECUTE: where userspace() of a list executed goes in place of its own pid. */
  upcallPid: { type: 12, form: u32 },
} as const satisfies AttributeTable;

export type PacketAttributes = Values<typeof PACKET_ATTRIBUTES>;
