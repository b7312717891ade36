// The pcap port's queues on a worker.
//
// Per packet: one copy between the file's buffer and frames. Per READ_CHUNK_BYTES of file one read, per 64 KiB
// written or flush one write: system calls a packet fall with the packet's size, about 1/2500 for 64-byte packets.
// Memory: the reader's and writer's own buffers. Counters: the port's rx and tx packets and bytes, rx_errors.
import { readSync, writeSync } from "node:fs";
import { COUNTER, type ThreadCounters } from "../../datapath/counters.ts";
import { DROP } from "../../datapath/drop-reason.ts";
import type { Arena } from "../../memory/arena.ts";
import { NO_FRAME, PACKET_BYTES_MAX } from "../../memory/frame-layout.ts";
import type { FramePool } from "../../memory/frame-pool.ts";
import type { Packets } from "../../memory/packets.ts";
import type { CapturePacket, CaptureReader, CaptureWriter } from "../../packet/capture.ts";
import { openCapture } from "../../packet/capture-reader.ts";
import { PcapWriter } from "../../packet/pcap-writer.ts";
import { PcapngWriter } from "../../packet/pcapng-writer.ts";
import { PORT_COUNTER, type PortCounters } from "../counters.ts";
import type { QueueAttachment, QueueContext, QueueFactory, RxQueue, TxQueue } from "../port.ts";
import { type Pace, READ_CHUNK_BYTES } from "./driver.ts";

export const pcapQueues: QueueFactory = {
  type: "pcap",
  openRx: (context, attachment) => new PcapRxQueue(context, attachment),
  openTx: (context, attachment) => new PcapTxQueue(context, attachment),
};

