// What differs from Open vSwitch on purpose (docs/conformance.md), one rule each. A rule names the whole of what may
// differ: what is left when that is set aside must be equal.
import { KeyExtractor } from "../../../src/flow/extract-key.ts";
import { getNumber, setNumber } from "../../../src/flow/key.ts";
import { bytesToHex, hexToBytes, readBe16 } from "../../../src/packet/bytes.ts";
import {
  CASE_ABSENT_PORT,
  CASE_IN_PORT,
  CASE_VLAN_LIMIT,
  type CaseAnswer,
  type ConformanceCase,
} from "./case.ts";
import type { Aspect } from "./compare.ts";
import { REFUSAL_RULES } from "./known-refusals.ts";
import { type MillraceAnswer, type PacketUpcall, upcallKeyText, userdataText } from "./millrace-side.ts";

export interface Evidence {
  readonly given: ConformanceCase;
  readonly ours: MillraceAnswer;
  readonly theirs: CaseAnswer;
  readonly aspect: Aspect;
}

export interface DifferenceRule {
  readonly name: string;
  readonly explains: (evidence: Evidence) => boolean;
}

const FRAG_LATER = 2;

/** Sets the checksum that OVS takes two payload bytes of a later IPv4 fragment for to zero. */
function withoutFragmentChecksum(hex: string): string {
  const bytes = hexToBytes(hex);
  const ip = networkOffset(bytes);
  if (ip === undefined || readBe16(bytes, ip - 2) !== 0x0800 || (readBe16(bytes, ip + 6) & 0x1fff) === 0)
    return hex;
  const checksum = { 6: 16, 17: 6 }[bytes[ip + 9]!];
  if (checksum === undefined) return hex;
  const at = ip + (bytes[ip]! & 15) * 4 + checksum;
  bytes.fill(0, at, at + 2);
  return bytesToHex(bytes);
}

/** Where the network header begins, behind tags and the LLC header; undefined for shorter frames. */
function networkOffset(frame: Uint8Array): number | undefined {
  let at = 12;
  while (at + 4 < frame.length && [0x8100, 0x88a8].includes(readBe16(frame, at))) at += 4;
  if (readBe16(frame, at) < 0x600) at += 8;
  return at + 22 <= frame.length ? at + 2 : undefined;
}

const laterFragment: DifferenceRule = {
  name: "set(ipv4(src|dst)) changes two bytes of a later fragment's payload in Open vSwitch",
  explains: (evidence) =>
    evidence.aspect === "outputs" &&
    evidence.given.flows.some(({ actions }) => SETS_ADDRESS.test(actions)) &&
    // Where labels were pushed over it, the header is not found in what was sent, but it was in what came.
    fits(evidence, (left, right) =>
      isLaterFragmentIn(evidence.given) ? left === right || differInOneChecksum(left, right) : left === right,
    ),
};

const isLaterFragmentIn = ({ packets }: ConformanceCase): boolean =>
  packets.some((packet) => {
    const key = extractor.extract(hexToBytes(packet), CASE_IN_PORT);
    return getNumber(key, "eth_type") === 0x0800 && getNumber(key, "nw_frag") === FRAG_LATER;
  });

/** A list that cuts, and sends to a port or bond that does not exist before it sends to a port that does. */
const CUT_FOR_NOBODY = new RegExp(`trunc\\(.*(?:lb_output|\\b${CASE_ABSENT_PORT}\\b)`);

/** Linux cuts for the output that stands next, whether its port exists or not; so do we. */
const cutForNobody: DifferenceRule = {
  name: "trunc in Open vSwitch waits for an output to a port that exists",
  explains: (evidence) =>
    evidence.given.flows.some(({ actions }) => CUT_FOR_NOBODY.test(actions)) &&
    // A userspace() behind it gets the cut packet in Open vSwitch, which parses that one for the upcall's key.
    (evidence.aspect === "upcalls"
      ? evidence.ours.upcalls.length === evidence.theirs.upcalls.length
      : evidence.aspect === "outputs" && fits(evidence, (left, right) => left.startsWith(right))),
};

