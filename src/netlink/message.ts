// Netlink messages: the header that frames them, the generic netlink header and OVS's own behind it, and the two
// messages that end a request, NLMSG_ERROR and NLMSG_DONE. Layouts: linux/netlink.h, genetlink.h, openvswitch.h.
//
//   offset  size  field
//        0    u32  length     of the message, this header counted, padding to four not
//        4    u16  type       NLMSG or a family's number
//        6    u16  flags      NLM_F
//        8    u32  sequence   chosen by whoever asks, repeated in the answers
//       12    u32  pid        the asker's pid in answers, 0 in what nobody asked for
//       16    u8   command    } generic netlink, families only
//       17    u8   version    }
//       18    u16  zero       }
//       20    u32  dpIfindex  OVS families only
//
// All in host order, little endian here (flow/key.ts asserts it). Control path.
import { alignAttribute, attributes, malformedAt, NlWriter } from "../flow/nlattr.ts";
import { errnoNumber, NetlinkError } from "./errno.ts";

export const NLMSG = { noop: 1, error: 2, done: 3, overrun: 4 } as const;
/** Family numbers begin here: NLMSG_MIN_TYPE. */
export const NLMSG_TYPE_MIN = 16;

/** Flags of requests, and under the same numbers those of dumps, changes and errors. */
export const NLM_F = {
  request: 1,
  multi: 2,
  ack: 4,
  echo: 8,
  /** Both bits ask for a dump. */
  dump: 0x300,
  excl: 0x200,
  create: 0x400,
  /** Of NLMSG_ERROR: the request's payload was left out, attributes follow. */
  capped: 0x100,
  ackTlvs: 0x200,
} as const;

export const NLMSG_HEADER_BYTES = 16;
export const GENL_HEADER_BYTES = 4;
export const OVS_HEADER_BYTES = 4;
/**
 * The longest message that is taken: the largest request has a packet or mask, a key and actions, each an attribute
 * of at most 64 KiB, and some short ones.
 */
export const MESSAGE_BYTES_MAX = 4 * 65536;

/** NLMSGERR_ATTR_*. */
const ERROR_ATTR = { text: 1, byteOffset: 2 } as const;

export interface NetlinkHeader {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly pid: number;
}

/** A whole message. */
export interface NetlinkMessage extends NetlinkHeader {
  /** From the first byte of the header; length as the header says. */
  readonly bytes: Uint8Array;
}

