// What is addressed to a tunnel endpoint of ours: a packet of a tunnel gets a megaflow that ends the tunnel
// (tnl_pop), as OVS's tnl_port_map answers; ARP and neighbour discovery for our addresses are answered and learned
// from. Everything else the policy behind it decides; what came out of a tunnel keeps its congestion marks then.
import { ACTION } from "../action/attributes.ts";
import { parseActions } from "../action/odp/parse-actions.ts";
import { FRAG_NO, K } from "../flow/fields.ts";
import { fieldBytes, getNumber, newKey, setOnes } from "../flow/key.ts";
import { NlWriter } from "../flow/nlattr.ts";
import { ETH_TYPE } from "../packet/link-headers.ts";
import { IP_PROTOCOL } from "../packet/network-headers.ts";
import { ICMPV6_TYPE } from "../packet/transport-headers.ts";
import { type Endpoint, hasAddress } from "../tunnel/endpoints.ts";
import { type Ip, ipFromBytes } from "../tunnel/ip.ts";
import { findListener } from "../tunnel/listeners.ts";
import { ARP_OPERATION, arpReply, neighbourAdvertisement } from "../tunnel/resolution.ts";
import type { Listener, TunnelState } from "../tunnel/state.ts";
import type { Changes, Decision, FlowDecision, OwnPacket, Policy, PolicyPacket } from "../upcall/policy.ts";

const ECN_MASK = 3;
const ECN_NOT_ECT = 0;
const ECN_CE = 3;
const NO_ACTIONS = new Uint8Array(0);
/** By Ethertype: what marks a packet. */
const MARKS: ReadonlyMap<number, Uint8Array> = new Map<number, Uint8Array>([
  [ETH_TYPE.ipv4, parseActions("set(ipv4(tos=0x3/0x3))")],
  [ETH_TYPE.ipv6, parseActions("set(ipv6(tclass=0x3/0x3))")],
]);
const CHANGED_ALL: Changes = { all: true, subjects: new Set() };

export class TunnelPolicy implements Policy {
  readonly #inner: Policy;
  #endpoints: ReadonlyMap<number, Endpoint> = new Map();
  #listeners: readonly Listener[] = [];
  #tunnelPorts: ReadonlySet<number> = new Set();
  #hasChanged = false;

  /** @param inner decides what this one does not */
  constructor(inner: Policy) {
    this.#inner = inner;
  }

  setState({ endpoints, listeners }: Pick<TunnelState, "endpoints" | "listeners">): void {
    this.#endpoints = new Map(endpoints.map((endpoint) => [endpoint.portNo, endpoint]));
    this.#listeners = listeners;
    this.#tunnelPorts = new Set(listeners.map(({ portNo }) => portNo));
    this.#hasChanged = true;
  }

  decide(key: Uint8Array, nowMillis: number): Decision {
    return this.#popDecision(key) ?? this.#keepCongestion(key, this.#inner.decide(key, nowMillis));
  }

  review(key: Uint8Array): Decision | null {
    const popped = this.#popDecision(key);
    if (popped !== undefined) return popped;
    const decision = this.#inner.review(key);
    return decision === null ? null : this.#keepCongestion(key, decision);
  }

