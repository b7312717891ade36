// What differs from Open vSwitch on purpose (docs/conformance.md), one rule each. A rule names the whole of what may
// differ: what is left when that is set aside must be equal.
import { KeyExtractor } from "../../../src/flow/extract-key.ts";
import { getNumber } from "../../../src/flow/key.ts";
import { bytesToHex, hexToBytes, readBe16 } from "../../../src/packet/bytes.ts";
import {
  CASE_IN_PORT,
  CASE_PORT_COUNT,
  CASE_VLAN_LIMIT,
  type CaseAnswer,
  type ConformanceCase,
  type DumpLines,
  type UpcallText,
} from "./case.ts";
import type { Aspect } from "./compare.ts";
import type { MillraceAnswer } from "./millrace-side.ts";

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

/** Refusals of Linux' flow validation, which the userspace datapath does not have; each counts under its own name. */
const LINUX_REFUSALS: readonly (readonly [name: string, refusal: RegExp])[] = [
  ["trunc below an Ethernet header", /\.trunc \(.*: length \d+; accepted: 14 or more/],
  ["port number out of range", /\.output \(.*: port \d+; accepted: 0 to 65534/],
  ["tag with another TPID", /\.push_vlan \(.*: TPID 0x/],
  ["set of a protocol that the flow does not match", /\.set\.(tcp|udp|sctp) \(.*: the flow matches protocol/],
  ["set of a header that the flow does not match", /\.set\.\w+ \(.*: the flow does not match the header/],
  ["set of what cannot be written", /\.set\.\w+ \(.*: (proto|frag) cannot be written/],
  ["check_pkt_len of size 0", /\.check_pkt_len\.size \(.*: size 0/],
  ["actions behind drop", /: actions follow a drop/],
];

const NOT_YET = /is not supported yet/;

/** Every flow that only the oracle takes is refused here under the same rule. */
function refusalRule(name: string, refusal: RegExp): DifferenceRule {
  return {
    name,
    explains: ({ aspect, ours, theirs }) =>
      aspect === "refusals" &&
      ours.refusals.every((text, index) =>
        text === null
          ? theirs.refusals[index] === null
          : theirs.refusals[index] !== null || refusal.test(text),
      ),
  };
}

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
    evidence.given.flows.some(({ actions }) => /set\(ipv4\([^)]*(?:src|dst)=/.test(actions)) &&
    fits(evidence, (left, right) => withoutFragmentChecksum(left) === withoutFragmentChecksum(right)),
};

/** A list that cuts, and sends to a port that does not exist before it sends to one that does. */
const CUT_FOR_NOBODY = new RegExp(
  `trunc\\(\\d+\\),(?:[^,]*\\),|[^\\d,][^,]*,)*?${CASE_PORT_COUNT + 1}(?!\\d)`,
);

/** Linux cuts for the output that stands next, whether its port exists or not; so do we. */
const cutForNobody: DifferenceRule = {
  name: "trunc in Open vSwitch waits for an output to a port that exists",
  explains: (evidence) =>
    evidence.aspect === "outputs" &&
    evidence.given.flows.some(({ actions }) => CUT_FOR_NOBODY.test(actions)) &&
    fits(evidence, (left, right) => left.startsWith(right)),
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

/** Packets by port, in order, that fit each other. */
const fits = ({ ours, theirs }: Evidence, fit: (left: string, right: string) => boolean): boolean =>
  ours.outputs.length === theirs.outputs.length &&
  ours.outputs.every(([portNo, sent], index) => {
    const [otherNo, other] = theirs.outputs[index]!;
    return (
      portNo === otherNo && sent.length === other.length && sent.every((hex, at) => fit(hex, other[at]!))
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

/** Bytes behind an IP packet. */
function paddingBytes(hex: string): number {
  const bytes = hexToBytes(hex);
  const ip = networkOffset(bytes);
  if (ip === undefined) return 0;
  const type = readBe16(bytes, ip - 2);
  const ipBytes =
    type === 0x0800 ? readBe16(bytes, ip + 2) : type === 0x86dd ? readBe16(bytes, ip + 4) + 40 : 0;
  return ipBytes === 0 ? 0 : Math.max(0, bytes.length - ip - ipBytes);
}

const measuredPadding: DifferenceRule = {
  name: "check_pkt_len in Open vSwitch leaves padding behind the IP packet out",
  explains: ({ aspect, given }) =>
    aspect !== "refusals" &&
    given.flows.some(({ actions }) => actions.includes("check_pkt_len(")) &&
    given.packets.some((packet) => paddingBytes(packet) > 0),
};

const withoutFlags = (dumps: DumpLines): string =>
  JSON.stringify([...dumps.short, ...dumps.verbose].map((line) => line.replace(/, flags:[^,]*/, "")));

const extractor = new KeyExtractor(CASE_VLAN_LIMIT);

/** The slot of TCP flags in Open vSwitch's own flow key holds the option's type. */
const discoveryFlags: DifferenceRule = {
  name: "flags of a flow in Open vSwitch are also the type of a neighbour discovery packet's first option",
  explains: ({ aspect, given, ours, theirs }) =>
    aspect === "dumps" &&
    withoutFlags(ours.dumps) === withoutFlags(theirs.dumps) &&
    given.packets.some(
      (packet) => getNumber(extractor.extract(hexToBytes(packet), CASE_IN_PORT), "nd_options_type") !== 0,
    ),
};

const withoutTunnel = (upcalls: readonly UpcallText[]): string =>
  JSON.stringify(upcalls).replace(/tunnel\((?:[^()]|\([^()]*\))*\),/g, "");

/** As in Linux, set(tunnel()) says where the packet is to go; what it came with stays in the key. */
const tunnelInKey: DifferenceRule = {
  name: "set(tunnel()) changes the key of a recirculated packet in Open vSwitch",
  explains: ({ aspect, given, ours, theirs }) =>
    aspect === "upcalls" &&
    given.flows.some(({ actions }) => actions.includes("set(tunnel(")) &&
    JSON.stringify(ours.upcalls) === withoutTunnel(theirs.upcalls),
};

export const RULES: readonly DifferenceRule[] = [
  laterFragment,
  atomicFragment,
  discoveryFlags,
  cutForNobody,
  measuredPadding,
  tunnelInKey,
  ...LINUX_REFUSALS.map(([name, refusal]) => refusalRule(`Linux' validation: ${name}`, refusal)),
  refusalRule("actions that are not carried out yet", NOT_YET),
];