class PcapRxQueue implements RxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly queue: number;
  readonly #arena: Arena;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #counters: ThreadCounters;
  readonly #fd: number;
  readonly #path: string;
  readonly #pace: Pace;
  readonly #chunk = new Uint8Array(READ_CHUNK_BYTES);
  #reader: CaptureReader | undefined;
  #position = 0;
  #packet: CapturePacket | undefined;
  #ended = false;
  /** Packets since the file was last begun: a file without any must not be looped over. */
  #roundCount = 0;
  /** What performance.now() shows when the file's time 0 is due; NaN before the first packet. */
  #originMillis = Number.NaN;

  constructor(context: QueueContext, { portNo, slot, queue, fields }: QueueAttachment) {
    this.portNo = portNo;
    this.slot = slot;
    this.queue = queue;
    this.#arena = context.arena;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#counters = context.counters;
    this.#fd = fields["fd"] as number;
    this.#path = fields["path"] as string;
    this.#pace = fields["pace"] as Pace;
  }

  rxBurst(at: number, limit: number): number {
    let count = 0;
    let bytes = 0;
    while (count < limit && this.#due()) {
      const packet = this.#packet!;
      this.#packet = undefined;
      if (packet.dataBytes > PACKET_BYTES_MAX) {
        this.#portCounters.add(PORT_COUNTER.rx_packets, 1);
        this.#portCounters.add(PORT_COUNTER.rx_dropped, 1);
        this.#counters.add(COUNTER.received, 1);
        this.#counters.drop(DROP.rx_long, 1);
        continue;
      }
      const frame = this.#receive(packet);
      if (frame === NO_FRAME) {
        // The file waits: the packet is played when frames come back.
        this.#packet = packet;
        break;
      }
      this.#arena.u32[at + count] = frame;
      count += 1;
      bytes += packet.dataBytes;
    }
    if (count > 0) {
      this.#portCounters.add(PORT_COUNTER.rx_packets, count);
      this.#portCounters.add(PORT_COUNTER.rx_bytes, bytes);
    }
    return count;
  }

  /** Frames with the record's bytes, NO_FRAME when the pool is empty. */
  #receive(packet: CapturePacket): number {
    const { bytes } = this.#reader!;
    const room = this.#arena.plan.sizes.frameBytes;
    let first = NO_FRAME;
    let previous = NO_FRAME;
    let segments = 0;
    let done = 0;
    do {
      const frame = this.#pool.alloc();
      if (frame === NO_FRAME) {
        if (first !== NO_FRAME) this.#pool.freePacket(first);
        return NO_FRAME;
      }
      const offset = this.#packets.dataOffset(frame);
      const size = Math.min(room - offset, packet.dataBytes - done);
      const target = this.#packets.frameStart(frame) + offset;
      for (let index = 0; index < size; index += 1) {
        this.#arena.u8[target + index] = bytes[packet.dataOffset + done + index]!;
      }
      this.#packets.setSingle(frame, offset, size);
      if (first === NO_FRAME) first = frame;
      else this.#packets.setNext(previous, frame);
      previous = frame;
      segments += 1;
      done += size;
    } while (done < packet.dataBytes);
    this.#packets.setTotals(first, packet.dataBytes, segments);
    this.#packets.setPortNo(first, this.portNo);
    return first;
  }

  /** Makes the next packet the current one; false when there is none or its time has not come. */
  #due(): boolean {
    if (this.#packet === undefined && !this.#read()) return false;
    if (this.#pace !== "recorded") return true;
    const { seconds, nanoseconds } = this.#packet!;
    const recordedMillis = seconds * 1e3 + nanoseconds / 1e6;
    if (Number.isNaN(this.#originMillis)) this.#originMillis = performance.now() - recordedMillis;
    return performance.now() >= this.#originMillis + recordedMillis;
  }

  /** Reads on until a packet is whole; false at the end of the file. */
  #read(): boolean {
    while (!this.#ended) {
      this.#packet = this.#reader?.next();
      if (this.#packet !== undefined) {
        this.#roundCount += 1;
        return true;
      }
      const bytes = readSync(this.#fd, this.#chunk, 0, READ_CHUNK_BYTES, this.#position);
      this.#counters.add(COUNTER.system_calls, 1);
      if (bytes > 0) this.#feed(bytes);
      else this.#rewind();
    }
    return false;
  }

  #feed(bytes: number): void {
    this.#position += bytes;
    const chunk = this.#chunk.subarray(0, bytes);
    if (this.#reader === undefined) this.#reader = openCapture(this.#path, chunk);
    else this.#reader.feed(chunk);
  }

  /** At the end of the file: from the front again when it loops and the round had a packet. */
  #rewind(): void {
    this.#ended = this.#pace !== "loop" || this.#roundCount === 0;
    this.#roundCount = 0;
    this.#reader = undefined;
    this.#position = 0;
  }

  close(): void {
    this.#ended = true;
    this.#packet = undefined;
  }
}

class PcapTxQueue implements TxQueue {
  readonly portNo: number;
  readonly slot: number;
  readonly #arena: Arena;
  readonly #pool: FramePool;
  readonly #packets: Packets;
  readonly #portCounters: PortCounters;
  readonly #counters: ThreadCounters;
  readonly #writer: CaptureWriter | undefined;
  #pending = 0;
  #pendingBytes = 0;

  constructor(context: QueueContext, { portNo, slot, fields }: QueueAttachment) {
    this.portNo = portNo;
    this.slot = slot;
    this.#arena = context.arena;
    this.#pool = context.pool;
    this.#packets = context.packets;
    this.#portCounters = context.portCounters;
    this.#counters = context.counters;
    const fd = fields["fd"] as number;
    if (fd < 0) return;
    const sink = (bytes: Uint8Array): void => {
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
      this.#counters.add(COUNTER.system_calls, 1);
    };
    if (fields["format"] === "pcapng") {
      const writer = new PcapngWriter(sink);
      writer.addInterface(fields["name"] as string);
      this.#writer = writer;
    } else {
      this.#writer = new PcapWriter(sink);
    }
    this.#writer.flush();
  }

  put(frame: number): void {
    const bytes = this.#packets.packetBytes(frame);
    if (this.#writer !== undefined) this.#write(this.#writer, frame, bytes);
    this.#pending += 1;
    this.#pendingBytes += bytes;
    this.#pool.freePacket(frame);
  }

  #write(writer: CaptureWriter, frame: number, bytes: number): void {
    const millis = performance.timeOrigin + performance.now();
    const seconds = Math.floor(millis / 1e3);
    writer.begin(0, seconds, Math.floor((millis - seconds * 1e3) * 1e6), bytes, bytes);
    for (let segment = frame; segment !== NO_FRAME; segment = this.#packets.nextFrame(segment)) {
      writer.append(this.#arena.u8, this.#packets.head(segment), this.#packets.dataBytes(segment));
    }
    writer.end();
  }

  flush(): void {
    if (this.#pending === 0) return;
    this.#writer?.flush();
    this.#portCounters.add(PORT_COUNTER.tx_packets, this.#pending);
    this.#portCounters.add(PORT_COUNTER.tx_bytes, this.#pendingBytes);
    this.#counters.add(COUNTER.transmitted, this.#pending);
    this.#counters.add(COUNTER.tx_batches, 1);
    this.#pending = 0;
    this.#pendingBytes = 0;
  }

  close(): void {
    this.flush();
  }
}
