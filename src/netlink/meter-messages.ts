// ovs_meter: the datapath's meters.
import {
  type AttributeTable,
  blob,
  flag,
  list,
  nested,
  struct,
  u32,
  u64,
  type Values,
} from "./attribute-table.ts";

export const METER_COMMAND = { features: 1, set: 2, del: 3, get: 4 } as const;

/** OVS_METER_BAND_TYPE_*. */
export const BAND_TYPE = { drop: 1 } as const;

/** struct ovs_flow_stats. */
const stats = struct([
  ["packets", 8],
  ["bytes", 8],
]);

/** OVS_BAND_ATTR_*. */
export const BAND_ATTRIBUTES = {
  type: { type: 1, form: u32 },
  /** Packets or kilobits a second, and how many pass at once. */
  rate: { type: 2, form: u32 },
  burst: { type: 3, form: u32 },
  /** What the band dropped. */
  stats: { type: 4, form: stats },
} as const satisfies AttributeTable;

/** OVS_METER_ATTR_*. */
export const METER_ATTRIBUTES = {
  id: { type: 1, form: u32 },
  /** In kilobits, not in packets. */
  kbps: { type: 2, form: flag },
  /** What met the meter. */
  stats: { type: 3, form: stats },
  used: { type: 5, form: u64 },
  pad: { type: 9, form: blob(0, 0) },
  bands: { type: 4, form: list(nested(BAND_ATTRIBUTES)) },
  clear: { type: 6, form: flag },
  maxMeters: { type: 7, form: u32 },
  maxBands: { type: 8, form: u32 },
} as const satisfies AttributeTable;

export type MeterAttributes = Values<typeof METER_ATTRIBUTES>;
