// Everything that one thread does with tunnels: tnl_push, tnl_pop, and packets put out of tunnel ports. It knows the
// tunnel ports and the tables of routes, neighbours and addresses as control told it last.
//
// Hot: one call for each packet. Memory: this thread's tunnelHeaders, sequence words of ports. Allocates nothing but
// when a header is composed (header-cache.ts).
import { ACTION_END } from "../action/output-sink.ts";
import type { TunnelActions } from "../action/tunnel-actions.ts";
import { K } from "../flow/fields.ts";
import type { Arena } from "../memory/arena.ts";
import { BATCH, BATCH_BYTES } from "../memory/batch-layout.ts";
import { NO_FRAME, PACKET_L3 } from "../memory/frame-layout.ts";
import type { FramePool } from "../memory/frame-pool.ts";
import type { Packets } from "../memory/packets.ts";
import { readBe16 } from "../packet/bytes.ts";
import { ETH, ETH_TYPE } from "../packet/link-headers.ts";
import { IPV4, IPV6 } from "../packet/network-headers.ts";
import { TUNNEL_TYPE } from "../packet/tunnel-headers.ts";
import { AS_IT_IS, setPacketFields } from "./egress-key.ts";
import { EGRESS_END, HeaderCache, type Resolve } from "./header-cache.ts";
import { INHERIT_DSCP, INHERIT_ECN, INHERIT_TTL, inherit, inheritedMarks, innerMarks } from "./inherit.ts";
import { ipBytes, NO_IP } from "./ip.ts";
import { POP_REFUSED } from "./outer-headers.ts";
import { TTL_DEFAULT } from "./policy-key.ts";
import { TunnelPop } from "./pop.ts";
import { EGRESS_PORT_MAX, EGRESS_PORT_MIN, TunnelPush } from "./push.ts";
import { type TunnelState, TunnelView } from "./state.ts";
import type { TunnelVport } from "./vport.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const ETH_BYTES: number = ETH.headerBytes;
const IPV4_BYTES: number = IPV4.headerBytes;
const IPV6_BYTES: number = IPV6.headerBytes;
const { ipv4: TYPE_IPV4, ipv6: TYPE_IPV6 } = ETH_TYPE;
const L3 = PACKET_L3;
const NO_FAILURE: number = EGRESS_END.none;
/** Words of a tnl_push's argument: tnl_port, out_port, header length, type, then the header. */
const PUSH_PORT_WORD = 0;
const PUSH_LENGTH_WORD = 2;
const PUSH_HEADER = 16;

export const EMPTY_STATE: TunnelState = {
  endpoints: [],
  routes: [],
  neighbours: [],
  listeners: [],
  egressPorts: [EGRESS_PORT_MIN, EGRESS_PORT_MAX],
};

/** A tunnel port as this thread needs it. */
interface EnginePort {
  readonly vport: TunnelVport;
  readonly type: number;
  readonly hasGbp: boolean;
  readonly payloadType: number;
  /** Arena offset of its sequence word. */
  readonly sequenceAt: number;
  /** INHERIT_* bits of packets under the port's own key. */
  readonly inherits: number;
  /** Traffic class and TTL of the port's own key, as marks (inherit.ts). */
  readonly marks: number;
  /** The far end's address as keys have it, 4 or 16 bytes; null when anybody may be it. */
  readonly remote: Uint8Array | null;
  /** The tunnel id that packets must have, eight bytes; null for any. */
  readonly inKey: Uint8Array | null;
}

export class TunnelEngine implements TunnelActions {
  failure: number = ACTION_END.notPushed;
  /** Why the last encapsulate() failed: one of EGRESS_END, or `none` when no frame was free. */
  egressFailure: number = NO_FAILURE;
  /** The port that the packet encapsulated last leaves by. */
  outPort = 0;
  /** Arena offset of the key that findEgressKey() found last, valid until the next one. */
  egressKeyAt = 0;
  poppedPort = 0;
  outerL3: number = ETH_BYTES;
  outerL4 = 0;

