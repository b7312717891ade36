// set(nsh(...)) and set(mpls(...)). Hot, per packet; writes packet bytes only.
//
// nsh's value is nested: BASE with flags, ttl, mdtype, np and the path word, MD1 with four context words; in the masked
// form each of them has its mask behind its value. mdtype and np name what follows and are not written.
import { NLA_HEADER_BYTES } from "../flow/nlattr.ts";
import { NSH_KEY_ATTR } from "../flow/odp/attributes.ts";
import { readBe16, readBe32, writeBe16, writeBe32 } from "../packet/bytes.ts";
import { NSH, NSH_MD_TYPE } from "../packet/link-headers.ts";
import { blend8, blend32, NO_MASK } from "./blend.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const BASE_ATTR = NSH_KEY_ATTR.base;
const MD1_ATTR = NSH_KEY_ATTR.md1;
const BASE_BYTES = NSH.baseBytes;
const MD1_BYTES = NSH.mdType1Bytes;
const PATH_AT = NSH.pathHeader;
const MD_TYPE_AT = NSH.mdType;
const MD_TYPE_MASK = NSH.mdTypeMask;
const FIXED = NSH_MD_TYPE.fixed;
const CONTEXT_AT = NSH.context;
const CONTEXTS_BYTES = 16;
const TTL_SHIFT = NSH.ttlShift;
const TTL_MAX = NSH.ttlMask >>> NSH.ttlShift;
const FLAGS_SHIFT = 12;
const FLAGS_MAX = 3;
/** Version and length. */
const KEPT = NSH.versionMask | NSH.lengthMask;
const HEADER_BYTES = NLA_HEADER_BYTES;

/** Bytes of the header that set(nsh()) may write. */
export const NSH_WINDOW_BYTES = NSH.mdType1Bytes;

/**
 * @param nsh where the header stands, `nshBytes` of it are there (NSH_WINDOW_BYTES at most)
 * @param parts arena offset of the nested attributes, up to `end`
 */
export function setNsh(
  u8: Uint8Array,
  u16: Uint16Array,
  nsh: number,
  nshBytes: number,
  parts: number,
  end: number,
  isMasked: boolean,
): void {
  if (nshBytes < BASE_BYTES) return;
  for (let part = parts; part < end; part += (u16[part >>> 1]! + 3) & ~3) {
    const type = u16[(part >>> 1) + 1]!;
    const value = part + HEADER_BYTES;
    if (type === BASE_ATTR) {
      const mask = isMasked ? value + BASE_BYTES : NO_MASK;
      const word = readBe16(u8, nsh);
      const flags = blend8(u8, (word >>> FLAGS_SHIFT) & FLAGS_MAX, value, mask, 0) & FLAGS_MAX;
      const ttl = blend8(u8, (word >>> TTL_SHIFT) & TTL_MAX, value, mask, 1) & TTL_MAX;
      writeBe16(u8, nsh, (word & KEPT) | (flags << FLAGS_SHIFT) | (ttl << TTL_SHIFT));
      writeBe32(u8, nsh + PATH_AT, blend32(u8, readBe32(u8, nsh + PATH_AT), value, mask, PATH_AT));
    } else if (
      type === MD1_ATTR &&
      (u8[nsh + MD_TYPE_AT]! & MD_TYPE_MASK) === FIXED &&
      nshBytes >= MD1_BYTES
    ) {
      const mask = isMasked ? value + CONTEXTS_BYTES : NO_MASK;
      for (let at = 0; at < CONTEXTS_BYTES; at += 4) {
        const context = nsh + CONTEXT_AT + at;
        writeBe32(u8, context, blend32(u8, readBe32(u8, context), value, mask, at));
      }
    }
  }
}
