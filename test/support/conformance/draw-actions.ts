// Random action lists that fit a packet. One maker for each action that Open vSwitch's text can say; a candidate joins
// the list when our validation takes it behind what is there already, so lists grow with what is carried out.
import type { SeededRandom } from "../random.ts";
import { CASE_ABSENT_PORT, CASE_PORT_COUNT } from "./case.ts";
import { COOKIE_BYTES, PIDS } from "./millrace-side.ts";
import type { PacketFacts } from "./packet-facts.ts";

export interface ActionDraw {
  readonly random: SeededRandom;
  readonly facts: PacketFacts;
  /** Whether a flow with this key and mask may have the list. */
  readonly isValid: (actions: string) => boolean;
  /** The recirculation that this list may ask for; undefined for none. */
  readonly recircId: number | undefined;
}

type Maker = (draw: ActionDraw, depth: number) => string | undefined;

const NESTING_MAX = 3;
const TRIES_PER_ACTION = 4;
/** Of all ports, and an output that goes nowhere. */
const PORTS_DRAWN = [...Array.from({ length: CASE_PORT_COUNT }, (_, index) => index + 1), CASE_ABSENT_PORT];

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** `value` or `value/mask`, without value bits outside the mask. */
function number(random: SeededRandom, bits: number): string {
  const all = 2 ** bits - 1;
  const any = (): number => random.below(all + 1);
  if (random.chance(0.5)) return `0x${random.pick([0, all, any()]).toString(16)}`;
  const mask = random.chance(0.2) ? all : 1 + random.below(all);
  return `0x${Number(BigInt(any()) & BigInt(mask)).toString(16)}/0x${mask.toString(16)}`;
}

/** Bytes and mask as text of a form. */
function masked(random: SeededRandom, bytes: number, form: (bytes: Uint8Array) => string): string {
  const value = random.chance(0.2) ? new Uint8Array(bytes) : random.bytes(bytes);
  if (random.chance(0.5)) return form(value);
  const mask = random.bytes(bytes).map((byte) => (random.chance(0.3) ? 0xff : byte));
  return `${form(value.map((byte, at) => byte & mask[at]!))}/${form(mask)}`;
}

const macForm = (bytes: Uint8Array): string => hex(bytes).replace(/..(?!$)/g, "$&:");
const ipv4Form = (bytes: Uint8Array): string => bytes.join(".");
const ipv6Form = (bytes: Uint8Array): string => hex(bytes).replace(/....(?!$)/g, "$&:");

/** Some of the members, one at least. */
function members(random: SeededRandom, makers: Readonly<Record<string, () => string>>): string {
  const names = Object.keys(makers);
  const chosen = names.filter(() => random.chance(0.5));
  if (chosen.length === 0) chosen.push(random.pick(names));
  return chosen.map((name) => `${name}=${makers[name]!()}`).join(",");
}

/** All members, each exact: for actions whose text has no masks. */
const exact = (random: SeededRandom, bits: number): string => `0x${random.below(2 ** bits).toString(16)}`;

function setEthernet({ random }: ActionDraw): string {
  const mac = (): string => masked(random, 6, macForm);
  return `set(eth(${members(random, { src: mac, dst: mac })}))`;
}

function setNetwork({ random, facts }: ActionDraw): string | undefined {
  if (!facts.hasNetwork) return undefined;
  if (facts.version === 6) {
    const address = (): string => masked(random, 16, ipv6Form);
    const label = (): string => number(random, 20);
    const byte = (): string => number(random, 8);
    return `set(ipv6(${members(random, { src: address, dst: address, label, tclass: byte, hlimit: byte })}))`;
  }
  const address = (): string => masked(random, 4, ipv4Form);
  const byte = (): string => number(random, 8);
  return `set(ipv4(${members(random, { src: address, dst: address, tos: byte, ttl: byte })}))`;
}

function setTransport({ random, facts }: ActionDraw): string | undefined {
  if (facts.transport === undefined) return undefined;
  const port = (): string => number(random, 16);
  return `set(${facts.transport}(${members(random, { src: port, dst: port })}))`;
}

