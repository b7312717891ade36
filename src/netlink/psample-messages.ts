// psample: sampled packets to whoever joined its group (linux/psample.h). Ports are told by their numbers in the
// datapath, where the kernel has interface indices.
import { type AttributeTable, blob, flag, u16, u32, u64, type Values } from "./attribute-table.ts";

export const PSAMPLE_COMMAND = { sample: 0 } as const;

/** PSAMPLE_ATTR_*. */
export const PSAMPLE_ATTRIBUTES = {
  inPort: { type: 0, form: u16 },
  outPort: { type: 1, form: u16 },
  /** Of probability: with which packets get to the action through samples, of 2^32 - 1. */
  rate: { type: 5, form: u32 },
  /** Bytes of the packet before trunc cut it. */
  originalBytes: { type: 2, form: u32 },
  group: { type: 3, form: u32 },
  /** Counts the messages of a group. */
  sequence: { type: 4, form: u32 },
  /** Nanoseconds since 1970 when it was sent. */
  timestamp: { type: 13, form: u64 },
  /** The Ethertype. */
  protocol: { type: 14, form: u16 },
  /** The packet as modified and cut so far. */
  data: { type: 6, form: blob() },
  /** As the action has it. */
  userCookie: { type: 15, form: blob() },
  /** That `rate` is a probability, and not one packet in so many. */
  probability: { type: 16, form: flag },
} as const satisfies AttributeTable;

export type PsampleAttributes = Values<typeof PSAMPLE_ATTRIBUTES>;
