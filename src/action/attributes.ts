// The actions and the attributes inside them: numbers as OVS and Linux have them (openvswitch.h), so that an
// action list is the same bytes in a netlink message, in a file, in the arena and in the executor's hands.
//
// An attribute is a 16-bit length (header included), a 16-bit type, both in host order, its payload, and
// padding to four bytes that the length does not count. Numbers inside payloads are in host order, except
// those that a packet carries (addresses, ports, tags, labels, Ethertypes), which are in network order.

import type { PayloadForm } from "../flow/odp/attributes.ts";

/** OVS_ACTION_ATTR_*. */
export const ACTION = {
  output: 1,
  userspace: 2,
  set: 3,
  pushVlan: 4,
  popVlan: 5,
  sample: 6,
  recirc: 7,
  hash: 8,
  pushMpls: 9,
  popMpls: 10,
  setMasked: 11,
  ct: 12,
  trunc: 13,
  pushEth: 14,
  popEth: 15,
  ctClear: 16,
  pushNsh: 17,
  popNsh: 18,
  meter: 19,
  clone: 20,
  checkPktLen: 21,
  addMpls: 22,
  decTtl: 23,
  drop: 24,
  psample: 25,
  tunnelPush: 26,
  tunnelPop: 27,
  lbOutput: 28,
} as const;

/**
 * Begins the list of a packet that comes back from the handler (Engine.execute), and stands nowhere else: whole lines of
 * a flow key, of which the metadata count. No validated list has it.
 */
export const ACTION_METADATA = 0x3fff;

export type ActionName = keyof typeof ACTION;
export type ActionType = (typeof ACTION)[ActionName];

export interface ActionRow {
  readonly name: ActionName;
  /** The name in ODP text, used in paths of refusals. */
  readonly text: string;
  readonly payload: PayloadForm;
  /**
   * Whether the executor carries it out. What it does not is parsed and printed, and refused at installation.
   */
  readonly executed: boolean;
}

/** One row for each action, at the index of its number. */
export const ACTION_ROWS: readonly (ActionRow | undefined)[] = [
  undefined,
  { name: "output", text: "output", payload: 4, executed: true },
  { name: "userspace", text: "userspace", payload: "nested", executed: true },
  { name: "set", text: "set", payload: "nested", executed: true },
  { name: "pushVlan", text: "push_vlan", payload: 4, executed: true },
  { name: "popVlan", text: "pop_vlan", payload: 0, executed: true },
  { name: "sample", text: "sample", payload: "nested", executed: true },
  { name: "recirc", text: "recirc", payload: 4, executed: true },
  { name: "hash", text: "hash", payload: 8, executed: true },
  { name: "pushMpls", text: "push_mpls", payload: 6, executed: true },
  { name: "popMpls", text: "pop_mpls", payload: 2, executed: true },
  { name: "setMasked", text: "set", payload: "nested", executed: true },
  { name: "ct", text: "ct", payload: "nested", executed: false },
  { name: "trunc", text: "trunc", payload: 4, executed: true },
  { name: "pushEth", text: "push_eth", payload: 12, executed: true },
  { name: "popEth", text: "pop_eth", payload: 0, executed: true },
  { name: "ctClear", text: "ct_clear", payload: 0, executed: false },
  { name: "pushNsh", text: "push_nsh", payload: "nested", executed: true },
  { name: "popNsh", text: "pop_nsh", payload: 0, executed: true },
  { name: "meter", text: "meter", payload: 4, executed: true },
  { name: "clone", text: "clone", payload: "nested", executed: true },
  { name: "checkPktLen", text: "check_pkt_len", payload: "nested", executed: true },
  { name: "addMpls", text: "add_mpls", payload: 8, executed: true },
  { name: "decTtl", text: "dec_ttl", payload: "nested", executed: true },
  { name: "drop", text: "drop", payload: 4, executed: true },
  { name: "psample", text: "psample", payload: "nested", executed: true },
  { name: "tunnelPush", text: "tnl_push", payload: "variable", executed: true },
  { name: "tunnelPop", text: "tnl_pop", payload: 4, executed: true },
  { name: "lbOutput", text: "lb_output", payload: 4, executed: true },
];

/** OVS_USERSPACE_ATTR_*. */
export const USERSPACE = { pid: 1, userdata: 2, egressTunPort: 3, actions: 4 } as const;
/** OVS_SAMPLE_ATTR_*. */
export const SAMPLE = { probability: 1, actions: 2 } as const;
/** OVS_CT_ATTR_*. */
export const CT = {
  commit: 1,
  zone: 2,
  mark: 3,
  labels: 4,
  helper: 5,
  nat: 6,
  forceCommit: 7,
  eventMask: 8,
  timeout: 9,
} as const;
/** OVS_NAT_ATTR_*. */
export const NAT = {
  src: 1,
  dst: 2,
  ipMin: 3,
  ipMax: 4,
  protoMin: 5,
  protoMax: 6,
  persistent: 7,
  protoHash: 8,
  protoRandom: 9,
} as const;
/** OVS_CHECK_PKT_LEN_ATTR_*. */
export const CHECK_PKT_LEN = { pktLen: 1, actionsIfGreater: 2, actionsIfLessEqual: 3 } as const;
/** OVS_DEC_TTL_ATTR_*. */
export const DEC_TTL = { action: 1 } as const;
/** OVS_PSAMPLE_ATTR_*. */
export const PSAMPLE = { group: 1, cookie: 2 } as const;
/** OVS_HASH_ALG_*. */
export const HASH_ALG = { l4: 0, symL4: 1 } as const;
/** Bits of add_mpls's flags word. */
export const ADD_MPLS_L3_TUNNEL = 1;

/** How deep sample, clone, check_pkt_len and dec_ttl may nest: Linux's OVS_COPY_ACTIONS_MAX_DEPTH. */
export const ACTION_DEPTH_MAX = 16;
/** How deep the text parser follows: OVS's MAX_ODP_NESTED, above every depth that validation lets pass. */
export const TEXT_DEPTH_MAX = 32;
/** The shortest packet that trunc may leave: an Ethernet header. */
export const TRUNC_BYTES_MIN = 14;
/** The longest cookie of psample: PSAMPLE_COOKIE of the kernel's netlink group. */
export const PSAMPLE_COOKIE_BYTES_MAX = 16;
/** The longest prebuilt tunnel header of tnl_push: TNL_PUSH_HEADER_SIZE. */
export const TUNNEL_HEADER_BYTES_MAX = 512;