  readonly #arena: Arena;
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #packets: Packets;
  readonly #push: TunnelPush;
  readonly #pop: TunnelPop;
  readonly #cache: HeaderCache;
  readonly #ports = new Map<number, EnginePort>();
  #keyAt = 0;
  #keyBytes = 0;

  /** @param now [0] the burst's time in milliseconds */
  constructor(
    arena: Arena,
    threadIndex: number,
    pool: FramePool,
    packets: Packets,
    now: Float64Array,
    resolve: Resolve,
  ) {
    const linear = arena.region("batches").offset + threadIndex * BATCH_BYTES + BATCH.linear;
    this.#arena = arena;
    this.#u8 = arena.u8;
    this.#u32 = arena.u32;
    this.#packets = packets;
    this.#push = new TunnelPush(arena, pool, packets);
    this.#pop = new TunnelPop(arena, packets, linear);
    this.#cache = new HeaderCache(arena, threadIndex, now, new TunnelView(EMPTY_STATE), resolve);
  }

  get innerType(): number {
    return this.#pop.innerType;
  }

  get tunnelLines(): number {
    return this.#pop.lines;
  }

  /** Control path. */
  setState(state: TunnelState): void {
    this.#cache.setView(new TunnelView(state));
    this.#push.setEgressPorts(...state.egressPorts);
  }

