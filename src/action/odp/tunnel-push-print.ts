// tnl_push() as text. Control path. Headers that are cut short print what is missing where OVS does; a text
// with such a mark is not read back, and no validated action has one.
import { formatIpv4, formatIpv6, formatMac } from "../../packet/address.ts";
import { readBe16, readBe24, readBe32 } from "../../packet/bytes.ts";
import { ETH, ETH_TYPE } from "../../packet/link-headers.ts";
import { IPV4, IPV6 } from "../../packet/network-headers.ts";
import { UDP } from "../../packet/transport-headers.ts";
import {
  ERSPAN,
  GENEVE,
  GENEVE_OPTION,
  GRE,
  GTPU,
  SRV6,
  TUNNEL_PUSH_WORDS_BYTES,
  TUNNEL_TYPE,
  VXLAN,
} from "../../packet/tunnel-headers.ts";
import { readU32 } from "../host-words.ts";
import { type PortNames, printHex, printPort } from "./action-print.ts";

const hex = (value: number): string => `0x${value.toString(16)}`;

export function printTunnelPush(
  bytes: Uint8Array,
  start: number,
  end: number,
  names: PortNames | undefined,
): string {
  if (end - start < TUNNEL_PUSH_WORDS_BYTES) return "tnl_push(error)";
  const size = readU32(bytes, start + 8);
  const type = readU32(bytes, start + 12);
  const first = start + TUNNEL_PUSH_WORDS_BYTES;
  const header = printHeader(bytes, first, Math.min(end, first + size), type);
  const tunnelPort = printPort(readU32(bytes, start), names);
  const outPort = printPort(readU32(bytes, start + 4), names);
  return `tnl_push(tnl_port(${tunnelPort}),header(size=${size},type=${type},${header}),out_port(${outPort}))`;
}

function printHeader(bytes: Uint8Array, at: number, end: number, type: number): string {
  if (end - at < ETH.headerBytes) return "eth(truncated header)";
  const etherType = readBe16(bytes, at + ETH.type);
  const macs = `dst=${formatMac(bytes, at + ETH.dst)},src=${formatMac(bytes, at + ETH.src)}`;
  const ethernet = `eth(${macs},dl_type=0x${etherType.toString(16).padStart(4, "0")})`;
  const network = at + ETH.headerBytes;
  const isIpv4 = etherType === ETH_TYPE.ipv4;
  const networkBytes = isIpv4 ? IPV4.headerBytes : IPV6.headerBytes;
  if (end - network < networkBytes) return `${ethernet},${isIpv4 ? "ipv4" : "ipv6"}(truncated header)`;
  const outer = `${ethernet},${isIpv4 ? printIpv4(bytes, network) : printIpv6(bytes, network)}`;
  const print = TUNNELS.get(type);
  return print === undefined ? outer : `${outer},${print(bytes, network + networkBytes, end)}`;
}

function printIpv4(bytes: Uint8Array, at: number): string {
  return (
    `ipv4(src=${formatIpv4(bytes, at + IPV4.src)},dst=${formatIpv4(bytes, at + IPV4.dst)}` +
    `,proto=${bytes[at + IPV4.protocol]},tos=${printHex(bytes[at + IPV4.tos]!)}` +
    `,ttl=${bytes[at + IPV4.ttl]},frag=${hex(readBe16(bytes, at + IPV4.fragment))})`
  );
}

function printIpv6(bytes: Uint8Array, at: number): string {
  const first = readBe32(bytes, at);
  return (
    `ipv6(src=${formatIpv6(bytes, at + IPV6.src)},dst=${formatIpv6(bytes, at + IPV6.dst)}` +
    `,label=${first & IPV6.labelMask},proto=${bytes[at + IPV6.nextHeader]}` +
    `,tclass=${hex((first >>> IPV6.classShift) & 0xff)},hlimit=${bytes[at + IPV6.hopLimit]})`
  );
}

type TunnelPrinter = (bytes: Uint8Array, at: number, end: number) => string;

/** A printer for what stands behind a UDP header. */
function behindUdp(name: string, headerBytes: number, print: TunnelPrinter): TunnelPrinter {
  return (bytes, at, end) => {
    if (end - at < UDP.headerBytes) return "udp(truncated header)";
    const ports = `src=${readBe16(bytes, at + UDP.src)},dst=${readBe16(bytes, at + UDP.dst)}`;
    const udp = `udp(${ports},csum=${hex(readBe16(bytes, at + UDP.checksum))})`;
    const next = at + UDP.headerBytes;
    if (end - next < headerBytes) return `${udp},${name}(truncated header)`;
    return `${udp},${name}(${print(bytes, next, end)})`;
  };
}

const TUNNELS: ReadonlyMap<number, TunnelPrinter> = new Map<number, TunnelPrinter>([
  [TUNNEL_TYPE.vxlan, behindUdp("vxlan", VXLAN.headerBytes, printVxlan)],
  [TUNNEL_TYPE.geneve, behindUdp("geneve", GENEVE.headerBytes, printGeneve)],
  [TUNNEL_TYPE.gtpu, behindUdp("gtpu", GTPU.headerBytes, printGtpu)],
  [TUNNEL_TYPE.gre, printGre],
  [TUNNEL_TYPE.ip6gre, printGre],
  [TUNNEL_TYPE.erspan, printErspan],
  [TUNNEL_TYPE.ip6erspan, printErspan],
  [TUNNEL_TYPE.srv6, printSrv6],
]);

