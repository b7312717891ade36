// Random OpenFlow action lists that fit a packet. What the packet looks like by then is followed along, because OpenFlow
// refuses a list that sets a field which the packet cannot have.
import { KeyExtractor } from "../../../src/flow/extract-key.ts";
import { getNumber } from "../../../src/flow/key.ts";
import { bytesToHex } from "../../../src/packet/bytes.ts";
import type { SeededRandom } from "../random.ts";
import { CASE_IN_PORT, CASE_VLAN_LIMIT } from "./case.ts";
import { packetFacts } from "./packet-facts.ts";
import type { RuleCase } from "./rule-case.ts";

const ACTIONS_MAX = 8;
/** Labels that Open vSwitch follows. */
const LABELS_MAX = 3;
const MATCHES: ReadonlyMap<number, string> = new Map([
  [0x0800, "ip"],
  [0x86dd, "ipv6"],
  [0x8847, "mpls"],
  [0x8848, "mplsm"],
  [0x0806, "arp"],
]);
const PACKETS_MAX = 3;
const NSH_TYPE = 0x894f;

/** The outermost header of the packet by then. */
interface Shape {
  readonly isEthernet: boolean;
  readonly etherType: number;
  readonly tags: number;
  /** Labels pushed here. */
  readonly labels: number;
  readonly transport: "tcp" | "udp" | "sctp" | undefined;
  /** Of what is below pushed labels. */
  readonly innerType: number;
  readonly isNsh: boolean;
}

type Step = (random: SeededRandom, shape: Shape) => readonly [action: string, after: Shape] | undefined;

const isMpls = ({ etherType }: Shape): boolean => etherType === 0x8847 || etherType === 0x8848;
const isIp = ({ etherType }: Shape): boolean => etherType === 0x0800 || etherType === 0x86dd;
const macText = (random: SeededRandom): string => `02:00:00:00:00:${(10 + random.below(80)).toString()}`;
const hexType = (type: number): string => `0x${type.toString(16).padStart(4, "0")}`;

const output: Step = (random, shape) => {
  const portNo = 2 + random.below(3);
  const action = random.chance(0.15)
    ? `output(port=${portNo},max_len=${60 + random.below(60)})`
    : `output:${portNo}`;
  return [action, shape];
};

const pushMpls: Step = (random, shape) => {
  // A label in front of a tag is one that Open vSwitch takes off and puts on again, as OpenFlow has it.
  if (!shape.isEthernet || shape.tags > 0 || shape.labels >= LABELS_MAX || shape.isNsh) return undefined;
  if (!isMpls(shape) && !isIp(shape) && shape.etherType !== 0x0806) return undefined;
  const etherType = random.chance(0.8) ? 0x8847 : 0x8848;
  const innerType = shape.labels === 0 && !isMpls(shape) ? shape.etherType : shape.innerType;
  return [`push_mpls:${hexType(etherType)}`, { ...shape, etherType, innerType, labels: shape.labels + 1 }];
};

const popMpls: Step = (random, shape) => {
  if (!shape.isEthernet || !isMpls(shape) || shape.tags > 0) return undefined;
  const isLast = shape.labels === 1 && !(shape.innerType === 0x8847 || shape.innerType === 0x8848);
  if (shape.labels > 1) {
    return [`pop_mpls:${hexType(shape.etherType)}`, { ...shape, labels: shape.labels - 1 }];
  }
  const etherType = isLast ? shape.innerType : random.pick([0x0800, 0x86dd, 0x8847]);
  const after = { ...shape, etherType, labels: 0, transport: isLast ? shape.transport : undefined };
  return [`pop_mpls:${hexType(etherType)}`, after];
};

const setMpls: Step = (random, shape) => {
  if (!isMpls(shape)) return undefined;
  const action = random.pick([
    `set_field:${random.below(1 << 20)}->mpls_label`,
    `set_field:${random.below(8)}->mpls_tc`,
    `set_mpls_ttl(${1 + random.below(255)})`,
    "dec_mpls_ttl",
  ]);
  return [action, shape];
};

const pushVlan: Step = (random, shape) => {
  if (!shape.isEthernet || shape.tags >= CASE_VLAN_LIMIT) return undefined;
  const tpid = random.chance(0.7) ? "0x8100" : "0x88a8";
  const vid = 0x1000 | random.below(4096);
  return [`push_vlan:${tpid},set_field:${vid}->vlan_vid`, { ...shape, tags: shape.tags + 1 }];
};

const popVlan: Step = (_random, shape) =>
  shape.isEthernet && shape.tags > 0 ? ["pop_vlan", { ...shape, tags: shape.tags - 1 }] : undefined;

const setEthernet: Step = (random, shape) => {
  if (!shape.isEthernet) return undefined;
  const action = random.pick([
    `set_field:${macText(random)}->eth_src`,
    `set_field:${macText(random)}->eth_dst`,
    "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
  ]);
  return [action, shape];
};

const setNetwork: Step = (random, shape) => {
  if (!isIp(shape) || shape.isNsh) return undefined;
  const address =
    shape.etherType === 0x0800
      ? `set_field:10.1.${random.below(256)}.${random.below(256)}->${random.pick(["ip_src", "ip_dst"])}`
      : `set_field:fd00::${random.below(9999)}->${random.pick(["ipv6_src", "ipv6_dst"])}`;
  const action = random.pick([
    address,
    address,
    "dec_ttl",
    `set_field:${1 + random.below(255)}->nw_ttl`,
    `set_field:${random.below(64)}->ip_dscp`,
    `set_field:${random.below(4)}->nw_ecn`,
  ]);
  return [action, shape];
};