  /** Control path. */
  addPort(portNo: number, vport: TunnelVport, sequenceAt: number): void {
    const { type, hasGbp, payloadType, tos, ttl } = vport;
    const inherits =
      INHERIT_ECN | (tos === "inherit" ? INHERIT_DSCP : 0) | (ttl === "inherit" ? INHERIT_TTL : 0);
    this.#ports.set(portNo, {
      vport,
      type: TUNNEL_TYPE[type],
      hasGbp,
      payloadType,
      sequenceAt,
      inherits,
      marks: ((tos === "inherit" ? 0 : tos) << 8) | (ttl === "inherit" ? TTL_DEFAULT : ttl),
      remote: vport.remote === NO_IP ? null : ipBytes(vport.remote),
      inKey: typeof vport.inKey === "bigint" ? idBytes(vport.inKey) : null,
    });
    this.#cache.invalidate();
  }

  /** Control path. */
  removePort(portNo: number): void {
    this.#ports.delete(portNo);
    this.#cache.invalidate();
  }

  setEgressKey(at: number, bytes: number): void {
    this.#keyAt = at;
    this.#keyBytes = bytes;
  }

  push(frame: number, payload: number, innerType: number): number {
    const word = payload >>> 2;
    const port = this.#ports.get(this.#u32[word + PUSH_PORT_WORD]!);
    this.failure = ACTION_END.notPushed;
    if (port === undefined) return NO_FRAME;
    const header = payload + PUSH_HEADER;
    const headerBytes = this.#u32[word + PUSH_LENGTH_WORD]!;
    const first = this.#push.push(frame, header, headerBytes, port.type, innerType, port.sequenceAt);
    if (first === NO_FRAME)
      this.failure = this.#push.isOutOfFrames ? ACTION_END.noFrame : ACTION_END.notPushed;
    else this.#isEthernet(first, header);
    return first;
  }

  pop(frame: number, l3: number, l4: number, portNo: number, key: number, dirtyLines: number): number {
    const port = this.#ports.get(portNo);
    if (port === undefined) return POP_REFUSED;
    const bytes = this.#pop.pop(frame, l3, l4, key, dirtyLines, port);
    this.poppedPort = portNo;
    if (bytes === POP_REFUSED || this.#isFor(port, key)) return bytes;
    return this.#findSibling(port, key) ? bytes : POP_REFUSED;
  }

  /** Ports with far ends of their own may share type and UDP port: the packet is for the one that it comes from. */
  #findSibling({ type, vport }: EnginePort, key: number): boolean {
    for (const [portNo, port] of this.#ports) {
      if (port.type !== type || port.vport.dstPort !== vport.dstPort || !this.#isFor(port, key)) continue;
      this.poppedPort = portNo;
      return true;
    }
    return false;
  }

  /** @param key arena offset of a key whose tunnel fields are there */
  #isFor({ remote, inKey }: EnginePort, key: number): boolean {
    if (remote !== null) {
      const field = remote.length === 4 ? K.tun_src : K.tun_ipv6_src;
      if (!this.#isEqual(key + field, remote)) return false;
    }
    return inKey === null || this.#isEqual(key + K.tun_id, inKey);
  }

  #isEqual(at: number, bytes: Uint8Array): boolean {
    for (let index = 0; index < bytes.length; index += 1)
      if (this.#u8[at + index] !== bytes[index]) return false;
    return true;
  }

  /**
   * A packet put out of a tunnel port: encapsulates it under the key of setEgressKey(), or else the port's own.
   * Returns its first frame and sets `outPort`; NO_FRAME, packet untouched, when `egressFailure` says why.
   */
  encapsulate(portNo: number, frame: number): number {
    const port = this.#ports.get(portNo);
    this.egressFailure = EGRESS_END.invalid;
    if (port === undefined) return NO_FRAME;
    const innerType = this.#innerType(frame);
    const entry = this.#cache.find(port.vport, portNo, innerType, this.#keyAt, this.#keyBytes);
    this.egressFailure = this.#cache.failure[entry]!;
    if (this.egressFailure !== NO_FAILURE) return NO_FRAME;
    const isOwnKey = this.#keyAt === 0;
    const marks = isOwnKey ? this.#innerMarks(frame, innerType) : 0;
    const header = this.#cache.headerAt(entry);
    const type = this.#cache.type[entry]!;
    const headerBytes = this.#cache.headerBytes[entry]!;
    const first = this.#push.push(frame, header, headerBytes, type, innerType, port.sequenceAt);
    if (first === NO_FRAME) {
      if (!this.#push.isOutOfFrames) this.egressFailure = EGRESS_END.invalid;
      return NO_FRAME;
    }
    this.#isEthernet(first, header);
    if (isOwnKey) inherit(this.#u8, this.#packets.head(first), marks, port.inherits);
    this.outPort = this.#cache.outPort[entry]!;
    return first;
  }

  /**
   * The tunnel key (OVS_TUNNEL_KEY_ATTR_*) that encapsulate() would send the packet under, at `egressKeyAt`, whether or
   * not the next hop answers. Returns its bytes, 0 when the port is no tunnel or no route leads to its far end.
   */
  findEgressKey(portNo: number, frame: number): number {
    const port = this.#ports.get(portNo);
    if (port === undefined) return 0;
    const innerType = this.#innerType(frame);
    const entry = this.#cache.find(port.vport, portNo, innerType, this.#keyAt, this.#keyBytes);
    const bytes = this.#cache.keyBytes[entry]!;
    this.egressKeyAt = this.#cache.egressKeyAt(entry);
    const marks =
      this.#keyAt === 0
        ? inheritedMarks(port.marks, this.#innerMarks(frame, innerType), port.inherits)
        : AS_IT_IS;
    setPacketFields(this.#arena, this.egressKeyAt, bytes, marks, this.#push.sourcePort(frame, innerType));
    return bytes;
  }

  #innerMarks(frame: number, innerType: number): number {
    return innerMarks(this.#u8, this.#packets.head(frame), this.#packets.dataBytes(frame), innerType);
  }

  /** 0 for an Ethernet frame; of a packet without Ethernet, IP tells itself. */
  #innerType(frame: number): number {
    if ((this.#packets.flags(frame) & L3) === 0) return 0;
    return this.#u8[this.#packets.head(frame)]! >>> 4 === 6 ? TYPE_IPV6 : TYPE_IPV4;
  }

  /** The packet begins with Ethernet now, whatever it began with. @param header arena offset of what was put in front */
  #isEthernet(frame: number, header: number): void {
    const isV6 = readBe16(this.#u8, header + ETH.type) === TYPE_IPV6;
    this.outerL4 = ETH_BYTES + (isV6 ? IPV6_BYTES : IPV4_BYTES);
    this.#packets.setFlags(frame, this.#packets.flags(frame) & ~L3);
  }
}

function idBytes(id: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, id);
  return bytes;
}
