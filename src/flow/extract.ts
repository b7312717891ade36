// Extraction: from a packet's bytes to its flow key, as OVS's userspace datapath does it, on every input.
//
// A malformed or truncated packet is never refused. What holds together up to the defect is in the key, the rest of
// the key is zero; the key's own text then shows it (an Ethertype 0x0800 with all-zero addresses is an IPv4 header
// that lied). Line 0 of the slot is always written. Lines 1 to 3 hold what few packets have, so a slot remembers in
// its `dirtyLines` word which of them are not zero and only those are cleared again.
//
// Two entries. `receive` starts a packet that came from a port: whatever the slot held is forgotten and the metadata
// is that of a new packet. `extract` parses again a packet whose metadata stands in the slot (after recirculation,
// for a packet handed back with its actions): metadata, conntrack and tunnel fields stay as they are.
//
// Two ways. The fast path takes Ethernet with at most one 802.1Q tag and what extract-aligned.ts takes behind it, on
// a frame that begins at 2 mod 4, where every word of every header is aligned. All else goes through the cursor, which
// takes every packet at every alignment. Both give the same key for the same packet: the property test extracts each
// packet at all four alignments.
//
// Per packet: everything here. Reads the packet, writes the key slot given, no counters, no allocation. The results
// beside the key (l3Offset, l4Offset, tcpFlags, needsMoreLinear) are fields of the instance until the next call.

import { ETH, ETH_TYPE, VLAN } from "../packet/link-headers.ts";
import { IPV4, IPV6 } from "../packet/network-headers.ts";
import { alignedIpv4, alignedIpv6, RAW_ETH_TYPE_IPV4, RAW_ETH_TYPE_IPV6 } from "./extract-aligned.ts";
import { HeaderCursor, type KeyViews, LINE_0, LINE_1, LINE_2, LINE_3 } from "./extract-cursor.ts";
import { parseEthernet, parseMpls } from "./extract-link.ts";
import { parseNetwork } from "./extract-network.ts";
import { K, KEY_LINE_BYTES } from "./fields.ts";

/** Tags that the key has room for. */
export const VLAN_TAGS_MAX = 2;
/** OVS's default of other_config:vlan-limit. */
export const VLAN_LIMIT_DEFAULT = 1;

// Module constants, because V8 folds them and loads an imported table anew each time.
const LINE_0_ONLY = LINE_0;
const LINES_0_AND_1 = LINE_0 | LINE_1;
const ETH_HEADER_BYTES = ETH.headerBytes;
const VLAN_TAG_BYTES = VLAN.headerBytes;
const IPV4_HEADER_BYTES = IPV4.headerBytes;
const IPV6_HEADER_BYTES = IPV6.headerBytes;
/** So much of every frame of the fast path is read before its length fields are. */
const FAST_BYTES_MIN = ETH_HEADER_BYTES + VLAN_TAG_BYTES + IPV4_HEADER_BYTES;
const ETH_WORD = K.eth_dst >>> 2;
const VLAN_WORD = K.vlan_tpid >>> 2;
const PRIORITY_WORD = K.skb_priority >>> 2;
const PACKET_TYPE_WORD = K.packet_type >>> 2;
const PACKET_TYPE_ETHERTYPE = K.packet_type + 2;
const LINE_WORDS = KEY_LINE_BYTES / 4;
const { ipv6_src: IPV6_SRC, ct_mark: CT_MARK, nd_options_type: ND_OPTIONS_TYPE } = K;
const { nd_target: ND_TARGET, ct_label: CT_LABEL, nsh_flags: NSH_FLAGS, nsh_context3: NSH_CONTEXT3 } = K;
const RAW_IPV4 = RAW_ETH_TYPE_IPV4;
const RAW_IPV6 = RAW_ETH_TYPE_IPV6;
const RAW_ETH_TYPE_VLAN = 0x0081;
const RAW_VLAN_CFI = 0x0010;

/** `vlan-limit` as configured (0 = as many as there can be) as a count of tags. */
export function vlanTagCount(vlanLimit: number): number {
  return vlanLimit === 0 || vlanLimit > VLAN_TAGS_MAX ? VLAN_TAGS_MAX : vlanLimit;
}

export class Extractor extends HeaderCursor {
  readonly #vlanTags: number;

  /** @param vlanLimit as OVS's other_config:vlan-limit: 1, 2, or 0 for as many as the key holds. */
  constructor(views: KeyViews, vlanLimit: number = VLAN_LIMIT_DEFAULT) {
    super(views);
    this.#vlanTags = vlanTagCount(vlanLimit);
  }

  /**
   * Fills a slot for a packet that arrived on `inPort`. `dirtyLines` says which lines of the slot are not zero now;
   * returns which are not zero afterwards. `head` may be given as a signed word, see extract-cursor.ts.
   */
  receive(
    head: number,
    linearBytes: number,
    packetBytes: number,
    key: number,
    dirtyLines: number,
    inPort: number,
  ): number {
    const { u32 } = this;
    const keyWord = key >>> 2;
    u32[keyWord] = inPort;
    u32[keyWord + 1] = 0;
    u32[keyWord + 2] = 0;
    u32[keyWord + 3] = 0;
    u32[keyWord + PRIORITY_WORD] = 0;
    u32[keyWord + PRIORITY_WORD + 1] = 0;
    u32[keyWord + PRIORITY_WORD + 2] = 0;
    if (dirtyLines > LINE_0_ONLY) this.#clearLines(key, dirtyLines);
    const lines = this.#parseAligned(head, linearBytes, packetBytes, key);
    return lines !== 0 ? lines : this.#parseEthernetFrame(head, linearBytes, packetBytes, key);
  }