export interface GenericHeader {
  readonly command: number;
  readonly version: number;
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Cuts a message out of bytes that begin with one. @throws NetlinkError when the length word cannot be one */
export function messageAt(bytes: Uint8Array, at = 0): NetlinkMessage | undefined {
  if (bytes.length - at < NLMSG_HEADER_BYTES) return undefined;
  const words = view(bytes);
  const length = words.getUint32(at, true);
  if (length < NLMSG_HEADER_BYTES || length > MESSAGE_BYTES_MAX) {
    const accepted = `${NLMSG_HEADER_BYTES} to ${MESSAGE_BYTES_MAX}`;
    throw new NetlinkError("EMSGSIZE", `netlink message of ${length} bytes; accepted: ${accepted}`, 0);
  }
  if (bytes.length - at < length) return undefined;
  return {
    type: words.getUint16(at + 4, true),
    flags: words.getUint16(at + 6, true),
    sequence: words.getUint32(at + 8, true),
    pid: words.getUint32(at + 12, true),
    bytes: bytes.subarray(at, at + length),
  };
}

/** A message of a header and what stands behind it, padded to four bytes as the next one needs. */
export function encodeMessage(header: NetlinkHeader, payload: Uint8Array): Uint8Array {
  const length = NLMSG_HEADER_BYTES + payload.length;
  const bytes = new Uint8Array(alignAttribute(length));
  const words = view(bytes);
  words.setUint32(0, length, true);
  words.setUint16(4, header.type, true);
  words.setUint16(6, header.flags, true);
  words.setUint32(8, header.sequence, true);
  words.setUint32(12, header.pid, true);
  bytes.set(payload, NLMSG_HEADER_BYTES);
  return bytes;
}

/** The generic header. @throws NetlinkError when the message is too short for one */
export function genericHeader({ bytes }: NetlinkMessage): GenericHeader {
  requireBytes(bytes, NLMSG_HEADER_BYTES + GENL_HEADER_BYTES, "the generic netlink header");
  return { command: bytes[NLMSG_HEADER_BYTES]!, version: bytes[NLMSG_HEADER_BYTES + 1]! };
}

/** Which datapath an OVS message is for. @throws NetlinkError when the message is too short to say */
export function datapathIndex({ bytes }: NetlinkMessage): number {
  const at = NLMSG_HEADER_BYTES + GENL_HEADER_BYTES;
  requireBytes(bytes, at + OVS_HEADER_BYTES, "the OVS header");
  return view(bytes).getInt32(at, true);
}

function requireBytes(bytes: Uint8Array, needed: number, what: string): void {
  if (bytes.length < needed)
    throw new NetlinkError("EINVAL", `${bytes.length} bytes, ${what} ends at ${needed}`, bytes.length);
}

/** A generic netlink message. @param dpIfindex undefined for a family that is not OVS's */
export function encodeGeneric(
  header: NetlinkHeader,
  { command, version }: GenericHeader,
  dpIfindex: number | undefined,
  attributeBytes: Uint8Array,
): Uint8Array {
  const headerBytes = GENL_HEADER_BYTES + (dpIfindex === undefined ? 0 : OVS_HEADER_BYTES);
  const payload = new Uint8Array(headerBytes + attributeBytes.length);
  payload[0] = command;
  payload[1] = version;
  if (dpIfindex !== undefined) view(payload).setInt32(GENL_HEADER_BYTES, dpIfindex, true);
  payload.set(attributeBytes, headerBytes);
  return encodeMessage(header, payload);
}

/** The answer that ends a request: success, or an errno with its text and place. Of the request the header is told. */
export function encodeError(request: NetlinkMessage, error?: NetlinkError): Uint8Array {
  const out = new NlWriter();
  const code = new Uint8Array(4);
  if (error !== undefined) view(code).setInt32(0, -errnoNumber(error.errno), true);
  out.putBytes(code);
  out.putBytes(request.bytes.subarray(0, NLMSG_HEADER_BYTES));
  if (error !== undefined) {
    out.put(ERROR_ATTR.text, new TextEncoder().encode(`${error.message}\0`));
    if (error.byteOffset !== undefined) out.putU32(ERROR_ATTR.byteOffset, error.byteOffset);
  }
  const flags = NLM_F.capped | (error === undefined ? 0 : NLM_F.ackTlvs);
  const { sequence, pid } = request;
  return encodeMessage({ type: NLMSG.error, flags, sequence, pid }, out.finish());
}

/** The end of a dump. */
export function encodeDone({ sequence, pid }: NetlinkHeader): Uint8Array {
  return encodeMessage({ type: NLMSG.done, flags: NLM_F.multi, sequence, pid }, new Uint8Array(4));
}

export interface ErrorAnswer {
  /** 0 for success, else a positive errno. */
  readonly errno: number;
  readonly text: string;
  readonly byteOffset: number | undefined;
}

/** What an NLMSG_ERROR says. @throws NetlinkError when it is malformed */
export function decodeError({ bytes, flags }: NetlinkMessage): ErrorAnswer {
  const code = NLMSG_HEADER_BYTES;
  requireBytes(bytes, code + 4 + NLMSG_HEADER_BYTES, "the header that the error is about");
  let text = "";
  let byteOffset: number | undefined;
  const start = code + 4 + NLMSG_HEADER_BYTES;
  if ((flags & NLM_F.ackTlvs) !== 0) {
    const garbage = malformedAt(bytes, start);
    if (garbage !== undefined)
      throw new NetlinkError("EINVAL", "the error's attributes are malformed", garbage);
    for (const { type, start: from, end } of attributes(bytes, start)) {
      if (type === ERROR_ATTR.text) text = new TextDecoder().decode(bytes.subarray(from, end - 1));
      if (type === ERROR_ATTR.byteOffset && end - from === 4) byteOffset = view(bytes).getUint32(from, true);
    }
  }
  return { errno: -view(bytes).getInt32(code, true), text, byteOffset };
}
