// set() done slowly and in another manner: fields are written byte by byte, checksums are computed anew over
// the whole packet, and an error that the old checksum had is carried over. Knows where headers are from how
// the frame was built.
import type { Layer } from "../../src/packet/builder.ts";

/** Where the headers of a built frame stand. */
export interface FrameLayout {
  readonly l3: number;
  readonly isV6: boolean;
  readonly l4: number;
  readonly protocol: number;
  /** Transport header and payload, without padding. */
  readonly l4Bytes: number;
  readonly isLaterFragment: boolean;
  readonly hasUnfinishedRouting: boolean;
}

const EXTENSIONS: ReadonlySet<number | undefined> = new Set([0, 43, 44, 51, 60]);

/** Undefined when the frame is not IP right behind link header and tags, or has no known transport layer. */
export function layoutOf(layers: readonly Layer[], frame: Uint8Array): FrameLayout | undefined {
  let offset = 0;
  let index = 0;
  while (index < layers.length && ![0x0800, 0x86dd].includes(layers[index]!.name.etherType ?? 0)) {
    const type = layers[index]!.name.etherType;
    if (type === 0x8847 || type === 0x8848 || type === 0x894f) return undefined;
    offset += layers[index]!.headerBytes;
    index += 1;
  }
  const network = layers[index];
  if (network === undefined) return undefined;
  const isV6 = network.name.etherType === 0x86dd;
  const l3 = offset;
  offset += network.headerBytes;
  let isLaterFragment = !isV6 && (((frame[l3 + 6]! & 0x1f) << 8) | frame[l3 + 7]!) !== 0;
  let hasUnfinishedRouting = false;
  for (index += 1; EXTENSIONS.has(layers[index]?.name.ipProtocol); index += 1) {
    const protocol = layers[index]!.name.ipProtocol;
    if (!isV6) return undefined;
    if (protocol === 43 && frame[offset + 3] !== 0) hasUnfinishedRouting = true;
    if (protocol === 44 && ((frame[offset + 2]! << 8) | (frame[offset + 3]! & 0xf8)) !== 0)
      isLaterFragment = true;
    offset += layers[index]!.headerBytes;
  }
  const protocol = layers[index]?.name.ipProtocol;
  if (protocol === undefined) return undefined;
  const stated = isV6
    ? l3 + 40 + ((frame[l3 + 4]! << 8) | frame[l3 + 5]!)
    : l3 + ((frame[l3 + 2]! << 8) | frame[l3 + 3]!);
  return { l3, isV6, l4: offset, protocol, l4Bytes: stated - offset, isLaterFragment, hasUnfinishedRouting };
}

/** Sum of big-endian words modulo 65535; 0 only for no bytes but zeros. */
function sumOf(bytes: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index += 1) {
    sum = (sum + bytes[index]! * (index % 2 === 0 ? 256 : 1)) % 65535;
  }
  return sum;
}

/** A checksum field, and the value that it ought to have. */
interface ChecksumField {
  readonly at: number;
  readonly right: (frame: Uint8Array) => number;
  readonly isUdp: boolean;
}

/** What one's complement arithmetic calls ~sum, for sums that are not of zeros alone: 0 to 0xfffe. */
const complement = (sum: number): number => (65535 - (sum % 65535)) % 65535;

function ipv4Field(layout: FrameLayout): ChecksumField {
  const { l3 } = layout;
  return {
    at: l3 + 10,
    right: (frame) => {
      const header = frame.slice(l3, l3 + (frame[l3]! & 15) * 4);
      header.fill(0, 10, 12);
      return complement(sumOf(header));
    },
    isUdp: false,
  };
}

const TRANSPORT_FIELD: Readonly<Record<number, readonly [offset: number, leastBytes: number]>> = {
  6: [16, 20],
  17: [6, 8],
  58: [2, 4],
};

function transportField(layout: FrameLayout): ChecksumField | undefined {
  const { l3, l4, l4Bytes, isV6, protocol, isLaterFragment } = layout;
  const field = TRANSPORT_FIELD[protocol];
  if (field === undefined || isLaterFragment || l4Bytes < field[1] || (protocol === 58 && !isV6))
    return undefined;
  return {
    at: l4 + field[0],
    right: (frame) => {
      const addresses = isV6 ? frame.slice(l3 + 8, l3 + 40) : frame.slice(l3 + 12, l3 + 20);
      const segment = frame.slice(l4, l4 + l4Bytes);
      segment.fill(0, field[0], field[0] + 2);
      return complement(sumOf(addresses) + protocol + l4Bytes + sumOf(segment));
    },
    isUdp: protocol === 17,
  };
}

/** How the expected frame and a frame differ in checksums that both are right, or wrong by the same. */
export interface Expectation {
  readonly frame: Uint8Array;
  /** Offsets of checksums that were wrong: there, 0 and 0xffff are the same. */
  readonly looseAt: readonly number[];
}

