// One bond: several ports that are one to the learning policy. What it knows of its members, which of them is active,
// which takes the packets of a bucket, and which frames it lets in. Modes as OVS has them:
//
//   active-backup  everything through the active member; what arrives on another one is dropped
//   balance-slb    a bucket is a hash of source address and VLAN; the switch on the other side knows nothing of the bond,
//                  so what it floods back is told by the address that is known elsewhere, and groups enter by the active
//                  member alone
//   balance-tcp    a bucket is dp_hash's low eight bits, so a station's conversations spread. The other side has to know
//                  the bond; LACP, which OVS wants to be told so by, does not exist here
//
// Buckets stay where they are until their member goes or a rebalance moves them; under balance-tcp, where every bucket has
// a member from the start, one that comes gets its share of those that carry nothing. Control path; time is given.
import { BOND_BUCKETS } from "../../memory/region-plan.ts";
import type { PortVlan } from "../learn/vlan.ts";
import { BucketCharge } from "./bucket-charge.ts";
import { sourceHash } from "./hash.ts";
import { BondMember, type LinkState } from "./member.ts";
import { planMoves } from "./rebalance.ts";

export const BOND_MODES = ["active-backup", "balance-slb", "balance-tcp"] as const;
export type BondMode = (typeof BOND_MODES)[number];

export interface BondSettings {
  /** From 1: recirc_id of its packets and the number that lb_output names. */
  readonly id: number;
  readonly name: string;
  /** Names of ports. */
  readonly members: readonly string[];
  readonly mode: BondMode;
  /** balance-tcp: one lb_output instead of a hash and a recirculation. */
  readonly usesLbOutput: boolean;
  /** Member that is active whenever it is enabled. */
  readonly primary: string | undefined;
  /** 0: never. */
  readonly rebalanceMillis: number;
  readonly updelayMillis: number;
  readonly downdelayMillis: number;
  readonly hashBasis: number;
  /** balance-slb: groups enter by every member, duplicates included. */
  readonly takesGroupsEverywhere: boolean;
  readonly vlan: PortVlan;
}

/** Whether a frame may come in by a member. `unless moved`: not if its source is known on another port. */
export type Verdict = "accept" | "drop" | "unless moved";

/** Told what others rest on: a bucket's member, which frames come in, where stations are to be looked for. */
export interface BondObserver {
  bucketChanged(bond: Bond, bucket: number): void;
  inputChanged(bond: Bond): void;
  /** Another member is active than before, not the first one ever: stations are reached through it from now on. */
  activeChanged(bond: Bond): void;
  /** For the log. */
  notice(text: string): void;
}

const BUCKET_MASK = BOND_BUCKETS - 1;
/** Bonds stand behind the ports in the learning policy's numbers. */
const BOND_PORT_BASE = 0x10000;

export class Bond {
  readonly settings: BondSettings;
  readonly members: readonly BondMember[];
  readonly charge = new BucketCharge();
  /** Never, when the load is not balanced. */
  nextRebalanceMillis = Number.POSITIVE_INFINITY;
  #active: BondMember | undefined;
  #hadActive = false;
  readonly #observer: BondObserver;
  readonly #buckets: (BondMember | undefined)[] = new Array(BOND_BUCKETS).fill(undefined);
  /** Enabled members; the next one in turn is the first. */
  #turn: BondMember[] = [];

  constructor(settings: BondSettings, observer: BondObserver) {
    this.settings = settings;
    this.#observer = observer;
    this.members = settings.members.map((name) => new BondMember(name, settings));
  }

  /** The number under which the learning policy knows it. */
  get portNo(): number {
    return BOND_PORT_BASE + this.settings.id;
  }

  get active(): BondMember | undefined {
    return this.#active;
  }

  /** When the load counts: a rebalance, or a member that waits to be enabled and gets a share. */
  get nextDueMillis(): number {
    return Math.min(this.nextRebalanceMillis, ...this.members.map(({ dueMillis }) => dueMillis));
  }

  get isBalanced(): boolean {
    return this.settings.mode !== "active-backup" && this.settings.rebalanceMillis > 0;
  }

  memberOn(portNo: number): BondMember | undefined {
    return this.members.find((member) => member.portNo === portNo);
  }

  member(name: string): BondMember | undefined {
    return this.members.find((member) => member.name === name);
  }

  /** A member's port opened: it is enabled without delay when its link is up, as in OVS. */
  attach(member: BondMember, portNo: number, link: LinkState, now: number): void {
    member.portNo = portNo;
    member.link = link;
    this.enable(member, link.isUp);
    if (this.nextRebalanceMillis === Number.POSITIVE_INFINITY && this.isBalanced)
      this.nextRebalanceMillis = now + this.settings.rebalanceMillis;
    this.run(now);
  }

  setLink(member: BondMember, link: LinkState, now: number): void {
    member.link = link;
    this.run(now);
  }

  detach(member: BondMember, now: number): void {
    member.link = { ...member.link, isUp: false };
    this.enable(member, false);
    member.portNo = undefined;
    this.run(now);
  }

