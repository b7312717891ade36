// What a flow's match says about every packet that hits it, as far as its actions depend on it. Control path.
import { K } from "../flow/fields.ts";
import { readBe16, readBe32 } from "../packet/bytes.ts";

export interface FlowFacts {
  /** Packets begin with an Ethernet header (packet_type 0). */
  readonly hasEthernet: boolean;
  /** The Ethertype when it is matched exactly, else undefined; likewise the protocol. */
  readonly ethType: number | undefined;
  readonly protocol: number | undefined;
  /** Protocol and fragment kind as the masked key has them: 0 where wildcarded. */
  readonly maskedProtocol: number;
  readonly maskedFrag: number;
}

export function flowFacts(key: Uint8Array, mask: Uint8Array): FlowFacts {
  const isTypeExact = readBe16(mask, K.eth_type) === 0xffff;
  const isProtocolExact = mask[K.nw_proto] === 0xff;
  return {
    hasEthernet: readBe32(key, K.packet_type) === 0,
    ethType: isTypeExact ? readBe16(key, K.eth_type) : undefined,
    protocol: isProtocolExact ? key[K.nw_proto] : undefined,
    maskedProtocol: key[K.nw_proto]! & mask[K.nw_proto]!,
    maskedFrag: key[K.nw_frag]! & mask[K.nw_frag]!,
  };
}
