// Builder layers of the transport and of control messages: TCP, UDP, SCTP, ICMP, IGMP, ICMPv6 and neighbour
// discovery.

import { parseIpv6, parseMac } from "./address.ts";
import { addressBytes, type Layer, type Pseudo } from "./builder.ts";
import { writeBe16, writeBe32 } from "./bytes.ts";
import { addBytes, checksum, finishSum, udpChecksum } from "./checksum.ts";
import { sctpCrc, writeSctpChecksum } from "./crc32c.ts";
import { IP_PROTOCOL } from "./network-headers.ts";
import {
  ICMP,
  ICMP_TYPE,
  ICMPV6,
  ICMPV6_TYPE,
  ND,
  ND_OPTION,
  SCTP,
  TCP,
  TCP_FLAG,
  UDP,
} from "./transport-headers.ts";

const WINDOW_DEFAULT = 0x2000;

/** Writes the checksum over the pseudo header, if there is one, and everything from `offset` on. */
function completeChecksum(
  frame: Uint8Array,
  offset: number,
  csumOffset: number,
  protocol: number,
  l4Bytes: number,
  pseudo: Pseudo | undefined,
): number {
  writeBe16(frame, offset + csumOffset, 0);
  const start = pseudo?.sum(frame, protocol, l4Bytes) ?? 0;
  const csum = finishSum(addBytes(start, frame, offset, l4Bytes));
  writeBe16(frame, offset + csumOffset, csum);
  return csum;
}

export interface TcpFields {
  readonly src?: number;
  readonly dst?: number;
  readonly sequence?: number;
  readonly acknowledgement?: number;
  /** The twelve bits below the data offset. */
  readonly flags?: number;
  readonly window?: number;
  readonly urgent?: number;
  /** Option bytes, a multiple of four, at most forty. */
  readonly options?: Uint8Array;
  /** In 4-byte words, when it is to be wrong. */
  readonly dataOffset?: number;
  readonly checksum?: number;
}

export function tcp(fields: TcpFields = {}): Layer {
  const options = fields.options ?? new Uint8Array(0);
  const headerBytes = TCP.headerBytes + options.length;
  return {
    headerBytes,
    name: { ipProtocol: IP_PROTOCOL.tcp },
    write(frame, offset) {
      const dataOffset = (fields.dataOffset ?? headerBytes / 4) << TCP.dataOffsetShift;
      writeBe16(frame, offset + TCP.src, fields.src ?? 1024);
      writeBe16(frame, offset + TCP.dst, fields.dst ?? 80);
      writeBe32(frame, offset + TCP.sequence, fields.sequence ?? 0);
      writeBe32(frame, offset + TCP.acknowledgement, fields.acknowledgement ?? 0);
      writeBe16(frame, offset + TCP.dataOffsetFlags, dataOffset | (fields.flags ?? TCP_FLAG.ack));
      writeBe16(frame, offset + TCP.window, fields.window ?? WINDOW_DEFAULT);
      writeBe16(frame, offset + TCP.checksum, fields.checksum ?? 0);
      writeBe16(frame, offset + TCP.urgent, fields.urgent ?? 0);
      frame.set(options, offset + TCP.headerBytes);
    },
    complete(frame, offset, behindBytes, pseudo) {
      if (fields.checksum !== undefined) return;
      completeChecksum(frame, offset, TCP.checksum, IP_PROTOCOL.tcp, headerBytes + behindBytes, pseudo);
    },
  };
}

export interface UdpFields {
  readonly src?: number;
  readonly dst?: number;
  readonly length?: number;
  /** 0 says that there is none. */
  readonly checksum?: number;
}

export function udp(fields: UdpFields = {}): Layer {
  return {
    headerBytes: UDP.headerBytes,
    name: { ipProtocol: IP_PROTOCOL.udp },
    write(frame, offset, _inner, behindBytes) {
      writeBe16(frame, offset + UDP.src, fields.src ?? 1024);
      writeBe16(frame, offset + UDP.dst, fields.dst ?? 53);
      writeBe16(frame, offset + UDP.length, fields.length ?? UDP.headerBytes + behindBytes);
      writeBe16(frame, offset + UDP.checksum, fields.checksum ?? 0);
    },
    complete(frame, offset, behindBytes, pseudo) {
      if (fields.checksum !== undefined) return;
      const l4Bytes = UDP.headerBytes + behindBytes;
      const csum = completeChecksum(frame, offset, UDP.checksum, IP_PROTOCOL.udp, l4Bytes, pseudo);
      writeBe16(frame, offset + UDP.checksum, udpChecksum(csum));
    },
  };
}

export interface SctpFields {
  readonly src?: number;
  readonly dst?: number;
  readonly verificationTag?: number;
  /** The CRC value, not its bytes. */
  readonly checksum?: number;
}

