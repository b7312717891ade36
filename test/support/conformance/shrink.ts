// Makes a case smaller as long as it still shows what it is shrunk for. Every step takes something away, so it ends.
import { type ConformanceCase, type FlowText, nestedLists, splitText } from "./case.ts";

const ETHERNET_HEX_DIGITS = 28;

/** Questions to both switches that one shrinking may cost: some seconds. */
const TRIES_MAX = 600;

/** @param stillShows whether a smaller case shows the same; it may ask both switches */
export const shrinkCase = (
  given: ConformanceCase,
  stillShows: (smaller: ConformanceCase) => Promise<boolean>,
): Promise<ConformanceCase> => shrink(given, smallerCases, stillShows);

/** @param smallerOf steps that each take something away, those that take most first */
export async function shrink<Case>(
  given: Case,
  smallerOf: (given: Case) => Iterable<Case>,
  stillShows: (smaller: Case) => Promise<boolean>,
): Promise<Case> {
  let smallest = given;
  let tries = 0;
  for (let hasShrunk = true; hasShrunk; ) {
    hasShrunk = false;
    // Candidates before this one were tried in this round already, on a case that was little larger.
    let position = 0;
    for (let found = true; found; ) {
      found = false;
      for (const smaller of [...smallerOf(smallest)].slice(position)) {
        tries += 1;
        if (tries > TRIES_MAX) return smallest;
        if (await stillShows(smaller)) {
          smallest = smaller;
          found = hasShrunk = true;
          break;
        }
        position += 1;
      }
    }
  }
  return smallest;
}

function* smallerCases({ flows, packets }: ConformanceCase): Generator<ConformanceCase> {
  for (const index of packets.keys()) yield { flows, packets: packets.toSpliced(index, 1) };
  for (let index = flows.length - 1; index > 0; index -= 1)
    yield { flows: flows.toSpliced(index, 1), packets };
  for (const [index, { flow, actions }] of flows.entries()) {
    const withFlow = (smaller: FlowText): ConformanceCase => ({ flows: flows.with(index, smaller), packets });
    for (const shorter of shorterLists(actions)) yield withFlow({ flow, actions: shorter });
    for (const shorter of shorterFlows(flow)) yield withFlow({ flow: shorter, actions });
  }
  for (const [index, packet] of packets.entries()) {
    for (const shorter of shorterPackets(packet)) yield { flows, packets: packets.with(index, shorter) };
  }
}

function* shorterLists(actions: string): Generator<string> {
  const list = splitText(actions);
  if (list.length > 1) for (const index of list.keys()) yield list.toSpliced(index, 1).join(",");
  for (const [index, action] of list.entries()) {
    const open = action.indexOf("(");
    if (open < 0) continue;
    const name = action.slice(0, open);
    const inner = action.slice(open + 1, -1);
    for (const nested of nestedLists(name, inner)) {
      if (nested !== "drop") yield list.with(index, nested).join(",");
      for (const shorter of shorterLists(nested)) {
        yield list.with(index, `${name}(${inner.replace(nested, shorter)})`).join(",");
      }
    }
    for (const fewer of fewerMembers(action)) yield list.with(index, fewer).join(",");
  }
}

/** `set(ipv4(src=1.2.3.4,ttl=3))` with a member less. */
function* fewerMembers(action: string): Generator<string> {
  const found = /^set\((\w+)\((.*)\)\)$/.exec(action);
  if (found === null) return;
  const members = splitText(found[2]!);
  if (members.length < 2) return;
  for (const index of members.keys()) yield `set(${found[1]}(${members.toSpliced(index, 1).join(",")}))`;
}

/** Fields whose absence leaves the flow a flow of the same packets. */
const REMOVABLE = /^(?:skb_|ct_|dp_hash|recirc_id\(0\)|packet_type|tcp_flags\(0\/0\))/;
/** Fields whose members may be left out one by one. */
const SHORTENED = /^(?:eth|ipv4|ipv6|tcp|udp|sctp|icmp|icmpv6|nd|arp)\(/;

/** A field less, or a member of one. */
function* shorterFlows(flow: string): Generator<string> {
  const fields = splitText(flow);
  for (const [index, field] of fields.entries()) {
    if (REMOVABLE.test(field)) yield fields.toSpliced(index, 1).join(",");
    const inner = field.slice(field.indexOf("(") + 1, -1);
    if (field.startsWith("encap(")) {
      for (const shorter of shorterFlows(inner)) yield fields.with(index, `encap(${shorter})`).join(",");
    } else if (SHORTENED.test(field)) {
      const name = field.slice(0, field.indexOf("("));
      const members = splitText(inner);
      for (const [at, member] of members.entries()) {
        if (/^(?:proto|frag)=/.test(member)) continue;
        yield fields.with(index, `${name}(${members.toSpliced(at, 1).join(",")})`).join(",");
      }
    }
  }
}

/** Half of what is behind the Ethernet header, a byte less, or a byte that is zero. */
export function* shorterPackets(packet: string): Generator<string> {
  const body = packet.length - ETHERNET_HEX_DIGITS;
  for (const digits of [body >> 1, 16, 2]) {
    const even = digits & ~1;
    if (even > 0 && even < body) yield packet.slice(0, packet.length - even);
  }
  for (let at = packet.length - 2; at >= 0; at -= 2) {
    if (packet.slice(at, at + 2) !== "00") yield `${packet.slice(0, at)}00${packet.slice(at + 2)}`;
  }
}
