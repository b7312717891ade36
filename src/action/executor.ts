// The reference executor: carries a flow's action list out on one packet. It is the specification that
// compiled code is held against.
//
// Per packet: one walk over the list's attribute headers in the arena, one branch on each type; what an
// action writes is in its own file. Nothing is allocated. It owns the packet from the call on: every frame
// goes to the sink or the recirculator or, dropped, back to the sink. Memory: packet bytes, frame records, the
// `linear` area of its batch. Counters: `copies` and `copiesLost`, which the datapath collects once a burst.
//
// Copies. Every action that sends the packet or holds a list gets a copy, but the last of them, as in OVS;
// "last" means that no later action of the list needs the packet, so that `2,set(...)` makes none. What a
// nested list does to its copy does not leak out, headers and metadata alike.
//
// trunc acts on the next output, userspace or clone alone and cuts as many bytes as the packet was too long
// when trunc was met: a tag pushed in between lengthens what is sent. A clone takes the cut along to its own
// first output. sample, check_pkt_len and recirc do not take it, and it waits for what follows them; but
// check_pkt_len measures what it leaves. All of this as OVS 3.1 does it.
//
// Later actions see what earlier ones did, because they look at the packet and at header offsets that move
// with pushed and popped tags. The key of the batch's slot stays as extracted, which is what an upcall
// reports.

import { KEY_BYTES } from "../flow/fields.ts";
import { NLA_HEADER_BYTES } from "../flow/nlattr.ts";
import { KEY_ATTR } from "../flow/odp/attributes.ts";
import type { Arena } from "../memory/arena.ts";
import type { BatchColumns } from "../memory/batch-columns.ts";
import { BATCH } from "../memory/batch-layout.ts";
import { NO_FRAME, PACKET_CSUM_PARTIAL } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import { ETH, VLAN } from "../packet/link-headers.ts";
import { ACTION, ACTION_METADATA } from "./attributes.ts";
import { NO_MASK } from "./blend.ts";
import { HeaderWindow } from "./header-window.ts";
import { NestedList } from "./nested-list.ts";
import { ACTION_END, type OutputSink } from "./output-sink.ts";
import { PacketFront } from "./packet-front.ts";
import { PacketMetadata } from "./packet-metadata.ts";
import { finishChecksum } from "./partial-checksum.ts";
import type { Recirculator } from "./recirculator.ts";
import { NO_HEADER, SetField } from "./set-field.ts";
import type { TunnelActions } from "./tunnel-actions.ts";
import { TunnelSteps } from "./tunnel-steps.ts";
import { popVlan, pushVlan } from "./vlan.ts";

/** "No header" in the batch's offset columns. */
const NO_OFFSET = 0xffff;
// Module constants, because V8 folds them and loads an imported table anew each time.
const OUTPUT = ACTION.output;
const USERSPACE = ACTION.userspace;
const SET = ACTION.set;
const SET_MASKED = ACTION.setMasked;
const PUSH_VLAN = ACTION.pushVlan;
const POP_VLAN = ACTION.popVlan;
const SAMPLE = ACTION.sample;
const RECIRC = ACTION.recirc;
const TRUNC = ACTION.trunc;
const CLONE = ACTION.clone;
const CHECK_PKT_LEN = ACTION.checkPktLen;
const TUNNEL_PUSH = ACTION.tunnelPush;
const TUNNEL_POP = ACTION.tunnelPop;
const SET_TUNNEL = KEY_ATTR.tunnel;
const DROP = ACTION.drop;
const METADATA = ACTION_METADATA;
const HEADER_BYTES = NLA_HEADER_BYTES;
const KEY_STRIDE = KEY_BYTES;
const ETH_BYTES = ETH.headerBytes;
const TAG_BYTES = VLAN.headerBytes;
/** By action number: what sends the packet or holds a list, and therefore needs a packet of its own. */
const TAKES_PACKET =
  (1 << OUTPUT) |
  (1 << USERSPACE) |
  (1 << SAMPLE) |
  (1 << RECIRC) |
  (1 << CLONE) |
  (1 << CHECK_PKT_LEN) |
  (1 << TUNNEL_POP);