export function sctp(fields: SctpFields = {}): Layer {
  return {
    headerBytes: SCTP.headerBytes,
    name: { ipProtocol: IP_PROTOCOL.sctp },
    write(frame, offset) {
      writeBe16(frame, offset + SCTP.src, fields.src ?? 1024);
      writeBe16(frame, offset + SCTP.dst, fields.dst ?? 2905);
      writeBe32(frame, offset + SCTP.verificationTag, fields.verificationTag ?? 1);
    },
    complete(frame, offset, behindBytes) {
      const crc = fields.checksum ?? sctpCrc(frame, offset, SCTP.headerBytes + behindBytes);
      writeSctpChecksum(frame, offset, crc);
    },
  };
}

export interface IcmpFields {
  readonly type?: number;
  readonly code?: number;
  /** The four bytes behind the checksum: identifier and sequence of an echo. */
  readonly rest?: number;
  readonly checksum?: number;
}

export function icmp(fields: IcmpFields = {}): Layer {
  return controlMessage(IP_PROTOCOL.icmp, { type: ICMP_TYPE.echoRequest, ...fields });
}

/** IGMP has ICMP's form: type, code or response time, checksum, group. */
export function igmp(fields: IcmpFields = {}): Layer {
  return controlMessage(IP_PROTOCOL.igmp, { type: 0x11, ...fields });
}

function controlMessage(ipProtocol: number, fields: IcmpFields): Layer {
  return {
    headerBytes: ICMP.headerBytes,
    name: { ipProtocol },
    write(frame, offset) {
      frame[offset + ICMP.type] = fields.type ?? 0;
      frame[offset + ICMP.code] = fields.code ?? 0;
      writeBe16(frame, offset + ICMP.checksum, fields.checksum ?? 0);
      writeBe32(frame, offset + ICMP.rest, fields.rest ?? 0);
    },
    complete(frame, offset, behindBytes) {
      if (fields.checksum !== undefined) return;
      writeBe16(frame, offset + ICMP.checksum, checksum(frame, offset, ICMP.headerBytes + behindBytes));
    },
  };
}

export function icmpv6(fields: IcmpFields = {}): Layer {
  return messageV6(ICMPV6.echoBytes, fields, ICMPV6_TYPE.echoRequest, (frame, offset) => {
    writeBe32(frame, offset + ICMPV6.rest, fields.rest ?? 0);
  });
}

function messageV6(
  headerBytes: number,
  fields: IcmpFields,
  typeDefault: number,
  writeRest: (frame: Uint8Array, offset: number) => void,
): Layer {
  return {
    headerBytes,
    name: { ipProtocol: IP_PROTOCOL.icmpv6 },
    write(frame, offset) {
      frame[offset + ICMPV6.type] = fields.type ?? typeDefault;
      frame[offset + ICMPV6.code] = fields.code ?? 0;
      writeBe16(frame, offset + ICMPV6.checksum, fields.checksum ?? 0);
      writeRest(frame, offset);
    },
    complete(frame, offset, behindBytes, pseudo) {
      if (fields.checksum !== undefined) return;
      const l4Bytes = headerBytes + behindBytes;
      completeChecksum(frame, offset, ICMPV6.checksum, IP_PROTOCOL.icmpv6, l4Bytes, pseudo);
    },
  };
}

export interface NdOption {
  readonly type: number;
  /** The bytes behind type and length; 6 more than a multiple of eight. */
  readonly body: Uint8Array;
  /** In 8-byte units, when it is to be wrong. */
  readonly length?: number;
}

export interface NdFields extends IcmpFields {
  /** 135 solicitation, the default, or 136 advertisement. */
  readonly type?: number;
  readonly target?: string | Uint8Array;
  readonly options?: readonly NdOption[];
}

/** A link-address option: type 1 is the source's, 2 the target's. */
export function linkAddressOption(type: number, address: string | Uint8Array): NdOption {
  return { type, body: addressBytes("MAC", address, parseMac) };
}

export function nd(fields: NdFields = {}): Layer {
  const options = encodeNdOptions(fields.options ?? []);
  return messageV6(
    ND.headerBytes + options.length,
    fields,
    ICMPV6_TYPE.neighborSolicitation,
    (frame, offset) => {
      writeBe32(frame, offset + ND.reserved, fields.rest ?? 0);
      frame.set(addressBytes("IPv6", fields.target ?? "fd00::2", parseIpv6), offset + ND.target);
      frame.set(options, offset + ND.options);
    },
  );
}

function encodeNdOptions(options: readonly NdOption[]): Uint8Array {
  const bytes: number[] = [];
  for (const { type, body, length } of options) {
    bytes.push(type, length ?? (body.length + 2) / ND_OPTION.unitBytes, ...body);
  }
  return Uint8Array.from(bytes);
}
