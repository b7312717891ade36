// What is known of every packet that meets an action, as far as actions depend on it: at first what the flow's match
// says, then also what the actions before did. Control path.
import { FRAG_LATER, K, VLAN_CFI } from "../flow/fields.ts";
import { readBe16, readBe32 } from "../packet/bytes.ts";
import { ETH_TYPE, MPLS } from "../packet/link-headers.ts";

/** An Ethertype that no packet has: what the last pop_mpls uncovered was not parsed. */
export const ETH_TYPE_UNPARSED = 0;

export interface FlowFacts {
  /** Packets begin with an Ethernet header (packet_type 0). */
  hasEthernet: boolean;
  /** Packets have a VLAN tag. */
  hasVlan: boolean;
  /** The Ethertype when it is known, else undefined. */
  ethType: number | undefined;
  /** Label stack entries known to be there. */
  labelCount: number;
  /** The protocol when it is matched exactly, else undefined. */
  protocol: number | undefined;
  /** The flow matches later fragments, which have no transport header. */
  isLaterFragment: boolean;
  /** Protocol and fragment kind as the masked key has them: 0 where wildcarded. */
  readonly maskedProtocol: number;
  readonly maskedFrag: number;
}

export function flowFacts(key: Uint8Array, mask: Uint8Array): FlowFacts {
  const isTypeExact = readBe16(mask, K.eth_type) === 0xffff;
  const isProtocolExact = mask[K.nw_proto] === 0xff;
  const ethType = isTypeExact ? readBe16(key, K.eth_type) : undefined;
  return {
    hasEthernet: readBe32(key, K.packet_type) === 0,
    hasVlan: (readBe16(key, K.vlan_tci) & VLAN_CFI) !== 0,
    ethType,
    labelCount: isMpls(ethType) ? labelCount(key) : 0,
    protocol: isProtocolExact ? key[K.nw_proto] : undefined,
    isLaterFragment: mask[K.nw_frag] !== 0 && key[K.nw_frag] === FRAG_LATER,
    maskedProtocol: key[K.nw_proto]! & mask[K.nw_proto]!,
    maskedFrag: key[K.nw_frag]! & mask[K.nw_frag]!,
  };
}

export function isMpls(ethType: number | undefined): boolean {
  return ethType === ETH_TYPE.mpls || ethType === ETH_TYPE.mplsMulticast;
}

/** Entries that the key shows: up to the bottom of the stack, at least one. */
function labelCount(key: Uint8Array): number {
  const entries = [K.mpls_lse0, K.mpls_lse1, K.mpls_lse2];
  const bottom = entries.findIndex((at) => (readBe32(key, at) & MPLS.bottomMask) !== 0);
  return bottom < 0 ? entries.length : bottom + 1;
}
