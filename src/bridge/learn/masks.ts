// The masks of the learning policy's megaflows: few, so each is made once. They are shared and never written to.
import { K, VLAN_CFI } from "../../flow/fields.ts";
import { getNumber, newKey, setNumber, setOnes } from "../../flow/key.ts";
import { ETH_TYPE } from "../../packet/link-headers.ts";
import { type FrameTag, VID_MASK } from "./outputs.ts";

/**
 * How far a decision had to look: at the tag, then at whether the source is a group, at the destination, at whether it is
 * a group, at both addresses, and at whether an ARP packet is gratuitous.
 */
export const LOOKED_AT = [
  "tag",
  "source group",
  "destination",
  "destination group",
  "addresses",
  "gratuitous ARP",
] as const;
export type LookedAt = (typeof LOOKED_AT)[number];

const GROUP_BIT_OF_FIRST_BYTE = 1;
const TCI_MASKS = {
  /** No tag, or one without VID: its priority goes into the tag that the frame gets. */
  all: 0xffff,
  /** Of other tags only the VID is looked at. */
  vid: VLAN_CFI | VID_MASK,
};

function makeMask(lookedAt: LookedAt, hasVid: boolean, isIp: boolean): Uint8Array {
  const mask = newKey();
  for (const name of ["in_port", "recirc_id", "packet_type", "eth_type", "vlan_tpid"] as const) {
    setOnes(mask, name);
  }
  setNumber(mask, "vlan_tci", hasVid ? TCI_MASKS.vid : TCI_MASKS.all);
  if (isIp) setOnes(mask, "nw_frag");
  if (lookedAt === "source group") mask[K.eth_src] = GROUP_BIT_OF_FIRST_BYTE;
  if (lookedAt === "destination group") mask[K.eth_dst] = GROUP_BIT_OF_FIRST_BYTE;
  const hasBoth = lookedAt === "addresses" || lookedAt === "gratuitous ARP";
  if (lookedAt === "destination" || hasBoth) setOnes(mask, "eth_dst");
  if (hasBoth) setOnes(mask, "eth_src");
  if (lookedAt === "gratuitous ARP")
    for (const name of ["nw_proto", "nw_src", "nw_dst"] as const) setOnes(mask, name);
  return mask;
}

const MASKS: ReadonlyMap<LookedAt, readonly Uint8Array[]> = new Map(
  LOOKED_AT.map((lookedAt) => [
    lookedAt,
    [
      makeMask(lookedAt, false, false),
      makeMask(lookedAt, false, true),
      makeMask(lookedAt, true, false),
      makeMask(lookedAt, true, true),
    ],
  ]),
);

/** The mask of a decision on a frame with this key and tag. */
export function decisionMask(key: Uint8Array, { isTagged, tci }: FrameTag, lookedAt: LookedAt): Uint8Array {
  const hasVid = isTagged && (tci & VID_MASK) !== 0;
  const etherType = getNumber(key, "eth_type");
  const isIp = etherType === ETH_TYPE.ipv4 || etherType === ETH_TYPE.ipv6;
  return MASKS.get(lookedAt)![(hasVid ? 2 : 0) + (isIp ? 1 : 0)]!;
}
