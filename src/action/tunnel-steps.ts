// The executor's steps into tunnels and out of them: set(tunnel), tnl_push, tnl_pop. Hot, per packet of such flows.
//
// Memory: the spare key of the executor's batch, frames' records. Packets that end here go to the sink.
import { K, KEY_BYTES, KEY_LINE_BYTES } from "../flow/fields.ts";
import { NLA_HEADER_BYTES } from "../flow/nlattr.ts";
import type { Arena } from "../memory/arena.ts";
import type { BatchColumns } from "../memory/batch-columns.ts";
import { BATCH } from "../memory/batch-layout.ts";
import { NO_FRAME, PACKET_L3, PACKET_TUNNEL_SET } from "../memory/frame-layout.ts";
import type { Packets } from "../memory/packets.ts";
import { swap16 } from "../packet/bytes.ts";
import type { ExecutorContext } from "./executor.ts";
import { ACTION_END, type OutputSink } from "./output-sink.ts";
import type { PacketFront } from "./packet-front.ts";
import { META, type PacketMetadata } from "./packet-metadata.ts";
import type { Recirculator } from "./recirculator.ts";
import { SavedTunnel } from "./saved-tunnel.ts";
import type { TunnelActions } from "./tunnel-actions.ts";
import { writeTunnelFields } from "./tunnel-fields.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const HEADER_BYTES = NLA_HEADER_BYTES;
const KEY_STRIDE = KEY_BYTES;
const LINE_BYTES = KEY_LINE_BYTES;
const IN_PORT = K.in_port;
const RECIRC_ID = K.recirc_id;
const PACKET_TYPE = K.packet_type;
const TUNNEL_LINE = Math.floor(K.tun_id / KEY_LINE_BYTES);
const ALL_LINES = (1 << (KEY_BYTES / KEY_LINE_BYTES)) - 1;
const L3 = PACKET_L3;
/** Of tnl_push's argument. */
const PUSH_OUT_PORT = 4;
/** The namespace of Ethertypes in the first half of a packet_type, in network order. */
const NS_ETHERTYPE = 0x0100;

/** `keyAt` of a packet behind tnl_push: it is to go by no tunnel, whatever its key said before. */
const NO_TUNNEL = 1;
const TUNNEL_SET = PACKET_TUNNEL_SET;
const TUN_ID = K.tun_id;
const FIELDS_BYTES = K.tun_opts - K.tun_id;

export class TunnelSteps {
  /**
   * The tunnel that the packet in hand was set to: arena offset and bytes of set(tunnel)'s payload; minus the bytes of a
   * key's tunnel fields when it was set before it recirculated; NO_TUNNEL; 0 when none was set.
   */
  keyAt = 0;
  keyBytes = 0;

  readonly #arena: Arena;
  readonly #u32: Uint32Array;
  readonly #packets: Packets;
  readonly #sink: OutputSink;
  readonly #columns: BatchColumns;
  readonly #next: Recirculator;
  readonly #tunnels: TunnelActions;
  readonly #front: PacketFront;
  readonly #spareKey: number;
  /** The tunnel lines of the slot's key, while it tells another tunnel. */
  readonly #ownLines: SavedTunnel;
  #slot = 0;
  /** `keyAt` as the packet came, and of the tunnel that the slot's key tells. */
  #ownAt = 0;
  #shownAt = 0;
  /** Lines of the spare key that are not zero. */
  #spareLines = ALL_LINES;

  constructor({ arena, packets, sink, columns, next, tunnels }: ExecutorContext, front: PacketFront) {
    this.#arena = arena;
    this.#u32 = arena.u32;
    this.#packets = packets;
    this.#sink = sink;
    this.#columns = columns;
    this.#next = next;
    this.#tunnels = tunnels;
    this.#front = front;
    this.#spareKey = columns.batch + BATCH.spareKey;
    this.#ownLines = new SavedTunnel(arena, columns);
  }

  /** Of the packet pushed last. */
  get outerL3(): number {
    return this.#tunnels.outerL3;
  }

  get outerL4(): number {
    return this.#tunnels.outerL4;
  }

