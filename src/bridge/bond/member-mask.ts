// Masks of the flows that send a bucket's packets out: what every megaflow matches, and the hash bits that are the bucket.
import { VLAN_CFI } from "../../flow/fields.ts";
import { getNumber, setNumber } from "../../flow/key.ts";
import { BOND_BUCKETS } from "../../memory/region-plan.ts";
import { decisionMask } from "../learn/masks.ts";
import { PCP_MASK, VID_MASK } from "../learn/outputs.ts";

/** The mask for a packet that comes back with this key. */
export function memberMask(key: Uint8Array): Uint8Array {
  const tci = getNumber(key, "vlan_tci");
  const isTagged = (tci & VLAN_CFI) !== 0;
  const tag = { isTagged, tpid: getNumber(key, "vlan_tpid"), tci: tci & (PCP_MASK | VID_MASK) };
  const mask = decisionMask(key, tag, "tag").slice();
  setNumber(mask, "dp_hash", BOND_BUCKETS - 1);
  return mask;
}
