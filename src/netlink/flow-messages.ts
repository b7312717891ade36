// ovs_flow: flows of a datapath. Keys, masks and actions are OVS_KEY_ATTR_* and OVS_ACTION_ATTR_* lists, which flow/odp
// and action know; here they are bytes.
import { type AttributeTable, blob, flag, struct, u8, u32, u64, type Values } from "./attribute-table.ts";

export const FLOW_COMMAND = { new: 1, del: 2, get: 3, set: 4 } as const;

/** OVS_UFID_F_*: what an answer leaves out. */
export const UFID_OMIT = { key: 1, mask: 2, actions: 4 } as const;
/** MAX_UFID_LENGTH. */
const UFID_BYTES_MAX = 16;

/** OVS_FLOW_ATTR_*, in the order of the kernel's answers. */
export const FLOW_ATTRIBUTES = {
  ufid: { type: 9, form: blob(1, UFID_BYTES_MAX) },
  key: { type: 1, form: blob() },
  mask: { type: 7, form: blob() },
  /** Milliseconds of the last packet on the monotonic clock; absent when there was none. */
  used: { type: 5, form: u64 },
  stats: {
    type: 3,
    form: struct([
      ["packets", 8],
      ["bytes", 8],
    ]),
  },
  tcpFlags: { type: 4, form: u8 },
  /** Requests only: statistics from zero. */
  clear: { type: 6, form: flag },
  /** Requests only: a feature test, whose failure is nobody's fault and is not logged. */
  probe: { type: 8, form: flag },
  ufidFlags: { type: 10, form: u32 },
  pad: { type: 11, form: blob(0, 0) },
  /** Last, because it may be long. */
  actions: { type: 2, form: blob() },
} as const satisfies AttributeTable;

export type FlowAttributes = Values<typeof FLOW_ATTRIBUTES>;
