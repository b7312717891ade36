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
// check_pkt_len measures what it leaves, padding behind an IP packet not counted. All of this as OVS 3.1 does it.
//
// Later actions see what earlier ones did, because they look at the packet and at header offsets that move
// with pushed and popped tags. The key of the batch's slot stays as extracted, which is what an upcall
// reports, but for metadata: marks, dp_hash, recirc_id, packet_type and tunnel are those of the packet by then.

import { KEY_BYTES } from "../flow/fields.ts";
import { NLA_HEADER_BYTES } from "../flow/nlattr.ts";
import { KEY_ATTR } from "../flow/odp/attributes.ts";
import type { Arena } from "../memory/arena.ts";
import type { BatchColumns } from "../memory/batch-columns.ts";
import { NO_FRAME, PACKET_CSUM_PARTIAL } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import { ACTION } from "./attributes.ts";
import { type BondReader, NO_BOND } from "./bond-table.ts";
import type { Meters } from "./meters.ts";
import { ALWAYS, NestedList } from "./nested-list.ts";
import { ACTION_END, type OutputSink } from "./output-sink.ts";
import { PacketChanges } from "./packet-changes.ts";
import { UNABLE } from "./packet-layers.ts";
import { META } from "./packet-metadata.ts";
import { finishChecksum } from "./partial-checksum.ts";
import type { Recirculator } from "./recirculator.ts";
import type { TunnelActions } from "./tunnel-actions.ts";
import { TunnelSteps } from "./tunnel-steps.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const OUTPUT = ACTION.output;
const USERSPACE = ACTION.userspace;
const SAMPLE = ACTION.sample;
const RECIRC = ACTION.recirc;
const TRUNC = ACTION.trunc;
const METER = ACTION.meter;
const CLONE = ACTION.clone;
const CHECK_PKT_LEN = ACTION.checkPktLen;
const DEC_TTL = ACTION.decTtl;
const DROP = ACTION.drop;
const PSAMPLE = ACTION.psample;
const LB_OUTPUT = ACTION.lbOutput;
const TUNNEL_PUSH = ACTION.tunnelPush;
const TUNNEL_POP = ACTION.tunnelPop;
const SET = ACTION.set;
const SET_TUNNEL = KEY_ATTR.tunnel;
const PACKET_TYPE = META.packetType;
const HEADER_BYTES = NLA_HEADER_BYTES;
const KEY_STRIDE = KEY_BYTES;
/** By action number: what sends the packet as it is. */
const SENDS = (1 << OUTPUT) | (1 << USERSPACE) | (1 << PSAMPLE) | (1 << LB_OUTPUT);
/** What sends it or holds a list, and therefore takes a packet of its own. */
const TAKES_PACKET =
  SENDS | (1 << SAMPLE) | (1 << RECIRC) | (1 << CLONE) | (1 << CHECK_PKT_LEN) | (1 << TUNNEL_POP);
/** What has to see the packet even when nothing behind it sends: a meter counts, dec_ttl may send. */
const NEEDS_PACKET = TAKES_PACKET | (1 << METER) | (1 << DEC_TTL);
/** What trunc's cut is spent on. */
const TAKES_CUT = SENDS | (1 << CLONE) | (1 << TUNNEL_POP);

export interface ExecutorContext {
  readonly arena: Arena;
  readonly pool: FramePool;
  readonly packets: Packets;
  readonly sink: OutputSink;
  /** The batch that packets come from. */
  readonly columns: BatchColumns;
  /** Takes what recirculates. */
  readonly next: Recirculator;
  readonly bonds: BondReader;
  readonly meters: Meters;
  readonly tunnels: TunnelActions;
  readonly vlanLimit: number;
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
  readonly #bonds: BondReader;
  readonly #meters: Meters;
  readonly #changes: PacketChanges;
  readonly #nested: NestedList;
  readonly #tunnels: TunnelSteps;
  #slot = 0;

