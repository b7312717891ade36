// TPACKET_V3 as the kernel lays it out in the ring (linux/if_packet.h), and the virtio header before each frame.
import { txPendingBytes } from "../tx-pending.ts";

/** A block's header, byte offsets. The status word passes the block between kernel (0) and us (TP_STATUS_USER). */
export const BLOCK = { status: 8, packetCount: 12, firstPacket: 16 } as const;
/** A packet's header, byte offsets from the header's start. */
export const PACKET = {
  next: 0,
  snapBytes: 12,
  bytes: 16,
  status: 20,
  mac: 24,
  vlanTci: 32,
  vlanTpid: 36,
} as const;

export const TP_STATUS_KERNEL = 0;
export const TP_STATUS_USER = 1;
export const TP_STATUS_VLAN_VALID = 0x10;
export const TP_STATUS_VLAN_TPID_VALID = 0x40;

/** virtio_net_hdr without buffer count: flags, gso type, header length, gso size, csum start, csum offset. */
export const VNET_HEADER_BYTES = 10;
export const VNET = { flags: 0, gsoType: 1, csumStart: 6, csumOffset: 8 } as const;
export const VNET_NEEDS_CSUM = 1;

/** 64 KiB blocks: a full one is handed over at once, so under load packets wait for some forty others at most. */
export const BLOCK_BYTES = 65536;
export const BLOCK_COUNT = 64;
/** A block that is not full is handed over after this; the kernel rounds up to its own tick. */
export const BLOCK_RETIRE_MILLIS = 1;

/** Segments of one transmit burst: a pair {offset, length} each. */
export const TX_SEGMENTS = 512;
export const TX_SEGMENT_BYTES = 8;
/** A burst's virtio headers, one for each packet, 16 bytes apart. */
export const TX_HEADER_STRIDE = 16;
export const TX_PACKETS = 64;
/** Arena pages of a transmit queue: segments, headers, then packets not yet sent. */
export const TX_PENDING = TX_SEGMENTS * TX_SEGMENT_BYTES + TX_PACKETS * TX_HEADER_STRIDE;
export const TX_AREA_BYTES = TX_PENDING + txPendingBytes(TX_PACKETS);

/** Behind the ring: where its reader stands, {block, packets taken of it}, for the worker that takes the queue over. */
export const RX_POSITION = { block: 0, taken: 4, bytes: 8 } as const;