/** What trunc's cut is spent on. */
const TAKES_CUT = (1 << OUTPUT) | (1 << USERSPACE) | (1 << CLONE) | (1 << TUNNEL_POP);

export interface ExecutorContext {
  readonly arena: Arena;
  readonly pool: FramePool;
  readonly packets: Packets;
  readonly sink: OutputSink;
  /** The batch that packets come from. */
  readonly columns: BatchColumns;
  /** Takes what recirculates. */
  readonly next: Recirculator;
  readonly tunnels: TunnelActions;
}

export class Executor {
  /** Copies made, and outputs lost because no frame was free for one; the reader sets them back to 0. */
  copies = 0;
  copiesLost = 0;

  readonly #arena: Arena;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #packets: Packets;
  readonly #sink: OutputSink;
  readonly #columns: BatchColumns;
  readonly #next: Recirculator;
  readonly #front: PacketFront;
  readonly #setField: SetField;
  readonly #metadata: PacketMetadata;
  readonly #nested: NestedList;
  readonly #tunnels: TunnelSteps;
  #slot = 0;
  /** Header offsets of the packet in hand. */
  #l3 = NO_HEADER;
  #l4 = NO_HEADER;

  constructor(context: ExecutorContext) {
    const { arena, pool, packets, sink, columns, next } = context;
    this.#arena = arena;
    this.#u16 = arena.u16;
    this.#u32 = arena.u32;
    this.#packets = packets;
    this.#sink = sink;
    this.#columns = columns;
    this.#next = next;
    this.#front = new PacketFront(arena, pool, packets);
    this.#setField = new SetField(arena, packets, new HeaderWindow(packets, columns.batch + BATCH.linear));
    this.#metadata = new PacketMetadata(arena.u32);
    this.#nested = new NestedList(arena, columns.batch);
    this.#tunnels = new TunnelSteps(context, this.#front);
  }

  /**
   * Takes the packet over and carries the list out.
   * @param frame the packet; `slot` its place in the batch, where its key and header offsets stand
   * @param actions arena offset of the list, a multiple of 4
   */
  execute(frame: number, slot: number, actions: number, actionsBytes: number): void {
    const { l3Offsets, l4Offsets, keys } = this.#columns;
    const l3 = this.#u32[l3Offsets + slot]!;
    const l4 = this.#u32[l4Offsets + slot]!;
    this.#slot = slot;
    this.#l3 = l3 === NO_OFFSET ? NO_HEADER : l3;
    this.#l4 = l4 === NO_OFFSET ? NO_HEADER : l4;
    this.#metadata.begin(keys + slot * KEY_STRIDE);
    this.#list(frame, actions, actions + actionsBytes, 0, true);
    this.#tunnels.end();
  }