/** Whether a fragment header of the packet says offset 0 and no more to come. */
function hasAtomicHeader(hex: string): boolean {
  const bytes = hexToBytes(hex);
  const ip = networkOffset(bytes);
  if (ip === undefined || readBe16(bytes, ip - 2) !== 0x86dd) return false;
  let next = bytes[ip + 6]!;
  for (let at = ip + 40; at + 8 <= bytes.length && [0, 43, 44, 51, 60].includes(next); ) {
    if (next === 44 && (readBe16(bytes, at + 2) & 0xfff9) === 0) return true;
    const units = bytes[at + 1]!;
    const headerBytes = next === 44 ? 8 : next === 51 ? (units + 2) * 4 : (units + 1) * 8;
    next = bytes[at]!;
    at += headerBytes;
  }
  return false;
}

/** Whether two packets are equal but for the two bytes of one checksum. */
function differInOneChecksum(left: string, right: string): boolean {
  if (left.length !== right.length) return false;
  let first = 0;
  while (first < left.length && left[first] === right[first]) first += 1;
  const at = first & ~1;
  return left.slice(at + 4) === right.slice(at + 4) || left.slice(at + 2) === right.slice(at + 2);
}

const SETS_ADDRESS = /set\(ipv4\([^)]*(?:src|dst)=/;

/** A packet as the defect with later fragments leaves it comparable, where the case has such a set. */
const comparable = ({ flows }: ConformanceCase, hex: string): string =>
  flows.some(({ actions }) => SETS_ADDRESS.test(actions)) ? withoutFragmentChecksum(hex) : hex;

/** Packets by port, in order, that fit each other; differences of several rules may meet in one case. */
const fits = ({ given, ours, theirs }: Evidence, fit: (left: string, right: string) => boolean): boolean =>
  ours.outputs.length === theirs.outputs.length &&
  ours.outputs.every(([portNo, sent], index) => {
    const [otherNo, other] = theirs.outputs[index]!;
    return (
      portNo === otherNo &&
      sent.length === other.length &&
      sent.every((hex, at) => fit(comparable(given, hex), comparable(given, other[at]!)))
    );
  });

const atomicFragment: DifferenceRule = {
  name: "set(ipv6(src|dst)) of an atomic fragment leaves the transport checksum in Open vSwitch",
  explains: (evidence) =>
    evidence.aspect === "outputs" &&
    evidence.given.flows.some(({ actions }) => /set\(ipv6\([^)]*(?:src|dst)=/.test(actions)) &&
    evidence.given.packets.some(hasAtomicHeader) &&
    fits(evidence, (left, right) => left === right || differInOneChecksum(left, right)),
};

/**
 * Open vSwitch notes the cut in the packet and that there is one in the batch: behind recirc() and in nested lists an
 * output is not cut, but check_pkt_len still takes the cut off, below zero when the rest is padding, which wraps around.
 */
const staleCut: DifferenceRule = {
  name: "check_pkt_len behind trunc: Open vSwitch measures cuts that no output makes, and wraps below zero",
  explains: ({ aspect, given }) => {
    const actions = given.flows.map((flow) => flow.actions).join(";");
    return aspect !== "refusals" && /trunc\(.*check_pkt_len\(/.test(actions);
  },
};

const withoutZeros = (line: string): string => line.replace(/md2=0x0+(?=[0-9a-f])/g, "md2=0x");

/** Dumps after a change of each line. */
function sameDumps({ ours, theirs }: Evidence, change: (line: string) => string): boolean {
  const both = [ours, theirs].map(({ dumps }) =>
    JSON.stringify([...dumps.short, "", ...dumps.verbose].map((line) => change(withoutZeros(line)))),
  );
  return both[0] === both[1];
}

/** Neighbour discovery with an option, wherever in the packet: tags and labels may be taken off before it is looked up. */
const DISCOVERY = /8[78]00(?:..){22}0[1-9a-f]01/;

/** The slot of TCP flags in Open vSwitch's own flow key holds the option's type. */
const discoveryFlags: DifferenceRule = {
  name: "flags of a flow in Open vSwitch are also the type of a neighbour discovery packet's first option",
  explains: (evidence) =>
    evidence.aspect === "dumps" &&
    evidence.given.packets.some((packet) => DISCOVERY.test(packet) || hasOption(packet)) &&
    sameDumps(evidence, (line) => line.replace(/, flags:[^,]*/, "")),
};

const extractor = new KeyExtractor(CASE_VLAN_LIMIT);

const hasOption = (packet: string): boolean =>
  getNumber(extractor.extract(hexToBytes(packet), CASE_IN_PORT), "nd_options_type") !== 0;

const shortContext: DifferenceRule = {
  name: "md2 of push_nsh() is printed without leading zeros by Open vSwitch",
  explains: (evidence) => evidence.aspect === "dumps" && sameDumps(evidence, (line) => line),
};

const SET_AFTER_TYPE = /set\(icmpv6\(.*set\(nd/;

const noDiscovery: DifferenceRule = {
  name: "set(nd()) behind a set(icmpv6()) that made it another message is carried out by Open vSwitch alone",
  explains: (evidence) =>
    evidence.aspect === "outputs" &&
    evidence.given.flows.some(({ actions }) => SET_AFTER_TYPE.test(actions)) &&
    fits(evidence, (left, right) => left.length === right.length),
};

/** Open vSwitch's text of a key as we print it: the first two rows of docs/conformance.md. */
export const asWePrint = (text: string): string =>
  text.replaceAll("mpls((bad key length 0)", "mpls()").replaceAll("op=65535", "op=255");

const otherText: DifferenceRule = {
  name: "the key's text: a label stack without labels, ARP's opcode 255",
  explains: ({ aspect, ours, theirs }) =>
    aspect === "upcalls" && JSON.stringify(ours.upcalls) === asWePrint(JSON.stringify(theirs.upcalls)),
};

/** Types that a packet may have by then: Ethernet, or what its outermost header is. */
const PACKET_TYPES = [0, 0x10800, 0x186dd, 0x18847, 0x18848, 0x1894f, 0x10806, 0x18035] as const;
const SET_METADATA = /skb_(?:priority|mark)\([^)]*\),/g;

/** Our upcall tells the packet and the key that hit the flow; what metadata it has by then, the actions tell. */
const changedMetadata: DifferenceRule = {
  name: "userspace() behind a change of metadata: Open vSwitch's key has the metadata of then",
  explains: ({ aspect, ours, theirs }) => {
    const upcalls = ours.fates.flatMap((fate) => fate.upcalls);
    return (
      aspect === "upcalls" &&
      upcalls.length === theirs.upcalls.length &&
      upcalls.every((upcall, index) => {
        const their = theirs.upcalls[index]!;
        const text = upcall.userdata.length === 0 ? undefined : userdataText(upcall.userdata);
        return upcall.kind === their.kind && text === their.userdata && isKeyOf(upcall, asWePrint(their.key));
      })
    );
  },
};

/** Whether the text is the upcall's key, for an action but for metadata and with any packet type. */
function isKeyOf({ kind, key, packet }: PacketUpcall, text: string): boolean {
  if (kind === "miss") return upcallKeyText(key) === text;
  return PACKET_TYPES.some((type) => {
    const metadata = key.slice();
    setNumber(metadata, "packet_type", type);
    const asType = upcallKeyText(extractor.extractUnder(packet, metadata));
    return asType.replace(SET_METADATA, "") === text.replace(SET_METADATA, "");
  });
}

/** Userspace parses a packet anew for the upcall, and goes on with the offsets that it found. */
const HIDDEN_THEN_SET =
  /(?:push_vlan|add_mpls|push_nsh).*userspace\(.*(?:set\((?!eth|skb_|tunnel)|pop_|push_|add_)/;

const hiddenHeader: DifferenceRule = {
  name: "behind userspace() Open vSwitch cannot set headers that were pushed over and are not parsed any more",
  explains: (evidence) =>
    evidence.aspect === "outputs" &&
    evidence.given.flows.some(({ actions }) => HIDDEN_THEN_SET.test(actions)) &&
    fits(evidence, (left, right) => left.length === right.length),
};

/** Hex digits of an Ethernet header. */
const ETHERNET_DIGITS = 28;

const runt: DifferenceRule = {
  name: "Open vSwitch's dummy port refuses what trunc and pop_vlan leave of less than an Ethernet header",
  explains: ({ aspect, ours, theirs }) => {
    if (aspect !== "outputs") return false;
    const whole = ours.outputs.flatMap(([portNo, sent]) => {
      const left = sent.filter((hex) => hex.length >= ETHERNET_DIGITS);
      return left.length === 0 ? [] : [[portNo, left] as const];
    });
    return JSON.stringify(whole) === JSON.stringify(theirs.outputs);
  },
};

const LEAVES_ETHERNET = /push_nsh|add_mpls|pop_eth/;

const TUNNEL_OPTIONS = /,?(?:erspan\([^)]*\)|gtpu\([^)]*\)|geneve\((?:\{[^}]*\})*\))/;
/** What OVS leaves out of a tunnel's text although it is matched, and what it prints although it is not. */
const tunnelText = (line: string): string =>
  line
    .replace(TUNNEL_OPTIONS, "")
    .replace(/, flags:[^,]*/, "")
    .replace(/-key(?=\))/, "")
    .replace(/,flags\((?:0\/0)?\)/, "")
    .replace(/,t(?:os|tl)=0(?:\/0x[0-9a-f]+)?(?=[,)])/g, "");

const tunnelOptions: DifferenceRule = {
  name: "text of a tunnel: options that the mask does not look at, an absent key, fields that are zero",
  explains: (evidence) =>
    evidence.aspect === "dumps" &&
    evidence.given.flows.some(({ flow }) => flow.startsWith("tunnel(") || flow.includes(",tunnel(")) &&
    sameDumps(evidence, tunnelText),
};

/** What Open vSwitch's dummy port sent, in the order of ours, with gaps. */
const lostBehind: DifferenceRule = {
  name: "a packet without Ethernet header has Open vSwitch's dummy port lose those behind it in the batch",
  explains: ({ aspect, given, ours, theirs }) =>
    aspect === "outputs" &&
    given.flows.some(({ actions }) => LEAVES_ETHERNET.test(actions)) &&
    isPartOf(given, theirs.outputs, ours.outputs),
};

/** Whether all that one side sent the other did too, in that order. */
const isPartOf = (
  given: ConformanceCase,
  part: CaseAnswer["outputs"],
  whole: CaseAnswer["outputs"],
): boolean =>
  part.every(([portNo, sent]) => {
    const other = whole.find(([otherNo]) => otherNo === portNo)?.[1] ?? [];
    const left = other.map((hex) => comparable(given, hex));
    return sent.every((hex) => {
      const index = left.indexOf(comparable(given, hex));
      left.splice(0, index + 1);
      return index >= 0;
    });
  });

/** An 802.3 length and a SNAP header where an Ethertype would stand, behind a tag or not. */
const SNAP = /^.{24}(?:8100....|88a8....){0,2}0[0-5]..aaaa03000000/;
const CHANGES_TYPE = /push_mpls|pop_mpls/;

/** The length field becomes an Ethertype with the SNAP header behind it; Linux writes the type into the SNAP header. */
const snapType: DifferenceRule = {
  name: "push_mpls and pop_mpls write the type of an 802.3 frame over its length in Open vSwitch",
  explains: (evidence) =>
    evidence.aspect !== "refusals" &&
    evidence.given.flows.some(({ actions }) => CHANGES_TYPE.test(actions)) &&
    evidence.given.packets.some((packet) => SNAP.test(packet)) &&
    // What is looked up again is another packet by then.
    (evidence.given.flows.some(({ actions }) => actions.includes("recirc(")) ||
      fits(evidence, (left, right) => left.length === right.length)),
};

/** Nothing is behind the Ethernet header and its tags. */
const EMPTY = /^.{24}(?:(?:8100|88a8)....)*....$/;

const emptied: DifferenceRule = {
  name: "pop_eth of a packet that is nothing but an Ethernet header: Open vSwitch goes on with an empty packet",
  explains: ({ aspect, given, ours, theirs }) =>
    aspect === "outputs" &&
    given.flows.some(({ actions }) => actions.includes("pop_eth")) &&
    given.packets.some((packet) => EMPTY.test(packet)) &&
    isPartOf(given, ours.outputs, theirs.outputs),
};

export const RULES: readonly DifferenceRule[] = [
  laterFragment,
  atomicFragment,
  discoveryFlags,
  shortContext,
  noDiscovery,
  otherText,
  changedMetadata,
  hiddenHeader,
  lostBehind,
  runt,
  cutForNobody,
  staleCut,
  snapType,
  emptied,
  tunnelOptions,
  ...REFUSAL_RULES,
];