function printVxlan(bytes: Uint8Array, at: number): string {
  return `flags=${hex(readBe32(bytes, at + VXLAN.flags))},vni=${hex(readBe24(bytes, at + VXLAN.vni))}`;
}

function printGtpu(bytes: Uint8Array, at: number): string {
  const message = `flags=${hex(bytes[at + GTPU.flags]!)},msgtype=${bytes[at + GTPU.messageType]}`;
  return `${message},teid=${hex(readBe32(bytes, at + GTPU.teid))}`;
}

function printGeneve(bytes: Uint8Array, at: number, end: number): string {
  const flags = bytes[at + GENEVE.flags]!;
  const oam = (flags & GENEVE.oam) === 0 ? "" : "oam,";
  const critical = (flags & GENEVE.critical) === 0 ? "" : "crit,";
  const vni = `${oam}${critical}vni=${hex(readBe24(bytes, at + GENEVE.vni))}`;
  const optionsBytes = (bytes[at + GENEVE.optionWords]! & GENEVE.optionWordsMask) * 4;
  if (optionsBytes === 0) return vni;
  const options = at + GENEVE.headerBytes;
  if (end - options < optionsBytes) return `${vni},options(invalid length)`;
  return `${vni},options(${printGeneveOptions(bytes, options, options + optionsBytes)})`;
}

function printGeneveOptions(bytes: Uint8Array, at: number, end: number): string {
  let text = "";
  while (at < end) {
    const dataBytes = (bytes[at + GENEVE_OPTION.words]! & GENEVE_OPTION.wordsMask) * 4;
    const data = at + GENEVE_OPTION.headerBytes;
    if (data + dataBytes > end)
      return `${text}opt len ${data + dataBytes - at} greater than remaining ${end - at}`;
    const optionClass = printHex(readBe16(bytes, at + GENEVE_OPTION.class));
    text += `{class=${optionClass},type=${printHex(bytes[at + GENEVE_OPTION.type]!)},len=${dataBytes}`;
    if (dataBytes > 0) {
      const digits = Buffer.from(bytes.subarray(data, data + dataBytes)).toString("hex");
      text += `,${printHex(BigInt(`0x${digits}`))}`;
    }
    text += "}";
    at = data + dataBytes;
  }
  return text;
}

function printGre(bytes: Uint8Array, at: number, end: number): string {
  if (end - at < GRE.headerBytes) return "gre(truncated header)";
  const flags = readBe16(bytes, at + GRE.flags);
  let text = `gre((flags=${hex(flags)},proto=${hex(readBe16(bytes, at + GRE.protocol))})`;
  let word = at + GRE.headerBytes;
  for (const [bit, name] of [
    [GRE.checksum, "csum"],
    [GRE.key, "key"],
    [GRE.sequence, "seq"],
  ] as const) {
    if ((flags & bit) === 0) continue;
    if (end - word < 4) return `${text},${name}=<truncated>)`;
    text += `,${name}=${hex(bit === GRE.checksum ? readBe16(bytes, word) : readBe32(bytes, word))}`;
    word += 4;
  }
  return `${text})`;
}

function printErspan(bytes: Uint8Array, gre: number, end: number): string {
  const at = gre + ERSPAN.greBytes;
  if (end - at < ERSPAN.headerBytes) return "erspan(truncated header)";
  const version = bytes[at + ERSPAN.version]! >>> 4;
  const session = `ver=${version},sid=${hex(readBe16(bytes, at + ERSPAN.session) & ERSPAN.sessionMask)}`;
  const metadataBytes = end - at - ERSPAN.headerBytes;
  if (version === 1) {
    if (metadataBytes < ERSPAN.metadataV1Bytes) return "erspan(ver=1,truncated header)";
    return `erspan(${session},idx=${hex(readBe32(bytes, at + ERSPAN.index))})`;
  }
  if (version !== 2) return `erspan(ver=${version})`;
  if (metadataBytes < ERSPAN.metadataV2Bytes) return "erspan(ver=2,truncated header)";
  const lower = bytes[at + ERSPAN.hardwareLower]!;
  const hardware = ((bytes[at + ERSPAN.hardwareUpper]! & 3) << 4) | (lower >>> 4);
  return `erspan(${session},dir=${(lower & ERSPAN.directionBit) === 0 ? 0 : 1},hwid=${hex(hardware)})`;
}

function printSrv6(bytes: Uint8Array, at: number, end: number): string {
  if (end - at < SRV6.headerBytes) return "srv6(truncated header)";
  const segmentCount = bytes[at + SRV6.lastEntry]! + 1;
  const left = `segments_left=${bytes[at + SRV6.segmentsLeft]}`;
  const first = at + SRV6.headerBytes;
  if (end - first < segmentCount * IPV6.addressBytes) return `srv6(${left},segs(truncated segs))`;
  const segments = Array.from({ length: segmentCount }, (_, index) =>
    formatIpv6(bytes, first + (segmentCount - 1 - index) * IPV6.addressBytes),
  );
  return `srv6(${left},segs(${segments.join(",")}))`;
}
