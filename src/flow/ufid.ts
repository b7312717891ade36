// Unique flow identifiers: 128 bits that name a flow on the command line and in the table. In memory they are sixteen
// bytes in the order in which their digits are written.
//
// A flow that comes without one gets it from its key and mask. The hash is ours and seeded, so identifiers are the
// same in a run with the same seed and cannot be aimed at. Control path.

import { bytesToHex } from "../packet/bytes.ts";

export const UFID_BYTES = 16;
export const UFID_PREFIX = "ufid:";

/** Where a UUID's groups begin and end, in hexadecimal digits. */
const GROUP_BOUNDS = [0, 8, 12, 16, 20, 32] as const;
const UUID = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;

/** `ufid:UUID`, or the UUID alone. Undefined when the text is neither. */
export function parseUfid(text: string): Uint8Array | undefined {
  const uuid = text.startsWith(UFID_PREFIX) ? text.slice(UFID_PREFIX.length) : text;
  if (!UUID.test(uuid)) return undefined;
  return Uint8Array.from(uuid.replaceAll("-", "").match(/../g)!, (digits) => Number.parseInt(digits, 16));
}

/** `ufid:UUID`. */
export function formatUfid(ufid: Uint8Array): string {
  const digits = bytesToHex(ufid);
  const groups = GROUP_BOUNDS.slice(1).map((end, index) => digits.slice(GROUP_BOUNDS[index], end));
  return UFID_PREFIX + groups.join("-");
}

/**
 * The identifier of a flow: four 32-bit lanes, each over all words with its own start, mixed crosswise at the end.
 * It has the version and variant bits of a random UUID, as OVS's have.
 */
export function computeUfid(key: Uint8Array, mask: Uint8Array, seed: number): Uint8Array {
  const lanes = Uint32Array.from([seed, seed ^ 0x9e3779b9, seed ^ 0x7f4a7c15, seed ^ 0xf39cc060]);
  for (const part of [key, mask]) {
    const words = new DataView(part.buffer, part.byteOffset, part.byteLength);
    for (let at = 0; at + 4 <= part.byteLength; at += 4) absorb(lanes, words.getUint32(at, true));
  }
  for (let round = 0; round < 4; round++) absorb(lanes, key.length + mask.length + round);
  const ufid = new Uint8Array(UFID_BYTES);
  const out = new DataView(ufid.buffer);
  for (let lane = 0; lane < lanes.length; lane++) out.setUint32(lane * 4, finalize(lanes[lane]!));
  ufid[6] = (ufid[6]! & 0x0f) | 0x40;
  ufid[8] = (ufid[8]! & 0x3f) | 0x80;
  return ufid;
}

/** Every lane takes the word and its neighbour's state, so that one changed bit reaches all of them. */
function absorb(lanes: Uint32Array, word: number): void {
  for (let lane = 0; lane < lanes.length; lane++) {
    const mixed = Math.imul(lanes[lane]! ^ word, 0xcc9e2d51 + lane * 2);
    const rotated = (mixed << (13 + lane)) | (mixed >>> (19 - lane));
    lanes[lane] = (Math.imul(rotated, 5) + lanes[(lane + 1) % lanes.length]! + 0xe6546b64) >>> 0;
  }
}

/** MurmurHash3's finalizer. */
function finalize(lane: number): number {
  let mixed = Math.imul(lane ^ (lane >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
