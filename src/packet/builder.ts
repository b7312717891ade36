// Builds frames from layers, for tests and the demo; control path, clarity first.
//
//   buildFrame([ethernet({ dst }), vlan({ vid: 5 }), ipv4({ src, dst }), udp({ dst: 53 })], payload)
//
// A layer knows its header's size and how an enclosing header names it (Ethertype, IP protocol, NSH next
// protocol). Headers are written from the outside in, when all sizes are known; checksums from the inside
// out. Whatever a caller states explicitly (a length, a checksum, a protocol) stands as stated, so wrong
// frames are built with the same calls.

/** How enclosing headers name a layer; what a header cannot name stays 0 there. */
export interface LayerName {
  readonly etherType?: number;
  readonly ipProtocol?: number;
  readonly nshNext?: number;
}

/** What a layer's checksum needs of the IP header around it. */
export interface Pseudo {
  /** Sum of the pseudo header for this protocol and this many bytes. */
  sum(frame: Uint8Array, protocol: number, l4Bytes: number): number;
}

export interface Layer {
  readonly headerBytes: number;
  readonly name: LayerName;
  /** Writes the header; `behindBytes` is all that follows it. */
  write(frame: Uint8Array, offset: number, inner: LayerName, behindBytes: number): void;
  /** For network layers: what transport checksums inside are computed with. */
  pseudo?(offset: number, inner: readonly Layer[]): Pseudo;
  /** Fills the checksum in when all that follows is complete. */
  complete?(frame: Uint8Array, offset: number, behindBytes: number, pseudo: Pseudo | undefined): void;
}

const EMPTY = new Uint8Array(0);

export function buildFrame(layers: readonly Layer[], payload: Uint8Array = EMPTY): Uint8Array {
  const headersBytes = layers.reduce((sum, layer) => sum + layer.headerBytes, 0);
  const frame = new Uint8Array(headersBytes + payload.length);
  frame.set(payload, headersBytes);
  const offsets: number[] = [];
  const pseudos: (Pseudo | undefined)[] = [];
  let offset = 0;
  let pseudo: Pseudo | undefined;
  for (const [index, layer] of layers.entries()) {
    const behindBytes = frame.length - offset - layer.headerBytes;
    layer.write(frame, offset, layers[index + 1]?.name ?? {}, behindBytes);
    offsets.push(offset);
    pseudos.push(pseudo);
    pseudo = layer.pseudo?.(offset, layers.slice(index + 1)) ?? pseudo;
    offset += layer.headerBytes;
  }
  for (let index = layers.length - 1; index >= 0; index--) {
    const layer = layers[index]!;
    const at = offsets[index]!;
    layer.complete?.(frame, at, frame.length - at - layer.headerBytes, pseudos[index]);
  }
  return frame;
}

/** `frame` with zeros behind it up to `byteCount`, as a link with a shortest frame length pads it. */
export function padFrame(frame: Uint8Array, byteCount = 60): Uint8Array {
  if (frame.length >= byteCount) return frame;
  const padded = new Uint8Array(byteCount);
  padded.set(frame);
  return padded;
}

/** Bytes of an address given as bytes or as text; throws a RangeError that names the text. */
export function addressBytes(
  kind: string,
  address: string | Uint8Array,
  parse: (text: string) => Uint8Array | undefined,
): Uint8Array {
  const bytes = typeof address === "string" ? parse(address) : address;
  if (bytes === undefined) throw new RangeError(`${kind}: '${address}' is no address of this kind`);
  return bytes;
}