  refresh(key: Uint8Array, usedMillis: number, bytes: number): void {
    if (this.#popDecision(key) === undefined) this.#inner.refresh(key, usedMillis, bytes);
  }

  tick(nowMillis: number): boolean {
    return this.#inner.tick(nowMillis);
  }

  nextPacket(): PolicyPacket | undefined {
    return this.#inner.nextPacket?.();
  }

  takeChanges(): Changes | null {
    const changes = this.#inner.takeChanges();
    if (!this.#hasChanged) return changes;
    this.#hasChanged = false;
    return CHANGED_ALL;
  }

  own(key: Uint8Array, packet: () => Uint8Array): OwnPacket | undefined {
    const endpoint = this.#endpointOf(key);
    if (endpoint === undefined) return undefined;
    const ethType = getNumber(key, "eth_type");
    if (ethType === ETH_TYPE.arp) return ownArp(endpoint, key, packet);
    const isIcmpv6 = ethType === ETH_TYPE.ipv6 && getNumber(key, "nw_proto") === IP_PROTOCOL.icmpv6;
    return isIcmpv6 ? ownNeighbourMessage(endpoint, key, packet) : undefined;
  }

  /** The endpoint at the packet's port, for untagged packets just received. */
  #endpointOf(key: Uint8Array): Endpoint | undefined {
    if (getNumber(key, "recirc_id") !== 0 || getNumber(key, "vlan_tci") !== 0) return undefined;
    if (getNumber(key, "packet_type") !== 0) return undefined;
    return this.#endpoints.get(getNumber(key, "in_port"));
  }

  #keepCongestion(key: Uint8Array, decision: Decision): Decision {
    if (decision.kind !== "flow" || !this.#tunnelPorts.has(getNumber(key, "in_port"))) return decision;
    return underOuterEcn(key, decision);
  }

  #popDecision(key: Uint8Array): FlowDecision | undefined {
    const endpoint = this.#endpointOf(key);
    if (endpoint === undefined) return undefined;
    const destination = destinationOf(key);
    if (destination === undefined || !hasAddress(endpoint, destination)) return undefined;
    if (!equal(fieldBytes(key, "eth_dst"), endpoint.mac) || key[K.nw_frag] !== FRAG_NO) return undefined;
    const listener = findListener(this.#listeners, getNumber(key, "nw_proto"), getNumber(key, "tp_dst"));
    if (listener === undefined) return undefined;
    const actions = new NlWriter();
    actions.putU32(ACTION.tunnelPop, listener.portNo);
    return { kind: "flow", mask: popMask(key, listener), actions: actions.finish(), subjects: [] };
  }
}

/**
 * What an outer header with CE (RFC 3168 section 9.1.1, RFC 6040 section 4.2) means for the packet inside: CE goes in,
 * and a packet that cannot carry it is dropped. Other combinations leave the inner mark, as in OVS (tnl_process_ecn).
 */
function underOuterEcn(key: Uint8Array, { mask, actions, ...decision }: FlowDecision): FlowDecision {
  const widened = mask.slice();
  widened[K.tun_tos]! |= ECN_MASK;
  const mark = MARKS.get(getNumber(key, "eth_type"));
  if (mark === undefined || (key[K.tun_tos]! & ECN_MASK) !== ECN_CE)
    return { ...decision, mask: widened, actions };
  widened[K.nw_tos]! |= ECN_MASK;
  const inner = key[K.nw_tos]! & ECN_MASK;
  if (inner === ECN_NOT_ECT) return { ...decision, mask: widened, actions: NO_ACTIONS };
  const isMarked = inner === ECN_CE || actions.length === 0;
  return { ...decision, mask: widened, actions: isMarked ? actions : Buffer.concat([mark, actions]) };
}

function destinationOf(key: Uint8Array): Ip | undefined {
  const ethType = getNumber(key, "eth_type");
  if (ethType === ETH_TYPE.ipv4) return ipFromBytes(key, K.nw_dst, 4);
  return ethType === ETH_TYPE.ipv6 ? ipFromBytes(key, K.ipv6_dst, 16) : undefined;
}

function popMask(key: Uint8Array, listener: Listener): Uint8Array {
  const mask = newKey();
  const isV4 = getNumber(key, "eth_type") === ETH_TYPE.ipv4;
  for (const name of [
    "in_port",
    "recirc_id",
    "packet_type",
    "eth_dst",
    "eth_type",
    "vlan_tpid",
    "vlan_tci",
    "nw_frag",
    "nw_proto",
    isV4 ? "nw_dst" : "ipv6_dst",
  ] as const) {
    setOnes(mask, name);
  }
  if (listener.dstPort !== 0) setOnes(mask, "tp_dst");
  return mask;
}

/** Requests for our addresses are answered; replies to them and gratuitous messages are learned from. */
function ownArp(endpoint: Endpoint, key: Uint8Array, packet: () => Uint8Array): OwnPacket | undefined {
  const operation = getNumber(key, "nw_proto");
  const sender = ipFromBytes(key, K.nw_src, 4);
  const target = ipFromBytes(key, K.nw_dst, 4);
  const isOurs = hasAddress(endpoint, target);
  const mac = fieldBytes(key, "arp_sha").slice();
  const teaches = !isZero(mac) && (sender === target || (operation === ARP_OPERATION.reply && isOurs));
  const learned =
    teaches && !hasAddress(endpoint, sender) ? { portName: endpoint.name, ip: sender, mac } : null;
  if (operation === ARP_OPERATION.request && isOurs && sender !== target) {
    return { reply: arpReply(packet(), endpoint.mac), learned };
  }
  return learned === null && !isOurs ? undefined : { reply: null, learned };
}

function ownNeighbourMessage(
  endpoint: Endpoint,
  key: Uint8Array,
  packet: () => Uint8Array,
): OwnPacket | undefined {
  const type = getNumber(key, "tp_src");
  const target = ipFromBytes(key, K.nd_target, 16);
  if (type === ICMPV6_TYPE.neighborSolicitation) {
    if (!hasAddress(endpoint, target)) return undefined;
    return { reply: neighbourAdvertisement(packet(), endpoint.mac), learned: null };
  }
  const mac = fieldBytes(key, "arp_tha").slice();
  const isForUs = hasAddress(endpoint, ipFromBytes(key, K.ipv6_dst, 16));
  if (type !== ICMPV6_TYPE.neighborAdvertisement || !isForUs) return undefined;
  return { reply: null, learned: isZero(mac) ? null : { portName: endpoint.name, ip: target, mac } };
}

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);
const equal = (left: Uint8Array, right: Uint8Array): boolean =>
  left.every((byte, index) => byte === right[index]);
