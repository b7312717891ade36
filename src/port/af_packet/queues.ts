// The af_packet port's queues on a worker.
//
// Receive: no system call. The kernel hands over blocks of packets by their status word (one ordered load a burst,
// one ordered store a block); each packet is copied into frames. A tag that the kernel took off is put back, a
// checksum that it left unfinished (TP_STATUS_CSUMNOTREADY) comes as PACKET_CSUM_PARTIAL from the virtio header.
// Transmit: one sendmmsg a burst, straight from the frames; the kernel has copied when it returns.
// Memory: the ring's and the area's pages. Counters: the port's rx/tx packets and bytes, drops, errors.

import { COUNTER, type ThreadCounters } from "../../datapath/counters.ts";
import { DROP } from "../../datapath/drop-reason.ts";
import type { Arena } from "../../memory/arena.ts";
import { NO_FRAME, PACKET_BYTES_MAX, PACKET_CSUM_PARTIAL } from "../../memory/frame-layout.ts";
import type { FramePool } from "../../memory/frame-pool.ts";
import type { Packets } from "../../memory/packets.ts";
import { ERRNO, type Native, native, SEGMENT_CONTINUES } from "../../native.ts";
import { PORT_COUNTER, type PortCounters } from "../counters.ts";
import type { QueueAttachment, QueueContext, QueueFactory, RxQueue, TxQueue } from "../port.ts";
import { TxPending } from "../tx-pending.ts";
import {
  BLOCK,
  BLOCK_BYTES,
  BLOCK_COUNT,
  PACKET,
  RX_POSITION,
  TP_STATUS_KERNEL,
  TP_STATUS_USER,
  TP_STATUS_VLAN_TPID_VALID,
  TP_STATUS_VLAN_VALID,
  TX_HEADER_STRIDE,
  TX_PACKETS,
  TX_PENDING,
  TX_SEGMENT_BYTES,
  TX_SEGMENTS,
  VNET,
  VNET_HEADER_BYTES,
  VNET_NEEDS_CSUM,
} from "./layout.ts";

const ETHERNET_ADDRESSES_BYTES = 12;
const VLAN_TAG_BYTES = 4;
const TPID_8021Q = 0x8100;

export const afPacketQueues: QueueFactory = {
  type: "af_packet",
  openRx: (context, attachment) => new AfPacketRxQueue(context, attachment),
  openTx: (context, attachment) => new AfPacketTxQueue(context, attachment),
};

