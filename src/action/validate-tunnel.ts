// Rules for set(tunnel(...)) and tnl_push(). Control path.
//
// A tunnel key is set whole: its parts depend on each other, so there is no masked form. It needs a destination and a
// TTL, and may have one block of options, as the kernel demands.
import { type Attribute, attributes, malformedAt } from "../flow/nlattr.ts";
import { TUNNEL_ATTR, TUNNEL_ATTR_ROWS, VXLAN_EXT } from "../flow/odp/attributes.ts";
import { readBe16 } from "../packet/bytes.ts";
import { ETH, ETH_TYPE } from "../packet/link-headers.ts";
import { IPV4, IPV6 } from "../packet/network-headers.ts";
import { ACTION, TUNNEL_HEADER_BYTES_MAX } from "./attributes.ts";
import { readU32 } from "./host-words.ts";
import { refuse } from "./refusal.ts";
import type { ActionCase } from "./validate.ts";

/** tnl_port, out_port, header length, type. */
const PUSH_WORDS_BYTES = 16;
const GBP_BYTES = 4;
const PORT_NO_LIMIT = 65535;
const OPTION_BLOCKS: ReadonlySet<number> = new Set([
  TUNNEL_ATTR.geneveOpts,
  TUNNEL_ATTR.vxlanOpts,
  TUNNEL_ATTR.erspanOpts,
  TUNNEL_ATTR.gtpuOpts,
]);
const OPTIONS_BYTES: ReadonlyMap<number, number> = new Map<number, number>([
  [TUNNEL_ATTR.erspanOpts, 12],
  [TUNNEL_ATTR.gtpuOpts, 2],
]);

export function validateSetTunnel({ action, bytes }: ActionCase, field: Attribute, path: string): void {
  if (action.type === ACTION.setMasked) refuse(path, field.at, "a mask", "the whole tunnel key");
  const { start, end } = field;
  const malformed = malformedAt(bytes, start, end);
  if (malformed !== undefined) refuse(path, malformed, "no whole attribute", "attributes to the end");
  const seen = new Set<number>();
  for (const part of attributes(bytes, start, end)) {
    const row = TUNNEL_ATTR_ROWS[part.type];
    if (row === undefined) refuse(path, part.at, `unknown attribute ${part.type}`, TUNNEL_NAMES);
    const partPath = `${path}.${row.name}`;
    if (seen.has(part.type)) refuse(partPath, part.at, "stands twice", "each attribute once");
    seen.add(part.type);
    const found = part.end - part.start;
    const wanted = typeof row.payload === "number" ? row.payload : OPTIONS_BYTES.get(part.type);
    if (wanted !== undefined && found !== wanted)
      refuse(partPath, part.at, `${found} bytes`, `${wanted} bytes`);
    if (part.type === TUNNEL_ATTR.geneveOpts && (found % 4 !== 0 || found > 252)) {
      refuse(partPath, part.at, `${found} bytes`, "at most 252, a multiple of 4");
    }
    if (part.type === TUNNEL_ATTR.vxlanOpts && !isGroupPolicy(bytes.subarray(part.start, part.end))) {
      refuse(partPath, part.at, "something else than a group policy", "gbp of 4 bytes, or nothing");
    }
  }
  if (!seen.has(TUNNEL_ATTR.ttl)) refuse(path, field.at, "no ttl", "tunnel(...,ttl=N,...)");
  const isV4 = seen.has(TUNNEL_ATTR.ipv4Dst);
  if (isV4 === seen.has(TUNNEL_ATTR.ipv6Dst))
    refuse(path, field.at, "not one destination", "dst= or ipv6_dst=");
  if (seen.has(isV4 ? TUNNEL_ATTR.ipv6Src : TUNNEL_ATTR.ipv4Src)) {
    refuse(path, field.at, "addresses of both families", "addresses of one");
  }
  const blocks = [...seen].filter((type) => OPTION_BLOCKS.has(type));
  if (blocks.length > 1) refuse(path, field.at, `${blocks.length} blocks of options`, "one at the most");
}

function isGroupPolicy(options: Uint8Array): boolean {
  const [extension, ...others] = attributes(options);
  if (extension === undefined) return options.length === 0;
  const { type, start, end } = extension;
  return type === VXLAN_EXT.gbp && end - start === GBP_BYTES && others.length === 0;
}

const TUNNEL_NAMES = TUNNEL_ATTR_ROWS.map(({ name }) => name).join(", ");

/** The outer Ethernet and IP headers must be whole; push() writes into them. */
export function validateTunnelPush({ action, bytes, path, facts }: ActionCase): void {
  const { start, end, at } = action;
  if (end - start < PUSH_WORDS_BYTES) {
    refuse(path, at, `${end - start} bytes of argument`, `${PUSH_WORDS_BYTES} and a header`);
  }
  for (const [offset, name] of [
    [0, "tnl_port"],
    [4, "out_port"],
  ] as const) {
    const portNo = readU32(bytes, start + offset);
    if (portNo >= PORT_NO_LIMIT)
      refuse(`${path}.${name}`, start + offset, `port ${portNo}`, `0 to ${PORT_NO_LIMIT - 1}`);
  }
  const headerBytes = readU32(bytes, start + 8);
  const header = start + PUSH_WORDS_BYTES;
  const room = Math.min(end - header, TUNNEL_HEADER_BYTES_MAX);
  if (headerBytes > room) refuse(`${path}.header`, start + 8, `size ${headerBytes}`, `at most ${room}`);
  const type = headerBytes < ETH.headerBytes ? 0 : readBe16(bytes, header + ETH.type);
  const networkBytes = type === ETH_TYPE.ipv4 ? IPV4.headerBytes : IPV6.headerBytes;
  if (type !== ETH_TYPE.ipv4 && type !== ETH_TYPE.ipv6) {
    refuse(`${path}.header`, header, "no IP in Ethernet", "dl_type=0x0800 or dl_type=0x86dd");
  }
  if (headerBytes < ETH.headerBytes + networkBytes) {
    refuse(`${path}.header`, header, `size ${headerBytes}`, `${ETH.headerBytes + networkBytes} or more`);
  }
  // What follows meets the outer headers, whose transport the packet shows.
  facts.hasEthernet = true;
  facts.hasVlan = false;
  facts.ethType = type;
  facts.protocol = undefined;
  facts.isLaterFragment = false;
}
