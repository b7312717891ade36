// Netlink attributes: the common tongue of key, mask and actions between text, control and datapath. Control path.
//
// An attribute is a 16-bit length (header counted, padding not), a 16-bit type, the payload, and zeros up to the next
// multiple of four. Header words and plain integers are in host order, which is little endian here (key.ts asserts
// it); values that come from packets are in network order and are put as bytes.
//
// Reading never throws and never leaves its range: a header or length that does not fit ends the iteration, and the
// reader sees from `next` that bytes are left. Kernel and OVS differ on the two type bits on top; both ignore them
// when they compare types, so `type` comes without them.

export const NLA_HEADER_BYTES = 4;
/** An attribute's length word counts its header and has 16 bits. */
export const NLA_PAYLOAD_BYTES_MAX = 0xffff - NLA_HEADER_BYTES;
/** Without NLA_F_NESTED (bit 15) and NLA_F_NET_BYTEORDER (bit 14). */
const NLA_TYPE_MASK = 0x3fff;
/** Enough for most action lists; V8 keeps arrays of up to 64 bytes in its own heap, where they cost least. */
const FIRST_CAPACITY_BYTES = 64;

/** One attribute of a list; offsets count from the start of the array that was read. */
export interface Attribute {
  readonly type: number;
  /** Offset of the header. */
  readonly at: number;
  /** Payload: first byte, and the byte behind the last. */
  readonly start: number;
  readonly end: number;
  /** Where the next attribute begins; equals the list's end behind the last one. */
  readonly next: number;
}

export const alignAttribute = (bytes: number): number => (bytes + 3) & ~3;

/** The attribute at `at`, or undefined when no whole one fits before `end`. The last one's padding may be missing. */
export function attributeAt(bytes: Uint8Array, at: number, end: number): Attribute | undefined {
  if (end - at < NLA_HEADER_BYTES) return undefined;
  const attributeBytes = bytes[at]! | (bytes[at + 1]! << 8);
  if (attributeBytes < NLA_HEADER_BYTES || attributeBytes > end - at) return undefined;
  return {
    type: (bytes[at + 2]! | (bytes[at + 3]! << 8)) & NLA_TYPE_MASK,
    at,
    start: at + NLA_HEADER_BYTES,
    end: at + attributeBytes,
    next: Math.min(end, at + alignAttribute(attributeBytes)),
  };
}

/** The attributes of a list, in order. Ends early where the list is malformed. */
export function* attributes(bytes: Uint8Array, start = 0, end = bytes.length): Generator<Attribute> {
  let at = start;
  for (let found = attributeAt(bytes, at, end); found !== undefined; found = attributeAt(bytes, at, end)) {
    yield found;
    at = found.next;
  }
}

/** Offset of the first byte that no attribute covers, or undefined when the list is well formed. */
export function malformedAt(bytes: Uint8Array, start = 0, end = bytes.length): number | undefined {
  let at = start;
  for (const attribute of attributes(bytes, start, end)) at = attribute.next;
  return at < end ? at : undefined;
}

/** The first attribute of a type. */
export function findAttribute(
  bytes: Uint8Array,
  type: number,
  start = 0,
  end = bytes.length,
): Attribute | undefined {
  for (const attribute of attributes(bytes, start, end)) if (attribute.type === type) return attribute;
  return undefined;
}

export const payloadOf = (bytes: Uint8Array, attribute: Attribute): Uint8Array =>
  bytes.subarray(attribute.start, attribute.end);

/** Writes attributes one behind the other into a growing array. */
export class NlWriter {
  #bytes = new Uint8Array(FIRST_CAPACITY_BYTES);
  #size = 0;

  /** Bytes written so far, padding counted. */
  get size(): number {
    return this.#size;
  }

  /** @throws RangeError when the payload is longer than an attribute can be */
  put(type: number, payload: Uint8Array): void {
    const mark = this.begin(type);
    this.putBytes(payload);
    this.end(mark);
  }

  putFlag(type: number): void {
    this.end(this.begin(type));
  }

  putU8(type: number, value: number): void {
    this.put(type, Uint8Array.of(value));
  }

  /** In host order, as the wider ones. */
  putU16(type: number, value: number): void {
    this.put(type, Uint8Array.of(value, value >>> 8));
  }

  putU32(type: number, value: number): void {
    this.put(type, Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24));
  }

  putU64(type: number, value: bigint): void {
    const payload = new Uint8Array(8);
    new DataView(payload.buffer).setBigUint64(0, value, true);
    this.put(type, payload);
  }

  putBe16(type: number, value: number): void {
    this.put(type, Uint8Array.of(value >>> 8, value));
  }

  putBe32(type: number, value: number): void {
    this.put(type, Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
  }

  putBe64(type: number, value: bigint): void {
    const payload = new Uint8Array(8);
    new DataView(payload.buffer).setBigUint64(0, value);
    this.put(type, payload);
  }

  /** Whole attributes, or a payload between `begin` and `end`, as they are. */
  putBytes(payload: Uint8Array): void {
    this.#reserve(payload.length);
    this.#bytes.set(payload, this.#size);
    this.#size += payload.length;
  }

  /** Opens an attribute whose payload is what is written until `end` is called with the returned mark. */
  begin(type: number): number {
    this.#reserve(NLA_HEADER_BYTES);
    const mark = this.#size;
    this.#bytes[mark + 2] = type;
    this.#bytes[mark + 3] = type >>> 8;
    this.#size += NLA_HEADER_BYTES;
    return mark;
  }

  /** @throws RangeError when the payload is longer than an attribute can be; the attribute is taken back then */
  end(mark: number): void {
    const attributeBytes = this.#size - mark;
    if (attributeBytes - NLA_HEADER_BYTES > NLA_PAYLOAD_BYTES_MAX) {
      const type = this.#bytes[mark + 2]! | (this.#bytes[mark + 3]! << 8);
      this.truncate(mark);
      throw new RangeError(
        `netlink attribute ${type}: ${attributeBytes - NLA_HEADER_BYTES} bytes of payload, ` +
          `an attribute holds ${NLA_PAYLOAD_BYTES_MAX}; split it or leave something out`,
      );
    }
    this.#bytes[mark] = attributeBytes;
    this.#bytes[mark + 1] = attributeBytes >>> 8;
    this.#reserve(3);
    this.#size = alignAttribute(this.#size);
  }

  /** Takes back what was written behind `size`. */
  truncate(size: number): void {
    this.#bytes.fill(0, size, this.#size);
    this.#size = size;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#size);
  }

  /** What was written, no copy: it holds until the writer goes on. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  /** Bytes behind `#size` are always zero, so padding needs no writing. */
  #reserve(bytes: number): void {
    const needed = this.#size + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#size));
    this.#bytes = grown;
  }
}
