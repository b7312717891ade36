// Rules for actions that push and pop headers. They say in the facts what the packets are afterwards, because what may
// follow depends on it: MPLS goes behind the Ethernet header only where no tag is, and what the last pop_mpls or a
// pop_nsh uncovers was not parsed, so that fields of it can be set after a recirculation only. Control path.
import { KEY_ATTR, NSH_KEY_ATTR } from "../flow/odp/attributes.ts";
import { readBe16 } from "../packet/bytes.ts";
import { ETH_TYPE, NSH, NSH_MD_TYPE, VLAN } from "../packet/link-headers.ts";
import { ADD_MPLS_L3_TUNNEL } from "./attributes.ts";
import { ETH_TYPE_UNPARSED, type FlowFacts, isMpls } from "./flow-facts.ts";
import { readU16 } from "./host-words.ts";
import { refuse } from "./refusal.ts";
import type { ActionCase } from "./validate.ts";
import { type PartRow, partsOf, requirePart } from "./validate-nested.ts";

const MPLS_TYPES = "0x8847 or 0x8848";
/** What MPLS may be put before. */
const MPLS_PAYLOADS: ReadonlySet<number | undefined> = new Set([
  ETH_TYPE.ipv4,
  ETH_TYPE.ipv6,
  ETH_TYPE.arp,
  ETH_TYPE.rarp,
  ETH_TYPE.mpls,
  ETH_TYPE.mplsMulticast,
]);
/** What NSH may be put before when there is no Ethernet header: what its next-protocol byte can name. */
const NSH_PAYLOADS: ReadonlySet<number | undefined> = new Set([ETH_TYPE.ipv4, ETH_TYPE.ipv6, ETH_TYPE.nsh]);

const hex = (type: number): string => `0x${type.toString(16).padStart(4, "0")}`;

export function validatePushVlan(action: ActionCase): void {
  requireEthernet(action);
  const { bytes, path, facts } = action;
  const { at, start } = action.action;
  const tpid = readBe16(bytes, start);
  if (tpid !== ETH_TYPE.vlan && tpid !== ETH_TYPE.qinq) {
    refuse(path, at, `TPID ${hex(tpid)}`, "0x8100 or 0x88a8");
  }
  if ((readBe16(bytes, start + 2) & VLAN.cfi) === 0) refuse(path, at, "the TCI's CFI bit is clear", "cfi=1");
  facts.hasVlan = true;
}

/** As Linux, a pop is taken to leave no tag. */
export function validatePopVlan(action: ActionCase): void {
  requireEthernet(action);
  action.facts.hasVlan = false;
}

export function validatePushMpls(action: ActionCase): void {
  pushBehindEthernet(action);
}

export function validateAddMpls(action: ActionCase): void {
  const { bytes, path, facts } = action;
  const { at, start } = action.action;
  const flags = readU16(bytes, start + 6);
  if ((flags & ~ADD_MPLS_L3_TUNNEL) !== 0) {
    refuse(path, at, `flags 0x${flags.toString(16)}`, "0, below the Ethernet header, or 1, behind it");
  }
  if ((flags & ADD_MPLS_L3_TUNNEL) !== 0) {
    pushBehindEthernet(action);
    return;
  }
  const type = mplsType(action);
  facts.labelCount = facts.hasEthernet || !isMpls(facts.ethType) ? 1 : facts.labelCount + 1;
  facts.ethType = type;
  facts.hasEthernet = false;
  facts.hasVlan = false;
}

function pushBehindEthernet(action: ActionCase): void {
  const { path, facts } = action;
  const { at } = action.action;
  const type = mplsType(action);
  requireNoVlan(action);
  if (!MPLS_PAYLOADS.has(facts.ethType)) {
    refuse(path, at, describeType(facts), "a flow that matches IPv4, IPv6, ARP, RARP or MPLS");
  }
  facts.labelCount = isMpls(facts.ethType) ? facts.labelCount + 1 : 1;
  facts.ethType = type;
}

function mplsType({ bytes, path, action }: ActionCase): number {
  const type = readBe16(bytes, action.start + 4);
  if (!isMpls(type)) refuse(path, action.at, `Ethertype ${hex(type)}`, MPLS_TYPES);
  return type;
}

export function validatePopMpls(action: ActionCase): void {
  const { bytes, path, facts } = action;
  const { at, start } = action.action;
  requireNoVlan(action);
  if (!isMpls(facts.ethType)) refuse(path, at, describeType(facts), "a flow that matches MPLS");
  const type = readBe16(bytes, start);
  if (type === ETH_TYPE.trans && facts.hasEthernet) {
    refuse(
      path,
      at,
      "Ethernet behind MPLS behind Ethernet",
      "eth_type=0x6558 for packets without Ethernet header",
    );
  }
  facts.labelCount -= 1;
  if (type === ETH_TYPE.trans) facts.hasEthernet = true;
  // The key shows no more labels than it holds: a stack may go on below.
  facts.ethType = facts.labelCount <= 0 || !isMpls(type) ? ETH_TYPE_UNPARSED : type;
}