function setControl({ random, facts }: ActionDraw): string | undefined {
  const byte = (): string => exact(random, 8);
  if (facts.control === undefined) return undefined;
  return `set(${facts.control}(type=${byte()},code=${byte()}))`;
}

function setArp({ random, facts }: ActionDraw): string | undefined {
  if (!facts.isArp) return undefined;
  const address = (): string => masked(random, 4, ipv4Form);
  const mac = (): string => masked(random, 6, macForm);
  const op = (): string => String(1 + random.below(4));
  return `set(arp(${members(random, { sip: address, tip: address, op, sha: mac, tha: mac })}))`;
}

function setNd({ random, facts }: ActionDraw): string | undefined {
  if (!facts.isNd) return undefined;
  const mac = (): string => masked(random, 6, macForm);
  const target = (): string => masked(random, 16, ipv6Form);
  return `set(nd(${members(random, { target, sll: mac, tll: mac })}))`;
}

function setMpls({ random, facts }: ActionDraw): string | undefined {
  if (!facts.isMpls) return undefined;
  return `set(mpls(label=${random.below(1 << 20)},tc=${random.below(8)},ttl=${random.below(256)},bos=${random.below(2)}))`;
}

function setNsh({ random, facts }: ActionDraw): string | undefined {
  if (!facts.isNsh) return undefined;
  const context = (): string => exact(random, 30);
  return `set(nsh(${members(random, { flags: () => String(random.below(4)), ttl: () => String(random.below(64)), spi: () => exact(random, 24), si: () => exact(random, 8), c1: context })}))`;
}

function setTunnel({ random }: ActionDraw): string {
  const addresses = random.chance(0.7)
    ? `src=${ipv4Form(random.bytes(4))},dst=10.0.0.${1 + random.below(9)}`
    : `ipv6_src=fd00::${1 + random.below(9)},ipv6_dst=fd00::${1 + random.below(9)}`;
  const flags = random.pick(["key", "df|key", "df|csum|key"]);
  return `set(tunnel(tun_id=${exact(random, 24)},${addresses},tos=${exact(random, 8)},ttl=64,flags(${flags})))`;
}

function pushVlan({ random }: ActionDraw): string {
  const tpid = random.chance(0.3) ? "tpid=0x88a8," : "";
  return `push_vlan(${tpid}vid=${random.below(4096)},pcp=${random.below(8)})`;
}

function addMpls({ random, facts }: ActionDraw): string {
  const type = random.chance(0.8) ? "0x8847" : "0x8848";
  const bos = facts.isMpls ? 0 : 1;
  return `add_mpls(label=${random.below(1 << 20)},tc=${random.below(8)},ttl=${random.below(256)},bos=${bos},eth_type=${type})`;
}

function pushNsh({ random }: ActionDraw): string {
  const head = `flags=${random.below(4)},ttl=${random.below(64)}`;
  const path = `np=3,spi=${exact(random, 24)},si=${random.below(256)}`;
  if (random.chance(0.3))
    return `push_nsh(${head},mdtype=2,${path},md2=0x${hex(random.bytes(4 * (1 + random.below(5))))})`;
  const contexts = [1, 2, 3, 4].map((index) => `c${index}=${exact(random, 30)}`).join(",");
  return `push_nsh(${head},mdtype=1,${path},${contexts})`;
}

function userspace({ random }: ActionDraw): string {
  const actions = random.chance(0.2) ? ",actions" : "";
  const userdata = random.chance(0.2) ? cookie(random) : random.bytes(8 + random.below(9));
  return `userspace(pid=${random.pick(PIDS)},userdata(${hex(userdata)})${actions})`;
}

/** Of the size of OVS's own cookies, but of no type that OVS has: it says which type it found. */
function cookie(random: SeededRandom): Uint8Array {
  const bytes = random.bytes(COOKIE_BYTES);
  bytes[1] = 1 + random.below(255);
  return bytes;
}

