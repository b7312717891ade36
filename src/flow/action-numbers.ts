// Numbers of the actions and of the attributes in those that hold lists (openvswitch.h). They stand in this room because
// the table tells action lists apart by their shape (table/action-shape.ts); what actions are is said in action/attributes.ts.

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

/** OVS_SAMPLE_ATTR_*. */
export const SAMPLE = { probability: 1, actions: 2 } as const;
/** OVS_CHECK_PKT_LEN_ATTR_*. */
export const CHECK_PKT_LEN = { pktLen: 1, actionsIfGreater: 2, actionsIfLessEqual: 3 } as const;
/** OVS_DEC_TTL_ATTR_*. */
export const DEC_TTL = { action: 1 } as const;
