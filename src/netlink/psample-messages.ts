// psample: sampled packets to whoever joined its group (linux/psample.h). Ports are told by their numbers in the
// datapath, where the kernel has interface indices.
import { type AttributeTable, blob, flag, u16, u32, u64, type Values } from "./attribute-table.ts";

export const PSAMPLE_COMMAND = { sample: 0 } as const;

/** PSAMPLE_ATTR_*. */
export const PSAMPLE_ATTRIBUTES = {
  inPort: { type: 0, form: u16 },
  outPort: { type: 1, form: u16 },
  /** Bytes of the packet before trunc cut it. */
  originalBytes: { type: 2, form: u32 },
  group: { type: 3, form: u32 },
  /** Counts the messages of a group. */
  sequence: { type: 4, form: u32 },
  rate: { type: 5, form: u32 },
  timestamp: { type: 13, form: u64 },
  protocol: { type: 14, form: u16 },
  /** As the action has it. */
  userCookie: { type: 15, form: blob() },
  probability: { type: 16, form: flag },
  data: { type: 6, form: blob() },
} as const satisfies AttributeTable;

export type PsampleAttributes = Values<typeof PSAMPLE_ATTRIBUTES>;
