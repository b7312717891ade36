// Upcalls as they stand in a worker's record ring: layout, and the worker's side (handler's side: upcall-reader.ts).
//
// A record, offsets from its start (a multiple of eight):
//
//   offset  size  field
//        0    u32  type            UPCALL.miss, .action, .follow or .psample
//        4    u32  frame           first frame of the packet; the packet belongs to the handler from now on
//        8    u32  portNo          the port it was received on
//       12    u32  orderHash       orders it behind misses of its conversation
//       16    u32  charge          units of the port's share that the record takes until it is answered
//       20    u32  packetBytes     bytes of the packet, before trunc cut it (action)
//       24    u32  keyLines        lines of the key behind the header, bit n for line n; the others are zero
//       28    u32  attributeBytes  of the action's nested attributes (action, psample)
//       32    u32  actionsBytes    of the flow's actions, 0 unless the userspace() asked for them (action)
//       36    u32  egressKeyBytes  of the tunnel key that tunnel_out_port asked for, 0 for none (action)
//       40    f64  millis          the worker's clock when it was sent: upcall latency starts here
//       48    u32  probability     with which packets get there through samples, of 2^32 - 1 (action, psample)
//       52         spare to 64
//       64         key lines, in order; then attributes, actions and egress key, each padded to eight bytes
//
// A follower carries no key: the miss of its conversation, which stands before it, brought one.
//
// Every record is answered by exactly one entry of the worker's reinject ring, records of one ring in their order
// (reinject-entry.ts). Until then its charge counts against its port: shares are fair in ring space and in answers.
//
// Per record: stores into the ring and one copy for each key line. Nothing is allocated. Memory: upcallRings (own).
import { KEY_LINE_BYTES } from "../flow/fields.ts";
import type { Arena } from "../memory/arena.ts";
import { PAGE_BYTES, REINJECT_RING_ENTRIES } from "../memory/region-plan.ts";
import { RecordProducer, recordRingBytes } from "../ring/record-ring.ts";

export const UPCALL = { miss: 1, action: 2, follow: 3, psample: 4 } as const;

/** Byte offsets of a record's fields. */
export const UPCALL_RECORD = {
  type: 0,
  frame: 4,
  portNo: 8,
  orderHash: 12,
  charge: 16,
  packetBytes: 20,
  keyLines: 24,
  attributeBytes: 28,
  actionsBytes: 32,
  egressKeyBytes: 36,
  millis: 40,
  probability: 48,
  body: 64,
} as const;

/** Shares are counted in lines; the ring's own header of eight bytes is part of a record's charge. */
const CHARGE_BYTES = 64;
const RING_RECORD_HEADER_BYTES = 8;
/** The charge of a follower, the shortest record. */
const CHARGE_MIN = chargeOf(UPCALL_RECORD.body);
/** What the wrap of a record ring may leave unused: the longest miss. */
const WRAP_LOSS_BYTES = 1024;

function chargeOf(recordBytes: number): number {
  return Math.ceil((recordBytes + RING_RECORD_HEADER_BYTES) / CHARGE_BYTES);
}

/** Arena offset of a worker's record ring. */
export function upcallRingOffset(arena: Arena, worker: number): number {
  const stride = Math.ceil(recordRingBytes(arena.plan.sizes.upcallRingBytes) / PAGE_BYTES) * PAGE_BYTES;
  return arena.region("upcallRings").offset + worker * stride;
}

/**
 * Charge that all records of one worker may hold together. Within it neither the record ring (but for actions with
 * long userdata) nor the reinject ring, which answers the shortest records one by one, can be full.
 */
export function upcallChargeMax(arena: Arena): number {
  const ringCharge = Math.floor((arena.plan.sizes.upcallRingBytes - WRAP_LOSS_BYTES) / CHARGE_BYTES);
  return Math.min(ringCharge, REINJECT_RING_ENTRIES * CHARGE_MIN);
}

const pad8 = (bytes: number): number => (bytes + 7) & ~7;

/** What goes up with a packet of an action beside its key: a number, arena offsets and bytes. One for each worker, filled anew. */
export class UpcallParts {
  /** With which packets get to the action through samples, of 2^32 - 1. */
  probability = 0;
  /** The action's nested attributes. */
  attributes = 0;
  attributeBytes = 0;
  /** The flow's actions; no bytes unless the action asks for them. */
  actions = 0;
  actionsBytes = 0;
  /** Nested attributes of a tunnel key; no bytes unless the action asks for one and there is one. */
  egressKey = 0;
  egressKeyBytes = 0;

  /** As they stand in a record, each padded. */
  get recordBytes(): number {
    return pad8(this.attributeBytes) + pad8(this.actionsBytes) + pad8(this.egressKeyBytes);
  }
}

function bitCount(bits: number): number {
  let count = 0;
  for (; bits !== 0; bits &= bits - 1) count += 1;
  return count;
}

/** A worker's side. Every method stages; publish() makes visible, once a burst. */
export class UpcallWriter {
  /** Charge of the record staged last: what the caller adds to the port's share. */
  charge = 0;

  readonly #arena: Arena;
  readonly #u32: Uint32Array;
  readonly #f64: Float64Array;
  readonly #ring: RecordProducer;

  constructor(arena: Arena, worker: number) {
    this.#arena = arena;
    this.#u32 = arena.u32;
    this.#f64 = arena.f64;
    this.#ring = new RecordProducer(arena, upcallRingOffset(arena, worker), arena.plan.sizes.upcallRingBytes);
  }