  /** Carries out what is due: delays that end, another active member, a rebalance. */
  run(now: number): void {
    for (const member of this.members) {
      const change = member.settle(now);
      if (change !== undefined) this.enable(member, change);
    }
    const { mode, primary } = this.settings;
    const wanted = mode === "active-backup" && primary !== undefined ? this.member(primary) : undefined;
    if (this.#active?.isEnabled !== true || (wanted?.isEnabled === true && wanted !== this.#active))
      this.#chooseActive();
    if (mode === "balance-tcp") this.#fill();
    if (now >= this.nextRebalanceMillis) this.#rebalance(now);
  }

  /** Skips a delay that runs. */
  enable(member: BondMember, isEnabled: boolean): void {
    member.dueMillis = Number.POSITIVE_INFINITY;
    if (member.isEnabled === isEnabled) return;
    member.isEnabled = isEnabled;
    const wasUnused = this.#turn.length === 0;
    this.#turn = isEnabled ? [...this.#turn, member] : this.#turn.filter((other) => other !== member);
    this.#notice(`member ${member.name} is ${isEnabled ? "enabled" : "disabled"}`);
    this.#observer.inputChanged(this);
    if (this.settings.mode === "active-backup") return;
    for (const [bucket, holder] of this.#buckets.entries()) {
      if (holder === member) this.#assign(bucket, this.#next());
      // Packets of the bucket were dropped so far.
      else if (wasUnused && holder === undefined) this.#observer.bucketChanged(this, bucket);
    }
    if (isEnabled && this.settings.mode === "balance-tcp") this.#giveShare(member);
  }

  /** The member is enabled. */
  setActive(member: BondMember | undefined): void {
    this.#active = member;
    this.#notice(member === undefined ? "no member is enabled" : `member ${member.name} is active`);
    this.#observer.inputChanged(this);
    if (this.#hadActive && member !== undefined) this.#observer.activeChanged(this);
    this.#hadActive ||= member !== undefined;
    if (this.settings.mode === "active-backup") this.#observer.bucketChanged(this, 0);
  }

  /** Moves a bucket; the member is enabled. */
  migrate(bucket: number, member: BondMember): void {
    if (this.#buckets[bucket] !== member) this.#assign(bucket, member);
  }

  admits(member: BondMember, isGroup: boolean): Verdict {
    const { mode, takesGroupsEverywhere } = this.settings;
    if (mode === "balance-tcp") return member.isEnabled ? "accept" : "drop";
    if (mode === "active-backup") return member === this.#active ? "accept" : "drop";
    return isGroup && member !== this.#active && !takesGroupsEverywhere ? "drop" : "unless moved";
  }

  /** The bucket that frames of this source fall in; in active-backup all fall in bucket 0. */
  bucketOf(mac: number, vlan: number): number {
    const { mode, hashBasis } = this.settings;
    return mode === "active-backup" ? 0 : sourceHash(mac, vlan, hashBasis) & BUCKET_MASK;
  }

  /** Who sends the packets of a bucket; one that nobody has gets the next member in turn. */
  choose(bucket: number): BondMember | undefined {
    if (this.settings.mode === "active-backup") return this.#active;
    if (this.#buckets[bucket]?.isEnabled !== true) this.#buckets[bucket] = this.#next();
    return this.#buckets[bucket];
  }

  /** Who has a bucket, without giving it to anybody. */
  holder(bucket: number): BondMember | undefined {
    return this.#buckets[bucket];
  }

  /** Under balance-tcp any packet may ask for any bucket, and workers read the whole table. */
  #fill(): void {
    if (this.#turn.length === 0) return;
    for (const [bucket, holder] of this.#buckets.entries())
      if (holder === undefined) this.#assign(bucket, this.#next());
  }

  /** From members that have more than an equal share; what carries nothing does not miss its member. */
  #giveShare(member: BondMember): void {
    const share = Math.floor(BOND_BUCKETS / this.#turn.length);
    const held = new Map(this.#turn.map((each) => [each, 0]));
    for (const holder of this.#buckets) if (holder !== undefined) held.set(holder, held.get(holder)! + 1);
    for (const [bucket, holder] of this.#buckets.entries()) {
      if (holder === undefined || held.get(holder)! <= share || this.charge.bytes(bucket) > 0) continue;
      if (held.get(member)! >= share) return;
      held.set(holder, held.get(holder)! - 1).set(member, held.get(member)! + 1);
      this.#assign(bucket, member);
    }
  }

  #notice(text: string): void {
    this.#observer.notice(`bond ${this.settings.name}: ${text}`);
  }

  #assign(bucket: number, member: BondMember | undefined): void {
    this.#buckets[bucket] = member;
    this.#observer.bucketChanged(this, bucket);
  }

  #next(): BondMember | undefined {
    const next = this.#turn.shift();
    if (next !== undefined) this.#turn.push(next);
    return next;
  }

  /** The primary, else one that is enabled, else the one whose delay ends first, which is cut short. */
  #chooseActive(): void {
    const enabled = this.members.filter(({ isEnabled }) => isEnabled);
    const chosen = enabled.find(({ name }) => name === this.settings.primary) ?? enabled[0] ?? this.#nextUp();
    if (chosen === this.#active && chosen?.isEnabled !== false) return;
    if (chosen !== undefined) this.enable(chosen, true);
    this.setActive(chosen);
  }

  #nextUp(): BondMember | undefined {
    const waiting = this.members.filter(({ link, dueMillis }) => link.isUp && dueMillis < Infinity);
    return waiting.sort((a, b) => a.dueMillis - b.dueMillis)[0];
  }

  #rebalance(now: number): void {
    this.nextRebalanceMillis = now + this.settings.rebalanceMillis;
    const loads = this.#turn.map((member) => ({
      member,
      buckets: this.charge.loads().filter(({ bucket }) => this.#buckets[bucket] === member),
    }));
    for (const { bucket, bytes, from, to } of planMoves(loads)) {
      this.#notice(`bucket ${bucket} with ${bytes} bytes goes from ${from.name} to ${to.name}`);
      this.#assign(bucket, to);
    }
    this.charge.decay();
  }
}
