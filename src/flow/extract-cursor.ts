// Where extraction stands in a packet, and the key slot that it fills.
//
// Two lengths bound every step. `sizeBytes` is what the packet and the length fields passed so far leave from
// `offset` on: it decides whether a header is there, as in OVS. `linearBytes` is what lies in one piece behind
// `head`: a packet of several frames has more bytes than can be read here. A header that is there but not readable
// raises `needsMoreLinear`; the caller then gathers the packet and extracts again, so whatever was written after that
// does not matter.
//
// Byte offsets in the arena go past 2 GiB. They are kept as 32-bit words (`| 0`), which V8 holds without a heap
// number, and made unsigned where they index a view.
//
// Per packet; owns no memory: reads the packet, writes the key slot it was given, no counters.

import { K, KEY_LINE_COUNT } from "./fields.ts";

/** A packet without network or transport header has this in l3Offset or l4Offset. */
export const NO_OFFSET = 0xffff;

/** Bit of each key line in a `dirtyLines` word. */
export const LINE_0 = 1;
export const LINE_1 = 2;
export const LINE_2 = 4;
export const LINE_3 = 8;
/** For a slot of unknown content. */
export const ALL_LINES = (1 << KEY_LINE_COUNT) - 1;

// Module constants, because V8 folds them and loads an imported table anew each time.
const ETH_DST_WORD = K.eth_dst >>> 2;
const TP_SRC_WORD = K.tp_src >>> 2;
const { vlan_tpid: VLAN_TPID, vlan_tci: VLAN_TCI, vlan2_tpid: VLAN2_TPID, vlan2_tci: VLAN2_TCI } = K;

/** The views that extraction reads packets and writes keys through: the arena, or anything that looks like it. */
export interface KeyViews {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
}

export class HeaderCursor {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  /** Arena offset of the packet's first byte, as a signed word. */
  head = 0;
  /** Bytes of the packet that lie in one piece from `head`. */
  linearBytes = 0;
  /** Offset of the header being parsed, from `head`. */
  offset = 0;
  /** Bytes from `offset` to the end that the enclosing headers state. */
  sizeBytes = 0;
  /** Arena offset of the key slot, on a line. */
  key = 0;
  /** Lines of the key slot that this extraction wrote. */
  lines = LINE_0;

  /** Results beside the key. Offsets are from `head`. */
  l3Offset = NO_OFFSET;
  l4Offset = NO_OFFSET;
  /** The packet's TCP flags, low 12 bits in host order; 0 when it has none. */
  tcpFlags = 0;
  /** The key is unusable: a header lies past `linearBytes`. Extract again from a gathered copy. */
  needsMoreLinear = false;

  constructor(views: KeyViews) {
    this.u8 = views.u8;
    this.u16 = views.u16;
    this.u32 = views.u32;
  }

  /** Starts a packet: no header passed, everything in line 0 that a packet can set is zero. */
  begin(head: number, linearBytes: number, packetBytes: number, key: number): void {
    this.head = head | 0;
    this.linearBytes = linearBytes;
    this.offset = 0;
    this.sizeBytes = packetBytes;
    this.key = key;
    this.lines = LINE_0;
    this.l3Offset = NO_OFFSET;
    this.l4Offset = NO_OFFSET;
    this.tcpFlags = 0;
    this.needsMoreLinear = false;
    const { u32 } = this;
    const keyWord = key >>> 2;
    for (let word = ETH_DST_WORD; word <= TP_SRC_WORD; word++) u32[keyWord + word] = 0;
  }

  /** Whether a header of `bytes` is there and readable. */
  has(bytes: number): boolean {
    if (this.sizeBytes < bytes) return false;
    if (this.offset + bytes <= this.linearBytes) return true;
    this.needsMoreLinear = true;
    return false;
  }

  /** Passes `bytes`, which the caller has checked to be there. They need not be readable. */
  pull(bytes: number): void {
    this.offset += bytes;
    this.sizeBytes -= bytes;
  }

  /** Passes `bytes` if they are there. */
  tryPull(bytes: number): boolean {
    if (this.sizeBytes < bytes) return false;
    this.pull(bytes);
    return true;
  }

  byte(at: number): number {
    return this.u8[(this.head + this.offset + at) >>> 0]!;
  }

  be16(at: number): number {
    const address = (this.head + this.offset + at) >>> 0;
    return (this.u8[address]! << 8) | this.u8[address + 1]!;
  }

  /** Copies packet bytes from `at` into a field. `bytes` is even; words are used as far as both sides allow. */
  copy(at: number, field: number, bytes: number): void {
    const from = (this.head + this.offset + at) >>> 0;
    const to = this.key + field;
    if (((from | to | bytes) & 3) === 0) {
      const { u32 } = this;
      for (let word = 0; word < bytes >>> 2; word++) u32[(to >>> 2) + word] = u32[(from >>> 2) + word]!;
    } else if ((from & 1) === 0) {
      const { u16 } = this;
      for (let half = 0; half < bytes >>> 1; half++) u16[(to >>> 1) + half] = u16[(from >>> 1) + half]!;
    } else {
      const { u8 } = this;
      for (let byte = 0; byte < bytes; byte++) u8[to + byte] = u8[from + byte]!;
    }
  }

  put8(field: number, value: number): void {
    this.u8[this.key + field] = value;
  }

  putBe16(field: number, value: number): void {
    const { u8 } = this;
    u8[this.key + field] = value >>> 8;
    u8[this.key + field + 1] = value;
  }

  zero(field: number, bytes: number): void {
    for (let byte = 0; byte < bytes; byte++) this.u8[this.key + field + byte] = 0;
  }

  /** A tag in the first or the second VLAN slot. CFI says "there is a tag", whatever the packet's own bit was. */
  putVlan(index: number, tpid: number, tciWithCfi: number): void {
    if (index === 0) {
      this.putBe16(VLAN_TPID, tpid);
      this.putBe16(VLAN_TCI, tciWithCfi);
    } else {
      this.putBe16(VLAN2_TPID, tpid);
      this.putBe16(VLAN2_TCI, tciWithCfi);
      this.lines |= LINE_1;
    }
  }
}
