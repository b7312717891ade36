// Flows that the real Open vSwitch takes and Millrace does not, by the rule that refuses them.
import type { DifferenceRule } from "./known-differences.ts";

/** Refusals of Linux' flow validation, which the userspace datapath does not have; each counts under its own name. */
const LINUX_REFUSALS: readonly (readonly [name: string, refusal: RegExp])[] = [
  ["trunc below an Ethernet header", /\.trunc \(.*: length \d+; accepted: 14 or more/],
  ["port number out of range", /\.output \(.*: port \d+; accepted: 0 to 65534/],
  ["tag with another TPID", /\.push_vlan \(.*: TPID 0x/],
  ["set of a protocol that the flow does not match", /\.set\.(tcp|udp|sctp) \(.*: the flow matches protocol/],
  ["set of a header that the flow does not match", /\.set\.\w+ \(.*: the flow does not match the header/],
  ["set of what cannot be written", /\.set\.\w+ \(.*: (proto|frag) cannot be written/],
  ["set of a transport header in later fragments", /: later fragments have no transport header/],
  ["tag on a packet without Ethernet header", /: the flow's packets have no Ethernet header/],
  ["check_pkt_len of size 0", /\.check_pkt_len\.size \(.*: size 0/],
  ["actions behind drop", /: actions follow a drop/],
  ["Ethernet behind MPLS behind Ethernet", /\.pop_mpls \(.*: Ethernet behind MPLS behind Ethernet/],
  ["set behind the last pop_mpls", /what the pop before it uncovered was not parsed/],
  ["MPLS on a packet with a tag", /_mpls \(.*: the packets have a VLAN tag/],
];

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

export const REFUSAL_RULES: readonly DifferenceRule[] = [
  ...LINUX_REFUSALS.map(([name, refusal]) => refusalRule(`Linux' validation: ${name}`, refusal)),
  refusalRule("actions that are not carried out yet", /is not supported yet/),
];