  /** Charge that a miss with these key lines would take. */
  missCharge(keyLines: number): number {
    return chargeOf(UPCALL_RECORD.body + bitCount(keyLines) * KEY_LINE_BYTES);
  }

  get followCharge(): number {
    return CHARGE_MIN;
  }

  actionCharge(keyLines: number, parts: UpcallParts): number {
    return chargeOf(UPCALL_RECORD.body + bitCount(keyLines) * KEY_LINE_BYTES + parts.recordBytes);
  }

  /**
   * A packet that hit no flow. False, and nothing staged, when the ring is full: the packet stays the caller's.
   * @param key arena offset of its key; `keyLines` the lines that are not zero (BATCH.dirtyLines)
   */
  miss(
    frame: number,
    portNo: number,
    orderHash: number,
    packetBytes: number,
    key: number,
    keyLines: number,
    millis: number,
  ): boolean {
    const bytes = UPCALL_RECORD.body + bitCount(keyLines) * KEY_LINE_BYTES;
    const at = this.#stage(UPCALL.miss, bytes, frame, portNo, orderHash, packetBytes, millis);
    if (at === 0) return false;
    this.#u32[(at + UPCALL_RECORD.keyLines) >>> 2] = keyLines;
    this.#copyKey(at + UPCALL_RECORD.body, key, keyLines);
    this.#ring.commit();
    return true;
  }

  /** A packet of a conversation whose miss is in flight. */
  follow(frame: number, portNo: number, orderHash: number, packetBytes: number, millis: number): boolean {
    const bytes = UPCALL_RECORD.body;
    if (this.#stage(UPCALL.follow, bytes, frame, portNo, orderHash, packetBytes, millis) === 0) return false;
    this.#ring.commit();
    return true;
  }

  /** A packet of a userspace() or psample() action. @param type UPCALL.action or .psample */
  action(
    type: number,
    frame: number,
    portNo: number,
    orderHash: number,
    packetBytes: number,
    key: number,
    keyLines: number,
    millis: number,
    parts: UpcallParts,
  ): boolean {
    const { attributeBytes, actionsBytes, egressKeyBytes } = parts;
    const keyBytes = bitCount(keyLines) * KEY_LINE_BYTES;
    const bytes = UPCALL_RECORD.body + keyBytes + parts.recordBytes;
    const at = this.#stage(type, bytes, frame, portNo, orderHash, packetBytes, millis);
    if (at === 0) return false;
    this.#u32[(at + UPCALL_RECORD.keyLines) >>> 2] = keyLines;
    this.#u32[(at + UPCALL_RECORD.probability) >>> 2] = parts.probability;
    this.#u32[(at + UPCALL_RECORD.attributeBytes) >>> 2] = attributeBytes;
    this.#u32[(at + UPCALL_RECORD.actionsBytes) >>> 2] = actionsBytes;
    this.#u32[(at + UPCALL_RECORD.egressKeyBytes) >>> 2] = egressKeyBytes;
    const { intrinsics } = this.#arena;
    let target = at + UPCALL_RECORD.body;
    this.#copyKey(target, key, keyLines);
    target += keyBytes;
    intrinsics.copy(target, parts.attributes, attributeBytes);
    target += pad8(attributeBytes);
    intrinsics.copy(target, parts.actions, actionsBytes);
    target += pad8(actionsBytes);
    intrinsics.copy(target, parts.egressKey, egressKeyBytes);
    this.#ring.commit();
    return true;
  }

  /** Makes all staged records visible. True when there were any: then the doorbell has to be looked at. */
  publish(): boolean {
    return this.#ring.publish();
  }

  #stage(
    type: number,
    bytes: number,
    frame: number,
    portNo: number,
    orderHash: number,
    packetBytes: number,
    millis: number,
  ): number {
    const at = this.#ring.reserve(bytes);
    if (at === 0) return 0;
    const word = at >>> 2;
    this.charge = chargeOf(bytes);
    this.#u32[word + UPCALL_RECORD.type / 4] = type;
    this.#u32[word + UPCALL_RECORD.frame / 4] = frame;
    this.#u32[word + UPCALL_RECORD.portNo / 4] = portNo;
    this.#u32[word + UPCALL_RECORD.orderHash / 4] = orderHash;
    this.#u32[word + UPCALL_RECORD.charge / 4] = this.charge;
    this.#u32[word + UPCALL_RECORD.packetBytes / 4] = packetBytes;
    this.#u32[word + UPCALL_RECORD.keyLines / 4] = 0;
    this.#u32[word + UPCALL_RECORD.attributeBytes / 4] = 0;
    this.#u32[word + UPCALL_RECORD.actionsBytes / 4] = 0;
    this.#u32[word + UPCALL_RECORD.egressKeyBytes / 4] = 0;
    this.#f64[(at + UPCALL_RECORD.millis) >>> 3] = millis;
    return at;
  }

  #copyKey(target: number, key: number, keyLines: number): void {
    for (let lines = keyLines, source = key; lines !== 0; lines >>>= 1, source += KEY_LINE_BYTES) {
      if ((lines & 1) === 0) continue;
      this.#arena.intrinsics.copy(target, source, KEY_LINE_BYTES);
      target += KEY_LINE_BYTES;
    }
  }
}