  /** A new packet, in this slot. */
  begin(frame: number, slot: number): void {
    this.#slot = slot;
    this.#ownAt = 0;
    this.#shownAt = 0;
    if ((this.#packets.flags(frame) & TUNNEL_SET) === 0) return;
    const key = this.#columns.keys + slot * KEY_STRIDE;
    this.#ownAt = key + TUN_ID;
    this.#shownAt = this.#ownAt;
    const optionBytes = this.#arena.u8[key + K.tun_opts_len]!;
    this.setKey(this.#ownAt, -(FIELDS_BYTES + ((optionBytes + 3) & ~3)));
  }

  /** What outputs to tunnel ports are to be sent under; values as `keyAt` and `keyBytes` have them. */
  setKey(at: number, bytes: number): void {
    if (at === this.keyAt) return;
    this.keyAt = at;
    this.keyBytes = bytes;
    // Fields of the slot's own key are read from there.
    if (at !== 0 && at === this.#ownAt) this.show();
    if (at === NO_TUNNEL) this.#tunnels.setEgressKey(0, 0);
    else this.#tunnels.setEgressKey(at, bytes);
  }

  /** Has the slot's key tell the tunnel that the packet was set to, for those who get the key. */
  show(): void {
    const { keyAt } = this;
    if (this.#shownAt === keyAt) return;
    if (this.#shownAt === this.#ownAt) this.#ownLines.save(this.#slot);
    if (keyAt === this.#ownAt) this.#ownLines.restore(this.#slot);
    else {
      const key = this.#ownLines.clear(this.#slot);
      if (keyAt !== NO_TUNNEL) {
        const lines = writeTunnelFields(this.#arena, key, keyAt, this.keyBytes);
        this.#u32[this.#columns.dirtyLines + this.#slot]! |= lines;
      }
    }
    this.#shownAt = keyAt;
  }

  /** The packet is about to be looked up again: its key tells the tunnel then, and its record that it was set. */
  handOn(frame: number): void {
    this.show();
    if (this.keyAt === 0) return;
    const flags = this.#packets.flags(frame);
    this.#packets.setFlags(frame, this.keyAt === NO_TUNNEL ? flags & ~TUNNEL_SET : flags | TUNNEL_SET);
  }

  /** The packet's list is done. */
  end(): void {
    if (this.keyAt === 0) return;
    this.keyAt = 0;
    this.#tunnels.setEgressKey(0, 0);
  }

  /**
   * tnl_push. Returns the packet's first frame, NO_FRAME when it was dropped. What it sends is a packet of `out_port`
   * without metadata, as in OVS (netdev_push_header).
   * @param action its arena offset
   */
  push(frame: number, action: number, metadata: PacketMetadata): number {
    const first = this.#tunnels.push(frame, action + HEADER_BYTES, this.#innerType(frame, metadata));
    if (first === NO_FRAME) {
      this.#sink.drop(frame, this.#tunnels.failure);
      return first;
    }
    metadata.reset(this.#u32[(action + HEADER_BYTES + PUSH_OUT_PORT) >>> 2]!);
    this.setKey(NO_TUNNEL, 0);
    return first;
  }

  /** 0 for an Ethernet frame, else the Ethertype in the packet's type. */
  #innerType(frame: number, metadata: PacketMetadata): number {
    if ((this.#packets.flags(frame) & L3) === 0) return 0;
    return swap16(metadata.get(META.packetType) >>> 16);
  }

  /**
   * tnl_pop: takes the outer headers off and hands the packet on to be looked up as one of the tunnel's port.
   * @param action its arena offset; `l3` and `l4` as the executor has them
   */
  pop(frame: number, action: number, slot: number, l3: number, l4: number, metadata: PacketMetadata): void {
    const packets = this.#packets;
    const tunnels = this.#tunnels;
    const portNo = this.#u32[(action + HEADER_BYTES) >>> 2]!;
    const bytes = tunnels.pop(frame, l3, l4, portNo, this.#spareKey, this.#spareLines);
    const { innerType, tunnelLines, poppedPort } = tunnels;
    this.#spareLines = bytes < 0 ? this.#spareLines | tunnelLines : tunnelLines;
    if (bytes < 0 || bytes > packets.packetBytes(frame)) {
      this.#sink.drop(frame, ACTION_END.notPopped);
      return;
    }
    this.#front.takeOff(frame, bytes);
    const flags = packets.flags(frame) & ~TUNNEL_SET;
    packets.setFlags(frame, innerType === 0 ? flags & ~L3 : flags | L3);
    packets.setPortNo(frame, poppedPort);
    const key = this.#next.add(this.#columns, slot, frame);
    if (key === 0) return;
    metadata.store(key, this.#u32[(this.#columns.keys + slot * KEY_STRIDE + RECIRC_ID) >>> 2]!);
    this.#u32[(key + IN_PORT) >>> 2] = poppedPort;
    this.#u32[(key + PACKET_TYPE) >>> 2] = innerType === 0 ? 0 : NS_ETHERTYPE | (swap16(innerType) << 16);
    const lines = tunnelLines | this.#u32[this.#columns.dirtyLines + slot]!;
    for (let line = TUNNEL_LINE; lines >>> line !== 0; line += 1) {
      if (((lines >>> line) & 1) === 0) continue;
      this.#arena.intrinsics.copy(key + line * LINE_BYTES, this.#spareKey + line * LINE_BYTES, LINE_BYTES);
    }
    this.#next.addLines(tunnelLines);
  }
}
