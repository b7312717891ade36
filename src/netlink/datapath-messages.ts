// ovs_datapath: datapaths themselves.
import { type AttributeTable, blob, struct, text, u32, u32Array, type Values } from "./attribute-table.ts";
import { PORT_NAME_BYTES_MAX } from "./vport-messages.ts";

export const DATAPATH_COMMAND = { new: 1, del: 2, get: 3, set: 4 } as const;

/** OVS_DP_F_*. */
export const USER_FEATURE = {
  unaligned: 1,
  vportPids: 2,
  tcRecircSharing: 4,
  /** Upcalls by the CPU that received the packet; here, by worker. */
  upcallPerCpu: 8,
} as const;

/** OVS_DP_ATTR_*. */
export const DATAPATH_ATTRIBUTES = {
  name: { type: 1, form: text(PORT_NAME_BYTES_MAX) },
  upcallPid: { type: 2, form: u32 },
  stats: {
    type: 3,
    form: struct([
      ["hit", 8],
      ["missed", 8],
      ["lost", 8],
      ["flows", 8],
    ]),
  },
  megaflowStats: {
    type: 4,
    form: struct([
      ["maskHit", 8],
      ["masks", 4],
      ["pad0", 4],
      ["cacheHit", 8],
      ["pad1", 8],
    ]),
  },
  userFeatures: { type: 5, form: u32 },
  pad: { type: 6, form: blob(0, 0) },
  masksCacheSize: { type: 7, form: u32 },
  /** Who gets upcalls of which worker, while upcallPerCpu is set. */
  perCpuPids: { type: 8, form: u32Array },
  ifindex: { type: 9, form: u32 },
} as const satisfies AttributeTable;

export type DatapathAttributes = Values<typeof DATAPATH_ATTRIBUTES>;