export function validatePushEth({ path, action, facts }: ActionCase): void {
  if (facts.hasEthernet)
    refuse(path, action.at, "the packets have an Ethernet header", "packets without one");
  facts.hasEthernet = true;
  facts.hasVlan = false;
}

export function validatePopEth(action: ActionCase): void {
  requireEthernet(action);
  // Tags go with the header, as in OVS's userspace datapath, which sends tagged packets into tunnels so.
  action.facts.hasVlan = false;
  action.facts.hasEthernet = false;
}

const PUSH_NSH_PARTS: ReadonlyMap<number, PartRow> = new Map<number, PartRow>([[KEY_ATTR.nsh, ["nsh", -1]]]);
const NSH_PARTS: ReadonlyMap<number, PartRow> = new Map<number, PartRow>([
  [NSH_KEY_ATTR.base, ["base", NSH.baseBytes]],
  [NSH_KEY_ATTR.md1, ["md1", NSH.mdType1Bytes - NSH.baseBytes]],
  [NSH_KEY_ATTR.md2, ["md2", -1]],
]);
/** The header's length has six bits of words. */
const NSH_BYTES_MAX = NSH.lengthMask * 4;

export function validatePushNsh(push: ActionCase): void {
  const { path, facts, action } = push;
  if (!facts.hasEthernet && !NSH_PAYLOADS.has(facts.ethType)) {
    refuse(path, action.at, describeType(facts), "Ethernet, IPv4, IPv6 or NSH, which next protocol can name");
  }
  const header = requirePart(push, partsOf(push, PUSH_NSH_PARTS), PUSH_NSH_PARTS, KEY_ATTR.nsh);
  const nested = { ...push, action: header, path: `${path}.nsh` };
  const parts = partsOf(nested, NSH_PARTS);
  const base = requirePart(nested, parts, NSH_PARTS, NSH_KEY_ATTR.base);
  const mdtype = push.bytes[base.start + 2]!;
  if (mdtype === NSH_MD_TYPE.fixed) {
    requirePart(nested, parts, NSH_PARTS, NSH_KEY_ATTR.md1);
  } else if (mdtype !== NSH_MD_TYPE.variable) {
    refuse(`${path}.nsh.base`, base.at, `mdtype ${mdtype}`, "1 or 2");
  }
  const md2 = parts.get(NSH_KEY_ATTR.md2);
  const other = parts.get(mdtype === NSH_MD_TYPE.fixed ? NSH_KEY_ATTR.md2 : NSH_KEY_ATTR.md1);
  if (other !== undefined) {
    refuse(
      `${path}.nsh`,
      other.at,
      `metadata of another type than mdtype ${mdtype}`,
      "one block, of that type",
    );
  }
  const md2Bytes = md2 === undefined ? 0 : md2.end - md2.start;
  if (md2 !== undefined && (md2Bytes % 4 !== 0 || NSH.baseBytes + md2Bytes > NSH_BYTES_MAX)) {
    refuse(
      `${path}.nsh.md2`,
      md2.at,
      `${md2Bytes} bytes`,
      `whole words, at most ${NSH_BYTES_MAX - NSH.baseBytes} bytes`,
    );
  }
  facts.ethType = ETH_TYPE.nsh;
  facts.hasEthernet = false;
  facts.hasVlan = false;
}

export function validatePopNsh({ path, action, facts }: ActionCase): void {
  if (facts.ethType !== ETH_TYPE.nsh) {
    refuse(path, action.at, describeType(facts), "a flow that matches eth_type(0x894f)");
  }
  if (facts.hasEthernet) {
    refuse(path, action.at, "an Ethernet header is before NSH", "pop_eth before pop_nsh");
  }
  facts.ethType = ETH_TYPE_UNPARSED;
}

export function requireEthernet({ action, path, facts }: ActionCase): void {
  if (!facts.hasEthernet) {
    refuse(path, action.at, "the flow's packets have no Ethernet header", "a flow that matches eth()");
  }
}

function requireNoVlan({ action, path, facts }: ActionCase): void {
  if (facts.hasVlan) refuse(path, action.at, "the packets have a VLAN tag", "pop_vlan before it");
}

/** What is known of the Ethertype, as a reason to refuse. */
export function describeType({ ethType }: FlowFacts): string {
  if (ethType === undefined) return "the flow does not match the Ethertype";
  if (ethType === ETH_TYPE_UNPARSED) return "what the pop before it uncovered was not parsed (recirc first)";
  return `the packets are of Ethertype ${hex(ethType)}`;
}
