// ovs_vport: the ports of a datapath.
import {
  type AttributeTable,
  blob,
  flag,
  nested,
  struct,
  text,
  u16,
  u32,
  u32Array,
  u64,
  type Values,
} from "./attribute-table.ts";

export const VPORT_COMMAND = { new: 1, del: 2, get: 3, set: 4 } as const;

/** OVS_VPORT_TYPE_*, those of userspace's numbers above 100 included. */
export const VPORT_TYPE = {
  netdev: 1,
  internal: 2,
  gre: 3,
  vxlan: 4,
  geneve: 5,
  erspan: 107,
  ip6erspan: 108,
  ip6gre: 109,
  gtpu: 110,
  bareudp: 111,
  srv6: 112,
} as const;

/** IFNAMSIZ. */
export const PORT_NAME_BYTES_MAX = 16;

/** OVS_VXLAN_EXT_*: present or not, as netlink of OVS has them. */
const TUNNEL_EXTENSIONS = {
  gbp: { type: 1, form: flag },
  gpe: { type: 2, form: flag },
} as const satisfies AttributeTable;

/** OVS_TUNNEL_ATTR_*: the options of tunnels. */
export const TUNNEL_OPTIONS = {
  dstPort: { type: 1, form: u16 },
  extension: { type: 2, form: nested(TUNNEL_EXTENSIONS) },
} as const satisfies AttributeTable;

/** OVS_VPORT_UPCALL_ATTR_*. */
const UPCALL_STATS = {
  success: { type: 0, form: u64 },
  fail: { type: 1, form: u64 },
} as const satisfies AttributeTable;

/** OVS_VPORT_ATTR_*. */
export const VPORT_ATTRIBUTES = {
  portNo: { type: 1, form: u32 },
  type: { type: 2, form: u32 },
  name: { type: 3, form: text(PORT_NAME_BYTES_MAX) },
  ifindex: { type: 8, form: u32 },
  netnsId: { type: 9, form: u32 },
  stats: {
    type: 6,
    form: struct([
      ["rxPackets", 8],
      ["txPackets", 8],
      ["rxBytes", 8],
      ["txBytes", 8],
      ["rxErrors", 8],
      ["txErrors", 8],
      ["rxDropped", 8],
      ["txDropped", 8],
    ]),
  },
  pad: { type: 7, form: blob(0, 0) },
  upcallStats: { type: 10, form: nested(UPCALL_STATS) },
  /** Who gets the port's misses; a packet's hash chooses among several. One 0: nobody. */
  upcallPids: { type: 5, form: u32Array },
  options: { type: 4, form: nested(TUNNEL_OPTIONS) },
} as const satisfies AttributeTable;

export type VportAttributes = Values<typeof VPORT_ATTRIBUTES>;
