// Text of vlan(), mpls() and nsh().

import { readBe16, readBe24, readBe32 } from "../../packet/bytes.ts";
import { MPLS, NSH_MD_TYPE, VLAN } from "../../packet/link-headers.ts";
import { findAttribute, payloadOf } from "../nlattr.ts";
import { NSH_KEY_ATTR } from "./attributes.ts";

export function formatVlan(value: Uint8Array, mask: Uint8Array | undefined, verbose: boolean): string {
  const tci = readBe16(value, 0);
  const bits = mask === undefined ? 0xffff : readBe16(mask, 0);
  const parts: string[] = [];
  const vid = tci & VLAN.vidMask;
  const vidMask = bits & VLAN.vidMask;
  if (verbose || vid !== 0 || vidMask !== 0) {
    parts.push(`vid=${vid}${vidMask === VLAN.vidMask ? "" : `/0x${vidMask.toString(16)}`}`);
  }
  const pcp = tci >>> VLAN.pcpShift;
  const pcpMask = bits >>> VLAN.pcpShift;
  if (verbose || pcp !== 0 || pcpMask !== 0) {
    parts.push(`pcp=${pcp}${pcpMask === VLAN.pcpMask >>> VLAN.pcpShift ? "" : `/0x${pcpMask.toString(16)}`}`);
  }
  if ((tci & VLAN.cfi) === 0) parts.push("cfi=0");
  return parts.join(",");
}

/** With a mask every number has its own, whether exact or not. */
export function formatMpls(value: Uint8Array, mask: Uint8Array | undefined): string {
  if (value.length % MPLS.entryBytes !== 0) return `(bad key length ${value.length})`;
  if (mask !== undefined && mask.length !== value.length) {
    return `(key length ${value.length} != mask length ${mask.length})`;
  }
  const entries: string[] = [];
  for (let at = 0; at < value.length; at += MPLS.entryBytes) {
    const lse = splitLse(readBe32(value, at));
    if (mask === undefined) {
      entries.push(`label=${lse.label},tc=${lse.tc},ttl=${lse.ttl},bos=${lse.bos}`);
    } else {
      const bits = splitLse(readBe32(mask, at));
      const hex = (part: number): string => part.toString(16);
      entries.push(
        `label=${lse.label}/0x${hex(bits.label)},tc=${lse.tc}/${bits.tc},` +
          `ttl=${lse.ttl}/0x${hex(bits.ttl)},bos=${lse.bos}/${bits.bos}`,
      );
    }
  }
  return entries.join(",");
}

function splitLse(lse: number): { label: number; tc: number; ttl: number; bos: number } {
  return {
    label: lse >>> MPLS.labelShift,
    tc: (lse & MPLS.tcMask) >>> MPLS.tcShift,
    ttl: lse & MPLS.ttlMask,
    bos: (lse & MPLS.bottomMask) === 0 ? 0 : 1,
  };
}

/** nsh's base header as numbers. */
interface NshNumbers {
  readonly flags: number;
  readonly ttl: number;
  readonly mdtype: number;
  readonly np: number;
  readonly spi: number;
  readonly si: number;
  readonly contexts: readonly number[];
}

const SPI_EXACT = 0xffffff;
const BASE_BYTES = 8;
const CONTEXT_BYTES = 16;
const NO_CONTEXTS = [0, 0, 0, 0] as const;

/** Unlike other attributes, nsh has no verbose form: what the mask leaves out never shows. */
export function formatNsh(value: Uint8Array, mask: Uint8Array | undefined): string {
  const nsh = readNsh(value);
  if (nsh === undefined) return "error: malformed attributes";
  if (mask === undefined) return formatExactNsh(nsh);
  const bits = mask.length === 0 ? readNshOf(new Uint8Array(BASE_BYTES), NO_CONTEXTS) : readNsh(mask);
  if (bits === undefined) return "error: malformed mask";
  const parts: string[] = [];
  const byte = (name: "flags" | "ttl" | "mdtype" | "np" | "si"): void => {
    if (bits[name] !== 0) parts.push(`${name}=${maskedByte(nsh[name], bits[name])}`);
  };
  byte("flags");
  byte("ttl");
  byte("mdtype");
  byte("np");
  if (bits.spi !== 0) parts.push(`spi=${maskedWord(nsh.spi, bits.spi, SPI_EXACT)}`);
  byte("si");
  for (const [index, word] of nsh.contexts.entries()) {
    const wordMask = bits.contexts[index]!;
    if (wordMask !== 0) parts.push(`c${index + 1}=${maskedWord(word, wordMask, 0xffffffff)}`);
  }
  return parts.join(",");
}

const hex2 = (byte: number): string => `0x${byte.toString(16).padStart(2, "0")}`;

function maskedByte(value: number, mask: number): string {
  return mask === 0xff ? String(value) : `${hex2(value)}/${hex2(mask)}`;
}

function maskedWord(value: number, mask: number, exact: number): string {
  const text = `0x${value.toString(16)}`;
  return mask === exact ? text : `${text}/0x${mask.toString(16).padStart(8, "0")}`;
}

function formatExactNsh(nsh: NshNumbers): string {
  const { flags, ttl, mdtype, np, spi, si } = nsh;
  const base = `flags=${flags},ttl=${ttl},mdtype=${mdtype},np=${np},spi=0x${spi.toString(16)},si=${si}`;
  if (mdtype !== NSH_MD_TYPE.fixed) return base;
  return base + nsh.contexts.map((word, index) => `,c${index + 1}=0x${word.toString(16)}`).join("");
}

function readNsh(nested: Uint8Array): NshNumbers | undefined {
  const base = findAttribute(nested, NSH_KEY_ATTR.base);
  const md1 = findAttribute(nested, NSH_KEY_ATTR.md1);
  if (base === undefined || base.end - base.start !== BASE_BYTES) return undefined;
  if (md1 === undefined) return readNshOf(payloadOf(nested, base), NO_CONTEXTS);
  if (md1.end - md1.start !== CONTEXT_BYTES) return undefined;
  const contexts = [0, 4, 8, 12].map((at) => readBe32(nested, md1.start + at));
  return readNshOf(payloadOf(nested, base), contexts);
}

function readNshOf(base: Uint8Array, contexts: readonly number[]): NshNumbers {
  return {
    flags: base[0]!,
    ttl: base[1]!,
    mdtype: base[2]!,
    np: base[3]!,
    spi: readBe24(base, 4),
    si: base[7]!,
    contexts,
  };
}
