// The learning policy: a VLAN-aware Ethernet switch, OVS's NORMAL. A frame teaches on which port its source is; it goes
// to the port of its destination, or to all ports of its VLAN when that is unknown or a group, never back where it came
// from. Frames to reserved addresses go nowhere (address.ts), nor do frames from a group address, which no station has.
//
// The megaflow of a decision looks at what the decision looked at, in this order, and no further than it got: the port,
// the tag, the destination, the source. Beside these it matches what every megaflow of OVS matches: recirculation,
// packet type, Ethertype, and whether an IP packet is a fragment. Whatever is forwarded matches its source, so the first
// frame of a new source always comes up and is learned.
//
// A flow rests on its two addresses: on the destination for what it does, and on the source because a flow at a port
// that the source has left would keep frames from coming up that show its return.
import { K, VLAN_CFI } from "../../flow/fields.ts";
import { getNumber } from "../../flow/key.ts";
import type { Changes, Decision, Policy } from "../../upcall/policy.ts";
import { isGroup, isReserved, readMac } from "./address.ts";
import { type MacEntry, MacTable } from "./mac-table.ts";
import { decisionMask, type LookedAt } from "./masks.ts";
import { type FrameTag, type Output, outputActions, PCP_MASK, VID_MASK } from "./outputs.ts";
import { inputVlan, isSameVlan, outputForm, type PortVlan, TRUNK_OF_ALL } from "./vlan.ts";

export interface LearnOptions {
  readonly macAgingMillis: number;
  /** Most addresses. */
  readonly macTableSize: number;
}

/** Subjects: an address as destination is its number, as source this much more. */
const AS_SOURCE = 2 ** 48;
/** Addresses that one tick ages: some hundred microseconds. */
const AGED_PER_TICK = 256;
const NO_ACTIONS = new Uint8Array(0);
const DROP: Decision = { kind: "drop" };

/** What a decision rests on. */
interface Frame {
  readonly inPort: number;
  readonly source: number;
  readonly destination: number;
  readonly tag: FrameTag;
  /** Undefined when the port does not take the frame. */
  readonly vlan: number | undefined;
}

export class LearnPolicy implements Policy {
  readonly macs: MacTable;
  readonly #ports = new Map<number, PortVlan>();
  /** By number. */
  #portNumbers: readonly number[] = [];
  #flushedMillis = Number.NEGATIVE_INFINITY;
  #changedAll = false;
  #changed = new Set<number>();

  constructor({ macTableSize, macAgingMillis }: LearnOptions) {
    this.macs = new MacTable(macTableSize, macAgingMillis, (mac, seen) => {
      this.#changed.add(mac);
      if (seen) this.#changed.add(AS_SOURCE + mac);
    });
  }

  /** A port came, or its VLANs are others now; what was learned on it in its old VLANs is forgotten, as in OVS. */
  setPort(portNo: number, vlan: PortVlan = TRUNK_OF_ALL): void {
    const before = this.#ports.get(portNo);
    if (before !== undefined && !isSameVlan(before, vlan)) this.macs.forgetPort(portNo);
    this.#ports.set(portNo, vlan);
    this.#portsChanged();
  }

  removePort(portNo: number): void {
    if (!this.#ports.delete(portNo)) return;
    this.macs.forgetPort(portNo);
    this.#portsChanged();
  }

  /** Learned addresses, the one unused for longest first. */
  entries(): MacEntry[] {
    return this.macs.list();
  }

  /** Forgets all addresses; packets of before do not bring them back. */
  flush(nowMillis: number): void {
    this.macs.flush();
    this.#flushedMillis = nowMillis;
    this.#changedAll = true;
  }

  decide(key: Uint8Array, nowMillis: number): Decision {
    const frame = this.#frame(key);
    if (frame === undefined) return DROP;
    if (this.#teaches(frame)) this.macs.learn(frame.vlan, frame.source, frame.inPort, nowMillis);
    return this.#decision(key, frame);
  }

  review(key: Uint8Array): Decision | null {
    const frame = this.#frame(key);
    if (frame === undefined) return null;
    if (this.#teaches(frame)) {
      const known = this.macs.find(frame.vlan, frame.source);
      if (known !== undefined && known !== frame.inPort) return null;
    }
    return this.#decision(key, frame);
  }

  refresh(key: Uint8Array, usedMillis: number): void {
    const frame = this.#frame(key);
    if (usedMillis > this.#flushedMillis && frame !== undefined && this.#teaches(frame)) {
      this.macs.refresh(frame.vlan, frame.source, frame.inPort, usedMillis);
    }
  }

  tick(nowMillis: number): boolean {
    return this.macs.expire(nowMillis, AGED_PER_TICK);
  }

  takeChanges(): Changes | null {
    if (!this.#changedAll && this.#changed.size === 0) return null;
    const changes = { all: this.#changedAll, subjects: this.#changed };
    this.#changedAll = false;
    this.#changed = new Set();
    return changes;
  }

  #portsChanged(): void {
    this.#portNumbers = [...this.#ports.keys()].sort((a, b) => a - b);
    this.#changedAll = true;
  }

  /** Undefined when no port of the policy received it, or it is no Ethernet frame just received. */
  #frame(key: Uint8Array): Frame | undefined {
    const inPort = getNumber(key, "in_port");
    const port = this.#ports.get(inPort);
    if (port === undefined || getNumber(key, "recirc_id") !== 0 || getNumber(key, "packet_type") !== 0) {
      return undefined;
    }
    const tci = getNumber(key, "vlan_tci");
    const isTagged = (tci & VLAN_CFI) !== 0;
    return {
      inPort,
      source: readMac(key, K.eth_src),
      destination: readMac(key, K.eth_dst),
      tag: { isTagged, tpid: getNumber(key, "vlan_tpid"), tci: tci & (PCP_MASK | VID_MASK) },
      vlan: inputVlan(port, isTagged ? tci & VID_MASK : 0),
    };
  }

  /** What is not let in teaches nothing, as in OVS: neither a VLAN that the port does not have nor a reserved address. */
  #teaches(frame: Frame): frame is Frame & { vlan: number } {
    return frame.vlan !== undefined && !isReserved(frame.destination) && !isGroup(frame.source);
  }

  #decision(key: Uint8Array, frame: Frame): Decision {
    const { vlan, source, destination, tag } = frame;
    const drop = (lookedAt: LookedAt): Decision => ({
      kind: "flow",
      mask: decisionMask(key, tag, lookedAt),
      actions: NO_ACTIONS,
      subjects: [],
    });
    if (vlan === undefined) return drop("tag");
    if (isGroup(source)) return drop("source group");
    if (isReserved(destination)) return drop("destination");
    return {
      kind: "flow",
      mask: decisionMask(key, tag, "addresses"),
      actions: outputActions(tag, this.#outputs(frame, vlan)),
      subjects: [destination, AS_SOURCE + source],
    };
  }

  #outputs({ inPort, destination, tag }: Frame, vlan: number): Output[] {
    const known = isGroup(destination) ? undefined : this.macs.find(vlan, destination);
    const outputs: Output[] = [];
    for (const portNo of known === undefined ? this.#portNumbers : [known]) {
      const port = this.#ports.get(portNo);
      const form = port && portNo !== inPort ? outputForm(port, vlan) : undefined;
      if (form !== undefined)
        outputs.push({ portNo, tci: form === "tagged" ? (tag.tci & PCP_MASK) | vlan : 0 });
    }
    return outputs;
  }
}
