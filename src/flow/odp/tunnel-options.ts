// Payloads of the tunnel's option attributes: OVS's struct erspan_metadata and geneve_opt, and the GBP word. They are C
// structs with bit fields, laid out here as a little-endian machine has them.

/** struct erspan_metadata: version (host order), then the index of version 1 or the platform words of version 2. */
export const ERSPAN = {
  version: 0,
  index: 4,
  /** Byte of version 2 whose two low bits are the hardware id's upper ones. */
  hwidUpper: 10,
  /** Byte of version 2 with the direction (bit 3) and the hardware id's lower four bits on top. */
  direction: 11,
  bytes: 12,
} as const;

export const GTPU = { flags: 0, messageType: 1, bytes: 2 } as const;

/** struct geneve_opt, as on the wire (RFC 8926 section 3.5). */
export const GENEVE_OPTION = {
  class: 0,
  type: 2,
  length: 3,
  /** Length in words of 4 bytes, header not counted; the upper three bits are reserved. */
  lengthMask: 0x1f,
  headerBytes: 4,
  dataBytesMax: 124,
} as const;

export const ERSPAN_HWID_MAX = 0x3f;

export interface ErspanOptions {
  readonly version: number;
  readonly index: number;
  readonly direction: number;
  readonly hwid: number;
}

export function readErspan(payload: Uint8Array): ErspanOptions {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return {
    version: view.getUint32(ERSPAN.version, true) & 0xff,
    index: view.getUint32(ERSPAN.index),
    direction: (payload[ERSPAN.direction]! >>> 3) & 1,
    hwid: ((payload[ERSPAN.hwidUpper]! & 3) << 4) | (payload[ERSPAN.direction]! >>> 4),
  };
}

/**
 * As a key by its own version; as a mask by that of the key it belongs to, because index and platform words share
 * their bytes.
 */
export function writeErspan(options: ErspanOptions, keyVersion = options.version): Uint8Array {
  const payload = new Uint8Array(ERSPAN.bytes);
  const view = new DataView(payload.buffer);
  view.setUint32(ERSPAN.version, options.version, true);
  if (keyVersion === 1) {
    view.setUint32(ERSPAN.index, options.index);
  } else {
    payload[ERSPAN.hwidUpper] = options.hwid >>> 4;
    payload[ERSPAN.direction] = ((options.hwid & 0xf) << 4) | (options.direction << 3);
  }
  return payload;
}

/** One option's place in a block of them. */
export interface GeneveOption {
  readonly at: number;
  readonly dataAt: number;
  readonly end: number;
}

/** The options of a block; the last may end behind the block, or stop short of its header: `end` says so. */
export function geneveOptions(block: Uint8Array): GeneveOption[] {
  const options: GeneveOption[] = [];
  for (let at = 0; at < block.length; at = options.at(-1)!.end) {
    const dataAt = at + GENEVE_OPTION.headerBytes;
    const words = dataAt > block.length ? 0 : block[at + GENEVE_OPTION.length]! & GENEVE_OPTION.lengthMask;
    options.push({ at, dataAt, end: dataAt + words * 4 });
  }
  return options;
}
