// Packets whose checksums come out as zero. A sum of ones' complement has two zeros, and which of them is written, and that
// UDP writes the other one, is wrong in code that random packets do not tell from right code: they meet it once in 65,536.
//
// Checksums are changed by what their headers change by (RFC 1624), whatever they were. So a packet that left with
// checksum c leaves with zero when its own checksum is less by c: ~sum' = ~sum + c.
import type { KeyExtractor } from "../../flow/extract-key.ts";
import { K } from "../../flow/fields.ts";
import { readBe16, writeBe16 } from "../../packet/bytes.ts";
import { ETH_TYPE } from "../../packet/link-headers.ts";
import { IP_PROTOCOL, IPV4 } from "../../packet/network-headers.ts";
import { TCP, UDP } from "../../packet/transport-headers.ts";

/** The packet once for each checksum that it has in common with what left, which is zero then when it leaves. */
export function sumEdges(extractor: KeyExtractor, packet: Uint8Array, left: Uint8Array): Uint8Array[] {
  const before = sumPlaces(extractor, packet);
  const after = sumPlaces(extractor, left);
  return Object.keys(before).flatMap((name) => {
    const [from, to] = [before[name]!, after[name]];
    if (to === undefined || readBe16(packet, from) === 0) return [];
    const sum = (readBe16(packet, from) ^ 0xffff) + readBe16(left, to);
    const edge = packet.slice();
    writeBe16(edge, from, ((sum & 0xffff) + (sum >>> 16)) ^ 0xffff);
    return [edge];
  });
}

/** Where the packet's checksums stand, by name. */
function sumPlaces(extractor: KeyExtractor, packet: Uint8Array): Record<string, number> {
  const key = extractor.extract(packet, 0);
  const { l3, l4 } = extractor.offsets;
  const hasSum: Record<string, number> = {};
  if (readBe16(key, K.eth_type) === ETH_TYPE.ipv4) hasSum["ipv4"] = l3 + IPV4.checksum;
  const protocol = key[K.nw_proto];
  if (key[K.nw_frag] === 0 && protocol === IP_PROTOCOL.udp) hasSum["udp"] = l4 + UDP.checksum;
  if (key[K.nw_frag] === 0 && protocol === IP_PROTOCOL.tcp) hasSum["tcp"] = l4 + TCP.checksum;
  return Object.fromEntries(Object.entries(hasSum).filter(([, at]) => at + 2 <= packet.length));
}