class AfPacketRxQueue implements RxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly queue: number;
  readonly #arena: Arena;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #counters: ThreadCounters;
  readonly #ring: number;
  readonly #frameBytes: number;
  /** Word indices of RX_POSITION. */
  readonly #blockWord: number;
  readonly #takenWord: number;
  #block = 0;
  /** Packets of the block that are not taken yet, and where the next one's header stands. */
  #left = 0;
  #header = 0;

  constructor(context: QueueContext, { portNo, slot, queue, fields }: QueueAttachment) {
    this.portNo = portNo;
    this.slot = slot;
    this.queue = queue;
    this.#arena = context.arena;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#counters = context.counters;
    this.#ring = fields["ring"] as number;
    this.#frameBytes = context.arena.plan.sizes.frameBytes;
    const position = this.#ring + BLOCK_BYTES * BLOCK_COUNT;
    this.#blockWord = (position + RX_POSITION.block) >>> 2;
    this.#takenWord = (position + RX_POSITION.taken) >>> 2;
    this.#resume();
  }

  /** Goes on where the queue's last owner stood: the kernel fills blocks in turn and does not start over. */
  #resume(): void {
    const { u32 } = this.#arena;
    this.#block = u32[this.#blockWord]!;
    const taken = u32[this.#takenWord]!;
    if (taken === 0) return;
    const block = this.#ring + this.#block * BLOCK_BYTES;
    this.#left = u32[(block + BLOCK.packetCount) >>> 2]! - taken;
    this.#header = block + u32[(block + BLOCK.firstPacket) >>> 2]!;
    for (let index = 0; index < taken; index += 1) this.#header += u32[(this.#header + PACKET.next) >>> 2]!;
  }

  rxBurst(at: number, limit: number): number {
    const { u32 } = this.#arena;
    let count = 0;
    let bytes = 0;
    while (count < limit && (this.#left > 0 || this.#openBlock())) {
      const header = this.#header;
      const frame = this.#receive(header);
      if (frame === NO_FRAME) break;
      this.#left -= 1;
      u32[this.#takenWord]! += 1;
      this.#header = header + u32[(header + PACKET.next) >>> 2]!;
      if (this.#left === 0) this.#closeBlock();
      if (frame === REFUSED) continue;
      u32[at + count] = frame;
      count += 1;
      bytes += this.#packets.packetBytes(frame);
    }
    if (count > 0) {
      this.#portCounters.add(PORT_COUNTER.rx_packets, count);
      this.#portCounters.add(PORT_COUNTER.rx_bytes, bytes);
    }
    return count;
  }

  /** True when the kernel has handed the current block over. */
  #openBlock(): boolean {
    const block = this.#ring + this.#block * BLOCK_BYTES;
    // Pairs with the kernel's release of the block's status word.
    if ((this.#arena.intrinsics.load(block + BLOCK.status) & TP_STATUS_USER) === 0) return false;
    this.#left = this.#arena.u32[(block + BLOCK.packetCount) >>> 2]!;
    this.#header = block + this.#arena.u32[(block + BLOCK.firstPacket) >>> 2]!;
    if (this.#left > 0) return true;
    this.#closeBlock();
    return false;
  }

  #closeBlock(): void {
    const next = (this.#block + 1) % BLOCK_COUNT;
    this.#arena.u32[this.#takenWord] = 0;
    this.#arena.u32[this.#blockWord] = next;
    this.#arena.intrinsics.store(this.#ring + this.#block * BLOCK_BYTES + BLOCK.status, TP_STATUS_KERNEL);
    this.#block = next;
  }

  /** Copies the packet at a ring header into frames: NO_FRAME to try again later, REFUSED when it was dropped. */
  #receive(header: number): number {
    const { u32, u16 } = this.#arena;
    const bytes = u32[(header + PACKET.bytes) >>> 2]!;
    const snapBytes = u32[(header + PACKET.snapBytes) >>> 2]!;
    const status = u32[(header + PACKET.status) >>> 2]!;
    if (bytes > PACKET_BYTES_MAX) return this.#refuse(DROP.rx_long);
    if (snapBytes < bytes || bytes < ETHERNET_ADDRESSES_BYTES) return this.#refuse(DROP.rx_error);
    const data = header + u16[(header + PACKET.mac) >>> 1]!;
    const first = this.#pool.alloc();
    if (first === NO_FRAME) return NO_FRAME;
    this.#packets.setPortNo(first, this.portNo);
    const tagBytes = (status & TP_STATUS_VLAN_VALID) !== 0 ? VLAN_TAG_BYTES : 0;
    if (!this.#fill(first, data, bytes, tagBytes)) return NO_FRAME;
    if (tagBytes > 0) this.#writeTag(first, header, status);
    const vnet = data - VNET_HEADER_BYTES;
    if ((this.#arena.u8[vnet + VNET.flags]! & VNET_NEEDS_CSUM) !== 0) {
      this.#packets.setFlags(first, PACKET_CSUM_PARTIAL);
      this.#packets.setCsum(
        first,
        this.#vnetWord(vnet + VNET.csumStart) + tagBytes,
        this.#vnetWord(vnet + VNET.csumOffset),
      );
    }
    return first;
  }

  /** A 16-bit word of the virtio header, which stands at any parity. */
  #vnetWord(address: number): number {
    return this.#arena.u8[address]! | (this.#arena.u8[address + 1]! << 8);
  }

  #refuse(reason: number): number {
    this.#portCounters.add(PORT_COUNTER.rx_packets, 1);
    this.#portCounters.add(PORT_COUNTER.rx_dropped, 1);
    this.#counters.add(COUNTER.received, 1);
    this.#counters.drop(reason, 1);
    return REFUSED;
  }

  /** Copies `bytes` bytes, leaving room for a tag behind the addresses. False, and all freed, when frames run out. */
  #fill(first: number, data: number, bytes: number, tagBytes: number): boolean {
    const { copy } = this.#arena.intrinsics;
    const offset = this.#packets.dataOffset(first);
    const start = this.#packets.frameStart(first) + offset;
    const firstBytes = Math.min(bytes, this.#frameBytes - offset - tagBytes);
    copy(start, data, ETHERNET_ADDRESSES_BYTES);
    copy(
      start + ETHERNET_ADDRESSES_BYTES + tagBytes,
      data + ETHERNET_ADDRESSES_BYTES,
      firstBytes - ETHERNET_ADDRESSES_BYTES,
    );
    this.#packets.setData(first, offset, firstBytes + tagBytes);
    let previous = first;
    let segments = 1;
    for (let done = firstBytes; done < bytes; segments += 1) {
      const frame = this.#pool.alloc();
      if (frame === NO_FRAME) {
        this.#pool.freePacket(first);
        return false;
      }
      const size = Math.min(bytes - done, this.#frameBytes - offset);
      copy(this.#packets.frameStart(frame) + offset, data + done, size);
      this.#packets.setData(frame, offset, size);
      this.#packets.setNext(previous, frame);
      previous = frame;
      done += size;
    }
    this.#packets.setTotals(first, bytes + tagBytes, segments);
    return true;
  }

  #writeTag(frame: number, header: number, status: number): void {
    const { u8, u16 } = this.#arena;
    const tpid =
      (status & TP_STATUS_VLAN_TPID_VALID) !== 0 ? u16[(header + PACKET.vlanTpid) >>> 1]! : TPID_8021Q;
    const tci = u16[(header + PACKET.vlanTci) >>> 1]!;
    const tag = this.#packets.head(frame) + ETHERNET_ADDRESSES_BYTES;
    u8[tag] = tpid >>> 8;
    u8[tag + 1] = tpid;
    u8[tag + 2] = tci >>> 8;
    u8[tag + 3] = tci;
  }

  /** Packets that the ring still holds stay the kernel's: they are in no frame. */
  close(): void {
    this.#left = 0;
  }
}

/** Returned for a packet that was counted and dropped; no frame has this index. */
const REFUSED = 0xfffffffe;

class AfPacketTxQueue implements TxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly #arena: Arena;
  readonly #native: Native = native();
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #counters: ThreadCounters;
  readonly #fd: number;
  readonly #segments: number;
  readonly #headers: number;
  readonly #pending: TxPending;
  #segmentCount = 0;

  constructor(context: QueueContext, { portNo, slot, fields }: QueueAttachment) {
    this.portNo = portNo;
    this.slot = slot;
    this.#arena = context.arena;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#counters = context.counters;
    this.#fd = fields["fd"] as number;
    this.#segments = fields["area"] as number;
    this.#headers = this.#segments + TX_SEGMENTS * TX_SEGMENT_BYTES;
    this.#pending = new TxPending(context.arena, this.#segments + TX_PENDING);
    for (const frame of this.#pending.adopt(context.pool, context.packets, context.threadIndex))
      this.put(frame);
  }

  put(frame: number): void {
    const segments = this.#packets.segmentCount(frame) + 1;
    if (segments > TX_SEGMENTS) {
      this.#counters.drop(DROP.tx_error, 1);
      this.#portCounters.add(PORT_COUNTER.tx_errors, 1);
      this.#pool.freePacket(frame);
      return;
    }
    if (this.#pending.count === TX_PACKETS || this.#segmentCount + segments > TX_SEGMENTS) this.flush();
    const header = this.#headers + this.#pending.count * TX_HEADER_STRIDE;
    this.#writeHeader(header, frame);
    this.#addSegment(header, VNET_HEADER_BYTES, true);
    for (let part = frame; part !== NO_FRAME; ) {
      const next = this.#packets.nextFrame(part);
      this.#addSegment(this.#packets.head(part), this.#packets.dataBytes(part), next !== NO_FRAME);
      part = next;
    }
    this.#pending.add(frame);
  }

  #writeHeader(header: number, frame: number): void {
    const { u8, u16 } = this.#arena;
    const partial = (this.#packets.flags(frame) & PACKET_CSUM_PARTIAL) !== 0;
    this.#arena.intrinsics.zero(header, VNET_HEADER_BYTES);
    if (!partial) return;
    u8[header + VNET.flags] = VNET_NEEDS_CSUM;
    u16[(header + VNET.csumStart) >>> 1] = this.#packets.csumStart(frame);
    u16[(header + VNET.csumOffset) >>> 1] = this.#packets.csumOffset(frame);
  }

  #addSegment(offset: number, bytes: number, continues: boolean): void {
    const at = (this.#segments >>> 2) + this.#segmentCount * 2;
    this.#arena.u32[at] = offset;
    this.#arena.u32[at + 1] = continues ? (bytes | SEGMENT_CONTINUES) >>> 0 : bytes;
    this.#segmentCount += 1;
  }

  flush(): void {
    if (this.#pending.count === 0) return;
    let sent = 0;
    let firstSegment = 0;
    while (sent < this.#pending.count) {
      const result = this.#native.packetSend(
        this.#fd,
        this.#arena.u8,
        this.#segments + firstSegment * TX_SEGMENT_BYTES,
        this.#segmentCount - firstSegment,
      );
      this.#counters.add(COUNTER.system_calls, 1);
      const packets = result > 0 ? result : this.#refused(-result, sent);
      for (let index = 0; index < packets; index += 1) {
        const frame = this.#pending.frame(sent + index);
        firstSegment += this.#packets.segmentCount(frame) + 1;
        if (result > 0) this.#sentOne(frame);
        this.#pending.setDone(sent + index);
        this.#pool.freePacket(frame);
      }
      sent += packets;
    }
    this.#counters.add(COUNTER.tx_batches, 1);
    this.#pending.clear();
    this.#segmentCount = 0;
  }

  #sentOne(frame: number): void {
    this.#portCounters.add(PORT_COUNTER.tx_packets, 1);
    this.#portCounters.add(PORT_COUNTER.tx_bytes, this.#packets.packetBytes(frame));
    this.#counters.add(COUNTER.transmitted, 1);
  }

  /** Counts what the kernel did not take: all that is left when its buffer is full, else the packet in front. */
  #refused(errno: number, sent: number): number {
    const full = errno === ERRNO.EAGAIN || errno === ERRNO.ENOBUFS;
    const packets = full ? this.#pending.count - sent : 1;
    this.#counters.drop(full ? DROP.tx_full : DROP.tx_error, packets);
    this.#portCounters.add(full ? PORT_COUNTER.tx_dropped : PORT_COUNTER.tx_errors, packets);
    return packets;
  }

  close(): void {
    this.flush();
  }
}
