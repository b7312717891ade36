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
import type { Changes, Decision, Policy, PolicyPacket } from "../../upcall/policy.ts";
import { announcements } from "../bond/announcements.ts";
import { ANY_BOND, Bonds, bucketSubject, inputSubject } from "../bond/bonds.ts";
import { isGroup, isReserved } from "./address.ts";
import { type Frame, readFrame } from "./frame.ts";
import { type MacEntry, MacTable } from "./mac-table.ts";
import { decisionMask, type LookedAt } from "./masks.ts";
import { type Output, outputActions, PCP_MASK, VID_MASK } from "./outputs.ts";
import { isSameVlan, outputForm, type PortVlan, TRUNK_OF_ALL } from "./vlan.ts";

export interface LearnOptions {
  readonly macAgingMillis: number;
  /** Most addresses. */
  readonly macTableSize: number;
  /** None, if not given. */
  readonly bonds?: Bonds;
}

/** Subjects: an address as destination is its number, as source this much more. */
const AS_SOURCE = 2 ** 48;
/** Addresses that one tick ages: some hundred microseconds. */
const AGED_PER_TICK = 256;
const NO_ACTIONS = new Uint8Array(0);
const DROP: Decision = { kind: "drop" };
/** As OVS's MAC_GRAT_ARP_LOCK_TIME. */
const LOCK_MILLIS = 5000;

/** Why a frame is not let in: what had to be looked at to know, and what that rests on. */
interface Refusal {
  readonly lookedAt: LookedAt;
  readonly subjects: readonly number[];
}

const refusal = (lookedAt: LookedAt, ...subjects: readonly number[]): Refusal => ({ lookedAt, subjects });

export class LearnPolicy implements Policy {
  readonly macs: MacTable;
  readonly #bonds: Bonds;
  readonly #ports = new Map<number, PortVlan>();
  /** By number. */
  #portNumbers: readonly number[] = [];
  #flushedMillis = Number.NEGATIVE_INFINITY;
  readonly #announcements: Generator<PolicyPacket | undefined, never>;
  #changedAll = false;
  #changed = new Set<number>();

  constructor({ macTableSize, macAgingMillis, bonds = new Bonds() }: LearnOptions) {
    this.#bonds = bonds;
    for (const bond of bonds.all) this.#ports.set(bond.portNo, bond.settings.vlan);
    this.#portsChanged();
    this.macs = new MacTable(macTableSize, macAgingMillis, (mac, seen) => {
      this.#changed.add(mac);
      if (seen) this.#changed.add(AS_SOURCE + mac);
    });
    this.#announcements = announcements(bonds, () => this.macs.entries());
  }

  /** A port came, or its VLANs are others now; what was learned on it in its old VLANs is forgotten, as in OVS. */
  setPort(portNo: number, vlan: PortVlan = TRUNK_OF_ALL): void {
    const before = this.#ports.get(portNo);
    if (before !== undefined && isSameVlan(before, vlan)) return;
    if (before !== undefined) this.macs.forgetPort(portNo);
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
    return [...this.rows()].sort((a, b) => a.usedMillis - b.usedMillis);
  }

