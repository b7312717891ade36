// dec_ttl: one off the TTL or hop limit. Hot, per packet; writes packet bytes only. It is Linux's; OVS's userspace
// datapath knows the action's number and does not carry it out.
import { readBe16, writeBe16 } from "../packet/bytes.ts";
import { updateChecksum16 } from "../packet/checksum.ts";
import { IPV4, IPV6 } from "../packet/network-headers.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const TTL_AT = IPV4.ttl;
const CHECKSUM_AT = IPV4.checksum;
const HOP_LIMIT_AT = IPV6.hopLimit;

/** False, and nothing written, when there is none to take off. @param ip where the header stands */
export function decrementTtl(u8: Uint8Array, ip: number, isV6: boolean): boolean {
  const at = ip + (isV6 ? HOP_LIMIT_AT : TTL_AT);
  const ttl = u8[at]!;
  if (ttl <= 1) return false;
  if (!isV6) {
    // The TTL is the high byte of a word whose other half, the protocol, stays.
    const word = readBe16(u8, at);
    writeBe16(u8, ip + CHECKSUM_AT, updateChecksum16(readBe16(u8, ip + CHECKSUM_AT), word, word - 0x100));
  }
  u8[at] = ttl - 1;
  return true;
}
