// Random cases: a packet, a flow that matches it, actions that fit it, flows for what it recirculates, and further packets
// that may or may not match. All of it follows from the random numbers and from what Millrace itself does.
import fc from "fast-check";
import { parseActions } from "../../../src/action/odp/parse-actions.ts";
import { validateActions } from "../../../src/action/validate.ts";
import { KeyExtractor } from "../../../src/flow/extract-key.ts";
import { getNumber, newKey, setOnes } from "../../../src/flow/key.ts";
import { parseMatch } from "../../../src/flow/odp/match.ts";
import { OdpSyntaxError } from "../../../src/flow/odp/text-cursor.ts";
import { bytesToHex } from "../../../src/packet/bytes.ts";
import { ETH } from "../../../src/packet/link-headers.ts";
import { anyFrame, validFrame } from "../frames.ts";
import type { SeededRandom } from "../random.ts";
import { CASE_IN_PORT, CASE_VLAN_LIMIT, type ConformanceCase, type FlowText } from "./case.ts";
import { drawActions, drawInvalid } from "./draw-actions.ts";
import { drawMask, flowText } from "./draw-mask.ts";
import { drawTunnelPush } from "./draw-tunnel.ts";
import type { MillraceSide } from "./millrace-side.ts";
import { missingHeader, packetFacts } from "./packet-facts.ts";

