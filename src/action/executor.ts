// The reference executor: carries a flow's action list out on one packet. It is the specification that
// compiled code is held against.
//
// Per packet: one walk over the list's attribute headers in the arena, one branch on each type; what an
// action writes is in its own file. Nothing is allocated. It owns the packet from the call on: every frame
// goes to the sink or, dropped, back to the sink. Memory: packet bytes, frame records, the thread's `linear`
// area. Counters: `copies` and `copiesLost`, which the datapath collects once a burst.
//
// Copies. Every output but the last gets a copy, as in OVS; "last" here means that no later action of the
// list sends, so that `2,set(...)` makes none. trunc acts on the next output or userspace alone and cuts as
// many bytes as the packet was too long when trunc was met: a tag pushed in between lengthens what is sent,
// as in OVS.
//
// Later actions see what earlier ones did, because they look at the packet and at header offsets that move
// with pushed and popped tags. The key of the batch's slot stays as extracted, which is what an upcall
// reports.

import { NLA_HEADER_BYTES } from "../flow/nlattr.ts";
import type { Arena } from "../memory/arena.ts";
import { NO_FRAME, PACKET_CSUM_PARTIAL } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import { ETH, VLAN } from "../packet/link-headers.ts";
import { ACTION } from "./attributes.ts";
import { NO_MASK } from "./blend.ts";
import { HeaderWindow } from "./header-window.ts";
import { ACTION_END, type OutputSink } from "./output-sink.ts";
import { PacketFront } from "./packet-front.ts";
import { finishChecksum } from "./partial-checksum.ts";
import { NO_HEADER, SetField } from "./set-field.ts";
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
const TRUNC = ACTION.trunc;
const DROP = ACTION.drop;
const HEADER_BYTES = NLA_HEADER_BYTES;
const ETH_BYTES = ETH.headerBytes;
const TAG_BYTES = VLAN.headerBytes;

export class Executor {
  /** Copies made, and outputs lost because no frame was free for one; the reader sets them back to 0. */
  copies = 0;
  copiesLost = 0;

  readonly #arena: Arena;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #packets: Packets;
  readonly #sink: OutputSink;
  readonly #front: PacketFront;
  readonly #setField: SetField;
  /** Header offsets of the packet in hand. */
  #l3 = NO_HEADER;
  #l4 = NO_HEADER;

  /** @param linear arena offset of the LINEAR_BYTES bytes of this thread's batch */
  constructor(arena: Arena, pool: FramePool, packets: Packets, sink: OutputSink, linear: number) {
    this.#arena = arena;
    this.#u16 = arena.u16;
    this.#u32 = arena.u32;
    this.#packets = packets;
    this.#sink = sink;
    this.#front = new PacketFront(arena, pool, packets);
    this.#setField = new SetField(arena, packets, new HeaderWindow(packets, linear));
  }

  /**
   * Takes the packet over and carries the list out.
   * @param frame the packet; `slot` its place in the batch, passed on to the sink
   * @param l3Offset where extraction found the network header, 0xffff for none; l4Offset likewise the
   * transport's
   * @param actions arena offset of the list, a multiple of 4
   */
  execute(
    frame: number,
    slot: number,
    l3Offset: number,
    l4Offset: number,
    actions: number,
    actionsBytes: number,
  ): void {
    const end = actions + actionsBytes;
    this.#l3 = l3Offset === NO_OFFSET ? NO_HEADER : l3Offset;
    this.#l4 = l4Offset === NO_OFFSET ? NO_HEADER : l4Offset;
    let cutBytes = 0;
    let at = actions;
    while (at < end) {
      const next = at + ((this.#u16[at >>> 1]! + 3) & ~3);
      const type = this.#u16[(at >>> 1) + 1]!;
      if (type === OUTPUT || type === USERSPACE) {
        if (!this.#sendsLater(next, end)) {
          this.#send(frame, slot, at, cutBytes);
          return;
        }
        this.#sendCopy(frame, slot, at, cutBytes);
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

  /** Whether an action from `at` on sends the packet somewhere. */
  #sendsLater(at: number, end: number): boolean {
    while (at < end) {
      const type = this.#u16[(at >>> 1) + 1]!;
      if (type === OUTPUT || type === USERSPACE) return true;
      at += (this.#u16[at >>> 1]! + 3) & ~3;
    }
    return false;
  }

  #set(frame: number, action: number): boolean {
    const key = action + HEADER_BYTES;
    const value = key + HEADER_BYTES;
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

  /** The packet's last output or userspace: it goes itself. */
  #send(frame: number, slot: number, action: number, cutBytes: number): void {
    const packetBytes = this.#packets.packetBytes(frame);
    if (this.#cut(frame, cutBytes)) this.#handOver(frame, slot, action, packetBytes);
  }

  #sendCopy(frame: number, slot: number, action: number, cutBytes: number): void {
    const copy = this.#copy(frame, cutBytes);
    if (copy !== NO_FRAME) this.#handOver(copy, slot, action, this.#packets.packetBytes(frame));
  }

  #handOver(frame: number, slot: number, action: number, packetBytes: number): void {
    const payload = action + HEADER_BYTES;
    if (this.#u16[(action >>> 1) + 1] === OUTPUT) {
      this.#sink.output(this.#u32[payload >>> 2]!, frame);
    } else {
      const payloadBytes = this.#u16[action >>> 1]! - HEADER_BYTES;
      this.#sink.upcall(slot, frame, payload, payloadBytes, packetBytes);
    }
  }
}