  /**
   * Parses a packet again under the metadata in the slot, whose packet_type says whether it begins with Ethernet or
   * with a network header. `dirtyLines` as for `receive`; the lines of metadata stay in the returned word.
   */
  extract(head: number, linearBytes: number, packetBytes: number, key: number, dirtyLines: number): number {
    this.#clearHeaders(key, dirtyLines);
    if (this.u32[(key >>> 2) + PACKET_TYPE_WORD] !== 0) {
      this.begin(head, linearBytes, packetBytes, key);
      this.#parseFrom(
        (this.u8[key + PACKET_TYPE_ETHERTYPE]! << 8) | this.u8[key + PACKET_TYPE_ETHERTYPE + 1]!,
      );
      return this.lines | dirtyLines;
    }
    const lines = this.#parseAligned(head, linearBytes, packetBytes, key);
    return (lines !== 0 ? lines : this.#parseEthernetFrame(head, linearBytes, packetBytes, key)) | dirtyLines;
  }

  /** The lines written, 0 when the packet is not of the fast path's kind: it has then to be parsed by the cursor. */
  #parseAligned(head: number, linearBytes: number, packetBytes: number, key: number): number {
    if ((head & 3) !== 2 || linearBytes < FAST_BYTES_MIN) return 0;
    const { u32 } = this;
    const word = (head - 2) >>> 2;
    const keyWord = key >>> 2;
    const wordThree = u32[word + 3]!;
    let ip = word + 4;
    let l3Offset = ETH_HEADER_BYTES;
    let vlan = 0;
    let rawType = wordThree >>> 16;
    if (rawType === RAW_ETH_TYPE_VLAN) {
      const tag = u32[ip]!;
      vlan = RAW_ETH_TYPE_VLAN | ((tag | RAW_VLAN_CFI) << 16);
      rawType = tag >>> 16;
      ip++;
      l3Offset += VLAN_TAG_BYTES;
    }
    let rawFlags: number;
    let lines = LINE_0_ONLY;
    let l4Offset = l3Offset;
    if (rawType === RAW_IPV4) {
      rawFlags = alignedIpv4(u32, ip, packetBytes - l3Offset, linearBytes - l3Offset, keyWord);
      l4Offset += IPV4_HEADER_BYTES;
    } else if (rawType === RAW_IPV6) {
      rawFlags = alignedIpv6(u32, ip, packetBytes - l3Offset, linearBytes - l3Offset, keyWord);
      l4Offset += IPV6_HEADER_BYTES;
      lines = LINES_0_AND_1;
    } else {
      return 0;
    }
    if (rawFlags < 0) return 0;

    const wordOne = u32[word + 1]!;
    const wordTwo = u32[word + 2]!;
    u32[keyWord + ETH_WORD] = (u32[word]! >>> 16) | (wordOne << 16);
    u32[keyWord + ETH_WORD + 1] = (wordOne >>> 16) | (wordTwo << 16);
    u32[keyWord + ETH_WORD + 2] = (wordTwo >>> 16) | (wordThree << 16);
    u32[keyWord + VLAN_WORD] = vlan;
    this.l3Offset = l3Offset;
    this.l4Offset = l4Offset;
    this.tcpFlags = ((rawFlags & 0x0f) << 8) | (rawFlags >>> 8);
    this.needsMoreLinear = false;
    return lines;
  }

  #parseEthernetFrame(head: number, linearBytes: number, packetBytes: number, key: number): number {
    this.begin(head, linearBytes, packetBytes, key);
    const ethType = parseEthernet(this, this.#vlanTags);
    if (ethType >= 0) this.#parseFrom(ethType);
    return this.lines;
  }

  /** The cursor stands behind the header that named `ethType`. */
  #parseFrom(ethType: number): void {
    this.putBe16(K.eth_type, ethType);
    if (ethType === ETH_TYPE.mpls || ethType === ETH_TYPE.mplsMulticast) parseMpls(this);
    this.l3Offset = this.offset;
    parseNetwork(this, ethType);
  }

  /** Everything in the named lines but line 0. Loops, because a fill() of so few words costs more than the words. */
  #clearLines(key: number, dirtyLines: number): void {
    const { u32 } = this;
    for (let line = 1; dirtyLines >>> line !== 0; line++) {
      if (((dirtyLines >>> line) & 1) === 0) continue;
      const start = (key >>> 2) + line * LINE_WORDS;
      for (let word = start; word < start + LINE_WORDS; word++) u32[word] = 0;
    }
  }

  /** What a packet can set in lines 1 to 3. What conntrack keeps in these lines stays. */
  #clearHeaders(key: number, dirtyLines: number): void {
    if ((dirtyLines & LINE_1) !== 0) {
      this.#zeroWords(key + IPV6_SRC, key + CT_MARK);
      this.u8[key + ND_OPTIONS_TYPE] = 0;
    }
    if ((dirtyLines & LINE_2) !== 0) this.#zeroWords(key + ND_TARGET, key + CT_LABEL);
    if ((dirtyLines & LINE_3) !== 0) this.#zeroWords(key + NSH_FLAGS, key + NSH_CONTEXT3 + 4);
  }

  #zeroWords(start: number, end: number): void {
    const { u32 } = this;
    for (let word = start >>> 2; word < end >>> 2; word++) u32[word] = 0;
  }
}