/** A branch of check_pkt_len, which alone may be empty in OVS's text. */
function branch(draw: ActionDraw, depth: number): string {
  return draw.random.chance(0.1) ? "drop" : inner(draw, depth);
}

/** A list inside an action; validity is asked of the whole. */
function inner(draw: ActionDraw, depth: number): string {
  const { random } = draw;
  const list: string[] = [];
  for (let count = 1 + random.below(3); list.length < count; ) {
    const action = random.pick(MAKERS)(draw, depth + 1);
    if (action !== undefined) list.push(action);
  }
  return list.join(",");
}

function clone(draw: ActionDraw, depth: number): string | undefined {
  return depth < NESTING_MAX ? `clone(${inner(draw, depth)})` : undefined;
}

/** Only what always or never happens: both switches throw dice of their own for the rest. */
function sample(draw: ActionDraw, depth: number): string | undefined {
  if (depth >= NESTING_MAX) return undefined;
  return `sample(sample=${draw.random.pick(["100%", "100.0%", "0%"])},actions(${inner(draw, depth)}))`;
}

function checkPktLen(draw: ActionDraw, depth: number): string | undefined {
  if (depth >= NESTING_MAX) return undefined;
  const size = draw.random.pick([1, 60, 64, 80, 100, 1500, 65535, 1 + draw.random.below(200)]);
  return `check_pkt_len(size=${size},gt(${branch(draw, depth)}),le(${branch(draw, depth)}))`;
}

const output: Maker = ({ random }) => String(random.pick(PORTS_DRAWN));

const MAKERS: readonly Maker[] = [
  ...[output, output, output, output],
  ...[setEthernet, setNetwork, setNetwork, setTransport, setTransport],
  ...[setControl, setControl, setArp, setArp, setNd, setNd, setMpls, setMpls, setNsh, setNsh],
  ...[pushVlan, () => "pop_vlan", addMpls, pushNsh, () => "pop_nsh()"],
  ...[userspace, clone, sample, checkPktLen],
  ({ random }) => `trunc(${14 + random.below(random.chance(0.5) ? 40 : 400)})`,
  ({ random }) => `set(skb_priority(${number(random, 31)}))`,
  ({ random }) => `set(skb_mark(${number(random, 31)}))`,
  ({ random }) => `meter(${random.below(4)})`,
  setTunnel,
  () => "ct_clear",
  ({ random }) => `lb_output(${random.below(4)})`,
];

/** One to eight actions; the last one mostly shows what became of the packet. */
export function drawActions(draw: ActionDraw): string {
  const { random, isValid, recircId } = draw;
  if (random.chance(0.02)) return "drop";
  const list: string[] = [];
  const join = (make: Maker): void => {
    for (let tries = 0; tries < TRIES_PER_ACTION; tries += 1) {
      const action = make(draw, 0);
      if (action === undefined || !isValid([...list, action].join(","))) continue;
      list.push(action);
      return;
    }
  };
  for (let count = random.below(6); count > 0; count -= 1) {
    const make = random.pick(MAKERS);
    join(make);
  }
  if (recircId !== undefined) join(() => `recirc(${recircId})`);
  if (list.length === 0 || random.chance(0.9)) join(output);
  return list.join(",");
}

/** Lists that Linux' rules refuse. */
export function drawInvalid(draw: ActionDraw): string {
  const { random } = draw;
  const wrong = random.pick([
    "trunc(13)",
    "65535",
    "4294967295",
    "push_vlan(tpid=0x1234,vid=1,pcp=1)",
    "set(tcp(src=1))",
    "set(udp(dst=1/0xf))",
    "set(ipv4(proto=17))",
    "set(ipv6(tclass=1))",
    "set(mpls(label=1,tc=0,ttl=3,bos=1))",
    "check_pkt_len(size=0,gt(1),le(2))",
    "clone(trunc(1),1)",
  ]);
  return [drawActions(draw), wrong].sort(() => (random.chance(0.5) ? 1 : -1)).join(",");
}