  /** The same in no order, one by one: the table may change between two steps. Those of a bond stand on a member. */
  *rows(): Generator<MacEntry> {
    for (const entry of this.macs.entries()) {
      const shown = this.#bonds
        .byPortNo(entry.portNo)
        ?.members.find(({ portNo }) => portNo !== undefined)?.portNo;
      yield shown === undefined ? entry : { ...entry, portNo: shown };
    }
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
    const refused = this.#refusal(frame);
    if (refused === undefined) {
      // A reflection or a move: only the time tells, and no flow can.
      if (this.#hasMoved(frame) && this.#isLocked(frame, nowMillis)) return DROP;
      this.#learn(frame, nowMillis);
    }
    return this.#decision(key, frame, refused);
  }

  review(key: Uint8Array): Decision | null {
    const frame = this.#frame(key);
    if (frame === undefined) return null;
    const refused = this.#refusal(frame);
    if (refused === undefined) {
      const known = this.macs.find(frame.vlan!, frame.source);
      if (known !== undefined && known !== frame.inPort) return null;
    }
    return this.#decision(key, frame, refused);
  }

  refresh(key: Uint8Array, usedMillis: number, bytes: number): void {
    const frame = this.#frame(key);
    if (frame === undefined || this.#refusal(frame) !== undefined) return;
    const vlan = frame.vlan!;
    for (const bond of this.#bonds.bySource) {
      const output = this.#reaches(frame, vlan, bond.portNo)
        ? this.#output(frame, vlan, bond.portNo)
        : undefined;
      if (output !== undefined) bond.charge.add(bond.bucketOf(frame.source, output.tci & VID_MASK), bytes);
    }
    if (usedMillis <= this.#flushedMillis || this.#isLocked(frame, usedMillis)) return;
    this.macs.refresh(vlan, frame.source, frame.inPort, usedMillis);
    this.#lock(frame, usedMillis);
  }

  nextPacket(): PolicyPacket | undefined {
    return this.#announcements.next().value;
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

  #frame(key: Uint8Array): Frame | undefined {
    return readFrame(key, this.#ports, this.#bonds);
  }

  /**
   * Why the frame goes nowhere; undefined when it is let in. What is not let in teaches nothing, as in OVS: neither a VLAN
   * that the port does not have nor a reserved address.
   */
  #refusal(frame: Frame): Refusal | undefined {
    const { vlan, source, destination, membership } = frame;
    if (vlan === undefined) return refusal("tag");
    if (isGroup(source)) return refusal("source group");
    if (isReserved(destination)) return refusal("destination");
    if (membership === undefined) return undefined;
    const { bond, member } = membership;
    const verdict = bond.admits(member, isGroup(destination));
    if (verdict === "drop") {
      const isForAll = bond.admits(member, false) === "drop";
      return refusal(isForAll ? "tag" : "destination group", inputSubject(bond));
    }
    if (verdict === "accept" || frame.isGratuitousArp || !this.#isElsewhere(frame)) return undefined;
    return refusal(frame.isArpBroadcast ? "gratuitous ARP" : "addresses", source, inputSubject(bond));
  }

  #isElsewhere({ vlan, source, inPort }: Frame): boolean {
    const known = this.macs.find(vlan!, source);
    return known !== undefined && known !== inPort;
  }

  /** Whether it says that a station went behind the bond, which only a bond by source has to doubt. */
  #hasMoved(frame: Frame): boolean {
    return frame.membership?.bond.settings.mode === "balance-slb" && this.#isElsewhere(frame);
  }

  #isLocked({ membership, isGratuitousArp, vlan, source }: Frame, nowMillis: number): boolean {
    return isGratuitousArp && membership !== undefined && this.macs.isLocked(vlan!, source, nowMillis);
  }

  #learn(frame: Frame, nowMillis: number): void {
    if (this.#isLocked(frame, nowMillis)) return;
    this.macs.learn(frame.vlan!, frame.source, frame.inPort, nowMillis);
    this.#lock(frame, nowMillis);
  }

  #lock({ isGratuitousArp, membership, vlan, source }: Frame, seenMillis: number): void {
    if (isGratuitousArp && membership === undefined) this.macs.lock(vlan!, source, seenMillis + LOCK_MILLIS);
  }

  #decision(key: Uint8Array, frame: Frame, refused: Refusal | undefined): Decision {
    const { vlan, source, destination, tag, isArpBroadcast } = frame;
    if (refused !== undefined) {
      const { lookedAt, subjects } = refused;
      return { kind: "flow", mask: decisionMask(key, tag, lookedAt), actions: NO_ACTIONS, subjects };
    }
    const concerned = new BondSubject();
    if (frame.membership !== undefined) concerned.add(inputSubject(frame.membership.bond));
    const outputs = this.#outputs(frame, vlan!, concerned);
    const lookedAt = isArpBroadcast && this.#bonds.exist ? "gratuitous ARP" : "addresses";
    return {
      kind: "flow",
      mask: decisionMask(key, tag, lookedAt),
      actions: outputActions(tag, outputs),
      subjects: [destination, AS_SOURCE + source, ...concerned.subjects],
    };
  }

  #outputs(frame: Frame, vlan: number, concerned: BondSubject): Output[] {
    const { source, destination } = frame;
    const known = isGroup(destination) ? undefined : this.macs.find(vlan, destination);
    return (known === undefined ? this.#portNumbers : [known]).flatMap((portNo) => {
      const output = this.#output(frame, vlan, portNo);
      if (output === undefined) return [];
      const bond = this.#bonds.byPortNo(portNo);
      if (bond === undefined) return [output];
      const { id, mode, hashBasis, usesLbOutput } = bond.settings;
      if (mode === "balance-tcp") return [{ ...output, balance: { id, hashBasis, usesLbOutput } }];
      const bucket = bond.bucketOf(source, output.tci & VID_MASK);
      concerned.add(bucketSubject(bond, bucket));
      const member = bond.choose(bucket)?.portNo;
      return member === undefined ? [] : [{ ...output, portNo: member }];
    });
  }

  /** How the frame leaves by a port; undefined when it does not. */
  #output({ inPort, tag }: Frame, vlan: number, portNo: number): Output | undefined {
    const port = this.#ports.get(portNo);
    const form = port && portNo !== inPort ? outputForm(port, vlan) : undefined;
    if (form === undefined) return undefined;
    return { portNo, tci: form === "tagged" ? (tag.tci & PCP_MASK) | vlan : 0 };
  }

  /** Whether frames to this destination go to a port at all. */
  #reaches({ destination }: Frame, vlan: number, portNo: number): boolean {
    const known = isGroup(destination) ? undefined : this.macs.find(vlan, destination);
    return known === undefined || known === portNo;
  }
}

/** The one subject of a flow that stands for bonds. */
class BondSubject {
  #subject: number | undefined;

  add(subject: number): void {
    this.#subject = this.#subject === undefined ? subject : ANY_BOND;
  }

  get subjects(): readonly number[] {
    return this.#subject === undefined ? [] : [this.#subject];
  }
}
