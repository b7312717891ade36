// IP addresses of both families as one 128-bit number, IPv4 as ::ffff:a.b.c.d. Control path; keys of maps, and plain
// data between threads.
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from "../packet/address.ts";

export type Ip = bigint;

export const NO_IP: Ip = 0n;
export const IP_BITS = 128;
/** Prefix lengths of IPv4 count the 96 bits in front as well. */
export const IPV4_PREFIX_BITS = 96;
const MAPPED = 0xffff00000000n;
const IPV4_MASK = 0xffffffffn;

export const isIpv4 = (ip: Ip): boolean => ip >> 32n === 0xffffn;

/** @param bytes of a packet: 4 or 16 from `offset` on */
export function ipFromBytes(bytes: Uint8Array, offset: number, byteCount: 4 | 16): Ip {
  let ip = 0n;
  for (let index = 0; index < byteCount; index += 1) ip = (ip << 8n) | BigInt(bytes[offset + index]!);
  return byteCount === 4 ? MAPPED | ip : ip;
}

/** Writes 4 bytes for IPv4, 16 for IPv6. */
export function writeIp(bytes: Uint8Array, offset: number, ip: Ip): void {
  const count = isIpv4(ip) ? 4 : 16;
  let rest = isIpv4(ip) ? ip & IPV4_MASK : ip;
  for (let index = count - 1; index >= 0; index -= 1, rest >>= 8n)
    bytes[offset + index] = Number(rest & 0xffn);
}

/** Four bytes or sixteen. */
export function ipBytes(ip: Ip): Uint8Array {
  const bytes = new Uint8Array(isIpv4(ip) ? 4 : 16);
  writeIp(bytes, 0, ip);
  return bytes;
}

/** As OVS prints it: dotted when it is IPv4; `::` for none. */
export function formatIp(ip: Ip): string {
  const bytes = new Uint8Array(16);
  writeIp(bytes, 0, ip);
  return isIpv4(ip) ? formatIpv4(bytes) : formatIpv6(bytes);
}

export function parseIp(text: string): Ip | undefined {
  const v4 = parseIpv4(text);
  if (v4 !== undefined) return ipFromBytes(v4, 0, 4);
  const v6 = parseIpv6(text);
  return v6 === undefined ? undefined : ipFromBytes(v6, 0, 16);
}

export interface Prefix {
  readonly ip: Ip;
  /** Of 128 bits. */
  readonly bits: number;
}

/** `address`, `address/bits` or `address/mask` with a mask that is a prefix; host bits stay. */
export function parsePrefix(text: string): Prefix | undefined {
  const [address, suffix, ...rest] = text.split("/");
  const ip = parseIp(address!);
  if (ip === undefined || rest.length > 0) return undefined;
  if (suffix === undefined) return { ip, bits: IP_BITS };
  const before = isIpv4(ip) ? IPV4_PREFIX_BITS : 0;
  if (/^\d{1,3}$/.test(suffix)) {
    const bits = before + Number(suffix);
    return bits > IP_BITS ? undefined : { ip, bits };
  }
  const mask = parseIp(suffix);
  if (mask === undefined || isIpv4(mask) !== isIpv4(ip)) return undefined;
  for (let bits = before; bits <= IP_BITS; bits += 1) {
    const wanted = before === 0 ? maskOf(bits) : maskOf(bits) & IPV4_MASK;
    if ((before === 0 ? mask : mask & IPV4_MASK) === wanted) return { ip, bits };
  }
  return undefined;
}

export const maskOf = (bits: number): bigint => ((1n << BigInt(bits)) - 1n) << BigInt(IP_BITS - bits);

export const networkOf = (ip: Ip, bits: number): Ip => ip & maskOf(bits);

/** Prefix length as the family counts it. */
export const shownBits = ({ ip, bits }: Prefix): number => (isIpv4(ip) ? bits - IPV4_PREFIX_BITS : bits);
