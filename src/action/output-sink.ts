// Where executed packets go. The datapath implements it once, so calls from the executor stay monomorphic.
// Hot: one call for each packet that leaves the executor. Every frame handed over belongs to the sink from
// then on.
import type { BatchColumns } from "../memory/batch-columns.ts";

/** Why the executor gave a packet up; the datapath maps each to a drop reason. */
export const ACTION_END = {
  /** The actions send the packet nowhere. */
  nowhere: 0,
  /** No free frame for a copy or for a header to push. */
  noFrame: 1,
  /** An action could not be carried out on this packet. */
  unable: 2,
  /** A tunnel header could not be put in front of it, or there was none as expected. */
  notPushed: 3,
  notPopped: 4,
  /** Beyond a meter's rate. */
  meter: 5,
  /** lb_output to a bond that does not exist. */
  noBond: 6,
} as const;

export interface OutputSink {
  output(portNo: number, frame: number): void;
  /**
   * A packet for userspace() or psample().
   * @param slot the packet's slot in the batch of `columns`, where its key still stands as it was extracted
   * @param action ACTION.userspace or ACTION.psample
   * @param attributes arena offset of the action's nested attributes, valid until the burst ends
   * @param attributeBytes bytes of them
   * @param packetBytes bytes before trunc
   * @param probability with which a packet gets there through samples, of 2^32 - 1
   */
  upcall(
    columns: BatchColumns,
    slot: number,
    frame: number,
    action: number,
    attributes: number,
    attributeBytes: number,
    packetBytes: number,
    probability: number,
  ): void;
  /** @param end one of ACTION_END */
  drop(frame: number, end: number): void;
}