export interface SetField {
  readonly kind: "ethernet" | "ipv4" | "ipv6" | "tcp" | "udp" | "sctp";
  /** OVS's struct, and its mask. */
  readonly value: Uint8Array;
  readonly mask: Uint8Array;
}

/** Field of the struct, field of the packet, bytes: relative to the header that the kind names. */
const WRITES: Readonly<
  Record<SetField["kind"], readonly (readonly [from: number, to: number, bytes: number])[]>
> = {
  ethernet: [
    [0, 6, 6],
    [6, 0, 6],
  ],
  ipv4: [
    [0, 12, 4],
    [4, 16, 4],
    [9, 1, 1],
    [10, 8, 1],
  ],
  ipv6: [
    [0, 8, 16],
    [16, 24, 16],
    [38, 7, 1],
  ],
  tcp: [[0, 0, 4]],
  udp: [[0, 0, 4]],
  sctp: [[0, 0, 4]],
};

const PROTOCOL: Readonly<Partial<Record<SetField["kind"], number>>> = { tcp: 6, udp: 17, sctp: 132 };

export function slowSet(before: Uint8Array, layout: FrameLayout, set: SetField): Expectation {
  const frame = before.slice();
  const looseAt: number[] = [];
  const protocol = PROTOCOL[set.kind];
  if (protocol !== undefined && (protocol !== layout.protocol || layout.isLaterFragment))
    return { frame, looseAt };
  const base = set.kind === "ethernet" ? 0 : protocol === undefined ? layout.l3 : layout.l4;
  for (const [from, to, bytes] of WRITES[set.kind]) {
    for (let index = 0; index < bytes; index += 1) {
      const mask = set.mask[from + index]!;
      frame[base + to + index] = (set.value[from + index]! & mask) | (frame[base + to + index]! & ~mask);
    }
  }
  if (set.kind === "ipv6") writeClassAndLabel(frame, layout.l3, set);
  if (set.kind === "ethernet") return { frame, looseAt };
  if (set.kind === "ipv4") adjust(before, frame, ipv4Field(layout), looseAt);
  const isAddress = protocol === undefined;
  const field = transportField(layout);
  if (field !== undefined && !(isAddress && layout.hasUnfinishedRouting))
    adjust(before, frame, field, looseAt);
  if (set.kind === "sctp") adjustSctp(before, frame, layout);
  return { frame, looseAt };
}

/** The first word as a number of 32 bits: version 4, class 8, label 20. */
function writeClassAndLabel(frame: Uint8Array, l3: number, set: SetField): void {
  const view = new DataView(frame.buffer, frame.byteOffset);
  const value = new DataView(set.value.buffer, set.value.byteOffset);
  const mask = new DataView(set.mask.buffer, set.mask.byteOffset);
  const word = view.getUint32(l3);
  const tclass = (set.value[37]! & set.mask[37]!) | ((word >>> 20) & 255 & ~set.mask[37]!);
  const label = (value.getUint32(32) & mask.getUint32(32)) | (word & 0xfffff & ~mask.getUint32(32));
  view.setUint32(l3, (word & 0xf0000000) | (tclass << 20) | label);
}

/** Gives a changed frame the checksum that is as wrong as the old frame's was. */
function adjust(before: Uint8Array, after: Uint8Array, field: ChecksumField, looseAt: number[]): void {
  if (before.every((byte, index) => byte === after[index])) return;
  const stored = (before[field.at]! << 8) | before[field.at + 1]!;
  if (field.isUdp && stored === 0) return;
  const [oldRight, newRight] = [field.right(before), field.right(after)];
  const isRight = stored === (field.isUdp && oldRight === 0 ? 0xffff : oldRight);
  if (!isRight) looseAt.push(field.at);
  let updated = isRight ? newRight : (stored + newRight - oldRight + 65535) % 65535;
  if (field.isUdp && updated === 0) updated = 0xffff;
  after[field.at] = updated >>> 8;
  after[field.at + 1] = updated & 0xff;
}

function adjustSctp(before: Uint8Array, after: Uint8Array, { l4, l4Bytes }: FrameLayout): void {
  if (l4Bytes < 12) return;
  const right = (frame: Uint8Array): number => {
    const segment = frame.slice(l4, l4 + l4Bytes);
    segment.fill(0, 8, 12);
    return bitwiseCrc32c(segment);
  };
  const view = new DataView(after.buffer, after.byteOffset);
  view.setUint32(l4 + 8, (view.getUint32(l4 + 8, true) ^ right(before) ^ right(after)) >>> 0, true);
}

function bitwiseCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** Whether a frame is the expected one, a checksum that was wrong counted modulo 0xffff. */
export function isExpected(found: Uint8Array, { frame, looseAt }: Expectation): boolean {
  if (found.length !== frame.length) return false;
  const normal = (bytes: Uint8Array): Uint8Array => {
    const copy = bytes.slice();
    for (const at of looseAt) if (copy[at] === 0xff && copy[at + 1] === 0xff) copy.fill(0, at, at + 2);
    return copy;
  };
  const expected = normal(frame);
  return normal(found).every((byte, index) => byte === expected[index]);
}
