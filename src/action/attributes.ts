// The actions and the attributes inside them: numbers as OVS and Linux have them (openvswitch.h), so that an
// action list is the same bytes in a netlink message, in a file, in the arena and in the executor's hands.
//
// An attribute is a 16-bit length (header included), a 16-bit type, both in host order, its payload, and
// padding to four bytes that the length does not count. Numbers inside payloads are in host order, except
// those that a packet carries (addresses, ports, tags, labels, Ethertypes), which are in network order.

import type { ACTION } from "../flow/action-numbers.ts";
import type { PayloadForm } from "../flow/odp/attributes.ts";

export { ACTION, ACTION_METADATA, CHECK_PKT_LEN, DEC_TTL, SAMPLE } from "../flow/action-numbers.ts";

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