const decapEthernet: Step = (_random, shape) => {
  if (!shape.isEthernet || shape.tags > 0 || shape.isNsh) return undefined;
  return isIp(shape) || isMpls(shape) ? ["decap()", { ...shape, isEthernet: false }] : undefined;
};

const encapEthernet: Step = (random, shape) => {
  if (shape.isEthernet) return undefined;
  return [`encap(ethernet),set_field:${macText(random)}->eth_dst`, { ...shape, isEthernet: true }];
};

const encapMpls: Step = (_random, shape) => {
  if (shape.tags > 0 || shape.isNsh || shape.labels >= LABELS_MAX || isMpls(shape)) return undefined;
  // Behind an Ethernet header it carries the whole frame.
  const innerType = shape.isEthernet ? 0x6558 : shape.etherType;
  return [
    "encap(mpls)",
    { ...shape, isEthernet: false, etherType: 0x8847, innerType, labels: 1, transport: undefined },
  ];
};

const encapNsh: Step = (random, shape) => {
  if (shape.isNsh || shape.tags > 0 || (!shape.isEthernet && !isIp(shape))) return undefined;
  const set = random.chance(0.5) ? `,set_field:${random.below(1 << 24)}->nsh_spi` : "";
  return [
    `encap(nsh(md_type=1))${set}`,
    { ...shape, isEthernet: false, etherType: 0x894f, isNsh: true, labels: 0, transport: undefined },
  ];
};

const group: Step = (random, shape) =>
  shape.isEthernet ? [`group:${1 + random.below(2)}`, shape] : undefined;

const checkLarger: Step = (random, shape) =>
  shape.isEthernet && shape.tags === 0
    ? [`check_pkt_larger(${20 + random.below(180)})->NXM_NX_REG0[0],resubmit(,${1 + random.below(2)})`, shape]
    : undefined;

const clone: Step = (random, shape) => {
  const list: string[] = [];
  let inside = shape;
  for (let count = 1 + random.below(3); count > 0; count -= 1) {
    const step = random.pick(PLAIN)(random, inside);
    if (step === undefined) continue;
    list.push(step[0]);
    inside = step[1];
  }
  list.push(`output:${2 + random.below(3)}`);
  return inside.isEthernet ? [`clone(${list.join(",")})`, shape] : undefined;
};

/** Steps that may stand in a clone, too. */
const PLAIN: readonly Step[] = [
  ...[pushMpls, pushMpls, pushMpls, popMpls, popMpls, setMpls, setMpls],
  ...[pushVlan, popVlan, setEthernet, setNetwork, setNetwork],
  ...[decapEthernet, decapEthernet, encapEthernet, encapMpls, encapNsh],
];
const STEPS: readonly Step[] = [...PLAIN, output, output, output, group, group, checkLarger, clone];

/** Lists that leave the packet without Ethernet header get one before the last output: no port takes others. */
export function drawRule(random: SeededRandom, packet: Uint8Array): Pick<RuleCase, "match" | "rule"> {
  const key = new KeyExtractor(CASE_VLAN_LIMIT).extract(packet, CASE_IN_PORT);
  const facts = packetFacts(key);
  let shape: Shape = {
    isEthernet: true,
    etherType: facts.etherType,
    tags: facts.isTagged ? 1 : 0,
    labels: 0,
    transport: facts.transport,
    innerType: facts.etherType,
    isNsh: facts.isNsh,
  };
  // OpenFlow 1.1 and newer want a meter in front.
  const list = random.chance(0.1) ? ["meter:1"] : [];
  const take = (step: ReturnType<Step>): void => {
    if (step === undefined) return;
    list.push(step[0]);
    shape = step[1];
  };
  for (let count = 1 + random.below(ACTIONS_MAX); count > 0; count -= 1) {
    const next = random.pick(STEPS);
    if (next === output && !shape.isEthernet) continue;
    take(next(random, shape));
  }
  if (!shape.isEthernet) take(encapEthernet(random, shape));
  take(output(random, shape));
  const match = [
    MATCHES.get(facts.etherType),
    facts.isTagged ? "vlan_tci=0x1000/0x1000" : "vlan_tci=0/0x1000",
  ];
  return { match: match.filter((field) => field !== undefined).join(","), rule: list.join(",") };
}

const fieldOfPacket = (packet: Uint8Array, field: "vlan_tpid" | "vlan2_tpid" | "eth_type"): number =>
  getNumber(new KeyExtractor(CASE_VLAN_LIMIT).extract(packet, CASE_IN_PORT), field);

/** What a rule is tried on: a second tag is matched less by Open vSwitch's own flows than their text says. */
export const rulePool = (pool: readonly Uint8Array[]): readonly Uint8Array[] =>
  pool.filter((packet) => fieldOfPacket(packet, "vlan2_tpid") === 0);

/** Open vSwitch's own flows do not match the TPID, nor the kind of NSH metadata, although their text says so. */
const isToldApart = (other: Uint8Array, packet: Uint8Array): boolean =>
  fieldOfPacket(other, "vlan_tpid") === fieldOfPacket(packet, "vlan_tpid") &&
  fieldOfPacket(other, "eth_type") !== NSH_TYPE;

/**
 * A case of a rule. Behind a hash there is one packet: flows for two values of it are one flow where the value is left out.
 */
export function drawRuleCase(random: SeededRandom, pool: readonly Uint8Array[]): RuleCase {
  const packet = random.pick(pool);
  const drawn = drawRule(random, packet);
  const packets = [packet];
  const more = drawn.rule.includes("group:") ? 0 : random.below(PACKETS_MAX);
  for (let count = more; count > 0; count -= 1) {
    const other = random.pick(pool);
    if (isToldApart(other, packet)) packets.push(other);
  }
  return { ...drawn, packets: packets.map((bytes) => bytesToHex(bytes)) };
}
