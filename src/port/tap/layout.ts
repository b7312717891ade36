// The arena pages of a tap queue, and the virtio_net_hdr of 12 bytes that stands before each packet.
import { FRAME_HEADROOM_BYTES, PACKET_BYTES_MAX } from "../../memory/frame-layout.ts";
import { SEGMENTS_MAX, TAP_PACKET_BYTES } from "../../native.ts";
import { txPendingBytes } from "../tx-pending.ts";

/** Packets read or written by one call of the addon: a burst. */
export const TAP_BURST = 32;

/** Segments that the addon's vectors hold for one packet; the longest packet in full frames takes six. */
export const PACKET_SEGMENTS_MAX = 64;

/** Frames that the longest packet takes. */
export const segmentsPerPacket = (frameBytes: number): number =>
  Math.ceil(PACKET_BYTES_MAX / (frameBytes - FRAME_HEADROOM_BYTES));

/** Byte offsets in a receive queue's pages: stocked frames (index + 1, 0 for none), their addresses, results. */
export const rxArea = (frameBytes: number) => {
  const stockBytes = TAP_BURST * segmentsPerPacket(frameBytes) * 4;
  return {
    stock: 0,
    addresses: stockBytes,
    results: 2 * stockBytes,
    bytes: 2 * stockBytes + TAP_BURST * TAP_PACKET_BYTES,
  };
};

/** Byte offsets in a transmit queue's pages: segment pairs {offset, length}, headers, packets not yet sent. */
export const TX_AREA = {
  segments: 0,
  headers: SEGMENTS_MAX * 8,
  pending: SEGMENTS_MAX * 8 + TAP_BURST * TAP_PACKET_BYTES,
  bytes: SEGMENTS_MAX * 8 + TAP_BURST * TAP_PACKET_BYTES + txPendingBytes(TAP_BURST),
} as const;

/** In a packet's TAP_PACKET_BYTES: the length word, then the header. */
export const HEADER = { flags: 4, csumStart: 10, csumOffset: 12 } as const;
export const NEEDS_CSUM = 1;
