// Frames and what is known of each. A packet is named by the index of its first frame; where its bytes stand and
// how many there are is in that frame's record of the frameMeta region, 32 bytes for each frame:
//
//   offset  size  field
//        0    u16  dataOffset     where the data begins in the frame                      hot
//        2    u16  dataBytes      bytes of data in this frame                             hot
//        4    u32  nextFrame      the packet's next frame, NO_FRAME in the last one       hot
//        8    u32  packetBytes    bytes of the whole packet (first frame only)            hot
//       12    u16  segmentCount   frames of the packet (first frame only)                 hot
//       14    u16  flags          PACKET_* below, patch hops above (first frame only)     hot
//       16    u16  csumStart      where a partial checksum's sum starts                   cold
//       18    u16  csumOffset     where it goes, from csumStart                           cold
//       20    u32  link           the next bundle while the frame is in the reserve       cold
//       24    u32  ledger         who owns the frame (debug only, frame-ledger.ts)        cold
//       28    u32  portNo         the port it was received on                             cold
//
// Whoever owns the frame writes its record. Offsets into the frames region pass 2 GiB in large configurations, so
// queues and columns carry indices.

export const FRAME_META_BYTES = 32;
/** Indices of the fields in 16-bit and 32-bit views: base is frame * 16 or frame * 8 behind the region's start. */
export const META16 = {
  dataOffset: 0,
  dataBytes: 1,
  segmentCount: 6,
  flags: 7,
  csumStart: 8,
  csumOffset: 9,
} as const;
export const META32 = { nextFrame: 1, packetBytes: 2, link: 5, ledger: 6, portNo: 7 } as const;

export const NO_FRAME = 0xffffffff;

/** The L4 checksum is a partial sum that csumStart/csumOffset tell how to finish. */
export const PACKET_CSUM_PARTIAL = 1;
/** The upper byte of the flags counts the patch ports that the packet has passed. */
export const PACKET_PATCH_HOP = 0x0100;
/** The packet begins with its network header: its Ethernet header was popped, or another one pushed before it. */
export const PACKET_L3 = 2;
/** The tunnel in the packet's key is the one that set(tunnel()) wants it to go by, not one that it came out of. */
export const PACKET_TUNNEL_SET = 4;

/**
 * Room in front of received data: the kernel's own 256 bytes of XDP headroom plus 2, which puts the IP header of
 * an untagged frame on a multiple of four. 258 bytes hold every header that one burst of actions can push.
 */
export const FRAME_HEADROOM_BYTES = 258;

/** The longest frame that passes, link header and two tags included: MTU 9,000. */
export const PACKET_BYTES_MAX = 9022;

/** Frames that move between a thread's stack and the shared reserve in one exchange. */
export const BUNDLE_FRAMES = 64;
/** A thread's own stack: two bursts of 64 and their copies, four bundles between exchanges. */
export const FRAME_STACK_CAPACITY = 512;