  constructor(context: ExecutorContext) {
    const { arena, columns } = context;
    this.#arena = arena;
    this.#u16 = arena.u16;
    this.#u32 = arena.u32;
    this.#packets = context.packets;
    this.#sink = context.sink;
    this.#columns = columns;
    this.#next = context.next;
    this.#bonds = context.bonds;
    this.#meters = context.meters;
    this.#changes = new PacketChanges({ ...context, batch: columns.batch });
    this.#nested = new NestedList(arena, columns.batch);
    this.#tunnels = new TunnelSteps(context, this.#changes.layers.front);
  }

  /**
   * Takes the packet over and carries the list out.
   * @param frame the packet; `slot` its place in the batch, where its key and header offsets stand
   * @param actions arena offset of the list, a multiple of 4
   */
  execute(frame: number, slot: number, actions: number, actionsBytes: number): void {
    const { l3Offsets, l4Offsets, keys } = this.#columns;
    this.#slot = slot;
    this.#nested.probability = ALWAYS;
    this.#changes.begin(
      frame,
      keys + slot * KEY_STRIDE,
      this.#u32[l3Offsets + slot]!,
      this.#u32[l4Offsets + slot]!,
    );
    this.#tunnels.begin(frame, slot);
    this.#list(frame, actions, actions + actionsBytes, 0, true);
    this.#tunnels.end();
  }

  /** @param isTail whether nothing of the packet is left when the list is done */
  #list(frame: number, actions: number, end: number, cut: number, isTail: boolean): void {
    const { probability } = this.#nested;
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
        this.#nested.probability = probability;
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
      } else if (type === DEC_TTL) {
        if (!this.#changes.decrementTtl(frame)) {
          this.#giveNested(frame, type, at, cutBytes, isTail);
          return;
        }
      } else if (type === METER) {
        if (!this.#meters.admits(this.#u32[(at + HEADER_BYTES) >>> 2]!, this.#packets.packetBytes(frame))) {
          this.#sink.drop(frame, ACTION_END.meter);
          return;
        }
      } else if (type === SET && this.#u16[(at + HEADER_BYTES + 2) >>> 1] === SET_TUNNEL) {
        const key = at + HEADER_BYTES;
        this.#tunnels.setKey(key + HEADER_BYTES, this.#u16[key >>> 1]! - HEADER_BYTES);
      } else {
        const changed = this.#changes.apply(frame, type, at);
        if (changed === NO_FRAME || changed === UNABLE) {
          this.#sink.drop(frame, changed === UNABLE ? ACTION_END.unable : ACTION_END.noFrame);
          return;
        }
        frame = changed;
      }
      at = next;
    }
    this.#sink.drop(frame, ACTION_END.nowhere);
  }

  /** Whether an action from `at` on has to see the packet. */
  #isNeeded(at: number, end: number): boolean {
    while (at < end) {
      if (((NEEDS_PACKET >>> this.#u16[(at >>> 1) + 1]!) & 1) !== 0) return true;
      at += (this.#u16[at >>> 1]! + 3) & ~3;
    }
    return false;
  }

  /** The packet itself to the action that takes it. */
  #give(frame: number, type: number, at: number, cutBytes: number, isTail: boolean): void {
    if (((SENDS >>> type) & 1) !== 0) {
      const packetBytes = this.#packets.packetBytes(frame);
      if (this.#cut(frame, cutBytes)) this.#handOver(frame, type, at, packetBytes);
    } else if (type === RECIRC) {
      this.#recirculate(frame, at, isTail);
    } else if (type === TUNNEL_POP) {
      if (this.#cut(frame, cutBytes)) this.#popTunnel(frame, at, isTail);
    } else {
      this.#giveNested(frame, type, at, cutBytes, isTail);
    }
  }

  #giveNested(frame: number, type: number, at: number, cutBytes: number, isTail: boolean): void {
    if (this.#openNested(frame, type, at, cutBytes)) {
      this.#list(frame, this.#nested.start, this.#nested.end, type === CLONE ? cutBytes : 0, isTail);
    } else {
      this.#sink.drop(frame, ACTION_END.nowhere);
    }
  }

  /** Chooses the list that the action has carried out; false when there is nothing to do. */
  #openNested(frame: number, type: number, at: number, cutBytes: number): boolean {
    if (type !== CHECK_PKT_LEN) return this.#nested.open(type, at, 0);
    const packetBytes = this.#packets.packetBytes(frame) - this.#changes.paddingBytes(frame);
    return this.#nested.open(type, at, packetBytes - cutBytes);
  }

  /** A copy to the action that takes the packet, which goes on unchanged. */
  #giveCopy(frame: number, type: number, at: number, cutBytes: number): void {
    const packetBytes = this.#packets.packetBytes(frame);
    if (((SENDS >>> type) & 1) !== 0) {
      const copy = this.#copy(frame, cutBytes);
      if (copy !== NO_FRAME) this.#handOver(copy, type, at, packetBytes);
    } else if (type === RECIRC) {
      const copy = this.#copy(frame, 0);
      if (copy !== NO_FRAME) this.#recirculate(copy, at, false);
    } else if (type === TUNNEL_POP) {
      const copy = this.#copy(frame, cutBytes);
      if (copy !== NO_FRAME) this.#popTunnel(copy, at, false);
    } else if (this.#openNested(frame, type, at, cutBytes)) {
      const { start, end } = this.#nested;
      const copy = this.#copy(frame, 0);
      if (copy === NO_FRAME) return;
      const { layers, metadata } = this.#changes;
      const { l3, l4, l25, isV4, isV6 } = layers;
      const { keyAt, keyBytes } = this.#tunnels;
      metadata.save();
      this.#list(copy, start, end, type === CLONE ? cutBytes : 0, false);
      metadata.restore();
      layers.l3 = l3;
      layers.l4 = l4;
      layers.l25 = l25;
      layers.isV4 = isV4;
      layers.isV6 = isV6;
      this.#tunnels.setKey(keyAt, keyBytes);
    }
  }

  #recirculate(frame: number, at: number, isTail: boolean): void {
    this.#tunnels.handOn(frame);
    const key = this.#next.add(this.#columns, this.#slot, frame);
    if (key === 0) return;
    this.#changes.metadata.store(key, this.#u32[(at + HEADER_BYTES) >>> 2]!);
    if (!isTail) this.#next.flush();
  }

  /** Returns the packet's first frame, NO_FRAME when it was dropped. */
  #pushTunnel(frame: number, at: number): number {
    const first = this.#tunnels.push(frame, at, this.#changes.metadata);
    if (first !== NO_FRAME)
      this.#changes.layers.beginOuter(first, this.#tunnels.outerL3, this.#tunnels.outerL4);
    return first;
  }

  /** Takes the outer headers off and looks the packet up as one of the tunnel's port. */
  #popTunnel(frame: number, at: number, isTail: boolean): void {
    const { layers, metadata } = this.#changes;
    this.#tunnels.pop(frame, at, this.#slot, layers.l3, layers.l4, metadata);
    if (!isTail) this.#next.flush();
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
    } else if (type === LB_OUTPUT) {
      this.#balance(frame, this.#u32[payload >>> 2]!);
    } else {
      const payloadBytes = this.#u16[action >>> 1]! - HEADER_BYTES;
      this.#tunnels.show();
      this.#changes.metadata.exchange();
      const { probability } = this.#nested;
      this.#sink.upcall(
        this.#columns,
        this.#slot,
        frame,
        type,
        payload,
        payloadBytes,
        packetBytes,
        probability,
      );
      this.#changes.metadata.exchange();
    }
  }

  #balance(frame: number, bond: number): void {
    const hash = this.#changes.hash.l4(frame, this.#changes.metadata.get(PACKET_TYPE), 0);
    const portNo = this.#bonds.chooseMember(bond, hash, this.#packets.packetBytes(frame));
    if (portNo === NO_BOND) this.#sink.drop(frame, ACTION_END.noBond);
    else this.#sink.output(portNo, frame);
  }
}
