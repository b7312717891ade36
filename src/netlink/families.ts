// The families that a socket of ours serves, with their multicast groups. The kernel gives numbers out at run time, so
// programs ask nlctrl for them by name; ours are fixed, which asking tells just as well.
//
// `millrace_socket` stands for what a netlink socket has and a stream socket has not: bind() to a pid, and membership
// of multicast groups.
import {
  type AttributeTable,
  blob,
  decodeAttributes,
  encodeAttributes,
  type Form,
  nested,
  text,
  u16,
  u32,
  type Values,
} from "./attribute-table.ts";
import { DATAPATH_ATTRIBUTES } from "./datapath-messages.ts";
import { FLOW_ATTRIBUTES } from "./flow-messages.ts";
import { METER_ATTRIBUTES } from "./meter-messages.ts";
import { PACKET_ATTRIBUTES } from "./packet-messages.ts";
import { PSAMPLE_ATTRIBUTES } from "./psample-messages.ts";
import { VPORT_ATTRIBUTES } from "./vport-messages.ts";

export interface FamilyRow {
  readonly id: number;
  readonly name: string;
  readonly version: number;
  /** OVS's header stands between the generic header and the attributes. */
  readonly hasOvsHeader: boolean;
  readonly attributes: AttributeTable;
  readonly group: { readonly id: number; readonly name: string } | undefined;
}

/** CTRL_CMD_*. */
export const CTRL_COMMAND = { newFamily: 1, getFamily: 3 } as const;

const GROUP_ATTRIBUTES = {
  name: { type: 1, form: text(16) },
  id: { type: 2, form: u32 },
} as const satisfies AttributeTable;

type Group = Values<typeof GROUP_ATTRIBUTES>;

/** A nested list whose attributes are numbered from 1, each a group. */
const groups: Form<readonly Group[]> = {
  ...blob(),
  read: (payload, place) => {
    const { values } = decodeAttributes(FIRST_GROUP, place.message, place.start, place.what, place.end);
    return payload.length === 0 ? [] : [values.first!];
  },
  write: (out, type, value) => {
    const mark = out.begin(type);
    out.putBytes(encodeAttributes(FIRST_GROUP, { first: value[0] }));
    out.end(mark);
  },
};

/** No family here has more than one. */
const FIRST_GROUP = { first: { type: 1, form: nested(GROUP_ATTRIBUTES) } } as const satisfies AttributeTable;

/** CTRL_ATTR_*. */
export const CTRL_ATTRIBUTES = {
  familyName: { type: 2, form: text(16) },
  familyId: { type: 1, form: u16 },
  version: { type: 3, form: u32 },
  headerBytes: { type: 4, form: u32 },
  attributeMax: { type: 5, form: u32 },
  groups: { type: 7, form: groups },
} as const satisfies AttributeTable;

export const SOCKET_COMMAND = { bind: 1, unbind: 2, join: 3, leave: 4, stats: 5 } as const;

export const SOCKET_ATTRIBUTES = {
  /** bind: 0 or absent for one that is free; told in the answer. */
  pid: { type: 1, form: u32 },
  group: { type: 2, form: u32 },
  /** Messages to this connection that found no room. */
  lost: { type: 3, form: u32 },
} as const satisfies AttributeTable;

/** GENL_ID_CTRL is the kernel's number too. */
export const FAMILY = {
  control: {
    id: 16,
    name: "nlctrl",
    version: 2,
    hasOvsHeader: false,
    attributes: CTRL_ATTRIBUTES,
    group: undefined,
  },
  datapath: {
    id: 17,
    name: "ovs_datapath",
    version: 2,
    hasOvsHeader: true,
    attributes: DATAPATH_ATTRIBUTES,
    group: { id: 1, name: "ovs_datapath" },
  },
  vport: {
    id: 18,
    name: "ovs_vport",
    version: 1,
    hasOvsHeader: true,
    attributes: VPORT_ATTRIBUTES,
    group: { id: 2, name: "ovs_vport" },
  },
  flow: {
    id: 19,
    name: "ovs_flow",
    version: 1,
    hasOvsHeader: true,
    attributes: FLOW_ATTRIBUTES,
    group: { id: 3, name: "ovs_flow" },
  },
  packet: {
    id: 20,
    name: "ovs_packet",
    version: 1,
    hasOvsHeader: true,
    attributes: PACKET_ATTRIBUTES,
    group: undefined,
  },
  psample: {
    id: 22,
    name: "psample",
    version: 1,
    hasOvsHeader: false,
    attributes: PSAMPLE_ATTRIBUTES,
    group: { id: 4, name: "packets" },
  },
  meter: {
    id: 23,
    name: "ovs_meter",
    version: 1,
    hasOvsHeader: true,
    attributes: METER_ATTRIBUTES,
    group: undefined,
  },
  socket: {
    id: 21,
    name: "millrace_socket",
    version: 1,
    hasOvsHeader: false,
    attributes: SOCKET_ATTRIBUTES,
    group: undefined,
  },
} as const satisfies Readonly<Record<string, FamilyRow>>;

export type FamilyName = keyof typeof FAMILY;

export const FAMILIES: readonly FamilyRow[] = Object.values(FAMILY);
