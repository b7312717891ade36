// Flows for the test of concurrent readers: a key for each number, under one of three masks, and actions that carry a
// checksum of the key, so that half-written flows give themselves away.
import { K } from "../../src/flow/fields.ts";
import { newKey, setOnes } from "../../src/flow/key.ts";

/** The key of flow n: every block that some mask looks at follows from n. */
export function churnKey(n: number): Uint8Array {
  const key = newKey();
  const view = new DataView(key.buffer);
  view.setUint32(K.in_port, n + 1, true);
  for (const field of ["nw_src", "nw_dst", "ipv6_src", "ipv6_dst", "tun_id", "ct_label"] as const) {
    view.setUint32(K[field], Math.imul(n + 1, 0x9e3779b1) ^ K[field]);
  }
  return key;
}

const MASKS = [
  ["in_port", "nw_src"],
  ["in_port", "nw_src", "nw_dst", "ipv6_src"],
  // More blocks than a record holds.
  ["in_port", "nw_src", "ipv6_src", "ipv6_dst", "tun_id", "ct_label"],
] as const;
const CHURN_MASKS = MASKS.map((fields) => {
  const mask = newKey();
  for (const name of fields) setOnes(mask, name);
  return mask;
});

export const churnMask = (n: number): Uint8Array => CHURN_MASKS[n % CHURN_MASKS.length]!;

/** Actions of flow n on its turn: an output to a port made of the turn, and a userdata-like checksum of both. */
export function actionsFor(n: number, turn: number): Uint8Array {
  const actions = new Uint8Array(16);
  const view = new DataView(actions.buffer);
  view.setUint32(0, 0x0001_0008, true);
  view.setUint32(4, turn, true);
  view.setUint32(8, 0x0001_0008, true);
  view.setInt32(12, checksum(n, turn), true);
  return actions;
}

export function checkActions(n: number, actions: Uint8Array): boolean {
  if (actions.length !== 16) return false;
  const view = new DataView(actions.buffer, actions.byteOffset, 16);
  return view.getInt32(12, true) === checksum(n, view.getUint32(4, true));
}

const checksum = (n: number, turn: number): number =>
  Math.imul(n + 1, 0x85ebca6b) ^ Math.imul(turn + 7, 0xc2b2ae35);