/** Recirculations of one packet. */
const RECIRCS_MAX = 3;
const RECIRC_PROBABILITY = 0.25;
const INVALID_PROBABILITY = 0.08;
const TUNNEL_PROBABILITY = 0.12;
const ERSPAN_PORT = 7;
const UNREAD = "a flow that OVS prints and does not read (no Ethertype, empty tag, cut label stack, NSH)";
const MORE_PACKETS_MAX = 3;
/** Where mutations are most telling. */
const HEADERS_BYTES = 80;
const SETS_HEADER = /set\((?!eth\(|skb_)/;

const PACKET_BYTES_MAX = 400;
const PAYLOAD_BYTES_MAX = 60;

/** Packets of all kinds, most of them valid. Drawn in pools, which is cheaper than one by one. */
export function drawPackets(seed: number, count: number): Uint8Array[] {
  const options = { payloadBytesMax: PAYLOAD_BYTES_MAX };
  const frames = fc.oneof(
    { weight: 5, arbitrary: validFrame(options) },
    { weight: 1, arbitrary: anyFrame(options) },
  );
  return fc.sample(frames, { seed, numRuns: count }).filter((frame) => frame.length <= PACKET_BYTES_MAX);
}

/** What was not tried, by reason: said in the report, so that nothing is passed over in silence. */
export type LeftOut = (reason: string) => void;

export class CaseDrawer {
  readonly #side: MillraceSide;
  readonly #pool: readonly Uint8Array[];
  readonly #leftOut: LeftOut;
  readonly #extractor = new KeyExtractor(CASE_VLAN_LIMIT);

  constructor(side: MillraceSide, pool: readonly Uint8Array[], leftOut: LeftOut) {
    this.#side = side;
    this.#pool = pool;
    this.#leftOut = leftOut;
  }

  async draw(random: SeededRandom): Promise<ConformanceCase | undefined> {
    const packet = random.pick(this.#pool);
    const key = this.#extractor.extract(packet, CASE_IN_PORT);
    if (random.chance(TUNNEL_PROBABILITY)) return this.#drawTunnel(packet, key, random);
    const isInvalid = random.chance(INVALID_PROBABILITY);
    const first = this.#drawFlow(key, random, isInvalid ? undefined : 1, isInvalid);
    if (first === undefined) {
      this.#leftOut(UNREAD);
      return undefined;
    }
    if (isInvalid) return { flows: [first], packets: [] };
    const flows = await this.#follow(first, packet, random);
    return { flows, packets: [bytesToHex(packet), ...this.#morePackets(flows, packet, random)] };
  }

  /** A packet that gets a tunnel's headers, or one that has them and loses them. */
  async #drawTunnel(
    packet: Uint8Array,
    key: Uint8Array,
    random: SeededRandom,
  ): Promise<ConformanceCase | undefined> {
    const first = this.#drawFlow(key, random, undefined);
    if (first === undefined) {
      this.#leftOut(UNREAD);
      return undefined;
    }
    const isPushed = random.chance(0.5);
    const push = drawTunnelPush(random, isPushed);
    const inside = random.pick([
      `${push.text},2`,
      `clone(${push.text},2),3`,
      `${first.actions},clone(${push.text},4)`,
    ]);
    const packets = [bytesToHex(packet)];
    if (isPushed) return { flows: [{ flow: first.flow, actions: inside }], packets };
    const flows = [{ flow: first.flow, actions: `${push.text},2` }];
    const { fates } = await this.#side.ask({ flows, packets });
    const outer = fates[0]!.outputs[0]?.bytes;
    return outer === undefined ? undefined : this.#drawPop(outer, push.portNo, random);
  }

  async #drawPop(
    outer: Uint8Array,
    portNo: number,
    random: SeededRandom,
  ): Promise<ConformanceCase | undefined> {
    const flow = flowText(this.#extractor.extract(outer, CASE_IN_PORT), outerMask(), random);
    if (flow === undefined) return undefined;
    const flows = [{ flow, actions: random.pick([`tnl_pop(${portNo})`, `2,tnl_pop(${portNo})`]) }];
    const packets = [bytesToHex(outer)];
    const { fates } = await this.#side.ask({ flows, packets });
    const miss = fates[0]!.upcalls.find(
      ({ kind, key }) => kind === "miss" && getNumber(key, "in_port") === portNo,
    );
    const next = miss === undefined ? undefined : this.#drawFlow(miss.key, random, undefined);
    if (next !== undefined) flows.push(next);
    for (let count = random.below(MORE_PACKETS_MAX + 1); count > 0; count -= 1) {
      const other = mutate(outer, random);
      // Open vSwitch reads an ERSPAN header where it is behind a sequence number, whether there is one or not, and prints
      // four of the six bits of a hardware id.
      if (portNo === ERSPAN_PORT) this.#leftOut("a damaged ERSPAN packet");
      // Open vSwitch goes by the version alone and reads an IPv6 header behind the Ethertype of IPv4.
      else if (ipVersion(other) !== ipVersion(outer)) this.#leftOut("an outer header of another IP version");
      else packets.push(bytesToHex(other));
    }
    return { flows, packets };
  }

  #drawFlow(
    key: Uint8Array,
    random: SeededRandom,
    recircId: number | undefined,
    isInvalid = false,
  ): FlowText | undefined {
    const flow = flowText(key, drawMask(key, random), random);
    if (flow === undefined) return undefined;
    const match = parseMatch(flow, { vlanLimit: CASE_VLAN_LIMIT });
    const isValid = (actions: string): boolean => {
      try {
        return validateActions(parseActions(actions), match.key, match.mask) === undefined;
      } catch (error) {
        if (error instanceof OdpSyntaxError) return false;
        throw error;
      }
    };
    const asked = random.chance(RECIRC_PROBABILITY) ? recircId : undefined;
    const draw = { random, facts: packetFacts(key), isValid, recircId: asked };
    return { flow, actions: isInvalid ? drawInvalid(draw) : drawActions(draw) };
  }

  /** Adds a flow for what recirculates, as long as something does. */
  async #follow(first: FlowText, packet: Uint8Array, random: SeededRandom): Promise<FlowText[]> {
    const flows = [first];
    while (flows.length <= RECIRCS_MAX && flows.at(-1)!.actions.includes("recirc(")) {
      const { fates } = await this.#side.ask({ flows, packets: [bytesToHex(packet)] });
      const miss = fates[0]!.upcalls.find(
        ({ kind, key }) => kind === "miss" && getNumber(key, "recirc_id") === flows.length,
      );
      if (miss === undefined) break;
      const next = flows.length < RECIRCS_MAX ? flows.length + 1 : undefined;
      const flow = this.#drawFlow(miss.key, random, next);
      if (flow === undefined) break;
      flows.push(flow);
    }
    return flows;
  }

  #morePackets(flows: readonly FlowText[], packet: Uint8Array, random: SeededRandom): string[] {
    // What a recirculated packet looks like by then is not known here.
    if (flows.slice(1).some(({ actions }) => SETS_HEADER.test(actions))) return [];
    const packets: string[] = [];
    for (let count = random.below(MORE_PACKETS_MAX + 1); count > 0; count -= 1) {
      const other = random.chance(0.7) ? mutate(packet, random) : random.pick(this.#pool);
      const facts = packetFacts(this.#extractor.extract(other, CASE_IN_PORT));
      const missing = missingHeader(flows[0]!.actions, facts);
      if (missing === undefined) packets.push(bytesToHex(other));
      else this.#leftOut(`a further packet without the ${missing} that is set`);
    }
    return packets;
  }
}

function mutate(packet: Uint8Array, random: SeededRandom): Uint8Array {
  const changed = packet.slice();
  const at = random.below(Math.min(changed.length, HEADERS_BYTES));
  changed[at] = random.chance(0.5) ? changed[at]! ^ (1 << random.below(8)) : random.below(256);
  return changed;
}

/** What an outer packet is taken in by: its type and protocol. */
function outerMask(): Uint8Array {
  const mask = newKey();
  for (const field of [
    "in_port",
    "recirc_id",
    "packet_type",
    "eth_type",
    "vlan_tci",
    "nw_frag",
    "nw_proto",
  ] as const)
    setOnes(mask, field);
  return mask;
}

/** Of a packet whose network header stands behind a plain Ethernet header; undefined where there is none. */
function ipVersion(packet: Uint8Array): number | undefined {
  const first = packet[ETH.headerBytes];
  return first === undefined ? undefined : first >>> 4;
}