  /** @param isTail whether nothing of the packet is left when the list is done */
  #list(frame: number, actions: number, end: number, cut: number, isTail: boolean): void {
    let cutBytes = cut;
    let at = actions;
    while (at < end) {
      const next = at + ((this.#u16[at >>> 1]! + 3) & ~3);
      const type = this.#u16[(at >>> 1) + 1]!;
      if (((TAKES_PACKET >>> type) & 1) !== 0) {
        if (!this.#isNeeded(next, end)) {
          this.#give(frame, type, at, cutBytes, isTail);
          return;
        }
        this.#giveCopy(frame, type, at, cutBytes);
        if (((TAKES_CUT >>> type) & 1) !== 0) cutBytes = 0;
      } else if (type === TUNNEL_PUSH) {
        frame = this.#cut(frame, cutBytes) ? this.#pushTunnel(frame, at) : NO_FRAME;
        if (frame === NO_FRAME) return;
        cutBytes = 0;
      } else if (type === TRUNC) {
        const bytesMax = this.#u32[(at + HEADER_BYTES) >>> 2]!;
        cutBytes = Math.max(0, this.#packets.packetBytes(frame) - bytesMax);
      } else if (type === DROP) {
        break;
      } else {
        frame = this.#modify(frame, type, at);
        if (frame === NO_FRAME) return;
      }
      at = next;
    }
    this.#sink.drop(frame, ACTION_END.nowhere);
  }

  /** Whether an action from `at` on takes the packet. */
  #isNeeded(at: number, end: number): boolean {
    while (at < end) {
      if (((TAKES_PACKET >>> this.#u16[(at >>> 1) + 1]!) & 1) !== 0) return true;
      at += (this.#u16[at >>> 1]! + 3) & ~3;
    }
    return false;
  }

  /** The packet itself to the action that takes it. */
  #give(frame: number, type: number, at: number, cutBytes: number, isTail: boolean): void {
    if (type === OUTPUT || type === USERSPACE) {
      const packetBytes = this.#packets.packetBytes(frame);
      if (this.#cut(frame, cutBytes)) this.#handOver(frame, type, at, packetBytes);
    } else if (type === RECIRC) {
      this.#recirculate(frame, at, isTail);
    } else if (type === TUNNEL_POP) {
      if (this.#cut(frame, cutBytes)) this.#popTunnel(frame, at, isTail);
    } else if (this.#nested.open(type, at, this.#packets.packetBytes(frame) - cutBytes)) {
      this.#list(frame, this.#nested.start, this.#nested.end, type === CLONE ? cutBytes : 0, isTail);
    } else {
      this.#sink.drop(frame, ACTION_END.nowhere);
    }
  }

  /** A copy to the action that takes the packet, which goes on unchanged. */
  #giveCopy(frame: number, type: number, at: number, cutBytes: number): void {
    const packetBytes = this.#packets.packetBytes(frame);
    if (type === OUTPUT || type === USERSPACE) {
      const copy = this.#copy(frame, cutBytes);
      if (copy !== NO_FRAME) this.#handOver(copy, type, at, packetBytes);
    } else if (type === RECIRC) {
      const copy = this.#copy(frame, 0);
      if (copy !== NO_FRAME) this.#recirculate(copy, at, false);
    } else if (type === TUNNEL_POP) {
      const copy = this.#copy(frame, cutBytes);
      if (copy !== NO_FRAME) this.#popTunnel(copy, at, false);
    } else if (this.#nested.open(type, at, packetBytes - cutBytes)) {
      const { start, end } = this.#nested;
      const copy = this.#copy(frame, 0);
      if (copy === NO_FRAME) return;
      const l3 = this.#l3;
      const l4 = this.#l4;
      const { keyAt, keyBytes } = this.#tunnels;
      this.#metadata.save();
      this.#list(copy, start, end, type === CLONE ? cutBytes : 0, false);
      this.#metadata.restore();
      this.#l3 = l3;
      this.#l4 = l4;
      this.#tunnels.setKey(keyAt, keyBytes);
    }
  }

  #recirculate(frame: number, at: number, isTail: boolean): void {
    const key = this.#next.add(this.#columns, this.#slot, frame);
    if (key === 0) return;
    this.#metadata.store(key, this.#u32[(at + HEADER_BYTES) >>> 2]!);
    if (!isTail) this.#next.flush();
  }

  /** Returns the packet's first frame, NO_FRAME when it was dropped. */
  #pushTunnel(frame: number, at: number): number {
    const first = this.#tunnels.push(frame, at, this.#metadata);
    if (first === NO_FRAME) return NO_FRAME;
    this.#l3 = this.#tunnels.outerL3;
    this.#l4 = this.#tunnels.outerL4;
    return first;
  }

  /** Takes the outer headers off and looks the packet up as one of the tunnel's port. */
  #popTunnel(frame: number, at: number, isTail: boolean): void {
    this.#tunnels.pop(frame, at, this.#slot, this.#l3, this.#l4, this.#metadata);
    if (!isTail) this.#next.flush();
  }

  /**
   * Carries one action out that changes the packet. Returns its first frame, NO_FRAME when it was dropped.
   */
  #modify(frame: number, type: number, at: number): number {
    if (type === SET || type === SET_MASKED) {
      if (this.#set(frame, at)) return frame;
    } else if (type === PUSH_VLAN) {
      if (this.#packets.packetBytes(frame) < ETH_BYTES) return frame;
      const tag = at + HEADER_BYTES;
      const first = pushVlan(this.#arena, this.#packets, this.#front, frame, tag);
      if (first === NO_FRAME) this.#sink.drop(frame, ACTION_END.noFrame);
      else this.#moveHeaders(TAG_BYTES);
      return first;
    } else if (type === POP_VLAN) {
      if (popVlan(this.#arena, this.#packets, this.#front, frame)) this.#moveHeaders(-TAG_BYTES);
      return frame;
    } else if (type === METADATA) {
      return frame;
    }
    // Headers too long to work on; or an action that no validated list has: the packet must not go on
    // unchanged.
    this.#sink.drop(frame, ACTION_END.unable);
    return NO_FRAME;
  }

  #moveHeaders(bytes: number): void {
    if (this.#l3 !== NO_HEADER) this.#l3 += bytes;
    if (this.#l4 !== NO_HEADER) this.#l4 += bytes;
  }

  #set(frame: number, action: number): boolean {
    const key = action + HEADER_BYTES;
    const value = key + HEADER_BYTES;
    if (this.#u16[(key >>> 1) + 1]! === SET_TUNNEL) {
      this.#tunnels.setKey(value, this.#u16[key >>> 1]! - HEADER_BYTES);
      return true;
    }
    const isMasked = this.#u16[(action >>> 1) + 1] === SET_MASKED;
    const mask = isMasked ? value + ((this.#u16[key >>> 1]! - HEADER_BYTES) >>> 1) : NO_MASK;
    return this.#setField.apply(frame, this.#l3, this.#l4, this.#u16[(key >>> 1) + 1]!, value, mask);
  }

  /** Shortens the packet for trunc. False when nothing can be sent of it: it was dropped. */
  #cut(frame: number, cutBytes: number): boolean {
    if (cutBytes === 0) return true;
    if (!this.#isCuttable(frame, cutBytes)) {
      this.#sink.drop(frame, ACTION_END.unable);
      return false;
    }
    this.#packets.truncate(frame, this.#packets.packetBytes(frame) - cutBytes);
    return true;
  }

  /** A copy of what trunc leaves; NO_FRAME, counted as lost, when there can be none. */
  #copy(frame: number, cutBytes: number): number {
    if (cutBytes !== 0 && !this.#isCuttable(frame, cutBytes)) {
      this.copiesLost += 1;
      return NO_FRAME;
    }
    const copy = this.#packets.clone(frame, this.#packets.packetBytes(frame) - cutBytes);
    if (copy === NO_FRAME) this.copiesLost += 1;
    else this.copies += 1;
    return copy;
  }

  /** What is cut off can be summed no more, so a partial checksum is finished first. */
  #isCuttable(frame: number, cutBytes: number): boolean {
    if (cutBytes >= this.#packets.packetBytes(frame)) return false;
    if ((this.#packets.flags(frame) & PACKET_CSUM_PARTIAL) === 0) return true;
    return finishChecksum(this.#arena.u8, this.#packets, frame);
  }

  #handOver(frame: number, type: number, action: number, packetBytes: number): void {
    const payload = action + HEADER_BYTES;
    if (type === OUTPUT) {
      this.#sink.output(this.#u32[payload >>> 2]!, frame);
    } else {
      const payloadBytes = this.#u16[action >>> 1]! - HEADER_BYTES;
      this.#sink.upcall(this.#columns, this.#slot, frame, payload, payloadBytes, packetBytes);
    }
  }
}
