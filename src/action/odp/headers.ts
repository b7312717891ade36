// Actions that push and pop headers, and hash(): text to attributes and back. Control path.

import type { TextCursor } from "../../flow/odp/text-cursor.ts";
import { formatMac } from "../../packet/address.ts";
import { readBe16, readBe32 } from "../../packet/bytes.ts";
import { ETH_TYPE, VLAN } from "../../packet/link-headers.ts";
import { ACTION, HASH_ALG } from "../attributes.ts";
import { type ActionParse, parseMacAddress, U16_MAX, U32_MAX } from "./action-parse.ts";

export function parsePushVlan({ cursor, writer }: ActionParse): void {
  cursor.expect("(");
  let tpid: number = ETH_TYPE.vlan;
  if (cursor.skip("tpid=")) {
    tpid = cursor.integer("tpid", U16_MAX);
    cursor.expect(",");
  }
  cursor.expect("vid=");
  const vid = cursor.integer("vid", VLAN.vidMask);
  cursor.expect(",pcp=");
  const pcp = cursor.integer("pcp", 7);
  const cfi = cursor.skip(",cfi=") ? cursor.integer("cfi", 1) : 1;
  cursor.expect(")");
  const tci = (pcp << VLAN.pcpShift) | (cfi * VLAN.cfi) | vid;
  writer.put(ACTION.pushVlan, Uint8Array.of(tpid >>> 8, tpid, tci >>> 8, tci));
}

export function printPushVlan(bytes: Uint8Array, at: number): string {
  const tpid = readBe16(bytes, at);
  const tci = readBe16(bytes, at + 2);
  const shownTpid = tpid === ETH_TYPE.vlan ? "" : `tpid=0x${tpid.toString(16).padStart(4, "0")},`;
  const cfi = (tci & VLAN.cfi) === 0 ? ",cfi=0" : "";
  return `push_vlan(${shownTpid}vid=${tci & VLAN.vidMask},pcp=${tci >>> VLAN.pcpShift}${cfi})`;
}

/** "(label=,tc=,ttl=,bos=,eth_type=": the six bytes that push_mpls and add_mpls begin with. */
function parseLseAndType(cursor: TextCursor): number[] {
  cursor.expect("(label=");
  const label = cursor.integer("label", 0xfffff);
  cursor.expect(",tc=");
  const tc = cursor.integer("tc", 7);
  cursor.expect(",ttl=");
  const ttl = cursor.integer("ttl", 255);
  cursor.expect(",bos=");
  const bos = cursor.integer("bos", 1);
  cursor.expect(",eth_type=");
  const type = cursor.hexadecimal("eth_type", U16_MAX);
  cursor.expect(")");
  const low = (tc << 9) | (bos << 8) | ttl;
  return [label >>> 12, label >>> 4, ((label & 0xf) << 4) | (low >>> 8), low, type >>> 8, type];
}

function printLseAndType(bytes: Uint8Array, at: number): string {
  const lse = readBe32(bytes, at);
  const type = readBe16(bytes, at + 4).toString(16);
  const low = `ttl=${lse & 0xff},bos=${(lse >>> 8) & 1},eth_type=0x${type}`;
  return `(label=${lse >>> 12},tc=${(lse >>> 9) & 7},${low})`;
}

export function parsePushMpls({ cursor, writer }: ActionParse): void {
  writer.put(ACTION.pushMpls, Uint8Array.from(parseLseAndType(cursor)));
}

export const printPushMpls = (bytes: Uint8Array, at: number): string =>
  `push_mpls${printLseAndType(bytes, at)}`;

/** The flags word behind has no text, in OVS either; it says "below the Ethernet header" by 0. */
export function parseAddMpls({ cursor, writer }: ActionParse): void {
  writer.put(ACTION.addMpls, Uint8Array.from([...parseLseAndType(cursor), 0, 0]));
}

export const printAddMpls = (bytes: Uint8Array, at: number): string =>
  `add_mpls${printLseAndType(bytes, at)}`;

export function parsePopMpls({ cursor, writer }: ActionParse): void {
  cursor.expect("(eth_type=");
  const type = cursor.hexadecimal("eth_type", U16_MAX);
  cursor.expect(")");
  writer.put(ACTION.popMpls, Uint8Array.of(type >>> 8, type));
}

export const printPopMpls = (bytes: Uint8Array, at: number): string =>
  `pop_mpls(eth_type=0x${readBe16(bytes, at).toString(16)})`;

export function parsePushEth({ cursor, writer }: ActionParse): void {
  cursor.expect("(src=");
  const src = parseMacAddress(cursor, "src");
  cursor.expect(",dst=");
  const dst = parseMacAddress(cursor, "dst");
  cursor.expect(")");
  writer.put(ACTION.pushEth, Uint8Array.from([...src, ...dst]));
}

export const printPushEth = (bytes: Uint8Array, at: number): string =>
  `push_eth(src=${formatMac(bytes, at)},dst=${formatMac(bytes, at + 6)})`;

export function parseHash({ cursor, writer }: ActionParse): void {
  cursor.expect("(");
  const name = cursor.take(/l4|sym_l4/y) ?? cursor.fail('"l4" or "sym_l4"');
  cursor.expect("(");
  const basis = cursor.unsigned("basis", U32_MAX);
  cursor.expect("))");
  const payload = new DataView(new ArrayBuffer(8));
  payload.setUint32(0, name === "l4" ? HASH_ALG.l4 : HASH_ALG.symL4, true);
  payload.setUint32(4, basis, true);
  writer.put(ACTION.hash, new Uint8Array(payload.buffer));
}

export function printHash(bytes: Uint8Array, at: number): string {
  const payload = new DataView(bytes.buffer, bytes.byteOffset + at, 8);
  const algorithm = payload.getUint32(0, true);
  const basis = payload.getUint32(4, true);
  if (algorithm === HASH_ALG.l4) return `hash(l4(${basis}))`;
  if (algorithm === HASH_ALG.symL4) return `hash(sym_l4(${basis}))`;
  return `hash(Unknown hash algorithm(${algorithm}))`;
}
